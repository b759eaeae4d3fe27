package election

import (
	"slices"

	"github.com/zooid-project/zooid/kernel"
)

// count gives a vote to a server that has never had a history, once every other voter has said that it has none either: the ensemble is a new one. As long as one has not been heard, this
// server may be one of a quorum that has committed something, and has lost it (spec zab, S-82).
//
// What a voter said counts in whatever round it was: it was said since this server began to look, so it is not older than the loss.
func (c *Core) count() {
	if c.voice != mute || !c.look.Empty || c.look.NoVote || c.veteran() {
		return
	}
	for _, p := range c.members {
		if c.isVoter(p.id) && (!p.last.known || p.veteran) {
			return
		}
	}
	c.voice = voting
	c.initial.zxid, c.initial.epoch = 0, 0
	c.proposal = c.initial
	c.sendToVoters()
	for _, p := range c.members {
		if n := p.last; c.isVoter(p.id) && !p.mute && c.isVoter(n.leader) {
			c.hearVote(p, p.link, n)
		}
	}
}

// veteran tells whether this server has, or had, a history.
func (c *Core) veteran() bool { return c.look.NoVote || c.look.Zxid > 0 || c.look.Epoch > 0 }

// despair tells the operator when so many voters have lost their history that the others are no quorum: nobody can be elected, and waiting does not help unless one comes back that has not been heard.
func (c *Core) despair() {
	if c.despaired || c.phase != looking {
		return
	}
	var lost []kernel.ServerID
	history := c.veteran() // in a new ensemble there is nothing to lose
	if c.voice == mute {
		lost = append(lost, c.self)
	}
	for _, p := range c.members {
		history = history || p.veteran
		if c.isVoter(p.id) && p.mute {
			lost = append(lost, p.id)
		}
	}
	if !history || len(lost) == 0 || c.isQuorum(func(id kernel.ServerID) bool { return !slices.Contains(lost, id) }) {
		return
	}
	c.despaired = true
	slices.Sort(lost)
	c.effects.Reports = append(c.effects.Reports, &kernel.LostError{Servers: lost})
}
