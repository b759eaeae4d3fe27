package zab

import (
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// learnerState is how far a learner has come, as its leader sees it.
type learnerState uint8

const (
	greeting     learnerState = iota // its link is up
	introduced                       // it has said who it is; the epoch is not announced yet
	invited                          // LEADERINFO was sent
	waiting                          // it has promised; its turn comes with a quorum of promises
	locating                         // its position is looked up in the log
	snapshotting                     // a snapshot is on its way
	streaming                        // history is on its way
	asked                            // NEWLEADER was sent: nothing follows before it is acknowledged
	accepted                         // acknowledged; the epoch is not established yet
	serving                          // UPTODATE was sent
)

func (s learnerState) String() string {
	return [...]string{"greeting", "introduced", "invited", "waiting", "locating", "snapshotting", "streaming", "asked", "accepted", "serving"}[s]
}

// learner is one learner at its leader. Everything that goes to it from sent on comes from one place, the leader's history, in one order; proposals that are made while it is brought up
// are part of that, so nothing can come between (spec zab, 6.5).
type learner struct {
	link     kernel.LinkID
	id       kernel.ServerID
	state    learnerState
	observer bool
	zooid    bool // batches, cumulative acknowledgements
	chunked  bool // snapshots beside other traffic
	caps     peer.Capabilities
	cluster  peer.Cluster // that it says it belongs to

	position kernel.Zxid // the end of its history, as it says
	sent     kernel.Zxid // it was sent, or has, everything up to here
	told     kernel.Zxid // it knows that everything up to here is committed
	acked    kernel.Zxid
	target   kernel.Zxid // NEWLEADER follows when it was sent everything up to here

	chases    int             // how often target had to be raised
	reading   kernel.EffectID // a ReadLog for it, zero: none
	span      uint64          // of the search backwards, while locating
	found     kernel.Zxid     // by it
	snapshot  kernel.EffectID
	countedBy *int // the number of observers that are being brought up in its way
	held      bool // the log is kept for it
	flushing  bool // LinkFlushed is to come before more is sent

	heard    uint64 // half tick of its last sign of life
	deadline uint64 // up to which it counts as synchronized
	marked   kernel.Zxid
	markedAt uint64            // when marked was the newest proposal sent to it
	compared comparison        // of its state with the leader's
	pinged   uint64            // the last round of pings that it was sent; it gets every round from UPTODATE on
	answered uint64            // the last one that it has answered: answers come in order
	syncs    []kernel.Zxid     // SYNCs that wait until it has been told this much
	requests []*kernel.Request // its barriers that are on their way to AskBarrier
}

const (
	chunkBytes = 1 << 20 // at most this is queued on a link before it is flushed
	// maxChases is how often a learner that is slower than the writes gets another round of history before it may serve. It is not kept out for ever.
	maxChases = 3
	// The search for the last record of an epoch looks at this many before the learner's position first, and at searchFactor as many each next time.
	searchSpan   = 1 << 10
	searchFactor = 1 << 5
)

// meet takes a new link in.
func (c *Core) meet(link kernel.LinkID) {
	l := &learner{link: link, id: link.Peer, heard: c.halves, deadline: c.halves + c.initHalves() + c.syncHalves()}
	c.lead.learners = append(c.lead.learners, l)
	c.lead.byLink[link] = l
}

// meetParked takes in the links on which learners have waited for this server to find out what it is.
func (c *Core) meetParked() {
	waiting := c.parked
	c.parked = nil
	for _, p := range waiting {
		c.meet(p.link)
		if p.info != nil {
			c.fromLearner(p.link, p.info)
		}
	}
}

// drop closes a learner's link.
func (c *Core) drop(l *learner) {
	c.hangup(l.link)
	c.remove(l)
}

func (c *Core) remove(l *learner) {
	c.release(l)
	delete(c.lead.byLink, l.link)
	for i, other := range c.lead.learners {
		if other == l {
			c.lead.learners = append(c.lead.learners[:i], c.lead.learners[i+1:]...)
			return
		}
	}
}

// release lets the log go that was kept for a learner.
func (c *Core) release(l *learner) {
	if l.held {
		l.held = false
		c.effects.Release = append(c.effects.Release, l.link)
	}
	c.discharge(l)
}

// discharge ends what admit has begun.
func (c *Core) discharge(l *learner) {
	if l.countedBy != nil {
		*l.countedBy--
		l.countedBy = nil
	}
}

func (c *Core) learnerGone(link kernel.LinkID) {
	if l := c.lead.byLink[link]; l != nil {
		c.remove(l)
	}
}

// violation closes one link for what its peer did, and nothing else (G14).
func (c *Core) violation(l *learner, err error) {
	c.report(fmt.Errorf("zab: the link of server %d is closed (%s): %w", l.link.Peer, l.state, err))
	c.drop(l)
}

// serve does what has become possible for one learner.
func (c *Core) serve(l *learner) {
	if l.state == introduced && c.lead.announced {
		c.invite(l)
	}
	if l.state == waiting && c.phase >= Synchronization {
		if c.words.cluster.Foreign(l.cluster) { // the id was agreed on, or found out, since it was introduced
			c.violation(l, c.foreign(l.id, l.cluster))
			return
		}
		c.decide(l)
	}
	if l.state == streaming {
		c.catchUp(l)
	}
	if l.state == accepted && c.phase == Broadcasting {
		c.send(l.link, kernel.Message{Type: peer.UpToDate, Zxid: -1})
		l.state = serving
		if l.observer { // all that it has is committed, and no COMMIT follows: its syncs wait for nothing else
			l.told = max(l.told, min(l.sent, c.committed))
		}
		l.pinged, l.answered = c.lead.round, c.lead.round
		l.heard = c.halves
		l.deadline = c.halves + 2 + c.syncHalves()
	}
	if l.state == serving {
		c.pump(l, c.limitFor(l))
		c.tell(l)
		if l.held && l.sent >= c.tail.base {
			c.release(l)
		}
	}
}

// limitFor is up to where a learner that serves may be sent: an observer gets what is committed only.
func (c *Core) limitFor(l *learner) kernel.Zxid {
	if l.observer {
		return c.committed
	}
	return c.last
}

// settled is the end of what counts as history for whoever is brought up. Before the epoch is established that is all of the initial history (spec zab, 6.7).
func (c *Core) settled() kernel.Zxid {
	if c.phase == Broadcasting {
		return c.committed
	}
	return c.lead.history
}

// decide finds out what a learner at its position needs (spec zab, 6.2 and 6.3). The rule that everything hangs on: a DIFF begins at a position that was found in this server's own history.
func (c *Core) decide(l *learner) {
	end := c.settled()
	known := end // up to where its position may lie
	if l.zooid && !l.observer {
		known = c.last // it is told what is committed, so that it may keep what is not yet
	}
	p := l.position
	switch {
	case p < 0: // it has something that is not to be relied on: even where this server has nothing, that has to go
		c.sendSnapshot(l)
	case p == 0 && known > 0: // empty is a case of its own: nothing could be compared (spec zab, S-06)
		c.sendSnapshot(l)
	case p == known:
		c.begin(l, peer.Diff, end, p)
	case p > known && p.Counter() == 0 && c.lead.summaryEpoch < p.Epoch():
		c.sendSnapshot(l) // the start of an epoch that this server's history knows nothing of
	case p > known && p.Counter() != 0:
		switch {
		case p.Epoch() == c.epoch && c.relays(): // it had more from another; this server hears of it soon
		case p.Epoch() == c.epoch && l.zooid:
			c.violation(l, fmt.Errorf("it has %s, which was never proposed", p))
		case p.Epoch() == known.Epoch() && known.Counter() != 0: // it has known: epochs are dense
			c.begin(l, peer.Trunc, known, known)
		default:
			c.sendSnapshot(l) // never cut across epochs
		}
	case p >= c.tail.base:
		c.located(l, c.tail.holds(p), c.tail.before(p))
	default:
		l.state = locating
		c.read(l, p, c.durable, 1)
	}
}

// located: the position is in the history, or the last position before it is known.
func (c *Core) located(l *learner, found bool, before kernel.Zxid) {
	p := l.position
	switch {
	case found, p.Counter() == 0:
		c.begin(l, peer.Diff, c.settled(), p)
	case l.zooid && before.Epoch() == p.Epoch() && before.Counter() != 0: // the learner's history of that epoch is dense: it has before. It checks that, unlike ZooKeeper's (S-40)
		c.begin(l, peer.Trunc, before, before)
	default:
		c.sendSnapshot(l)
	}
}

// read asks for a piece of the log.
func (c *Core) read(l *learner, from, to kernel.Zxid, maxBytes int) {
	l.reading = c.effect()
	c.effects.ReadLog = append(c.effects.ReadLog, kernel.ReadLog{ID: l.reading, From: from, To: to, MaxBytes: maxBytes})
}

// logRead is for whoever asked.
func (c *Core) logRead(r kernel.LogRead) {
	if c.role != kernel.Leading && !c.relays() {
		c.checked(r)
		return
	}
	for _, l := range c.lead.learners {
		if l.reading != r.ID || r.ID == (kernel.EffectID{}) {
			continue
		}
		l.reading = kernel.EffectID{}
		switch l.state {
		case locating:
			c.search(l, r)
		case streaming, serving:
			if r.Err == nil && (len(r.Records) == 0 || !follows(l.sent, r.Records[0].Zxid)) {
				r.Err = errGap // never sent over a hole (G9)
			}
			if r.Err != nil {
				c.violation(l, fmt.Errorf("what follows %s cannot be read from the log: %w", l.sent, r.Err))
				return
			}
			c.sendRecords(l, r.Records)
			c.flush(l)
		}
		return
	}
}

var errGap = errors.New("it is not there")

// search takes a piece of the log in which a learner's position is looked for: the position itself first, and if it is not there, backwards for the last record of its epoch.
func (c *Core) search(l *learner, r kernel.LogRead) {
	p := l.position
	if r.Err != nil && !errors.Is(r.Err, kernel.ErrPurged) {
		c.violation(l, fmt.Errorf("the log cannot be read: %w", r.Err))
		return
	}
	first := kernel.MakeZxid(p.Epoch(), 1)
	switch {
	case l.span == 0 && l.found == 0: // looked at p
		switch {
		case errors.Is(r.Err, kernel.ErrPurged):
			l.found = p // perhaps p is the position that the log begins behind
			c.read(l, p+1, c.durable, 1)
			return
		case len(r.Records) > 0 && r.Records[0].Zxid == p, p.Counter() == 0:
			c.located(l, true, 0)
			return
		}
	case l.span == 0: // looked at p+1
		c.located(l, r.Err == nil && len(r.Records) > 0 && r.Records[0].Zxid == p+1 && p.Counter() != 0, 0)
		return
	case r.Err != nil:
		c.located(l, false, 0)
		return
	default:
		if n := len(r.Records); n > 0 {
			l.found = r.Records[n-1].Zxid
			if !r.Done {
				c.read(l, l.found+1, p-1, chunkBytes)
				return
			}
		}
		if l.found != 0 || uint64(p.Counter())-1 <= l.span {
			c.located(l, false, l.found)
			return
		}
	}
	if !l.zooid || p.Counter() <= 1 {
		c.located(l, false, 0)
		return
	}
	l.span = min(max(searchSpan, l.span*searchFactor), uint64(p.Counter()))
	c.read(l, max(first, p-kernel.Zxid(l.span)), p-1, chunkBytes)
}
