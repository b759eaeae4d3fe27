package zooidtest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// writers keep writing one node each, several at a time. Each answer of a node has the next version, whoever asked: a write that was done twice, or answered and lost, breaks the row.
type writers struct {
	t       *testing.T
	stop    chan struct{}
	done    sync.WaitGroup
	clients []*writer
}

type writer struct {
	*client.Client
	path     string
	states   *client.StateStream
	answered atomic.Int64
	mu       sync.Mutex
	versions map[int32]bool
	longest  time.Duration
	failures []error
}

// write begins: perServer clients for each server, each with depth writes under way.
func write(t *testing.T, servers []*zooidtest.Server, perServer, depth int) *writers {
	t.Helper()
	w := &writers{t: t, stop: make(chan struct{})}
	for i, s := range servers {
		for j := range perServer {
			c := &writer{Client: dial(t, s, client.Options{}), path: fmt.Sprintf("/writer-%d-%d", i, j), versions: map[int32]bool{}}
			if _, err := c.Create(within(t), c.path, nil, client.CreateOptions{Mode: wire.Ephemeral}); err != nil {
				t.Fatal(err)
			}
			c.states = c.States()
			if first, err := c.states.Next(within(t)); err != nil || first.State != client.Connected {
				t.Fatalf("%+v, %v", first, err)
			}
			w.clients = append(w.clients, c)
			for range depth {
				w.done.Add(1)
				go w.run(c)
			}
		}
	}
	return w
}

func (w *writers) run(c *writer) {
	defer w.done.Done()
	for {
		select {
		case <-w.stop:
			return
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		start := time.Now()
		stat, err := c.Set(ctx, c.path, []byte("x"), client.AnyVersion)
		took := time.Since(start)
		cancel()
		c.mu.Lock()
		switch {
		case err != nil:
			c.failures = append(c.failures, err)
		case c.versions[stat.Version]:
			c.failures = append(c.failures, fmt.Errorf("two writes were answered with version %d", stat.Version))
		}
		if err == nil {
			c.versions[stat.Version] = true
			c.longest = max(c.longest, took)
			c.answered.Add(1)
		}
		failed := len(c.failures) > 0
		c.mu.Unlock()
		if failed {
			return
		}
	}
}

// progress waits until every client has been answered n more times.
func (w *writers) progress(n int64) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for _, c := range w.clients {
		for want := c.answered.Load() + n; c.answered.Load() < want; time.Sleep(time.Millisecond) {
			c.mu.Lock()
			failures := c.failures
			c.mu.Unlock()
			if len(failures) > 0 || time.Now().After(deadline) {
				w.t.Fatalf("%s: %d of %d writes; %v", c.path, c.answered.Load(), want, failures)
			}
		}
	}
}

// end stops them and checks that every write was done and answered once, on connections that were never lost. It returns how long the slowest write took.
func (w *writers) end() (longest time.Duration) {
	w.t.Helper()
	close(w.stop)
	w.done.Wait()
	for _, c := range w.clients {
		_, stat, err := c.Get(within(w.t), c.path)
		if err != nil || len(c.failures) > 0 {
			w.t.Errorf("%s: %v, %v", c.path, err, c.failures)
			continue
		}
		if int(stat.Version) != len(c.versions) {
			w.t.Errorf("%s: %d writes were answered, and %d were done", c.path, len(c.versions), stat.Version)
		}
		select {
		case <-c.states.Changed():
			change, _ := c.states.Next(done())
			w.t.Errorf("%s: the connection did not last: %v (%v)", c.path, change.State, change.Err)
		default:
		}
		longest = max(longest, c.longest)
		if err := c.Close(within(w.t)); err != nil {
			w.t.Errorf("%s: %v", c.path, err)
		}
	}
	return longest
}

var quick = []zooidtest.Option{zooidtest.Set("tickTime", "200"), zooidtest.Set("maxSessionTimeout", "60000")}

// The leader is killed again and again under load: clients of the followers notice nothing but a pause.
func TestClientsOfFollowersOutliveTheLeader(t *testing.T) {
	e := zooidtest.StartEnsemble(t, 3, 0, quick...)
	for range 4 {
		old := e.AwaitLeader(nil)
		others := e.Followers()
		watcher := dial(t, others[0], client.Options{})
		if _, err := watcher.Create(within(t), "/seen", nil, client.CreateOptions{}); err != nil && !errors.Is(err, wire.ErrNodeExists) {
			t.Fatal(err)
		}
		_, _, seen, err := watcher.GetW(within(t), "/seen")
		if err != nil {
			t.Fatal(err)
		}
		w := write(t, others, 3, 4)
		w.progress(20)
		old.Kill()
		if next := e.AwaitLeader(old); next.Host().Status().Holding {
			t.Error("the new leader holds its clients' writes still")
		}
		w.progress(20)
		set(t, w.clients[len(w.clients)-1].Client, "/seen", "new")
		if event, err := seen.Next(within(t)); err != nil || event.Type != wire.EventNodeDataChanged {
			t.Errorf("the watch: %+v, %v", event, err)
		}
		t.Logf("the longest write took %v", w.end())
		old.Restart()
		e.Wait()
	}
}

// Links break for a moment, and the follower comes back to the same leader: what was on its way counts once.
func TestClientsOutliveABrokenLink(t *testing.T) {
	e := zooidtest.StartEnsemble(t, 3, 0, quick...)
	leader := e.AwaitLeader(nil)
	w := write(t, e.Followers(), 2, 4)
	for range 10 {
		w.progress(10)
		e.Reset(leader, e.Servers[0])
		e.Reset(leader, e.Servers[1])
		e.Reset(leader, e.Servers[2])
	}
	w.progress(10)
	w.end()
}

// A leader that is cut off steps down with writes in its log that nobody else has. It follows the next leader, its clients stay, and their writes are sent again.
func TestClientsOfAnIsolatedLeader(t *testing.T) {
	e := zooidtest.StartEnsemble(t, 3, 0, quick...)
	old := e.AwaitLeader(nil)
	reader := dial(t, old, client.Options{})
	set(t, reader, "/before", "there")
	w := write(t, []*zooidtest.Server{old}, 3, 4)
	w.progress(10)
	e.Isolate(old)
	next := e.AwaitLeader(old)
	for status := old.Host().Status(); status.Serving; status = old.Host().Status() {
		time.Sleep(time.Millisecond)
	}
	status := old.Host().Status()
	if !status.Holding {
		t.Fatalf("it does not hold its clients: %+v", status)
	}
	if lost := status.LastProposed; lost <= status.LastApplied {
		t.Fatalf("nothing was proposed in vain: %v proposed, %v applied", lost, status.LastApplied)
	}
	if got := get(t, reader, "/before"); got != "there" { // who asks for no more than what is there, is answered
		t.Errorf("read %q", got)
	}
	e.Rejoin(old)
	w.progress(10)
	w.end()
	if old.Host().Status().Role != kernel.Following || e.Leader() != next {
		t.Errorf("%+v", old.Host().Status())
	}
}

// A server that is left without a quorum keeps its clients, and answers what it can, for as long as their sessions cannot have expired elsewhere.
func TestTheHoldEnds(t *testing.T) {
	e := zooidtest.StartEnsemble(t, 3, 0, quick...)
	left := e.Followers()[0]
	const timeout = 4 * time.Second
	c := dial(t, left, client.Options{SessionTimeout: timeout, Retry: client.Retry{Attempts: 1}})
	set(t, c, "/a", "before")
	states := c.States()
	if now, err := states.Next(within(t)); err != nil || now.State != client.Connected {
		t.Fatalf("%+v, %v", now, err)
	}
	for _, s := range e.Servers {
		if s != left {
			s.Kill()
		}
	}
	lost := time.Now()
	if got := get(t, c, "/a"); got != "before" {
		t.Errorf("read %q", got)
	}
	answer := make(chan error, 1)
	go func() {
		_, err := c.Set(within(t), "/a", nil, client.AnyVersion)
		answer <- err
	}()
	change, err := states.Next(within(t))
	if err != nil || change.State != client.Suspended {
		t.Fatalf("%+v, %v", change, err)
	}
	// The leader heard of the session when it was created at the latest, and had half a tick to be told.
	if held := time.Since(lost); held < timeout/2 || held > timeout+time.Second {
		t.Errorf("held for %v, the session lasts %v", held, timeout)
	}
	if err := <-answer; !errors.Is(err, wire.ErrConnectionLoss) {
		t.Errorf("the write was answered with %v", err)
	}
}
