package zab

import (
	"fmt"
	"slices"

	"github.com/zooid-project/zooid/kernel"
)

// A follower may have observers of its own (spec zab, 15). It announces the epoch that it follows in, brings them up from its own history and informs them of what is committed, by the rules of
// a leader's learners: Core.lead holds them, of which only the learners and what serves them mean anything here. What they ask for goes on to the leader: requests and barriers, questions about
// sessions, signs of life. With the role the observers go: they look for another master.

// masterRounds is how often an observer tries every master before it goes to the leader.
const masterRounds = 5

// passingOn is a barrier at the leader. from is the observer whose client asked, nil: a client of this server.
type passingOn struct {
	id   uint64
	from *learner
}

// relays tells whether this server may have observers without being the leader.
func (c *Core) relays() bool { return c.role == kernel.Following && c.phase == Broadcasting }

// meetObservers begins to serve observers.
func (c *Core) meetObservers() {
	c.lead = leading{summaryEpoch: c.epoch, history: c.last, byLink: map[kernel.LinkID]*learner{}, announced: true}
	c.meetParked()
}

// serveAll does what has become possible for every learner.
func (c *Core) serveAll() {
	l := &c.lead
	for i := 0; i < len(l.learners); {
		learner := l.learners[i]
		c.serve(learner)
		if i < len(l.learners) && l.learners[i] == learner { // it is still there
			i++
		}
	}
	clear(l.encoded)
	l.encoded = l.encoded[:0]
}

// chooseMaster says where a learner gets its history: a voter from the leader, an observer from another voter if the configuration says so, each in its turn, and from the leader when none of
// them has brought it up in so many rounds: after a start they may need a moment. Observers begin with different ones, so that the load is shared.
func (c *Core) chooseMaster() kernel.DialPeer {
	leader := kernel.DialPeer{Peer: c.learn.leader, Purpose: kernel.ForBroadcast}
	if c.role != kernel.Observing || !c.settings.ObserverMasters {
		return leader
	}
	masters := slices.DeleteFunc(slices.Clone(c.active[0].Voters), func(id kernel.ServerID) bool { return id == c.self || id == leader.Peer })
	if c.missed %= masterRounds*len(masters) + 1; c.missed < masterRounds*len(masters) {
		first := c.turn + int(c.self%kernel.ServerID(len(masters)))
		return kernel.DialPeer{Peer: masters[(first+c.missed)%len(masters)], Purpose: kernel.ForObservers}
	}
	return leader
}

// leaveMaster makes the next role begin with the same master, where clients can go on as they are, or with another if that has not brought this observer up.
func (c *Core) leaveMaster() {
	switch {
	case c.role != kernel.Observing:
	case c.learn.state == attached:
		c.turn, c.missed = c.turn+c.missed, 0
	default:
		c.missed++
	}
}

// relayed tells whether this observer hears of the leader from another server.
func (l *learning) relayed() bool { return l.master.Purpose == kernel.ForObservers }

// name is whom this learner hears, for the operator.
func (l *learning) name() string {
	if l.relayed() {
		return fmt.Sprintf("observer master %d", l.master.Peer)
	}
	return fmt.Sprintf("leader %d", l.leader)
}
