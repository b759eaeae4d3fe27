package election

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/sdk/peer"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run the simulation with this seed only")
	seedsFlag = flag.Uint64("seeds", 300, "number of seeds of the simulation")
)

// TestSimulation runs ensembles through random faults, then gives a majority a stable network and expects it to settle. A failure prints its seed; -seed replays it.
func TestSimulation(t *testing.T) {
	first, last := uint64(1), *seedsFlag
	if testing.Short() {
		last = 50
	}
	if *seedFlag != 0 {
		first, last = *seedFlag, *seedFlag
	}
	var s tally
	for seed := first; seed <= last; seed++ {
		newSim(t, seed, &s).run()
		if t.Failed() {
			return
		}
	}
	t.Logf("%d leaders elected, %d epochs, %d times reconsidered; without a wait after a leader died: %v on average, %v at most, messages taking up to 2 ms and Look up to 3 ms", s.elections, s.epochs, s.reconsidered, s.total/time.Duration(max(s.calm, 1)), s.slowest)
	if *seedFlag == 0 && (s.elections < int(last) || s.epochs < int(last)/2 || last >= 300 && s.reconsidered == 0) {
		t.Fatalf("the simulation tests little: %+v", s)
	}
}

type tally struct {
	elections, epochs, calm, reconsidered int
	slowest, total                        time.Duration
}

// sim is a world with time, faults, and a broadcast that knows only what the election needs of it: a leader that a quorum follows has an epoch, and histories grow in it.
type sim struct {
	*world
	t     *testing.T
	seed  uint64
	r     *rand.Rand
	tally *tally
	nodes map[kernel.ServerID]*node
	calm  bool
	given map[ballot]node // the voter when it gave it
	trace []string

	suggested kernel.ServerID // by a leader that retires, to some
}

func newSim(t *testing.T, seed uint64, tally *tally) *sim {
	s := &sim{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 16)), tally: tally, nodes: map[kernel.ServerID]*node{}, given: map[ballot]node{}}
	voters, observers := []int{3, 3, 5, 5, 4, 7}[s.r.IntN(6)], s.r.IntN(3)
	var text strings.Builder
	for id := 1; id <= voters+observers; id++ {
		fmt.Fprintf(&text, "server.%d=h:1:2:%s\n", id, map[bool]string{true: "participant", false: "observer"}[id <= voters])
	}
	if voters == 7 { // groups, and one voter that weighs nothing
		text.WriteString("group.1=1:2:3\ngroup.2=4:5\ngroup.3=6:7\nweight.7=0\n")
	}
	e, err := config.ParseEnsemble(text.String())
	if err != nil {
		t.Fatal(err)
	}
	s.world = newWorld(e)
	s.saw = s.check
	s.delay = func(direction) time.Duration {
		d := time.Duration(s.r.IntN(2000)) * time.Microsecond
		if !s.calm && s.r.IntN(20) == 0 {
			d += time.Duration(s.r.IntN(700)) * time.Millisecond
		}
		return d
	}
	if s.r.IntN(4) == 0 {
		apache := s.servers[s.r.IntN(len(s.servers))].id
		s.world.rewrite = func(from kernel.ServerID, payload []byte) []byte {
			n, _ := peer.DecodeNotification(payload)
			if from == apache {
				n.Capabilities = peer.Capabilities{}
			}
			return n.AppendTo(nil)
		}
	}
	fresh := s.r.IntN(4) == 0
	for _, v := range s.servers {
		n := &node{zxid: kernel.MakeZxid(4, uint32(s.r.IntN(4))), epoch: 4, empty: fresh}
		if s.r.IntN(3) == 0 {
			n.epoch, n.zxid = 5, kernel.MakeZxid(5, uint32(s.r.IntN(3)))
		}
		if fresh {
			n.epoch, n.zxid = 0, 0
		}
		s.nodes[v.id] = n
	}
	return s
}

func (s *sim) failf(format string, args ...any) {
	s.t.Helper()
	for _, line := range s.trace[max(0, len(s.trace)-80):] {
		s.t.Log(line)
	}
	s.t.Fatalf("seed %d, %v: %s (replay: go test ./plugins/election -run TestSimulation -seed %d)", s.seed, s.now, fmt.Sprintf(format, args...), s.seed)
}

func (s *sim) note(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf("%v ", s.now)+fmt.Sprintf(format, args...))
}

func (s *sim) start(v *server) {
	s.note("%d starts", v.id)
	v.core = New()
	s.step(v, kernel.Start{Self: v.id, Config: s.config})
	if s.r.IntN(4) == 0 {
		v.core.round = int64(s.r.IntN(100_000)) // it has been up for long
	}
	s.lookFor(v)
}

func (s *sim) stop(v *server) {
	s.note("%d is killed", v.id)
	s.kill(v.id)
	n := s.nodes[v.id]
	n.role, n.ruling, n.waiting = kernel.Looking, false, false
}

// advance goes to the next thing that happens, no further than to an end.
func (s *sim) advance(end time.Duration) {
	next := end
	for _, v := range s.servers {
		if v.core != nil && v.wake > 0 {
			next = min(next, max(v.wake, s.now))
		}
		if n := s.nodes[v.id]; v.core != nil && n.waiting {
			next = min(next, max(n.upTo, s.now))
		}
	}
	var ready []direction
	for _, from := range s.servers {
		for _, to := range s.servers {
			d := direction{from.id, to.id}
			if q := s.queue(d); len(q.events) > 0 {
				next = min(next, max(q.events[0].at, s.now))
				ready = append(ready, d)
			}
		}
	}
	s.now = next
	for _, d := range ready {
		q := s.queue(d)
		if len(q.events) == 0 || q.events[0].at > s.now {
			continue
		}
		in := q.events[0].in
		q.events = q.events[1:]
		if _, message := in.(kernel.Received); message && !s.calm && s.r.IntN(40) == 0 {
			s.note("%s lost: %s", d, traceNotification(notificationOf(in))) // and the link does not notice, as queues of ZooKeeper's servers may do
			continue
		}
		if to := s.server(d.to); to.core != nil {
			s.step(to, in)
		}
	}
	for _, v := range s.servers {
		if v.core != nil && v.wake > 0 && v.wake <= s.now {
			s.step(v, kernel.Tick{})
		}
	}
	s.broadcast()
}

func (s *sim) runFor(d time.Duration, until func() bool) bool {
	for end := s.now + d; s.now < end; {
		s.advance(min(end, s.now+20*time.Millisecond))
		if until != nil && until() {
			return true
		}
	}
	return false
}

// fault does one thing that goes wrong, or is put right.
func (s *sim) fault() {
	v := s.servers[s.r.IntN(len(s.servers))]
	other := s.servers[s.r.IntN(len(s.servers))]
	p := direction{v.id, other.id}.pair()
	switch s.r.IntN(6) {
	case 0:
		if v.core != nil {
			s.stop(v)
		}
	case 1, 2:
		if v.core == nil {
			s.start(v)
		}
	case 3:
		s.unlink(v.id, other.id, 0)
	case 4:
		s.cut[p] = true
		s.unlink(v.id, other.id, 0)
	case 5:
		delete(s.cut, p)
	}
	if s.suggested = 0; s.r.IntN(4) == 0 {
		s.suggested = other.id
	}
}

func (s *sim) run() {
	for _, v := range s.servers {
		if s.r.IntN(5) > 0 {
			s.start(v)
		}
	}
	for range s.r.IntN(30) {
		s.runFor(time.Duration(s.r.IntN(600))*time.Millisecond, nil)
		s.fault()
	}
	s.settleCalm()
	s.killLeader()
}

// settleCalm gives a quorum a network that works among them, and expects one leader among them. New ensembles need all voters (S-82).
func (s *sim) settleCalm() {
	s.calm, s.suggested = true, 0
	s.note("calm")
	voters := slices.Clone(s.config.Voters)
	s.r.Shuffle(len(voters), func(i, j int) { voters[i], voters[j] = voters[j], voters[i] })
	in := map[kernel.ServerID]bool{}
	history := false
	for _, id := range voters {
		for _, n := range s.nodes {
			history = history || !n.empty
		}
		// The quorum that is left has one without loss in it: each of its members with a history counts.
		if has := func(id kernel.ServerID) bool { return in[id] && !s.nodes[id].empty }; s.config.IsQuorum(has) && history && s.r.IntN(3) > 0 {
			break
		}
		in[id] = true
	}
	for _, v := range s.servers {
		in[v.id] = in[v.id] || !s.config.IsVoter(v.id)
	}
	for _, v := range s.servers {
		for _, other := range s.servers {
			p := direction{v.id, other.id}.pair()
			if delete(s.cut, p); in[v.id] != in[other.id] {
				s.cut[p] = true
				s.unlink(v.id, other.id, 0)
			}
		}
		if in[v.id] && v.core == nil {
			s.start(v)
		}
	}
	s.expectLeader(in, 2*time.Minute)
}

func (s *sim) expectLeader(in map[kernel.ServerID]bool, within time.Duration) kernel.ServerID {
	s.t.Helper()
	var leader kernel.ServerID
	if !s.runFor(within, func() bool {
		leader = 0
		for _, v := range s.servers {
			n := s.nodes[v.id]
			if !in[v.id] || v.core == nil {
				continue
			}
			if !n.ruling || leader != 0 && n.leader != leader {
				return false
			}
			leader = n.leader
		}
		return s.nodes[leader].ruling
	}) {
		for _, v := range s.servers {
			s.note("%d in=%v %+v core up=%v", v.id, in[v.id], *s.nodes[v.id], v.core != nil)
		}
		s.failf("a quorum with a network has no leader after %v", within)
	}
	return leader
}

// killLeader measures what a client would feel: all is calm, the leader dies, the others are connected and know each other.
func (s *sim) killLeader() {
	in := map[kernel.ServerID]bool{}
	for _, v := range s.servers {
		in[v.id] = true
		for _, other := range s.servers {
			delete(s.cut, direction{v.id, other.id}.pair())
		}
		if v.core == nil {
			s.start(v)
		}
	}
	leader := s.expectLeader(in, 2*time.Minute)
	s.runFor(3*time.Second, nil)
	s.note("the leader dies")
	s.stop(s.server(leader))
	in[leader] = false
	if !s.config.IsQuorum(func(id kernel.ServerID) bool { return in[id] }) {
		return
	}
	for _, v := range s.servers {
		if v.core != nil && s.nodes[v.id].role != kernel.Looking {
			s.lookFor(v)
		}
	}
	died := s.now
	var elected time.Duration
	if !s.runFor(time.Second, func() bool {
		for _, v := range s.servers {
			if n := s.nodes[v.id]; v.core != nil && s.config.IsVoter(v.id) && n.role == kernel.Looking {
				return false
			}
		}
		elected = s.now - died
		return true
	}) {
		s.failf("no election within a second")
	}
	if s.world.rewrite == nil {
		s.tally.calm++
		s.tally.total += elected
		s.tally.slowest = max(s.tally.slowest, elected)
	}
	if elected > 20*time.Millisecond && s.world.rewrite == nil {
		s.failf("the election took %v", elected)
	}
	s.expectLeader(in, time.Minute)
}
