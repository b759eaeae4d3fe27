package peers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

const (
	// rollingTarget is what the longest write of a planned restart should take, on a machine that has nothing else to do.
	rollingTarget = 200 * time.Millisecond
	// On any machine it is rollingFactor times what the longest write took before, in the same run, and half a tick where that is more: what a time-out has to find takes longer.
	rollingFactor = 5
	rollingTick   = 2 * time.Second
)

// nomad writes one node after the other through whichever server takes it, and keeps an ephemeral node.
type nomad struct {
	*client.Client
	path    string
	session int64
	acked   int32        // version of the last acknowledged write; nobody else writes
	unknown int          // tries whose connection ended before they were answered
	longest atomic.Int64 // ns, of a write since it was asked last
	err     error
}

func (e *ensemble) nomad(n int) *nomad {
	e.t.Helper()
	c := &nomad{Client: e.connect(), path: fmt.Sprintf("/nomad-%d", n)}
	if _, err := c.Create(within(e.t), c.path, nil, client.CreateOptions{}); err != nil {
		e.t.Fatal(err)
	}
	if _, err := c.Create(within(e.t), c.path+"-lives", nil, client.CreateOptions{Mode: wire.Ephemeral}); err != nil {
		e.t.Fatal(err)
	}
	c.session = c.SessionID()
	return c
}

// run writes until ctx ends. A write whose connection ended is tried again; its wait counts from the first try.
func (c *nomad) run(ctx context.Context) {
	for ctx.Err() == nil && c.err == nil {
		start := time.Now()
		for again := true; again && c.err == nil; {
			call, cancel := context.WithTimeout(context.Background(), patience)
			stat, err := c.Set(call, c.path, []byte("x"), client.AnyVersion)
			cancel()
			switch {
			case errors.Is(err, wire.ErrConnectionLoss):
				c.unknown++
				continue
			case err != nil:
				c.err = err
			case stat.Version <= c.acked:
				c.err = fmt.Errorf("version %d after %d: an acknowledged write was lost", stat.Version, c.acked)
			default:
				c.acked = stat.Version
			}
			again = false
		}
		if took := int64(time.Since(start)); took > c.longest.Load() { // lost when it is asked at the same moment: then it began before
			c.longest.Store(took)
		}
	}
}

// roam has n nomads write until end, which waits for them.
func (e *ensemble) roam(n int) (nomads []*nomad, end func()) {
	e.t.Helper()
	for i := range n {
		nomads = append(nomads, e.nomad(i))
	}
	ctx, cancel := context.WithCancel(e.t.Context())
	var running sync.WaitGroup
	for _, c := range nomads {
		running.Go(func() { c.run(ctx) })
	}
	end = func() { cancel(); running.Wait() }
	e.t.Cleanup(end)
	return nomads, end
}

// TestRollingRestart ends every server of a loaded ensemble with SIGTERM and starts it again, one after the other, twice round. The leader hands over to a follower before it goes: nobody waits for
// an election by time-outs, or much longer than without. No session is lost and no acknowledged write.
func TestRollingRestart(t *testing.T) {
	e := newEnsemble(t, []kind{zooid, zooid, zooid}, fmt.Sprint("tickTime=", rollingTick.Milliseconds()))
	e.startAll()
	nomads, end := e.roam(9)
	watch := e.connect()
	for _, c := range nomads {
		eventually(t, c.path+" is written all the time", func() bool {
			_, stat, err := watch.Get(within(t), c.path)
			return err == nil && stat.Version >= 200
		})
	}
	calm := longestOf(nomads)
	handed := 0
	for range 2 {
		for _, m := range e.members {
			led := m == e.waitLeader()
			mark := m.logLength()
			start := time.Now()
			m.stop(t)
			down := time.Since(start)
			if code := m.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("%s ends on SIGTERM with exit code %d", m, code)
			}
			if led {
				handed++
				if !m.loggedSince(mark, "giving leadership to a follower that has everything") || !m.loggedSince(mark, "role=following") {
					t.Errorf("%s led, and was not a follower of the next leader before it ended", m)
				}
			}
			m.start(t)
			e.waitServing()
			t.Logf("%s (leader: %v) ended in %v and served again after %v", m, led, down.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
		}
	}
	end()
	longest, acked, unknown := settled(t, nomads)
	if acked < 10*len(nomads) || handed < 2 {
		t.Errorf("only %d writes, and %d leaders restarted", acked, handed)
	}
	if limit := max(rollingFactor*calm, rollingTick/2); longest > limit {
		t.Errorf("a write took %v; before the restarts %v at most, so %v may be", longest, calm, limit)
	}
	e.compareTrees()
	t.Logf("%d writes acknowledged, %d tries of unknown outcome, %d leaders handed over; the longest write took %v (target %v), and %v before", acked, unknown, handed, longest.Round(time.Millisecond), rollingTarget, calm.Round(time.Millisecond))
}

// TestEpochsRollOverInAMixture: epochs whose counters reach their end under load, with a server of ZooKeeper among the members, which disconnects its clients in every election. Sessions live on,
// acknowledged writes stay, and clients of Zooid's servers keep their connections.
func TestEpochsRollOverInAMixture(t *testing.T) {
	for _, k := range []kind{apache38, apache39} {
		t.Run(string(k), func(t *testing.T) {
			e := newEnsemble(t, []kind{zooid, k, zooid}, "plugin.broadcast.rollAfter=300")
			e.startAll()
			e.expectLeader(3)
			residents := []*resident{e.reside(e.member(1)), e.reside(e.member(3))}
			nomads, end := e.roam(6)
			watch := e.connect(e.member(1))
			epoch := func() int64 {
				_, stat, err := watch.Get(within(t), nomads[0].path)
				if err != nil {
					t.Fatal(err)
				}
				return stat.Mzxid >> 32
			}
			first := epoch()
			eventually(t, "epochs have passed", func() bool { return epoch() >= first+3 || t.Failed() })
			end()
			e.waitServing()
			for _, r := range residents {
				r.settle()
				if n := r.lost.Load(); n != 0 {
					t.Errorf("%s: disconnected %d times, the last time: %v", r.path, n, r.reason.Load().Err)
				}
				r.end()
			}
			longest, acked, unknown := settled(t, nomads)
			e.compareTrees()
			t.Logf("%d epochs, %d writes acknowledged, %d tries of unknown outcome; the longest write took %v", epoch()-first, acked, unknown, longest.Round(time.Millisecond))
		})
	}
}

// longestOf is the longest write since it was asked last.
func longestOf(nomads []*nomad) (longest time.Duration) {
	for _, c := range nomads {
		longest = max(longest, time.Duration(c.longest.Swap(0)))
	}
	return longest
}

// settled checks nomads that have stopped: their sessions live, and what was acknowledged is there.
func settled(t *testing.T, nomads []*nomad) (longest time.Duration, acked, unknown int) {
	t.Helper()
	for _, c := range nomads {
		if c.err != nil {
			t.Errorf("%s: %v", c.path, c.err)
			continue
		}
		_, stat, err := c.Get(within(t), c.path)
		if err != nil || stat.Version < c.acked {
			t.Errorf("%s: version %d, and %d was acknowledged; %v", c.path, stat.Version, c.acked, err)
		}
		if lives, stat, err := c.Exists(within(t), c.path+"-lives"); err != nil || !lives || stat.EphemeralOwner != c.session || c.SessionID() != c.session {
			t.Errorf("%s: session 0x%x became 0x%x: %+v, %v", c.path, c.session, c.SessionID(), stat, err)
		}
		acked, unknown = acked+int(c.acked), unknown+c.unknown
	}
	return longestOf(nomads), acked, unknown
}
