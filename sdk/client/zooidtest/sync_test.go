package zooidtest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
)

// A leader that was cut off does not know it at first. It answers reads with what it has, but not a sync, and neither does an observer that is cut off with it.
func TestSyncAtAnIsolatedLeader(t *testing.T) {
	for try := 1; !syncAtAnIsolatedLeader(t); try++ {
		if try == 20 {
			t.Fatal("the leader noticed every time, before anything could be shown")
		}
	}
}

// syncAtAnIsolatedLeader returns false when the leader noticed that it was cut off before its successor had written: its links break, and its next half tick may be near.
func syncAtAnIsolatedLeader(t *testing.T) bool {
	e := zooidtest.StartEnsemble(t, 3, 1, append(quick, zooidtest.Set("tickTime", "1000"))...)
	old, observer := e.AwaitLeader(nil), e.Servers[3]
	atLeader, behind := dial(t, old, client.Options{}), dial(t, observer, client.Options{})
	set(t, atLeader, "/a", "old")
	for _, c := range []*client.Client{atLeader, behind} {
		if err := c.Sync(within(t), "/a"); err != nil {
			t.Fatal(err)
		}
	}
	e.Isolate(old, observer)
	set(t, dial(t, e.AwaitLeader(old), client.Options{}), "/a", "new")
	if !old.Host().Status().Serving {
		return false
	}
	var answered atomic.Int64
	var syncs sync.WaitGroup
	for _, c := range []*client.Client{atLeader, behind} {
		if got := get(t, c, "/a"); got != "old" && old.Host().Status().Serving {
			t.Errorf("read %q", got)
		}
		syncs.Go(func() {
			if err := c.Sync(within(t), "/a"); err != nil {
				t.Error(err)
			}
			answered.Add(1)
			if got := get(t, c, "/a"); got != "new" {
				t.Errorf("sync, then read %q: it is older than the sync", got)
			}
		})
	}
	for old.Host().Status().Serving {
		time.Sleep(time.Millisecond)
	}
	if n := answered.Load(); n != 0 {
		t.Errorf("%d syncs were answered by a leader without followers", n)
	}
	e.Rejoin(old, observer)
	syncs.Wait()
	return true
}

// While links break all the time: what was acknowledged before a sync began is read after it, on every server.
func TestSyncWhileLinksBreak(t *testing.T) {
	t.Parallel()
	e := zooidtest.StartEnsemble(t, 3, 1, quick...)
	writer := dial(t, e.Servers[0], client.Options{})
	set(t, writer, "/n", "0")
	var acknowledged, read atomic.Int64
	ctx, stop := context.WithTimeout(context.Background(), 4*time.Second)
	defer stop()
	var running sync.WaitGroup
	running.Go(func() {
		for n := int64(1); ctx.Err() == nil; n++ {
			if _, err := writer.Set(within(t), "/n", []byte(fmt.Sprint(n)), client.AnyVersion); err == nil {
				acknowledged.Store(n)
			}
		}
	})
	for i, s := range e.Servers {
		c := dial(t, s, client.Options{})
		running.Go(func() {
			for ctx.Err() == nil {
				before := acknowledged.Load()
				if err := c.Sync(within(t), "/n"); err != nil {
					t.Errorf("sync: %v", err)
					return
				}
				if got, err := strconv.ParseInt(get(t, c, "/n"), 10, 64); err != nil || got < before {
					t.Errorf("server %d: read %d after a sync, and %d was acknowledged before it", i+1, got, before)
					return
				}
				read.Add(1)
			}
		})
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	e.Lose(0.002, seed)
	<-ctx.Done()
	e.Lose(0, 0)
	running.Wait()
	e.Wait()
	t.Logf("%d writes, %d reads behind a sync", acknowledged.Load(), read.Load())
	if acknowledged.Load() < 20 || read.Load() < 20 {
		t.Errorf("%d writes, %d reads: too few to show anything", acknowledged.Load(), read.Load())
	}
}
