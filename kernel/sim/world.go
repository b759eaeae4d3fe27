package sim

import (
	"container/heap"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
)

// Options describe a world.
type Options struct {
	Seed      uint64
	Voters    int
	Observers int
	// Spares belong to nothing at first. With any, members have addresses (lines of a configuration that can be changed, spec zab, 14); without, the ensemble stays as it is.
	Spares   int
	TickTime time.Duration // default 2 s
	// SnapshotEvery is for machines whose state does not survive by itself (kernel.NodeConfig).
	SnapshotEvery int
	// Boot makes the parts of one start of a server.
	Boot func(Boot) (kernel.Parts, error)
	// Guest makes what speaks with clients, at every start; nil: nobody does.
	Guest func(*Server) Guest
	// Committed hears of every transaction in order, when the first server applies it; nil: nobody does.
	Committed func(kernel.Zxid, []byte)
	// Audit looks at a running server, now and then: what is too dear for every step. Nil: nobody does.
	Audit func(*Server)
	// Sent sees every message before it is sent, CheckWords every change of the durable words that a log has confirmed: what only who knows the protocol can judge. Nil: nobody does.
	Sent       func(*Server, kernel.LinkID, *kernel.Message)
	CheckWords func(before, after []byte) error
	// Trace receives what happens, a line each; nil: nobody reads it.
	Trace io.Writer
}

// World is an ensemble in virtual time. It is for one goroutine.
type World struct {
	opt     Options
	rng     *rand.Rand
	now     time.Duration // since the world began
	steps   int
	mark    time.Duration // when spinning was looked for last, and the steps by then
	marked  int
	servers []*Server // by id, from 1 on
	network network
	faults  faults
	events  eventQueue
	seq     uint64
	watch   watch
	failure error
	// Tally counts what happened, by name: faults, elections, transactions, kinds of synchronization.
	Tally map[string]int
}

// epoch is where wall clocks begin. It has no monotonic reading: every difference is virtual.
var epoch = time.Unix(1_800_000_000, 0).UTC()

// New makes a world whose servers are all down.
func New(opt Options) *World {
	if opt.TickTime == 0 {
		opt.TickTime = 2 * time.Second
	}
	w := &World{opt: opt, rng: rand.New(rand.NewPCG(opt.Seed, 0x5a6f6f6964)), Tally: map[string]int{}}
	w.network.init(w)
	ensemble := opt.ensemble()
	w.watch.init(w, ensemble)
	for i := range opt.Voters + opt.Observers + opt.Spares {
		w.servers = append(w.servers, newServer(w, kernel.ServerID(i+1), ensemble))
	}
	return w
}

// ensemble is the configuration that the world begins with.
func (opt *Options) ensemble() (e kernel.Ensemble) {
	for i := range opt.Voters + opt.Observers {
		id := kernel.ServerID(i + 1)
		voter := i < opt.Voters
		e.Members = append(e.Members, kernel.Member{ID: id, Voter: voter})
		if voter {
			e.Voters = append(e.Voters, id)
		} else {
			e.Others = append(e.Others, id)
		}
	}
	if opt.Spares > 0 {
		e = parsed(Lines(e.Voters, e.Others) + "\nversion=0")
	}
	return e
}

// Lines are the members of a configuration as a change of it names them, for servers of a world.
func Lines(voters, others []kernel.ServerID) string {
	var lines []string
	for _, id := range voters {
		lines = append(lines, fmt.Sprintf("server.%d=h%d:1:2:participant;3", id, id))
	}
	for _, id := range others {
		lines = append(lines, fmt.Sprintf("server.%d=h%d:1:2:observer;3", id, id))
	}
	return strings.Join(lines, "\n")
}

func parsed(text string) kernel.Ensemble {
	e, err := config.ParseEnsemble(text)
	if err != nil {
		panic(err) // the simulator's own text, or one that servers have agreed on and understood
	}
	return e
}

// Ensemble is the configuration in force: that of the last change that was committed.
func (w *World) Ensemble() kernel.Ensemble { return w.watch.ensemble }

// Members are the servers that belong to the configuration in force.
func (w *World) Members() []*Server {
	var all []*Server
	for _, s := range w.servers {
		if w.watch.ensemble.IsMember(s.id) {
			all = append(all, s)
		}
	}
	return all
}

// Now is the virtual time since the world began, Steps how many things have happened.
func (w *World) Now() time.Duration { return w.now }

// Steps is the number of steps so far.
func (w *World) Steps() int { return w.steps }

// Rand is the world's source of chance.
func (w *World) Rand() *rand.Rand { return w.rng }

// Server is the one with this id.
func (w *World) Server(id kernel.ServerID) *Server { return w.servers[id-1] }

// Servers are all of them.
func (w *World) Servers() []*Server { return w.servers }

// StartAll starts every server that is down.
func (w *World) StartAll() {
	for _, s := range w.servers {
		if !s.Up() {
			s.Start()
		}
	}
}

// After calls do once, d from now.
func (w *World) After(d time.Duration, do func()) { w.at(w.now+d, do) }

func (w *World) at(t time.Duration, do func()) {
	w.seq++
	heap.Push(&w.events, event{at: t, seq: w.seq, do: do})
}

// between is a random duration.
func (w *World) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.rng.Int64N(int64(high-low)+1))
}

// Failure is the first violation of an invariant, nil if there is none.
func (w *World) Failure() error { return w.failure }

// Fail notes a violation. The world stops.
func (w *World) Fail(format string, args ...any) {
	if w.failure == nil {
		w.failure = fmt.Errorf("at %v, step %d: "+format, append([]any{w.now, w.steps}, args...)...)
		w.Logf("VIOLATION %v", w.failure)
	}
}

// Logf writes a line of the trace.
func (w *World) Logf(format string, args ...any) {
	if w.opt.Trace != nil {
		fmt.Fprintf(w.opt.Trace, "%12v  %s\n", w.now.Round(time.Microsecond), fmt.Sprintf(format, args...))
	}
}

// fault counts one.
func (w *World) fault(kind string) {
	w.Tally["faults"]++
	w.Tally[kind]++
}

// RunFor lets things happen for a while.
func (w *World) RunFor(d time.Duration) {
	end := w.now + d
	for w.failure == nil && w.step(end) {
	}
	if w.failure == nil {
		w.now = end
	}
}

// RunUntil lets things happen until done says so, and returns false when that took longer than limit.
func (w *World) RunUntil(limit time.Duration, done func() bool) bool {
	end := w.now + limit
	for !done() {
		if w.failure != nil || !w.step(end) {
			return false
		}
	}
	return true
}

// step lets the next thing happen, if it is due before end.
func (w *World) step(end time.Duration) bool {
	var next *Server
	var actor int
	at := end
	if len(w.events) > 0 && w.events[0].at < at {
		at = w.events[0].at
	}
	for _, s := range w.servers {
		if t, a := s.next(); t < at {
			next, actor, at = s, a, t
		}
	}
	if next == nil && (len(w.events) == 0 || w.events[0].at >= end) {
		return false
	}
	w.now = max(w.now, at)
	w.steps++
	if w.now-w.mark >= time.Millisecond {
		w.mark, w.marked = w.now, w.steps
	} else if w.steps-w.marked > spinLimit {
		w.Fail("%d steps in a millisecond, the last one of %s: somebody turns in circles", spinLimit, nameOf(next, actor))
		return false
	}
	if next != nil {
		next.run(actor)
		w.watch.step(next)
	} else {
		heap.Pop(&w.events).(event).do()
	}
	if w.steps%auditEvery == 0 {
		w.audit()
	}
	return w.failure == nil
}

// spinLimit is how many steps a millisecond may have: no work needs more.
const spinLimit = 20_000

func nameOf(s *Server, actor int) string {
	if s == nil {
		return "the network or a client"
	}
	return fmt.Sprintf("server %d, %s", s.id, [numActors]string{"loop", "disk", "apply", "beside", "tick", "wake", "flush", "clients"}[actor])
}

// event is something that happens at a time; equal times in the order in which they were planned.
type event struct {
	at  time.Duration
	seq uint64
	do  func()
}

type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].seq < q[j].seq
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *eventQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*q = old[:len(old)-1]
	return e
}

// Choices is a source of chance for what a world is to be, apart from the one that decides what happens in it.
func Choices(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x63686f696365)) }

// Close gives back what the servers hold.
func (w *World) Close() {
	for _, s := range w.servers {
		if s.stepper != nil {
			s.end(true)
		}
	}
}
