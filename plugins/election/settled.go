package election

import "github.com/zooid-project/zooid/kernel"

// hearSettled takes what a leader or a follower says (spec zab, 4.6). Those of this round are counted with the votes of the round; all are counted with each other, so that a late server
// finds the ensemble that exists.
func (c *Core) hearSettled(p *member, n heard) {
	p.mute, p.veteran, p.last = false, true, heard{}
	if !c.isVoter(n.leader) {
		return
	}
	if n.round == c.round {
		p.vote = n
		if c.isFollowed(c.followInRound(n)) && c.leads(n, func(p *member) heard { return p.vote }) {
			c.settle(n.vote, n.round)
			return
		}
	}
	p.out = n
	if c.isFollowed(c.follow(n)) && c.leads(n, func(p *member) heard { return p.out }) {
		c.settle(n.vote, n.round)
	}
}

// reconsider lets a settled server change its mind, as long as its leader's epoch is not established: with a quorum that follows another leader, its own will never be. It settles early if its links
// to others are down, and is alone with that when they are not down for everybody (spec zab, S-93 and S-96).
func (c *Core) reconsider(p *member, n heard) {
	p.out = n
	if n.leader != c.settled.leader {
		c.answer(p.link, n)
	}
	if c.ruled || n.leader == c.settled.leader || n.leader == c.self || !c.isVoter(n.leader) {
		return
	}
	if c.isFollowed(c.follow(n)) && c.leads(n, func(p *member) heard { return p.out }) {
		c.settle(n.vote, n.round)
	}
}

// disloyal hears that a server looks for a leader. If it is one of those that elected this server, whose broadcast has waited long enough for a quorum to come, the others may not be enough, and all of them wait
// for a leader that waits for them (spec zab, 9.4).
func (c *Core) disloyal(p *member) {
	if p != nil && p.elector && c.phase == settled && !c.ruled && c.settled.leader == c.self && c.maxEpochWait >= 0 && c.now-c.settledAt > c.maxEpochWait {
		c.effects.Elected = &kernel.Elected{Role: kernel.Looking}
	}
}

// followInRound counts voters of this round: a looking one must vote for exactly what is heard, a settled one must name the same leader.
func (c *Core) followInRound(n heard) func(kernel.ServerID) bool {
	voted := c.votesFor(n.vote)
	return func(id kernel.ServerID) bool {
		if p := c.member(id); p != nil && p.vote.known && p.vote.state != kernel.Looking {
			return p.vote.leader == n.leader
		}
		return voted(id)
	}
}

// follow counts settled voters of all rounds.
func (c *Core) follow(n heard) func(kernel.ServerID) bool {
	return func(id kernel.ServerID) bool {
		p := c.member(id)
		return p != nil && p.out.known && p.out.agrees(n)
	}
}

// leads is the leader check: nobody is followed who has not said itself that it leads (spec zab, S-91). If others name this server, it must be in their round, and must have a vote at all.
func (c *Core) leads(n heard, said func(*member) heard) bool {
	if n.leader == c.self {
		return n.round == c.round && c.voice == voting
	}
	p := c.member(n.leader)
	if p == nil {
		return false
	}
	h := said(p)
	return h.known && h.state == kernel.Leading && h.leader == n.leader
}
