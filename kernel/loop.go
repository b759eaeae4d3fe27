package kernel

import (
	"errors"
	"time"
)

// loopState belongs to the loop goroutine: the only one that steps the cores, prepares, and decides.
type loopState struct {
	node        *Node
	role        RoleChange
	waiting     []*Request // not prepared or forwarded yet, in order
	submitted   uint64     // requests so far: their order
	batch       Batch
	records     []Record
	unapplied   []Committed // in the log or on the way to it, not yet committed, in zxid order
	spilled     Zxid        // up to here unapplied lacks what nobody waits for: it is read from the log (spill.go)
	history     int         // bytes in unapplied that could be spilled
	committed   Zxid        // handed to apply
	held        int         // bytes that the broadcast keeps
	pending     pending     // of this server's clients, at the leader or lost with one
	stamped     time.Time   // the time of the last batch of this leadership
	established RoleChange  // the last one that was
	caughtUpBy  string      // on a learner, how its history and the leader's came together: DIFF, TRUNC or SNAP
	rejoining   bool        // what waits, waits for the leader's word about what was sent to it before
	barriers    map[uint64]barrier
	barrierSeq  uint64
	lastTick    time.Time
	acked       Zxid     // as last reported to the observer
	ackedCount  int64    // of Node.confirmed
	surveyor    Surveyor // the broadcast, if it is one
	found       Survey   // scratch of survey
	servingOnce chan struct{}

	// What the cores have for each other, given once the effects that it came with are performed.
	toElection   []Input
	toBroadcast  []Input
	forElection  []Input // scratch of step
	forBroadcast []Input

	// When each core wants its next Tick, in monotonic time; zero: at the half tick.
	electionWake  time.Duration
	broadcastWake time.Duration
}

// barrier is a request that waits for the broadcast to confirm its leader. after is what was proposed before it; zero on a learner.
type barrier struct {
	req     *Request
	after   Zxid
	rejoins bool // nobody's request: see rejoin.go
}

// errLostAlone can only follow from a bug: a lone voter has nobody to lose its leadership to. A restart recovers from the log.
var errLostAlone = errors.New("a lone server has lost its leadership: restart it, and report this")

func (l *loopState) init(n *Node) {
	l.node = n
	l.barriers = map[uint64]barrier{}
	l.pending = pending{}
	l.servingOnce = make(chan struct{})
	l.lastTick = n.cfg.Now()
	l.surveyor, _ = n.parts.Broadcast.(Surveyor)
	n.digester, _ = n.parts.Machine.(Digester)
}

// runLoop is the loop goroutine.
func (n *Node) runLoop() {
	defer n.done.Done()
	l := &n.loop
	half := time.NewTicker(n.cfg.TickTime / 2)
	defer half.Stop()
	wake := time.NewTimer(time.Hour)
	defer wake.Stop()
	armed := time.Duration(0)
	for {
		tick := false
		select {
		case <-n.stop:
			return
		case <-n.inputs.wake:
		case <-n.requests.wake:
		case <-half.C:
			tick = true
		case <-wake.C:
			armed = 0
		}
		l.round(tick)
		if at := l.wake(); at != armed {
			armed = at
			if at == 0 {
				wake.Stop()
			} else {
				wake.Reset(max(at-n.monotonic(), 0))
			}
		}
	}
}

// round is one turn of the loop. Inputs first, then requests: a completion can commit what requests wait for, never the other way round.
func (l *loopState) round(half bool) {
	n := l.node
	if half {
		l.tick(n.cfg.Now())
	} else if at := l.wake(); at != 0 && n.monotonic() >= at {
		l.step([]Input{Tick{}})
	}
	if in := n.inputs.take(); len(in) > 0 {
		l.observeAcks(in)
		l.step(in)
	}
	for _, req := range n.requests.take() {
		l.submitted++
		req.order = l.submitted
		l.waiting = append(l.waiting, req)
	}
	l.route()
	l.survey(half)
}

// wake is the next moment that a core waits for, 0 if none does.
func (l *loopState) wake() time.Duration {
	switch {
	case l.electionWake == 0:
		return l.broadcastWake
	case l.broadcastWake == 0:
		return l.electionWake
	}
	return min(l.electionWake, l.broadcastWake)
}

// observeAcks reports this server's own acknowledgements: the moment in which the loop hears that the log is durable.
func (l *loopState) observeAcks(in []Input) {
	o := l.node.cfg.Stages
	if o == nil {
		return
	}
	upTo := l.acked
	for _, i := range in {
		if d, ok := i.(Durable); ok {
			upTo = d.Zxid
		}
	}
	confirmed := l.node.confirmed.Load()
	if upTo == l.acked || confirmed == l.ackedCount {
		return
	}
	o.Observe(StageEvent{Stage: StageAck, Start: o.moment(), First: l.acked + 1, Last: upTo, Count: int(confirmed - l.ackedCount)})
	l.acked, l.ackedCount = upTo, confirmed
}

// step gives inputs to the cores that they concern.
func (l *loopState) step(in []Input) {
	l.forElection, l.forBroadcast = l.forElection[:0], l.forBroadcast[:0]
	for _, i := range in {
		switch i := i.(type) {
		case Start, Tick:
			l.forElection, l.forBroadcast = append(l.forElection, i), append(l.forBroadcast, i)
		case LinkIsUp:
			l.addTo(i.Link.Purpose, i)
		case LinkIsDown:
			if i.Link.Purpose == ForBroadcast {
				l.node.release(i.Link)
			}
			l.addTo(i.Link.Purpose, i)
		case LinkFlushed:
			l.addTo(i.Link.Purpose, i)
		case Received:
			l.addTo(i.Link.Purpose, i)
		default:
			l.forBroadcast = append(l.forBroadcast, i)
		}
	}
	if len(l.forElection) > 0 {
		l.elect(l.forElection)
	}
	if len(l.forBroadcast) > 0 {
		l.broadcast(l.forBroadcast...)
	}
	l.settle()
	for _, i := range l.forBroadcast {
		if r, ok := i.(Received); ok {
			l.node.flow.went(r.Link, inputSize(&r.Message))
		}
	}
	clear(l.forElection)
	clear(l.forBroadcast)
}

func (l *loopState) addTo(p Purpose, i Input) {
	if p == ForElection {
		l.forElection = append(l.forElection, i)
	} else {
		l.forBroadcast = append(l.forBroadcast, i)
	}
}

// elect steps the election.
func (l *loopState) elect(in []Input) {
	n := l.node
	e := n.parts.Election.Step(n.monotonic(), in...)
	l.electionWake = e.Wake
	if e.Elected != nil {
		n.figures.elected(n.monotonic())
		l.toBroadcast = append(l.toBroadcast, *e.Elected)
	}
	if e.Config != nil {
		l.toBroadcast = append(l.toBroadcast, ConfigIs{Config: *e.Config})
	}
	l.perform(e)
}

// broadcast steps the broadcast, and then whatever follows from what it wants.
func (l *loopState) broadcast(in ...Input) {
	n := l.node
	e := n.parts.Broadcast.Step(n.monotonic(), in...)
	l.broadcastEffects(e)
	l.settle()
}

func (l *loopState) broadcastEffects(e *Effects) {
	l.broadcastWake = e.Wake
	l.node.flow.carry(e.Held - l.held)
	l.held = e.Held
	if e.Role != nil {
		l.toElection = append(l.toElection, RoleIs{*e.Role})
	}
	if e.Config != nil {
		l.toElection = append(l.toElection, ConfigIs{*e.Config})
	}
	if e.Look != nil {
		if l.node.replicated() { // a lone server asks itself
			l.node.figures.looks(l.node.monotonic())
		}
		l.toElection = append(l.toElection, *e.Look)
	}
	l.perform(e)
}

// settle passes on what the cores have for each other until they have nothing more. A core's effects are its own until its next Step, so none of it happens inside perform.
func (l *loopState) settle() {
	n := l.node
	for len(l.toElection) > 0 || len(l.toBroadcast) > 0 {
		if in := l.toElection; len(in) > 0 {
			l.toElection = nil
			l.elect(in)
			continue
		}
		in := l.toBroadcast
		l.toBroadcast = nil
		l.broadcastEffects(n.parts.Broadcast.Step(n.monotonic(), in...))
	}
}

func (l *loopState) tick(now time.Time) {
	n := l.node
	stalled := now.Sub(l.lastTick) > n.cfg.TickTime*3/2
	l.lastTick = now
	l.step([]Input{Tick{Half: true}})
	if state, ok := n.stateDigest(); ok {
		l.step([]Input{state})
	}
	// What the machine asks for is never dropped while this server leads, also while writes are refused: it has marked sessions as closing by then.
	if own := n.parts.Machine.Tick(now, stalled); len(own) > 0 && l.role.Role == Leading {
		for _, req := range own {
			req.role = l.role.bound()
		}
		n.outstanding.Add(int64(len(own)))
		l.waiting = append(l.waiting, own...)
	}
	n.disk.put(diskJob{purge: true})
}

// monotonic is the time that the cores see.
func (n *Node) monotonic() time.Duration { return n.cfg.Now().Sub(n.started) }
