package election

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// kind is whose program a peer runs.
type kind uint8

const (
	unknown kind = iota
	apache
	zooid
)

// member is another member: its link, and what it said.
type member struct {
	id   kernel.ServerID
	kind kind
	link kernel.LinkID // the newest
	up   bool
	// On this link it has said that it belongs to another cluster.
	foreign bool
	down    bool // since the Look: the link was lost, or could not be had
	dialed  bool
	dialAt  time.Duration // the last, if dialed

	// Its last word on this link, before the Look too.
	spoken  bool
	looking bool
	leader  kernel.ServerID // if it is not looking, whom it follows

	// What it said on this link since the Look.
	vote    heard // in this round
	out     heard // as a leader or follower, in any round ("out of election", spec zab, 4.6)
	last    heard // as a looking server, in any round
	mute    bool  // it is looking, and has no vote
	veteran bool  // it has, or had, a history. This outlives the link
	elector bool  // its vote elected the leader that this server settled for
}

// forget prepares for a Look. A peer is not taken for down because of what was before.
func (p *member) forget() {
	p.down = false
	p.vote, p.out, p.last = heard{}, heard{}, heard{}
	p.mute, p.veteran = false, false
}

// lose is the end of the link: what was said on it may have been taken back since. down: and the peer is not there, as far as anybody can tell.
func (p *member) lose(down bool) {
	p.up, p.down, p.spoken, p.mute = false, down, false, false
	p.vote, p.out, p.last = heard{}, heard{}, heard{}
}

// configure takes the configurations that count from now on. Peers that stay keep their links.
func (c *Core) configure(config kernel.Ensemble, next *kernel.Ensemble) {
	c.config, c.next = config, next
	if next != nil && next.Version <= config.Version {
		c.next = nil
	}
	var ids []kernel.ServerID
	add := func(e *kernel.Ensemble) { ids = append(append(ids, e.Voters...), e.Others...) }
	add(&c.config)
	if c.next != nil {
		add(c.next)
	}
	slices.Sort(ids)
	var members []*member
	for _, id := range slices.Compact(ids) {
		if id == c.self {
			continue
		}
		p := c.member(id)
		if p == nil {
			p = &member{id: id}
		}
		members = append(members, p)
	}
	c.members = members
}

// member returns a member, nil for strangers and this server.
func (c *Core) member(id kernel.ServerID) *member {
	i, ok := slices.BinarySearchFunc(c.members, id, func(p *member, id kernel.ServerID) int { return cmp.Compare(p.id, id) })
	if !ok {
		return nil
	}
	return c.members[i]
}

// dialVoters asks for the links to voters that are missing. Others come by themselves.
func (c *Core) dialVoters() {
	for _, p := range c.members {
		if !p.up && c.isVoter(p.id) {
			c.dial(p)
		}
	}
}

func (c *Core) dial(p *member) {
	p.dialed, p.dialAt = true, c.now
	c.effects.Dial = append(c.effects.Dial, kernel.DialPeer{Peer: p.id, Purpose: kernel.ForElection})
}

func (c *Core) linkUp(link kernel.LinkID) {
	p := c.member(link.Peer)
	if link.Purpose != kernel.ForElection || p == nil {
		return
	}
	p.link, p.up, p.down, p.spoken, p.foreign = link, true, false, false, false
	if c.isVoter(p.id) && (c.phase == looking || c.phase == settled && !c.ruled) {
		c.send(link)
	}
}

func (c *Core) linkDown(link kernel.LinkID, err error) {
	p := c.member(link.Peer)
	if link.Purpose != kernel.ForElection || p == nil || p.up && link != p.link {
		return // an older link, or a dial beside a link that came in
	}
	lost := p.up
	if errors.Is(err, kernel.ErrOtherLink) {
		p.lose(false)
		return
	}
	p.lose(true)
	if c.phase != looking || !c.isVoter(p.id) {
		return
	}
	if lost && (!p.dialed || c.now-p.dialAt >= c.minWait) {
		c.dial(p)
	}
	if p.id == c.look.Suggested && c.yielding {
		c.stopYielding()
	}
	if lost && p.kind == zooid && c.voice == voting && c.proposal.leader == p.id {
		// The candidate is gone. Whoever is left would elect it in this round; in the next one it is not there (spec zab, S-91).
		if c.initial.leader == p.id {
			c.initial.leader = c.self // it was there by a suggestion, with the same history
		}
		c.nextRound(c.round+1, c.initial)
	}
}

// sendToVoters tells every voter what this server proposes.
func (c *Core) sendToVoters() {
	for _, p := range c.members {
		if p.up && c.isVoter(p.id) {
			c.send(p.link)
		}
	}
}

// tellOthers tells every member that is known to look, or to follow somebody else, who leads.
func (c *Core) tellOthers() {
	for _, p := range c.members {
		if p.up && p.spoken && (p.looking || p.leader != c.settled.leader) {
			c.send(p.link)
		}
	}
}

// hangup ends a link that carried what cannot be read. It costs nothing but that link (spec zab, G14).
func (c *Core) hangup(link kernel.LinkID) {
	if p := c.member(link.Peer); p != nil && p.up && p.link == link {
		p.lose(true)
	}
	c.effects.Hangup = append(c.effects.Hangup, link)
}
