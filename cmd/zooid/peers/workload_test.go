package peers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// workload is clients that write and read registers, watch them, make ephemeral nodes, and note what they were told. Each phase has registers of its own, so that few operations of unknown outcome
// concern one. A register is two nodes that are written together.
type workload struct {
	e      *ensemble
	began  time.Time
	cancel context.CancelFunc
	done   sync.WaitGroup
	phase  atomic.Int64

	writes, unknown, refused, reads, syncs, fired, ephemerals atomic.Int64
	events, gaps                                              int         // known at the end
	full                                                      atomic.Bool // a disk is, or was a moment ago: writes may be refused

	mu      sync.Mutex
	history map[string][]porcupine.Operation // by register
	values  map[change]string                // what was written, as writers and readers were told: they must not contradict each other
	changes []change                         // that were acknowledged
	since   map[string]int64                 // the zxid from which on a register is there, both nodes of it
	ended   []oneShot                        // watches whose event said its zxid

	clients []*chaosClient
}

const (
	chaosClients   = 6
	chaosRegisters = 3 // in a phase
	registerRoot   = "/registers"
	ownRoot        = "/own"
	twin           = "-twin"
)

// chaosClient is one session. Its own goroutine sends, one operation after the other; what comes back is noted by the goroutine that reads replies.
type chaosClient struct {
	*client.Client
	id    int
	w     *workload
	watch *client.Watch // of all registers

	mu   sync.Mutex
	log  watchLog
	shot *oneShot // a watch that waits

	made  int
	own   string            // its present ephemeral node, "" if it has none for certain
	nodes map[string]bool   // ephemeral nodes of which it knows whether they are there
	pairs map[string]string // ... and of which it knows that there is one or the other
}

// oneShot is a watch with one event, set when a node had changed last at a zxid.
type oneShot struct {
	watch *client.Watch
	path  string
	since int64
	event int64 // when it had come
}

// registerOp is a write of a value, or a read that found one.
type registerOp struct {
	write bool
	value string
}

var registerModel = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if op := input.(registerOp); op.write {
			return true, op.value
		}
		return output.(string) == state.(string), state
	},
}

func (e *ensemble) startWorkload() *workload {
	e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &workload{e: e, began: time.Now(), cancel: cancel, history: map[string][]porcupine.Operation{}, values: map[change]string{}, since: map[string]int64{}}
	e.t.Cleanup(cancel)
	for i := range chaosClients {
		c := &chaosClient{id: i, w: w, nodes: map[string]bool{}, pairs: map[string]string{}}
		var err error
		if c.Client, err = client.New(e.connectString(), client.Options{SessionTimeout: 12 * time.Second, StayLost: true, DialTimeout: 2 * time.Second}); err != nil {
			e.t.Fatal(err)
		}
		e.t.Cleanup(func() { _ = c.Close(ctx) })
		w.clients = append(w.clients, c)
	}
	w.ensure(registerRoot)
	w.ensure(ownRoot)
	w.prepare(0)
	for _, c := range w.clients {
		var err error
		if c.watch, err = c.Watch(within(e.t), registerRoot, wire.AddWatchPersistentRecursive); err != nil {
			e.t.Fatal(err)
		}
		path := fmt.Sprintf("%s/client-%d", ownRoot, c.id)
		if _, err := c.Create(within(e.t), path, nil, client.CreateOptions{Mode: wire.Ephemeral}); err != nil {
			e.t.Fatal(err)
		}
		c.nodes[path] = true
		w.done.Go(func() { c.run(ctx) })
	}
	return w
}

func (w *workload) now() int64 { return time.Since(w.began).Nanoseconds() }

func (c *chaosClient) run(ctx context.Context) {
	r := rand.New(rand.NewPCG(uint64(c.id), 2))
	for ctx.Err() == nil {
		path := c.w.register(c.w.phase.Load(), r.IntN(chaosRegisters))
		switch n := r.IntN(20); {
		case n < 9:
			c.write(path)
		case n < 17:
			c.read(path, n%4 != 0)
		case n < 19:
			c.watchOnce(ctx, path)
		default:
			c.replaceOwn()
		}
		time.Sleep(time.Duration(r.IntN(4)) * time.Millisecond)
	}
}

// note keeps an operation for the linearizability of its register.
func (w *workload) note(path string, op porcupine.Operation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history[path] = append(w.history[path], op)
}

// holds notes the value of a node as of its last change.
func (w *workload) holds(c change, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if other, known := w.values[c]; known && other != value {
		w.e.t.Errorf("%s was %q and %q at 0x%x", c.path, other, value, c.zxid)
	}
	w.values[c] = value
}

// mark is how much the session was told so far.
func (c *chaosClient) mark() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.log)
}

// answered notes an answer behind the events that came before it. The goroutine that reads replies calls it.
func (c *chaosClient) answered(zxid int64, path string, shows int64, sent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.log.drain(c.watch); err != nil {
		c.w.e.t.Errorf("client %d: the watch has ended: %v", c.id, err)
	}
	c.log = append(c.log, told{what: toldAnswer, zxid: zxid, path: path, shows: shows, sent: sent, at: time.Now()})
	c.checkShot(path, shows)
}

// checkShot: an answer that shows a change comes behind the event of the watch that waited for it, also when the change was missed while there was no connection.
func (c *chaosClient) checkShot(path string, shows int64) {
	s := c.shot
	if s == nil {
		return
	}
	e, ok, _ := s.watch.TryNext() // its end is that of the session, which others notice
	switch {
	case ok:
		c.shot = nil
		c.w.fired.Add(1)
		if e.Type != wire.EventNodeDataChanged || e.Path != s.path || e.Zxid >= 0 && e.Zxid <= s.since {
			c.w.e.t.Errorf("client %d: a watch of %s, set at 0x%x, ends with %v of %s at 0x%x", c.id, s.path, s.since, e.Type, e.Path, e.Zxid)
		}
		if s.event = e.Zxid; e.Zxid >= 0 {
			c.w.mu.Lock()
			c.w.ended = append(c.w.ended, *s)
			c.w.mu.Unlock()
		}
	case path == s.path && shows > s.since:
		c.w.e.t.Errorf("client %d is shown 0x%x of %s, and its watch of 0x%x has told nothing", c.id, shows, path, s.since)
	}
}

// watchOnce arms a watch, unless one waits.
func (c *chaosClient) watchOnce(ctx context.Context, path string) {
	c.mu.Lock()
	waits := c.shot != nil
	c.mu.Unlock()
	if waits {
		return
	}
	_, stat, watch, err := c.GetW(ctx, path)
	if err != nil {
		c.rest(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shot = &oneShot{watch: watch, path: path, since: stat.Mzxid}
}

// write sets both nodes of a register in one multi.
func (c *chaosClient) write(path string) {
	w := c.w
	c.made++
	value := fmt.Sprintf("%d-%d", c.id, c.made)
	done := make(chan client.Reply, 1)
	called, sent := w.now(), c.mark()
	c.Go(&wire.Request{Op: wire.Op{Code: wire.OpMulti}, Ops: []wire.Op{client.SetOp(path, []byte(value), -1), client.SetOp(path+twin, []byte(value), -1)}}, func(r client.Reply) {
		if r.Err == nil {
			c.answered(r.Zxid, path, r.Zxid, sent)
		}
		done <- r
	})
	r := <-done
	op := porcupine.Operation{ClientId: c.id, Input: registerOp{write: true, value: value}, Call: called, Return: w.now()}
	switch {
	case r.Err == nil:
		w.writes.Add(1)
		both := []change{{r.Zxid, path}, {r.Zxid, path + twin}}
		w.holds(both[0], value)
		w.holds(both[1], value)
		w.mu.Lock()
		w.changes = append(w.changes, both...)
		w.mu.Unlock()
	case !r.Sent:
		c.rest(r.Err)
		return
	case errors.Is(r.Err, wire.ErrConnectionLoss):
		op.Return = math.MaxInt64 // any time from now on, or never
		w.unknown.Add(1)
	case c.refused(r.Err): // it has not happened, and will not
		return
	default:
		w.e.t.Errorf("multi on %s: %v", path, r.Err)
	}
	w.note(path, op)
}

// rest waits a moment while there is no connection.
func (c *chaosClient) rest(err error) {
	if s := c.State(); s.State == client.Lost || s.State == client.Closed {
		c.w.e.t.Errorf("a session was lost: %v, %v", s.Err, err)
		c.w.cancel()
	}
	time.Sleep(10 * time.Millisecond)
}

// refused tells whether a write was refused because a disk is full, and waits a moment if it was.
func (c *chaosClient) refused(err error) bool {
	if !errors.Is(err, wire.ErrSystemError) || !c.w.full.Load() {
		return false
	}
	c.w.refused.Add(1)
	time.Sleep(10 * time.Millisecond)
	return true
}

// read reads both nodes of a register at one state; synced: behind a sync, on the same connection.
func (c *chaosClient) read(path string, synced bool) {
	type answer struct {
		err    error
		zxid   int64
		values [2]string
	}
	w := c.w
	done := make(chan answer, 1)
	called, sent := w.now(), c.mark()
	var refused error
	if synced {
		c.Go(&wire.Request{Op: wire.Op{Code: wire.OpSync, Path: path}}, func(r client.Reply) { refused = r.Err })
	}
	c.Go(&wire.Request{Op: wire.Op{Code: wire.OpMultiRead}, Ops: []wire.Op{client.GetOp(path), client.GetOp(path + twin)}}, func(r client.Reply) {
		a := answer{err: r.Err, zxid: r.Zxid}
		if r.Err == nil {
			for i, x := range r.Response.Results {
				if x.Err != 0 {
					a.err = x.Err
					break
				}
				var shows int64
				if a.values[i] = string(x.Data); x.Stat.Version > 0 {
					shows = x.Stat.Mzxid
					w.holds(change{shows, path + []string{"", twin}[i]}, a.values[i])
				}
				c.answered(r.Zxid, path+[]string{"", twin}[i], shows, sent)
			}
		}
		done <- a
	})
	a := <-done
	returned := w.now()
	switch {
	case errors.Is(a.err, wire.ErrNoNode):
		w.missing(path, a.zxid, synced && refused == nil)
	case a.err != nil || refused != nil:
		c.rest(errors.Join(a.err, refused))
	case a.values[0] != a.values[1]:
		w.e.t.Errorf("half of a multi was seen on %s: %q and %q", path, a.values[0], a.values[1])
	default:
		w.reads.Add(1)
		if synced {
			w.syncs.Add(1)
			w.note(path, porcupine.Operation{ClientId: c.id, Input: registerOp{}, Output: a.values[0], Call: called, Return: returned})
		}
	}
}

// replaceOwn makes an ephemeral node and deletes the last one, in one multi.
func (c *chaosClient) replaceOwn() {
	c.made++
	next, last := fmt.Sprintf("%s/%d-%d", ownRoot, c.id, c.made), c.own
	ops := []wire.Op{client.CreateOp(next, nil, wire.Ephemeral, wire.OpenACL)}
	if last != "" {
		ops = append(ops, client.DeleteOp(last, -1))
	}
	done := make(chan client.Reply, 1)
	c.Go(&wire.Request{Op: wire.Op{Code: wire.OpMulti}, Ops: ops}, func(r client.Reply) { done <- r })
	switch r := <-done; {
	case r.Err == nil:
		c.w.ephemerals.Add(1)
		if c.nodes[next], c.own = true, next; last != "" {
			c.nodes[last] = false
		}
	case !r.Sent:
		c.rest(r.Err)
	case errors.Is(r.Err, wire.ErrConnectionLoss):
		if c.own = ""; last != "" {
			delete(c.nodes, last)
			c.pairs[next] = last
		}
	case c.refused(r.Err):
	default:
		c.w.e.t.Errorf("multi on %s: %v", ownRoot, r.Err)
	}
}

// progress waits until the clients are served again.
func (w *workload) progress() {
	w.e.t.Helper()
	writes, reads := w.writes.Load()+20, w.reads.Load()+20
	eventually(w.e.t, "clients write and read again: "+w.e.status(), func() bool {
		return w.writes.Load() >= writes && w.reads.Load() >= reads || w.e.t.Failed()
	})
}

// end stops the clients and checks what they have seen.
func (w *workload) end() {
	t := w.e.t
	t.Helper()
	w.cancel()
	w.done.Wait()
	slices.SortFunc(w.changes, change.compare)
	for _, c := range w.clients {
		c.last()
		c.checkOwn()
		for _, x := range c.log {
			switch x.what {
			case toldEvent:
				w.events++
			case toldGap:
				w.gaps++
			}
		}
		if err := checkWatch(c.log, w.changes); err != nil {
			t.Errorf("client %d: %v", c.id, err)
		}
	}
	for _, s := range w.ended {
		for _, x := range w.changes {
			if x.path == s.path && x.zxid > s.since && x.zxid < s.event {
				t.Errorf("a watch of %s, set at 0x%x, ends at 0x%x; the first change was 0x%x", s.path, s.since, s.event, x.zxid)
			}
		}
	}
	for path, history := range w.history {
		switch result := porcupine.CheckOperationsTimeout(registerModel, history, 20*time.Second); result {
		case porcupine.Illegal:
			t.Errorf("the history of %s is not linearizable (%d operations)", path, len(history))
		case porcupine.Unknown:
			t.Errorf("the history of %s is too hard to check (%d operations)", path, len(history))
		}
	}
	for _, c := range w.clients {
		if err := c.Close(within(t)); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

// last reads everything behind a sync once more: what a watch has not told by then is lost.
func (c *chaosClient) last() {
	ctx := within(c.w.e.t)
	if err := c.Sync(ctx, registerRoot); err != nil {
		c.w.e.t.Errorf("client %d: sync: %v", c.id, err)
		return
	}
	c.mu.Lock()
	path := registerRoot
	if c.shot != nil {
		path = c.shot.path
	}
	c.mu.Unlock()
	_, stat, err := c.Get(ctx, path)
	if err != nil {
		c.w.e.t.Errorf("client %d: get %s: %v", c.id, path, err)
		return
	}
	c.answered(c.LastZxid(), path, stat.Mzxid, 0)
}

// checkOwn compares the session's ephemeral nodes with what it knows of them.
func (c *chaosClient) checkOwn() {
	there := func(path string) bool {
		found, stat, err := c.Exists(within(c.w.e.t), path)
		if err != nil || found && stat.EphemeralOwner != c.SessionID() {
			c.w.e.t.Errorf("%s: owner 0x%x, session 0x%x, %v", path, stat.EphemeralOwner, c.SessionID(), err)
		}
		return found
	}
	for path, want := range c.nodes {
		if found := there(path); found != want {
			c.w.e.t.Errorf("the ephemeral node %s of client %d is there: %v, want %v", path, c.id, found, want)
		}
	}
	for next, last := range c.pairs {
		if there(next) == there(last) {
			c.w.e.t.Errorf("half of a multi has happened: of %s and %s one must be there", next, last)
		}
	}
}
