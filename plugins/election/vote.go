package election

import (
	"cmp"
	"math"

	"github.com/zooid-project/zooid/kernel"
)

// nobody stands in a vote for a candidate, an epoch and a zxid that a server which does not vote has not (spec zab, 4.1).
const nobody = math.MinInt64

// noZxid is the zxid of a vote that must not be counted: its sender has lost its history, or never had one.
const noZxid kernel.Zxid = -1

// vote is for a candidate, with the end of the history that the candidate said it has.
type vote struct {
	leader kernel.ServerID
	zxid   kernel.Zxid
	epoch  int64 // the candidate's current epoch
}

// history orders what the candidates of two votes have: the epoch first. A longer log of an older epoch loses (spec zab, 4.14).
func (v vote) history(w vote) int {
	return cmp.Or(cmp.Compare(v.epoch, w.epoch), cmp.Compare(v.zxid, w.zxid))
}

// better tells whether a vote beats another. Candidates that cannot be elected are beaten by all that can, whatever their history. A vote for nobody is not beaten by a shorter history: who
// gives it counts in a quorum, and has to have less than whom it votes for. Of equals those win that vote in the configuration in force: everybody accepts them.
func (c *Core) better(v, than vote) bool {
	a, b := v.leader == nobody || c.electable(v.leader), than.leader == nobody || c.electable(than.leader)
	if a != b {
		return a
	}
	if h := v.history(than); h != 0 {
		return h > 0
	}
	if a, b = c.config.Weight(v.leader) > 0, c.config.Weight(than.leader) > 0; a != b {
		return a
	}
	return v.leader > than.leader
}

// electable tells whether a server can be a candidate: a voter whose vote weighs something in the configuration in force or in the next. Those who do not know of the next one accept nobody who
// votes in it alone; but were he no candidate, those who know of both could find nobody when the voters of the next one have more than the others.
func (c *Core) electable(id kernel.ServerID) bool {
	return c.config.Weight(id) > 0 || c.next != nil && c.next.Weight(id) > 0
}

// isVoter tells whether a server's votes are looked at: it votes in either configuration (spec zab, 4.3).
func (c *Core) isVoter(id kernel.ServerID) bool {
	return c.config.IsVoter(id) || c.next != nil && c.next.IsVoter(id)
}

// isMember is isVoter for observers too.
func (c *Core) isMember(id kernel.ServerID) bool {
	return c.config.IsMember(id) || c.next != nil && c.next.IsMember(id)
}

// isFollowed tells whether those who follow a leader are a quorum of the configuration in force. More is not needed to join an ensemble that is there: what decides is the leader's, when it
// establishes its epoch, and a configuration that was proposed and lost must not keep a server out.
func (c *Core) isFollowed(has func(kernel.ServerID) bool) bool { return c.config.IsQuorum(has) }

// isQuorum tells whether the servers for which has says yes are a quorum in every configuration that counts (spec zab, 13).
func (c *Core) isQuorum(has func(kernel.ServerID) bool) bool {
	return c.config.IsQuorum(has) && (c.next == nil || c.next.IsQuorum(has))
}

// heard is what a server said last in one of the sets in which votes are counted.
type heard struct {
	vote
	known   bool
	round   int64
	state   kernel.Role
	version int32 // of the message format
}

// agrees tells whether two settled servers follow the same leader. Members of one ensemble have joined it in different rounds and at different zxids; only the epoch is brought up to date
// by all. Messages of the oldest format have none that can be trusted (spec zab, 4.6).
func (h heard) agrees(with heard) bool {
	if h.leader != with.leader {
		return false
	}
	return h.epoch == with.epoch || (h.version == 0) != (with.version == 0)
}
