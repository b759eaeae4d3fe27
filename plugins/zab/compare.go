package zab

import (
	"fmt"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// Learners of Zooid tell their leader what their state's digest is where they are, and the leader compares (kernel/digest.go). What it finds is settled by voters whose states have been compared, with the
// leader's own among them: a digest is a sum, so that by how much a learner's differs from the leader's is the same wherever the two are compared, unless what differs is changed. Who differs in the same way
// agrees.

// comparison is what a leader knows of a learner's state.
type comparison struct {
	// The last position at which it was the leader's, zero: none, and the number of that comparison.
	agreed   kernel.Zxid
	agreedIn uint64
	// While it differs: since where, since which comparison, and what was found there; by how much, when last compared; and when it was decided which of the two is to give its state up.
	differs     bool
	since       kernel.Zxid
	sinceIn     uint64
	own, theirs uint64
	by          uint64
	told        time.Duration // when, 0: not yet
}

// giveUpPause is how long a server goes on with a state that differs when it has given one up before: then it may not be the state that is wrong.
const giveUpPause = 10 * time.Minute

// stateIs tells the leader. An observer that hears of the leader from another server is not compared: that one does not know whether its own state is right.
func (c *Core) stateIs(s kernel.StateIs) {
	if c.attachedTo() && c.learn.compares && !c.learn.relayed() && s.Zxid > 0 {
		c.send(c.learn.link, kernel.Message{Type: peer.State, Zxid: s.Zxid, Payload: peer.AppendState(nil, s.Digest)})
	}
}

// hearState asks for what this server's state was where the learner's is. In an ensemble with servers of ZooKeeper's nothing is compared: what they send may be put together from several moments.
func (c *Core) hearState(l *learner, m *kernel.Message) error {
	digest, err := peer.DecodeState(m.Payload)
	if err != nil {
		return err
	}
	if m.Zxid > l.sent {
		return fmt.Errorf("has a state at %s and was sent %s", m.Zxid, l.sent)
	}
	for _, other := range c.lead.learners {
		if other.state > greeting && !other.caps.Announced() {
			return nil
		}
	}
	if c.leads() {
		c.effects.Compare = append(c.effects.Compare, kernel.CompareState{Link: l.link, Zxid: m.Zxid, Digest: digest})
	}
	return nil
}

// compared notes what a comparison has found, and does what follows from all of them.
func (c *Core) compared(s kernel.StateCompared) {
	l := c.lead.byLink[s.Link]
	if l == nil || !c.leads() {
		return
	}
	c.lead.comparisons++
	state := &l.compared
	switch by := s.Theirs - s.Own; {
	case by == 0:
		*state = comparison{agreed: s.Zxid, agreedIn: c.lead.comparisons}
	case state.differs:
		state.by = by
	default:
		*state = comparison{differs: true, since: s.Zxid, sinceIn: c.lead.comparisons, own: s.Own, theirs: s.Theirs, by: by}
		c.report(&kernel.DivergedError{Server: l.id, Zxid: s.Zxid, Own: s.Own, Theirs: s.Theirs})
	}
	c.judge()
}

// judge has a state given up that differs from those of a quorum. What was found equal before the difference was found may have changed since.
func (c *Core) judge() {
	for _, l := range c.lead.learners {
		state := &l.compared
		switch {
		case !state.differs || state.told != 0 && c.now-state.told < giveUpPause:
		case c.active.quorum(func(id kernel.ServerID) bool {
			return id == c.self || c.voterWith(id, func(other *comparison) bool { return other.agreed >= state.since && other.agreedIn > state.sinceIn })
		}):
			state.told = max(c.now, 1)
			c.send(l.link, kernel.Message{Type: peer.Diverged, Zxid: state.since, Payload: peer.AppendDiverged(nil, state.theirs, state.own)})
		case c.active.quorum(func(id kernel.ServerID) bool {
			return c.voterWith(id, func(other *comparison) bool { return other.differs && other.by == state.by })
		}):
			state.told = max(c.now, 1)
			c.giveUp(&kernel.DivergedError{Zxid: state.since, Own: state.own, Theirs: state.theirs})
			return
		}
	}
}

// voterWith tells whether a voter serves as this server's learner with a state that was found like that.
func (c *Core) voterWith(id kernel.ServerID, found func(*comparison) bool) bool {
	for _, l := range c.lead.learners {
		if l.id == id && !l.observer && l.state == serving {
			return found(&l.compared)
		}
	}
	return false
}

// hearDiverged is the leader's word that this server's state is not that of a quorum.
func (c *Core) hearDiverged(m *kernel.Message) error {
	own, theirs, err := peer.DecodeDiverged(m.Payload)
	if err == nil {
		c.giveUp(&kernel.DivergedError{Zxid: m.Zxid, Own: own, Theirs: theirs})
	}
	return err
}

// giveUp ends the role of a server whose state is wrong. Its log is whole as far as this server knows, and so is what it has acknowledged: it may still vote, for others that have as much. But it does not lead
// before a snapshot has taken the place of its state (G4).
func (c *Core) giveUp(found *kernel.DivergedError) {
	if c.gaveUp != 0 && c.now-c.gaveUp < giveUpPause {
		c.report(found)
		return
	}
	found.GivenUp = true
	c.gaveUp = max(c.now, 1)
	c.words.lose(true, c.durable)
	c.effects.GiveUp = true
	c.lose(found)
}
