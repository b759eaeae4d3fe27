package simulate

import (
	"fmt"
	"io"
	"maps"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/sim"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// Options of one simulation.
type Options struct {
	Seed  uint64
	Bug   Bug       // a planted one; the zero value: none
	Trace io.Writer // nil: nobody reads it
}

// Result is what a simulation has come to.
type Result struct {
	Seed    uint64
	Err     error // nil: nothing was violated
	Steps   int
	Virtual time.Duration
	Tally   map[string]int
}

// run is one simulation: a world, its clients, and what is known of it. It is for one goroutine.
type run struct {
	world    *sim.World
	tick     time.Duration
	tail     string
	segment  string // size of the log's files
	inMemory bool
	rolls    bool                     // epochs end after rollAfter transactions
	changing bool                     // the members of the ensemble
	plain    map[kernel.ServerID]bool // stand for ZooKeeper's servers (apache.go)
	alters   time.Duration            // when a server is altered (altered.go); 0: never
	altered  bool
	calm     bool // no new faults, no new work
	bug      Bug
	bugs     bugs

	model    *model
	clients  []*client
	gateways map[kernel.ServerID]*gateway
	ops      []*op
	lives    map[kernel.SessionID]life
	refused  []kernel.SessionID // of sessions that clients were told are gone: they end, sooner or later
	seen     kernel.Zxid        // the newest state that any client was shown
}

// Run runs the simulation that follows from a seed.
func Run(o Options) Result {
	r := newRun(o)
	r.play()
	t := maps.Clone(r.world.Tally)
	err := r.world.Failure()
	if err == nil && (r.world.Now() < faultTime || t["faults"] < minFaults || t["elections"] < minElections || r.world.Steps() < minSteps) {
		err = fmt.Errorf("the simulation is too short to mean anything: %d steps, %d faults, %d elections in %v", r.world.Steps(), t["faults"], t["elections"], r.world.Now())
	}
	return Result{Seed: o.Seed, Err: err, Steps: r.world.Steps(), Virtual: r.world.Now(), Tally: t}
}

func newRun(o Options) *run {
	choice := sim.Choices(o.Seed)
	shape := sim.Options{Seed: o.Seed, Voters: 3 + 2*choice.IntN(2), Observers: choice.IntN(2), Trace: o.Trace}
	shape.TickTime = []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second}[choice.IntN(3)]
	if choice := sim.Choices(^o.Seed); choice.IntN(3) == 0 {
		shape.Spares = 1 + choice.IntN(2)
	}
	r := runOf(shape, o.Bug)
	r.tail = []string{"32MiB", "2KiB"}[choice.IntN(2)]
	r.inMemory = choice.IntN(5) == 0
	r.rolls = choice.IntN(4) == 0
	if choice := sim.Choices(o.Seed + 1<<32); choice.IntN(3) == 0 {
		r.tally("seeds with servers of ZooKeeper's kind")
		for _, s := range r.world.Servers() {
			r.plain[s.ID()] = choice.IntN(2) == 0
		}
	}
	r.chooseAltered(o.Seed)
	for i := range 4 {
		r.clients = append(r.clients, &client{run: r, id: i + 1})
	}
	return r
}

// runOf makes a world of this shape, without clients.
func runOf(shape sim.Options, bug Bug) *run {
	r := &run{gateways: map[kernel.ServerID]*gateway{}, lives: map[kernel.SessionID]life{}, plain: map[kernel.ServerID]bool{}, tick: shape.TickTime, tail: "32MiB", segment: "16KiB", bug: bug}
	r.bugs = bugs{oldQuorum: bug.Name == "old-quorum", earlyRead: bug.Name == "early-read", loseEvents: bug.Name == "watch-lost"}
	r.changing = shape.Spares > 0
	shape.SnapshotEvery = 100
	shape.Boot, shape.Guest, shape.Audit, shape.Sent, shape.CheckWords = r.boot, r.guest, r.compare, r.sent, checkWords
	shape.Committed = func(z kernel.Zxid, data []byte) {
		if last := r.model.last; r.rolls && z.Epoch() > last.Epoch() && last.Counter() >= rollAfter-1 {
			r.tally("roll-overs")
		}
		r.model.commit(z, data)
	}
	r.world = sim.New(shape)
	r.model = newModel(r.fail)
	r.model.closed = r.checkExpiry
	if shape.Trace != nil {
		r.model.log = r.world.Logf
	}
	return r
}

// rollAfter is the shortest epoch that zab allows.
const rollAfter = 100

func (r *run) fail(format string, args ...any) { r.world.Fail(format, args...) }

func (r *run) tally(what string) { r.world.Tally[what]++ }

// clientLatency is how long a frame between a client and a server takes.
func (r *run) clientLatency() time.Duration {
	return 50*time.Microsecond + time.Duration(r.world.Rand().Int64N(int64(2*time.Millisecond)))
}

// think is the time between two turns of a client.
func (r *run) think() time.Duration {
	return time.Duration(r.world.Rand().Int64N(int64(300*time.Millisecond))) + time.Millisecond
}

// What a simulation has at least.
const (
	faultTime    = 60 * time.Second
	minElections = 3
	minFaults    = 5
	minSteps     = 5000
)

// play is the whole simulation: an ensemble under load and faults, then calm, then the checks.
func (r *run) play() {
	w := r.world
	w.StartAll()
	w.After(0, r.prepare)
	w.Misbehave(faultTime)
	w.RunFor(faultTime)
	for w.Failure() == nil && (w.Tally["elections"] < minElections || w.Tally["faults"] < minFaults || w.Steps() < minSteps) {
		if w.Now() > 10*faultTime {
			w.Fail("%d elections in %v, though no new fault has come since %v: %s", w.Tally["elections"], w.Now(), faultTime, r.roles())
			break
		}
		w.Depose()
		w.RunFor(5 * time.Second)
	}
	w.Calm()
	if w.Failure() == nil {
		r.settle()
	}
	w.Close()
}

// prepare makes the nodes that the clients work on, through a client of its own.
func (r *run) prepare() {
	for _, c := range r.clients {
		r.world.After(r.think(), c.act)
	}
}

// settle is the calm at the end: everything serves within a bounded time, everybody is answered, all servers are alike.
func (r *run) settle() {
	w := r.world
	r.calm = true
	serving := func() bool {
		for _, s := range w.Members() {
			if !s.Serving() {
				return false
			}
		}
		return true
	}
	began := w.Now()
	if !w.RunUntil(60*time.Second, serving) {
		w.Fail("60 seconds after the last fault the ensemble does not serve (I22): %s", r.roles())
		return
	}
	w.Logf("everything serves %v after the last fault", w.Now()-began)
	for _, c := range r.clients {
		c.stop = true
	}
	idle := func() bool {
		for _, c := range r.clients {
			if len(c.flight) > 0 {
				return false
			}
		}
		return r.revived() == 0 && r.alike() == "" && r.sameStates() == ""
	}
	if !r.quiet(idle) {
		return
	}
	if len(r.clients) > 0 {
		if r.expire(); !r.quiet(idle) {
			return
		}
	}
	for _, s := range w.Members() {
		if r.compare(s); r.changing {
			r.checkConfig(s)
		}
	}
	if w.Failure() == nil {
		r.checkLinear()
	}
}

// quiet waits until there is nothing more to do, and says what is left.
func (r *run) quiet(idle func() bool) bool {
	w := r.world
	if !w.RunUntil(60*time.Second, idle) {
		if id := r.revived(); id != 0 {
			w.Fail("session %s was refused, and does not end (rule 13)", id)
		} else if why := r.alike(); why != "" {
			w.Fail("the servers do not become alike: %s (I22)", why)
		} else if why := r.sameStates(); why != "" {
			w.Fail("%s (I17)", why)
		} else {
			w.Fail("a request without faults is not answered (I22)")
		}
		return false
	}
	return true
}

// revived is a session that a client was told is gone, and that has not ended.
func (r *run) revived() kernel.SessionID {
	for _, id := range r.refused {
		if s := r.model.sessions[int64(id)]; s != nil && s.ended == 0 {
			return id
		}
	}
	return 0
}

func (r *run) roles() string {
	s := ""
	for _, x := range r.world.Servers() {
		if !x.Up() {
			s += fmt.Sprintf(" %d down;", x.ID())
			continue
		}
		st := x.Host().Status()
		s += fmt.Sprintf(" %d %s epoch %d serving %v at %s;", x.ID(), st.Role, st.Epoch, st.Serving, st.LastApplied)
	}
	return s
}

// alike says what is different between servers that have nothing more to do, "" if nothing is.
func (r *run) alike() string {
	for _, s := range r.world.Members() {
		if !s.Up() {
			return fmt.Sprintf("server %d is down", s.ID())
		}
		if at := s.Host().Machine().Position(); at != r.model.last {
			return fmt.Sprintf("server %d is at %s, %s was committed last", s.ID(), at, r.model.last)
		}
	}
	return ""
}

func decodeEvent(body []byte, e *wire.WatcherEvent) error {
	d := jute.NewDecoder(body)
	e.Decode(&d)
	return d.Err()
}
