package zab

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/sdk/peer"
)

// A change of the configuration is a transaction (spec zab, 14). From its proposal on a server counts quorums in both configurations, whatever becomes of its role; from its commit on in the new
// one. The version of a configuration is the zxid of its transaction, so what is proposed stands or falls with that record: cut off from the log, it is forgotten. Counter 0 is the version that
// a configuration gets when an ensemble is first established under it; it has no record.

// activation is a change that this leader has committed.
type activation struct {
	zxid       kernel.Zxid
	designated kernel.ServerID // who leads from then on
}

// proposed is the configuration that is proposed and not decided, nil if there is none.
func (c *Core) proposed() *kernel.Ensemble {
	if len(c.active) < 2 {
		return nil
	}
	return &c.active[1]
}

// MayChange implements kernel.Broadcast. Observers that are to vote count where all voters are servers of Zooid: they get proposals, and acknowledge them, from this one on. If this leader is
// lost, any of the voters may have to complete the change, and a leader of ZooKeeper's could not with them.
func (c *Core) MayChange(to kernel.Ensemble) error {
	if !c.leads() || c.proposed() != nil || c.lead.handing || c.lead.retiring {
		return kernel.ErrChanging
	}
	observers := c.allZooid(c.active[0].Voters) && c.allZooid(to.Voters)
	if !to.IsQuorum(func(id kernel.ServerID) bool { return id == c.self || c.ready(id, observers) }) {
		return kernel.ErrNoNewQuorum
	}
	return nil
}

// ready tells whether a server could vote on the next proposal, and would if it came back before it hears of the change: a server of ZooKeeper's comes back as what it is now. One that has been silent for
// half of what it may be is perhaps gone for good, and so would be the new quorum.
func (c *Core) ready(id kernel.ServerID, observers bool) bool {
	observes := c.active[0].IsMember(id) && !c.active[0].IsVoter(id)
	for _, l := range c.lead.learners {
		if l.id == id && l.state == serving && (observers || !l.observer && !observes) && c.halves-l.heard <= max(2, c.syncHalves()/2) {
			return true
		}
	}
	return false
}

// allZooid tells whether these servers are all known to be Zooid's: those that are not here may be anybody's.
func (c *Core) allZooid(ids []kernel.ServerID) bool {
	for _, id := range ids {
		if id != c.self && !slices.ContainsFunc(c.lead.learners, func(l *learner) bool { return l.id == id && l.state == serving && l.zooid }) {
			return false
		}
	}
	return c.caps.Announced()
}

// notice looks for a configuration in a record that is about to be appended. A later change than the one that is known says that the earlier one was committed: they are made one at a time.
func (c *Core) notice(z kernel.Zxid, data []byte) error {
	if !c.settings.ReconfigEnabled || c.inspect == nil || z <= c.active[0].Version {
		return nil
	}
	info, err := c.inspect(data)
	if err != nil || info.Config == nil {
		return nil // what is wrong with a transaction apply finds out
	}
	e, err := config.ParseEnsemble(string(info.Config))
	if err != nil {
		return fmt.Errorf("the configuration in %s cannot be understood: %w", z, err)
	}
	if e.Version != z {
		return fmt.Errorf("the configuration in %s has version %s", z, e.Version)
	}
	if before := c.proposed(); before != nil && before.Version.Counter() != 0 && before.Version < z {
		c.install(*before)
	}
	c.foresee(e)
	return nil
}

// foresee takes a proposed configuration in. It is durable before its record: whoever has the record after a crash knows of it.
func (c *Core) foresee(e kernel.Ensemble) {
	c.active = active{c.active[0], e}
	c.words.next, c.urgent = e.Text, true
	c.effects.Next = &c.active[1]
	if c.leads() {
		c.lead.handing = !c.stays(&e)
		for _, l := range c.lead.learners {
			c.promote(l)
		}
	}
	if c.role == kernel.Leading {
		c.track()
	}
}

// promote makes a voter of an observer of Zooid that is one in any of the configurations that count, though it may not know that yet: from now on it is sent what is not committed, and
// acknowledges. Servers of ZooKeeper's do not; they come back as followers when the configuration is in force.
func (c *Core) promote(l *learner) {
	if l.observer && l.zooid && l.state > greeting && c.active.isVoter(l.id) {
		l.observer = false
	}
}

// install puts a configuration in force.
func (c *Core) install(e kernel.Ensemble) {
	c.active = active{e}
	c.words.config, c.words.next = e.Text, ""
	c.effects.Config, c.effects.Next = &c.active[0], nil
	if c.role == kernel.Leading {
		c.lead.durable.configs, c.lead.answered.configs = c.active, c.active
	}
}

// forgetCut gives a proposed configuration up whose record is not in the history any more, which ends here now. That is durable before anything is appended behind the cut: what comes then may
// have higher zxids.
func (c *Core) forgetCut(end kernel.Zxid) {
	if next := c.proposed(); next != nil && next.Version.Counter() != 0 && next.Version > end {
		c.forget()
	}
}

// forget gives a proposed configuration up. A server whose history is gone does not need to know it: it cannot lead before it has another history, which brings what is proposed in it.
func (c *Core) forget() {
	if c.proposed() != nil {
		c.active = active{c.active[0]}
		c.words.next, c.urgent = "", true
		c.effects.Config, c.effects.Next = &c.active[0], nil
	}
}

// track counts acknowledgements and pings in other configurations than before. What a voter has reached it keeps; a server that becomes one has acknowledged proposals, too.
func (c *Core) track() {
	l := &c.lead
	durable, answered := newTracker(c.active), newTracker(c.active)
	for _, learner := range l.learners {
		if !learner.observer && learner.state >= accepted {
			durable.reach(learner.id, int64(learner.acked))
		}
	}
	durable.carry(l.durable)
	answered.carry(l.answered)
	l.durable, l.answered = durable, answered
}

// decideChange puts the proposed configuration in force once its transaction is committed.
func (c *Core) decideChange() {
	next := c.proposed()
	if next == nil || next.Version.Counter() == 0 || c.committed < next.Version {
		return
	}
	version := next.Version
	if c.role == kernel.Leading {
		designated := c.designate(next)
		c.lead.activated = append(c.lead.activated, activation{version, designated})
		c.lead.handing = designated != c.self
		if c.lead.handing {
			c.suggested, c.decided, c.lead.handBy = designated, true, c.halves+handHalves
		}
	}
	if c.relays() && c.learn.designated != 0 {
		c.lead.activated = append(c.lead.activated, activation{version, c.learn.designated})
	}
	c.install(*next)
}

// handHalves is how long a leader that is replaced waits for its followers to go, in half ticks.
const handHalves = 3

// stays tells whether this leader may lead under a configuration: it votes there, and its followers find it where it is (spec zab, 14.4).
func (c *Core) stays(e *kernel.Ensemble) bool {
	return e.Weight(c.self) > 0 && slices.Equal(quorumAddresses(e, c.self), quorumAddresses(&c.active[0], c.self))
}

func quorumAddresses(e *kernel.Ensemble, id kernel.ServerID) (list []string) {
	for _, m := range e.Members {
		if m.ID != id {
			continue
		}
		if parsed, err := config.ParseMember(int64(id), m.Text); err == nil {
			for _, a := range parsed.Addresses {
				list = append(list, fmt.Sprintf("%s:%d", a.Host, a.QuorumPort))
			}
		}
	}
	return list
}

// designate names who leads under a configuration: this server if it can, else the voter that has acknowledged most.
func (c *Core) designate(e *kernel.Ensemble) kernel.ServerID {
	if c.stays(e) {
		return c.self
	}
	var best *learner
	for _, l := range c.lead.learners {
		if l.state == serving && !l.observer && e.Weight(l.id) > 0 && (best == nil || l.acked > best.acked || l.acked == best.acked && l.id > best.id) {
			best = l
		}
	}
	if best == nil {
		return c.self
	}
	return best.id
}

var errHandedOver = errors.New("zab: another server is to lead under the new configuration")

// handOver ends a leadership that the configuration in force does not want. The followers go by themselves when they hear of it, and are waited for, but not long: who does not hear of it knows
// nothing of the new leader, and may miss the few votes that say who that is.
func (c *Core) handOver() {
	l := &c.lead
	if !l.handing || c.proposed() != nil {
		return
	}
	if c.suggested == 0 { // this server has completed the change of another
		designated := c.designate(&c.active[0])
		if designated == c.self {
			l.handing = !c.stays(&c.active[0]) // there may be nobody yet
			return
		}
		c.suggested, l.handBy = designated, c.halves+handHalves
	}
	if c.halves < l.handBy {
		for _, learner := range l.learners {
			if learner.state == serving && !learner.observer {
				return
			}
		}
	}
	c.lose(errHandedOver)
}

// leaving tells whether this leader only waits for its followers to go.
func (c *Core) leaving() bool { return c.lead.handing && c.suggested != 0 && c.proposed() == nil }

// activatedIn is the first change that a learner has to be told of within what it is told next.
func (c *Core) activatedIn(told, upTo kernel.Zxid) (activation, bool) {
	for _, a := range c.lead.activated {
		if a.zxid > told && a.zxid <= upTo {
			return a, true
		}
	}
	return activation{}, false
}

// obey does as a learner what a configuration that is in force wants of it: another leader, another role.
func (c *Core) obey() {
	l := &c.learn
	me := c.active[0].IsVoter(c.self)
	switch {
	case l.designated != 0 && l.designated != l.leader:
		c.suggested, c.decided = l.designated, true
		c.lose(fmt.Errorf("zab: server %d is to lead under the new configuration", l.designated))
	case c.role == kernel.Following && !c.active.isVoter(c.self) && c.active[0].IsMember(c.self):
		c.lose(errors.New("zab: this server is an observer under the new configuration"))
	case me && c.promoted():
		c.role = kernel.Following
		c.effects.Role = &kernel.RoleChange{Role: c.role, Leader: l.leader, Epoch: c.epoch, Established: true, Unconfirmed: !l.confirms, Through: l.master.Peer, Incarnation: c.incarnation}
	case c.role == kernel.Observing && me:
		c.lose(errors.New("zab: this server votes under the new configuration"))
	}
}

// promoted tells whether this observer's leader, one of Zooid, takes it for a voter.
func (c *Core) promoted() bool {
	return c.role == kernel.Observing && c.learn.cumulative && !c.learn.relayed() && c.active.isVoter(c.self)
}

// hearDesignated notes who is to lead once the change at z is in force.
func (c *Core) hearDesignated(leader kernel.ServerID) {
	if c.settings.ReconfigEnabled && c.learn.state == attached {
		c.learn.designated = leader
	}
}

// hearActivation is COMMITANDACTIVATE.
func (c *Core) hearActivation(m *kernel.Message) error {
	designated, _, err := peer.DecodeDesignated(m.Payload)
	if err != nil {
		return err
	}
	c.hearDesignated(designated)
	return c.hearCommit(m.Zxid)
}

// configIs takes a configuration that the election has learnt from somebody in whose ensemble it is in force (spec zab, 4.12).
func (c *Core) configIs(e kernel.Ensemble) {
	if !c.settings.ReconfigEnabled || c.role != kernel.Looking || e.Version <= c.active[0].Version {
		return
	}
	next := c.proposed()
	if next != nil && next.Version > e.Version {
		c.active = active{e, *next}
		c.words.config = e.Text
		return
	}
	c.active = active{e}
	c.words.config, c.words.next = e.Text, ""
}
