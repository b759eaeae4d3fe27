package peers

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestFarBehind keeps a follower away while the others commit a great many transactions, then lets it catch up while clients of the others write: it gets there, and they hardly notice.
// ZOOID_BEHIND sets how many transactions; with it the slowest hundredth of the writes is held against twice what it was before.
func TestFarBehind(t *testing.T) {
	missing, calm, measured := 3000, time.Second, false
	if text := os.Getenv("ZOOID_BEHIND"); text != "" {
		var err error
		if missing, err = strconv.Atoi(text); err != nil {
			t.Fatalf("ZOOID_BEHIND: %v", err)
		}
		calm, measured = 8*time.Second, true
	}
	e := newEnsemble(t, []kind{zooid, zooid, zooid}, "tickTime=2000")
	e.startAll()
	leader := e.waitLeader()
	var behind *member
	var others []*member
	for _, m := range e.members {
		if m != leader && behind == nil {
			behind = m
		} else {
			others = append(others, m)
		}
	}
	behind.kill()
	began := time.Now()
	e.pipeline(e.connect(others...), "/behind", missing)
	t.Logf("%d transactions while server %d was away, in %v", missing, behind.id, time.Since(began).Round(time.Millisecond))

	probes := e.probe(others...)
	defer probes.end()
	probes.during(func() { time.Sleep(calm / 2) }) // what the writes before leave behind on the disk
	usual, _ := probes.during(func() { time.Sleep(calm) })
	began = time.Now()
	loaded, meanwhile := probes.during(func() {
		behind.start(t)
		eventually(t, "the follower has caught up", func() bool { return behind.zxid() >= leader.zxid()-100 && behind.zxid() > 0 })
	})
	t.Logf("caught up after %v; slowest hundredth of %d and %d writes of others: %v before, %v meanwhile (worst %v and %v)", time.Since(began).Round(time.Millisecond), len(usual), len(loaded),
		percentile(usual, 99), percentile(loaded, 99), percentile(usual, 100), percentile(loaded, 100))
	if meanwhile == 0 {
		t.Error("nobody could write while a follower caught up")
	}
	if measured && percentile(loaded, 99) > 2*percentile(usual, 99) {
		t.Errorf("the slowest hundredth of the writes took more than twice as long while a follower caught up")
	}
	probes.end()
	if !measured {
		e.compareTrees()
		return
	}
	// A million nodes are not listed one by one here: what every server counts has to do.
	e.level()
	for _, name := range []string{"zk_znode_count", "zk_approximate_data_size"} {
		for _, m := range e.members {
			if got, want := m.figure(t, name), leader.figure(t, name); got != want {
				t.Errorf("%s has a %s of %d, the leader of %d", m, name, got, want)
			}
		}
	}
}

// pipeline creates n nodes, many at a time.
func (e *ensemble) pipeline(c *client.Client, root string, n int) {
	e.t.Helper()
	const parents, inFlight = 100, 512
	if _, err := c.Create(within(e.t), root, nil, client.CreateOptions{}); err != nil {
		e.t.Fatal(err)
	}
	free := make(chan struct{}, inFlight)
	var failed atomic.Pointer[error]
	var under sync.WaitGroup
	create := func(path string, data []byte) {
		free <- struct{}{}
		under.Add(1)
		c.Go(&wire.Request{Op: client.CreateOp(path, data, wire.Persistent, wire.OpenACL)}, func(r client.Reply) {
			if r.Err != nil {
				failed.CompareAndSwap(nil, &r.Err)
			}
			<-free
			under.Done()
		})
	}
	for i := range parents {
		create(fmt.Sprintf("%s/%d", root, i), nil)
	}
	for i := 0; i < n && failed.Load() == nil; i++ {
		create(fmt.Sprintf("%s/%d/%d", root, i%parents, i), fmt.Appendf(nil, "%0100d", i))
	}
	under.Wait()
	if err := failed.Load(); err != nil {
		e.t.Fatal(*err)
	}
}

// probes are clients that write one after the other and note how long each write took.
type probes struct {
	t      testing.TB
	stop   context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	writes [][]probed // by client
}

// probed is one write.
type probed struct{ began, ended time.Time }

func (e *ensemble) probe(through ...*member) *probes {
	e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	const clients = 8
	p := &probes{t: e.t, stop: cancel, writes: make([][]probed, clients)}
	e.t.Cleanup(cancel)
	for i := range clients {
		c, path := e.connect(through[i%len(through)]), fmt.Sprintf("/probe-%d", i)
		if _, err := c.Create(within(e.t), path, nil, client.CreateOptions{}); err != nil {
			e.t.Fatal(err)
		}
		p.done.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				if _, err := c.Set(ctx, path, []byte("probe"), client.AnyVersion); err != nil {
					if ctx.Err() == nil {
						e.t.Errorf("%s: %v", path, err)
					}
					return
				}
				p.mu.Lock()
				p.writes[i] = append(p.writes[i], probed{began, time.Now()})
				p.mu.Unlock()
			}
		})
	}
	return p
}

// during returns how long the writes took that were under way at any time while f ran, sorted. Those that are so at its end are waited for: else one that took all the time, and more, would not count.
// The second result is how many of them had ended by then.
func (p *probes) during(f func()) (times []time.Duration, meanwhile int) {
	p.t.Helper()
	began := time.Now()
	f()
	ended := time.Now()
	eventually(p.t, "what every client was writing is written", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, writes := range p.writes {
			if len(writes) == 0 || writes[len(writes)-1].ended.Before(ended) {
				return p.t.Failed()
			}
		}
		return true
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, writes := range p.writes {
		for _, w := range writes {
			if w.ended.After(began) && w.began.Before(ended) {
				times = append(times, w.ended.Sub(w.began))
				if w.ended.Before(ended) {
					meanwhile++
				}
			}
		}
		p.writes[i] = nil
	}
	if len(times) == 0 {
		p.t.Fatal("the clients have ended")
	}
	slices.Sort(times)
	return times, meanwhile
}

func (p *probes) end() {
	p.stop()
	p.done.Wait()
}

// percentile is the value below which so many of a hundred are. There is none of nothing.
func percentile(sorted []time.Duration, of int) time.Duration {
	return sorted[min(len(sorted)-1, len(sorted)*of/100)].Round(10 * time.Microsecond)
}

// TestProbesSeeAStall: a write that is under way from before until after counts, with all its time, and is none that has ended meanwhile.
func TestProbesSeeAStall(t *testing.T) {
	now := time.Now()
	for _, writes := range [][]probed{
		{{now.Add(-time.Minute), now.Add(time.Minute)}},
		{{now.Add(-time.Hour), now.Add(-time.Minute)}, {now.Add(-time.Minute), now.Add(time.Minute)}, {now.Add(time.Minute), now.Add(time.Hour)}},
	} {
		p := &probes{t: t, writes: [][]probed{writes}}
		if times, meanwhile := p.during(func() {}); len(times) != 1 || percentile(times, 99) != 2*time.Minute || meanwhile != 0 {
			t.Errorf("%v, %d of them ended", times, meanwhile)
		}
	}
}
