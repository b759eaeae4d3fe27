package election

import "github.com/zooid-project/zooid/kernel"

// nextRound moves to a round and starts it with a vote: what was heard in the last one is forgotten (spec zab, 4.2 and 4.4).
func (c *Core) nextRound(round int64, v vote) {
	c.round = round
	for _, p := range c.members {
		p.vote = heard{}
	}
	c.propose(v)
}

// propose turns to a vote and tells all voters.
func (c *Core) propose(v vote) {
	c.proposal = v
	c.finalizeAt = 0
	c.sendToVoters()
}

// stand works out what this server stands for at the start of a round (spec zab, 4.1). Epoch and zxid are those of stable storage (I16): Look brings no others.
func (c *Core) stand() {
	own := vote{leader: c.self, zxid: c.look.Zxid, epoch: int64(c.look.Epoch)}
	c.yielding = false
	switch {
	case !c.isVoter(c.self):
		c.voice, c.initial = listening, vote{leader: nobody, zxid: nobody, epoch: nobody}
	case c.look.Witness: // its history is gone, and it knows what it was: it votes, for others who have as much
		c.voice, c.initial = voting, own
		c.initial.leader = nobody
	case c.look.NoVote || c.look.Empty:
		c.voice, c.initial = mute, own
	default:
		c.voice, c.initial = voting, own
		if !c.config.IsVoter(c.self) && !c.electable(c.self) {
			c.initial.leader = nobody // it weighs nothing in the next configuration
		}
		c.hint()
	}
}

// hint lets a suggested server win among equals. The order of votes is the same on all servers, or an election might never end; so the suggestion is not in the order: a server that knows of
// one keeps its own vote back until it has heard a vote for another with the same history, which it starts out with.
func (c *Core) hint() {
	s := c.look.Suggested
	if p := c.member(s); p == nil || !c.electable(s) || c.initial.leader != c.self {
		return
	}
	c.yielding = true
	c.yieldUntil = c.now + finalizeWait
}

// takeHint hears a vote while this server yields. One for a server with the same history is taken over, whoever that is: only the suggesting server knows whom it means, the others go by their order,
// and any of them will do. One with less says nothing, unless it is for the suggested server: who has as much may be heard yet.
func (c *Core) takeHint(v vote) {
	switch h := v.history(c.initial); {
	case h > 0, h < 0 && v.leader == c.look.Suggested:
		c.yielding = false
	case h == 0 && v.leader != c.self && v.leader != nobody && c.electable(v.leader):
		c.yielding = false
		c.initial, c.proposal = v, v
	}
}

func (c *Core) stopYielding() {
	c.yielding = false
	c.sendToVoters()
}

// votesFor tells whether a server's vote in this round is the proposal.
func (c *Core) votesFor(v vote) func(kernel.ServerID) bool {
	return func(id kernel.ServerID) bool {
		if id == c.self {
			return c.voice == voting && !c.yielding && c.proposal == v
		}
		p := c.member(id)
		return p != nil && p.vote.known && p.vote.vote == v
	}
}

// decide ends the election when a quorum votes for the proposal, and nothing better can be expected (spec zab, 4.8).
func (c *Core) decide() {
	v := c.proposal
	if c.voice == mute || !c.electable(v.leader) || !c.isQuorum(c.votesFor(v)) {
		c.finalizeAt = 0
		return
	}
	if c.finalizeAt == 0 {
		c.finalizeAt = c.now + finalizeWait
	}
	if c.everyVoterCounted() || c.now >= c.finalizeAt {
		c.settle(v, c.round)
	}
}

// everyVoterCounted tells whether nothing is left to wait for: the candidate is there, and each voter has been heard in this round, has no vote, or is down. One of ZooKeeper is not taken for down: it drops and renews
// its connections as it likes.
func (c *Core) everyVoterCounted() bool {
	if p := c.member(c.proposal.leader); p != nil && !p.vote.known {
		return false
	}
	for _, p := range c.members {
		if !c.counts(p.id) || p.vote.known {
			continue
		}
		if p.mute && (p.veteran || c.proposal.zxid > 0 || c.proposal.epoch > 0) {
			continue
		}
		if !p.down || p.kind == apache {
			return false
		}
	}
	return true
}

// counts tells whether a server's vote weighs anything.
func (c *Core) counts(id kernel.ServerID) bool {
	return c.config.Weight(id) > 0 || c.next != nil && c.next.Weight(id) > 0
}

// settle ends the election.
func (c *Core) settle(v vote, round int64) {
	role := kernel.Following // also of a server outside the configuration: it follows, and does not vote (spec server-surface, 1.7)
	switch {
	case v.leader == c.self:
		role = kernel.Leading
	case !c.isVoter(c.self) && c.isMember(c.self):
		role = kernel.Observing
	}
	c.phase, c.ruled = settled, false
	if round != noRound {
		c.round = round
	}
	c.settledAt = c.now
	for _, p := range c.members {
		p.elector = p.vote.known && p.vote.leader == v.leader
	}
	c.settled = heard{known: true, vote: v, round: c.round, state: role}
	c.effects.Elected = &kernel.Elected{Leader: v.leader, Role: role, Round: uint64(c.round)}
	c.tellOthers()
}
