package zab

import (
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// propose takes a batch whole, or ends the leadership: zxids are given exactly once, by Position (G10). It goes to the learners at the end of the Step, while this server's own log is
// being written.
func (c *Core) propose(p kernel.Propose) {
	if !c.leads() || c.lead.retiring || !c.fits(p.Batch) {
		c.effects.Refused = true
		if c.leads() && !c.lead.retiring {
			c.lose(errors.New("zab: a batch did not begin where the last one ended"))
		}
		return
	}
	for i := range p.Batch {
		if err := c.notice(p.Batch[i].Zxid, p.Batch[i].Data); err != nil { // this server's own machine made it
			c.broken = fmt.Errorf("zab: %w: this is a bug; the log was not changed", err)
			c.effects.Fatal, c.effects.Refused = c.broken, true
			return
		}
		c.append(p.Batch[i])
	}
	if n := len(p.Batch); n > 0 {
		c.next = p.Batch[n-1].Zxid + 1
	}
}

func (c *Core) fits(batch []kernel.Record) bool {
	want := c.next
	for i := range batch {
		if batch[i].Zxid != want || want.Counter() > c.limit-1 {
			return false
		}
		want++
	}
	return true
}

// countAcks counts this server's own acknowledgement, after its sync like anybody else's (spec zab, 8.2 and R7), and commits what a quorum has.
func (c *Core) countAcks() {
	c.lead.durable.reach(c.self, int64(c.durable))
	c.committed = max(c.committed, min(kernel.Zxid(c.lead.durable.passed()), c.last))
	c.commitTo(c.committed)
	c.decideChange()
}

// fromLearner takes a packet of a learner. A packet that has no place where it comes costs its link.
func (c *Core) fromLearner(link kernel.LinkID, m *kernel.Message) {
	l := c.lead.byLink[link]
	if l == nil {
		return // of a link that was closed
	}
	l.heard = c.halves
	if l.state >= accepted {
		l.deadline = c.halves + 2 + c.syncHalves()
	}
	var err error
	switch {
	case l.state == greeting:
		err = c.introduced(l, m)
	case l.state == invited:
		lost := false
		if lost, err = c.promise(l, m); lost {
			return
		}
	case m.Type == peer.Ack:
		err = c.acknowledged(l, m.Zxid)
	case l.state != serving:
		err = fmt.Errorf("sent %s", peer.TypeName(m.Type))
	case m.Type == peer.Ping:
		err = c.pinged(l, m)
	case m.Type == peer.State && l.caps.Has(peer.StateDigests):
		err = c.hearState(l, m)
	case m.Type == peer.Request:
		err = c.asksFor(l, m)
	case m.Type == peer.Revalidate:
		c.effects.Deliver = append(c.effects.Deliver, kernel.Delivery{Kind: kernel.SessionAsked, Link: link, Zxid: m.Zxid, Payload: m.Payload})
	default:
		err = fmt.Errorf("sent %s", peer.TypeName(m.Type))
	}
	if err != nil {
		c.violation(l, err)
	}
}

// acknowledged hears ACK: of NEWLEADER, or of everything up to a proposal. ZooKeeper's learners acknowledge NEWLEADER a second time behind UPTODATE, and some versions acknowledge history
// before NEWLEADER: neither says anything new (spec zab, 8.7 and S-53).
func (c *Core) acknowledged(l *learner, z kernel.Zxid) error {
	switch {
	case l.state == asked && z == kernel.MakeZxid(c.epoch, 0):
		c.accepted(l)
	case l.state < asked:
		return fmt.Errorf("acknowledged %s", z)
	case z.Counter() == 0 || l.state != serving:
	case z > l.sent:
		return fmt.Errorf("acknowledged %s and was sent %s", z, l.sent)
	case !l.observer:
		l.acked = max(l.acked, z)
		c.lead.durable.reach(l.id, int64(z))
	}
	return nil
}

// pinged hears the answer to the oldest unanswered PING: at a moment after that round began the learner still followed this server.
func (c *Core) pinged(l *learner, m *kernel.Message) error {
	if m.Payload == nil || l.answered == l.pinged {
		return errors.New("sent PING that is no answer")
	}
	l.answered++
	if !l.observer {
		c.lead.answered.reach(l.id, int64(l.answered))
	}
	c.effects.Deliver = append(c.effects.Deliver, kernel.Delivery{Kind: kernel.SessionsTouched, Link: l.link, Zxid: m.Zxid, Payload: m.Payload})
	return nil
}

// opSync is the operation that asks for a barrier (spec peer-wire-and-disk, 3.3).
const opSync = 9

// asksFor hears a request of a learner's client. Barriers go the way of requests too, so that one stays behind the writes of its session.
func (c *Core) asksFor(l *learner, m *kernel.Message) error {
	f, err := peer.DecodeForwarded(m.Payload)
	if err != nil {
		return err
	}
	req := &kernel.Request{Session: f.Session, Cxid: f.Cxid, Op: f.Op, Body: f.Body, Identities: m.Identities, From: l.id, Link: l.link, Trace: m.Trace, Barrier: f.Op == opSync}
	if req.Barrier {
		l.requests = append(l.requests, req)
	}
	c.effects.Requests = append(c.effects.Requests, req)
	return nil
}

// askBarrier begins a leadership check. A learner sends it to the leader, whose SYNC stands behind the COMMIT of everything that was proposed before.
func (c *Core) askBarrier(b kernel.AskBarrier) {
	var from *learner
	if b.Request != nil && b.Request.From != 0 {
		if from = c.asker(b.Request); from == nil {
			return // its link is gone
		}
	}
	switch {
	case c.leads():
		after := c.last
		c.barriers = append(c.barriers, barrier{id: b.ID, after: after, round: c.confirmation(), from: from})
	case c.attachedTo() && b.Request != nil:
		c.learn.syncs = append(c.learn.syncs, passingOn{id: b.ID, from: from})
		c.request(b.Request, opSync)
	}
}

// asker is the learner whose request this is, if its link is still there.
func (c *Core) asker(req *kernel.Request) *learner {
	for _, l := range c.lead.learners {
		for i, r := range l.requests {
			if r == req {
				l.requests = append(l.requests[:i], l.requests[i+1:]...)
				return l
			}
		}
	}
	return nil
}

// confirmation is the round of pings that confirms this server's leadership from now on. One round is under way at a time; who comes meanwhile shares the next one.
func (c *Core) confirmation() uint64 {
	l := &c.lead
	if l.another {
		return l.round + 1
	}
	if c.confirmed() < l.round {
		l.another = true
		return l.round + 1
	}
	c.ping()
	return l.round
}

// confirmed is the latest round that a quorum has answered, this server included.
func (c *Core) confirmed() uint64 {
	c.lead.answered.reach(c.self, int64(c.lead.round))
	return uint64(c.lead.answered.passed())
}

// ping begins a round. Learners that are still being brought up do not answer: ZooKeeper's would not understand.
func (c *Core) ping() {
	c.lead.round++
	c.lead.another = false
	last := c.last
	if c.role == kernel.Leading {
		last = c.next - 1
	}
	for _, l := range c.lead.learners {
		if l.state == serving {
			c.send(l.link, kernel.Message{Type: peer.Ping, Zxid: last})
			l.pinged = c.lead.round
		}
	}
}

// pass lets barriers through whose proposals are committed, and for which this server's leadership was confirmed after they had come.
func (c *Core) pass() {
	if len(c.barriers) == 0 {
		return
	}
	round := uint64(0)
	if c.role == kernel.Leading {
		if round = c.confirmed(); c.lead.another && round >= c.lead.round {
			c.ping()
			round = c.confirmed()
		}
	}
	passed := 0
	for passed < len(c.barriers) {
		b := &c.barriers[passed]
		if b.after > c.applied && (b.from == nil || b.after > c.committed) || b.round > round {
			break
		}
		c.effects.Barriers = append(c.effects.Barriers, b.id)
		if b.from != nil {
			b.from.syncs = append(b.from.syncs, b.after)
		}
		passed++
	}
	c.barriers = append(c.barriers[:0], c.barriers[passed:]...)
}

// leadHalf keeps the leader's time.
func (c *Core) leadHalf() {
	l := &c.lead
	if c.phase != Broadcasting {
		if c.halves >= l.deadline {
			c.lose(fmt.Errorf("zab: no quorum within %d ticks: %s", c.settings.InitLimit, c.missing()))
			return
		}
	} else {
		if c.halves%2 == 0 && !c.leaving() && !c.active.quorum(c.synchronized) {
			c.lose(fmt.Errorf("zab: no quorum has been heard for %d ticks: this server cannot lead any more", c.settings.SyncLimit))
			return
		}
		c.noticeStall()
		c.ping()
	}
	c.watchAll()
}

// watchAll closes the links of learners that have been silent too long.
func (c *Core) watchAll() {
	l := &c.lead
	for i := 0; i < len(l.learners); {
		learner := l.learners[i]
		c.watch(learner)
		if i < len(l.learners) && l.learners[i] == learner {
			i++
		}
	}
}

// missing says what a quorum is waited for.
func (c *Core) missing() string {
	switch {
	case !c.lead.proposed:
		return fmt.Sprintf("servers %d have connected", c.lead.heard)
	case c.phase == Discovery:
		return fmt.Sprintf("servers %d have promised epoch %d", c.lead.promised, c.epoch)
	}
	return fmt.Sprintf("servers %d have accepted the history of epoch %d", c.lead.acked, c.epoch)
}

// synchronized tells whether a voter counts for the leader's quorum (spec zab, 9.1).
func (c *Core) synchronized(id kernel.ServerID) bool {
	if id == c.self {
		return true
	}
	for _, l := range c.lead.learners {
		if l.id == id && !l.observer && l.state > greeting && c.halves <= l.deadline {
			return true
		}
	}
	return false
}

// watch closes the link of a learner that has been silent too long, or has not acknowledged a proposal for too long.
func (c *Core) watch(l *learner) {
	silent, limit := c.halves-l.heard, uint64(0)
	switch l.state {
	case greeting, invited, streaming, asked:
		limit = c.initHalves()
	case waiting:
		if c.relays() { // for this server to hear of what the observer has
			limit = c.syncHalves()
		}
	case accepted:
		c.send(l.link, kernel.Message{Type: peer.Ping, Zxid: kernel.MakeZxid(c.epoch, 0)}) // it waits for the others: a sign of life, which it does not answer
	case serving:
		limit = c.syncHalves()
	}
	if limit > 0 && silent > limit {
		c.violation(l, fmt.Errorf("silent for %d half ticks", silent))
		return
	}
	if l.state != serving || l.observer {
		return
	}
	if l.acked >= l.marked {
		l.marked, l.markedAt = l.sent, c.halves
	}
	if l.marked > l.acked && c.halves-l.markedAt > c.syncHalves() {
		c.violation(l, fmt.Errorf("has not acknowledged %s, only %s", l.marked, l.acked))
	}
}

// stallHalves is how long a leader's disk may take nothing while a quorum of the others goes on. Its own clients wait for it all that time, and those of the others do not have to.
const stallHalves = 4

// noticeStall hands the leadership over when this server's disk stands still and the others' do not (FIELD, 2.4): they have acknowledged what this one could not write.
func (c *Core) noticeStall() {
	l := &c.lead
	if c.durable >= c.committed || c.durable != l.stuck {
		l.stalled, l.stuck = 0, c.durable
		return
	}
	if l.stalled++; l.stalled >= stallHalves && !l.retiring {
		c.report(fmt.Errorf("zab: the disk of this server has written nothing for %d ticks and those of other servers have: the leadership is handed over, look at the disk", stallHalves/2))
		c.retire()
	}
}

// tryToRetire gives the leadership up when nothing is outstanding and a follower has everything: that one should be the next.
func (c *Core) tryToRetire() {
	if c.committed < c.last && c.halves < c.lead.retireBy {
		return
	}
	for _, l := range c.lead.learners {
		if l.state == serving && !l.observer && l.acked >= c.last && l.told >= c.last && c.active.isVoter(l.id) {
			c.suggested = l.id
			break
		}
	}
	if c.suggested == 0 && !c.alone() && c.halves < c.lead.retireBy {
		return
	}
	c.lose(errRetired)
}
