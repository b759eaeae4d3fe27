package sim

import (
	"slices"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// faults is what goes wrong in a world, one thing after the other, several at a time. Each ends after a while. The budget: a minority of the voters at most lacks, or has damaged, what its disk once held, and a server counts as
// one of them until it serves again. Everything else may hit every server, also all at once: no acknowledged write may be lost by it, and the ensemble must come back (FIELD, 2.4).
type faults struct {
	w      *World
	until  time.Duration // no new ones from then on
	undo   []*undo       // of those that have not ended
	wiped  []*Server     // until they serve again
	weight int
}

// undo ends a fault, once.
type undo struct {
	do   func()
	done bool
}

// kind is a kind of fault: how often, and what it does to whom. It returns what ends it, nil if it ends by itself.
type kind struct {
	weight int
	start  func(*faults) func()
}

var kinds = []kind{
	{4, func(f *faults) func() { return f.restart(f.w.anyone().Kill) }},
	{4, func(f *faults) func() { return f.restart(f.w.leaderOr().Kill) }},
	{4, func(f *faults) func() { return f.restart(f.w.anyone().PowerOff) }},
	{3, func(f *faults) func() { return f.restart(f.w.leaderOr().PowerOff) }},
	{3, func(f *faults) func() { return f.restart(f.w.everyoneOff) }},
	{6, func(f *faults) func() {
		f.w.anyone().CutPowerIn(1 + f.w.rng.IntN(30))
		return f.w.StartAll
	}},
	{4, func(f *faults) func() { f.w.anyone().Pause(f.some(12)); return nil }},
	{3, func(f *faults) func() { f.w.leaderOr().Pause(f.some(12)); return nil }},
	{3, (*faults).halves},
	{4, (*faults).isolateLeader},
	{3, (*faults).oneWay},
	{2, (*faults).bridge},
	{4, func(f *faults) func() {
		for range 1 + f.w.rng.IntN(5) {
			f.w.ResetSome()
		}
		return nil
	}},
	{3, func(f *faults) func() {
		s := f.w.anyone()
		s.Slow(f.some(1))
		return func() { s.Slow(0) }
	}},
	{2, func(f *faults) func() {
		s := f.w.anyone()
		s.FillDisk(true)
		return func() { s.FillDisk(false) }
	}},
	{3, func(f *faults) func() {
		f.w.fault("slow networks")
		f.w.MaxDelay(f.some(1))
		return func() { f.w.MaxDelay(usualDelay) }
	}},
	{2, func(f *faults) func() {
		f.w.anyone().BreakSync()
		return f.w.StartAll
	}},
	{2, (*faults).wipe},
	{2, (*faults).rot},
	{3, func(f *faults) func() { f.w.anyone().JumpClock(f.leap()); return nil }},
	{2, func(f *faults) func() { f.w.leaderOr().JumpClock(f.leap()); return nil }},
	{2, func(f *faults) func() { f.w.TearStream(); return nil }},
}

// Misbehave lets things go wrong from now on, for a while.
func (w *World) Misbehave(d time.Duration) {
	f := &w.faults
	f.w, f.until, f.weight = w, w.now+d, 0
	for _, k := range kinds {
		f.weight += k.weight
	}
	w.After(f.some(8), f.next)
}

// Depose takes the leader down, or somebody if there is none, and starts whoever is down a little later.
func (w *World) Depose() {
	w.leaderOr().Kill()
	w.After(w.opt.TickTime, w.StartAll)
}

// Calm ends everything that goes wrong and starts whoever is down.
func (w *World) Calm() {
	f := &w.faults
	f.until = 0
	for _, u := range f.undo {
		u.end()
	}
	f.undo = nil
	w.network.tear = false
	w.Heal()
	w.MaxDelay(usualDelay)
	for _, s := range w.servers {
		s.Slow(0)
		s.FillDisk(false)
		s.calm()
	}
	w.StartAll()
	w.Logf("everything is whole from now on")
}

func (u *undo) end() {
	if !u.done {
		u.done = true
		u.do()
	}
}

// some is a time of some ticks at most.
func (f *faults) some(ticks int) time.Duration {
	return f.w.between(f.w.opt.TickTime/10, time.Duration(ticks)*f.w.opt.TickTime)
}

// leap is by how much a clock jumps: some ticks as a daemon corrects it, or hours as somebody sets it wrongly; ahead or back.
func (f *faults) leap() time.Duration {
	d := f.some(40)
	if f.w.rng.IntN(3) == 0 {
		d = f.w.between(time.Minute, 30*time.Hour)
	}
	if f.w.rng.IntN(2) == 0 {
		return -d
	}
	return d
}

// next begins one fault and plans the one after it.
func (f *faults) next() {
	w := f.w
	if w.now >= f.until {
		return
	}
	n := w.rng.IntN(f.weight)
	for _, k := range kinds {
		if n -= k.weight; n >= 0 {
			continue
		}
		if do := k.start(f); do != nil {
			u := &undo{do: do}
			f.undo = append(f.undo, u)
			w.After(f.some(10), u.end)
		}
		break
	}
	w.After(f.some(10), f.next)
}

// restart takes servers down; all that are down start again afterwards.
func (f *faults) restart(down func()) func() {
	down()
	return f.w.StartAll
}

// anyone is a random server, leaderOr the leader if there is one.
func (w *World) anyone() *Server { return w.servers[w.rng.IntN(len(w.servers))] }

func (w *World) leaderOr() *Server {
	for _, s := range w.servers {
		if s.Leading() {
			return s
		}
	}
	return w.anyone()
}

func (w *World) everyoneOff() {
	for _, s := range w.servers {
		s.PowerOff()
	}
}

func (f *faults) halves() func() {
	var group []kernel.ServerID
	for _, s := range f.w.servers {
		if f.w.rng.IntN(2) == 0 {
			group = append(group, s.id)
		}
	}
	f.w.Partition(group...)
	return f.w.Heal
}

func (f *faults) isolateLeader() func() {
	f.w.Partition(f.w.leaderOr().id)
	return f.w.Heal
}

// oneWay lets nothing pass from one server to another, or to all others.
func (f *faults) oneWay() func() {
	w := f.w
	from, to := w.leaderOr(), w.anyone()
	all := w.rng.IntN(2) == 0
	for _, s := range w.servers {
		if s != from && (all || s == to) {
			w.Block(from.id, s.id)
		}
	}
	w.fault("one-way partitions")
	w.Logf("nothing passes from server %d to %d (all: %v)", from.id, to.id, all)
	return w.Heal
}

// bridge parts the servers in two that only one of them sees both.
func (f *faults) bridge() func() {
	w := f.w
	middle := w.anyone()
	for i, a := range w.servers {
		for j, b := range w.servers {
			if a != middle && b != middle && i%2 != j%2 {
				w.Block(a.id, b.id)
			}
		}
	}
	w.fault("bridges")
	w.Logf("only server %d sees both sides", middle.id)
	return w.Heal
}

// wipe empties the disk of a server, if the budget allows it.
func (f *faults) wipe() func() {
	s := f.loser()
	if s == nil {
		return nil
	}
	s.PowerOff()
	s.Wipe()
	return f.w.StartAll
}

// rot flips a bit in a server's log while the server is down, if the budget allows it.
func (f *faults) rot() func() {
	s := f.loser()
	if s == nil {
		return nil
	}
	s.PowerOff()
	s.Rot()
	return f.w.StartAll
}

// Lacks tells whether a server has lost, or was given damage to, what its disk held, and has not served since: nobody should count on it.
func (w *World) Lacks(id kernel.ServerID) bool {
	return slices.ContainsFunc(w.faults.wiped, func(s *Server) bool { return s.id == id && !s.Serving() })
}

// loser is a server that may lose what its disk holds, nil if the budget does not allow it. While a configuration is proposed none may: a quorum of its voters is needed as well, and observers of ZooKeeper's kind
// that it makes voters are not counted before it is in force.
func (f *faults) loser() *Server {
	f.wiped = slices.DeleteFunc(f.wiped, (*Server).Serving)
	s := f.w.anyone()
	if len(f.wiped) >= (len(f.w.watch.ensemble.Voters)-1)/2 || slices.ContainsFunc(f.w.servers, func(s *Server) bool { return s.changing }) {
		return nil
	}
	f.wiped = append(f.wiped, s)
	return s
}
