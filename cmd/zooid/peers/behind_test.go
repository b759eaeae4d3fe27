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
	usual := probes.during(func() { time.Sleep(calm) })
	began = time.Now()
	loaded := probes.during(func() {
		behind.start(t)
		eventually(t, "the follower has caught up", func() bool { return behind.zxid() >= leader.zxid()-100 && behind.zxid() > 0 })
	})
	t.Logf("caught up after %v; slowest hundredth of %d and %d writes of others: %v before, %v meanwhile (worst %v and %v)", time.Since(began).Round(time.Millisecond), len(usual), len(loaded),
		percentile(usual, 99), percentile(loaded, 99), percentile(usual, 100), percentile(loaded, 100))
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
	stop  context.CancelFunc
	done  sync.WaitGroup
	mu    sync.Mutex
	times []time.Duration
}

func (e *ensemble) probe(through ...*member) *probes {
	e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &probes{stop: cancel}
	e.t.Cleanup(cancel)
	for i := range 8 {
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
				p.times = append(p.times, time.Since(began))
				p.mu.Unlock()
			}
		})
	}
	return p
}

// during returns the times of the writes that end while f runs, sorted.
func (p *probes) during(f func()) []time.Duration {
	p.mu.Lock()
	p.times = nil
	p.mu.Unlock()
	f()
	p.mu.Lock()
	defer p.mu.Unlock()
	times := p.times
	p.times = nil
	slices.Sort(times)
	return times
}

func (p *probes) end() {
	p.stop()
	p.done.Wait()
}

func percentile(sorted []time.Duration, of int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*of/100)].Round(10 * time.Microsecond)
}
