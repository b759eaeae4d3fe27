package election

import (
	"github.com/zooid-project/zooid/kernel"
)

// hearLooking takes the vote of a voter that is looking (spec zab, 4.4).
func (c *Core) hearLooking(p *member, link kernel.LinkID, n heard) {
	p.out = heard{} // it follows nobody any more
	p.last = n
	p.mute = n.zxid == noZxid && n.leader != nobody // else it holds its vote back
	p.veteran = n.zxid > 0 || n.epoch > 0
	switch {
	case n.zxid == noZxid:
		p.vote = heard{}
		c.answer(link, n)
	case n.leader == nobody && n.round > c.round && c.voice != mute: // a witness: its vote will count, in its round
		c.nextRound(n.round, c.initial)
	case !c.isVoter(n.leader): // of nobody yet, or of a configuration that this server does not know
		c.answer(link, n)
	case c.voice == mute:
	default:
		c.hearVote(p, link, n)
	}
}

// hearVote counts a vote and turns to it if it is better.
func (c *Core) hearVote(p *member, link kernel.LinkID, n heard) {
	held := c.yielding
	if held {
		c.takeHint(n.vote)
	}
	switch {
	case n.round > c.round:
		v := c.initial
		if c.better(n.vote, v) {
			v = n.vote
		}
		c.nextRound(n.round, v)
	case n.round == c.round && c.better(n.vote, c.proposal):
		c.propose(n.vote)
	case c.yielding: // it has said so, and says no more before it knows
	case held:
		c.sendToVoters()
	case n.round < c.round, n.vote != c.proposal, n == p.vote:
		// It has not heard this server's vote, or says its own again because it has waited in vain.
		c.answer(link, n)
	}
	if n.round == c.round {
		p.vote = n
	}
}
