package election

import (
	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// received reads a notification, and gives it to what looks at its kind.
func (c *Core) received(link kernel.LinkID, m kernel.Message) {
	if link.Purpose != kernel.ForElection {
		return
	}
	n, err := peer.DecodeNotification(m.Payload)
	least := int64(0)
	if n.State != kernel.Looking {
		least = noRound
	}
	if err != nil || link.Peer == c.self || n.Round < least || n.Round > maxRound {
		c.hangup(link)
		return
	}
	if p := c.member(link.Peer); p != nil && !c.current(p, link) {
		return
	}
	if c.belongs().Foreign(n.Capabilities.Cluster) {
		c.hearForeign(link, n)
		return
	}
	if n.Version >= peer.NotificationVersion && !c.learn(link.Peer, n.Config) {
		c.hangup(link)
		return
	}
	h := heard{known: true, vote: vote{leader: n.Leader, zxid: n.Zxid, epoch: n.PeerEpoch}, round: n.Round, state: n.State, version: n.Version}
	p := c.member(link.Peer)
	if p != nil && c.current(p, link) {
		p.spoken, p.looking, p.leader = true, h.state == kernel.Looking, h.leader
		if p.kind = apache; n.Capabilities.Announced() {
			p.kind = zooid
		}
	}
	switch voter := c.isVoter(link.Peer); {
	case h.state == kernel.Looking && c.phase == looking && voter:
		c.hearLooking(p, link, h)
	case h.state == kernel.Looking:
		if voter {
			p.out = heard{}
		}
		c.answer(link, h)
		c.disloyal(p)
	case h.state == kernel.Observing || !voter:
	case c.phase == looking:
		c.hearSettled(p, h)
	case c.phase == settled:
		c.reconsider(p, h)
	}
}

// current tells whether a link is the newest of its peer. One that has become a member only now may have had its link before.
func (c *Core) current(p *member, link kernel.LinkID) bool {
	if p.link == (kernel.LinkID{}) {
		p.link, p.up, p.down = link, true, false
	}
	return p.up && p.link == link
}

// belongs is the cluster that this server says it belongs to.
func (c *Core) belongs() peer.Cluster {
	return peer.Cluster{ID: c.cluster, Agreed: c.cluster != kernel.ClusterID{}}
}

// hearForeign hears a server of another cluster. It counts for one that is not there. It is told where it has come to, so that its operator hears of it as well; hanging up could take that word back.
func (c *Core) hearForeign(link kernel.LinkID, n peer.Notification) {
	c.effects.Reports = append(c.effects.Reports, &kernel.ForeignError{Peer: link.Peer, Theirs: n.Capabilities.Cluster.ID, Ours: c.cluster})
	p := c.member(link.Peer)
	if p == nil { // a member of its own configuration only
		c.answer(link, heard{known: true, vote: vote{leader: n.Leader, zxid: n.Zxid, epoch: n.PeerEpoch}, round: n.Round, state: n.State})
		return
	}
	told := p.foreign
	p.lose(true)
	if p.up, p.foreign = true, true; !told {
		c.send(link)
	}
}

// says is what this server tells others.
func (c *Core) says() heard {
	if c.phase == settled {
		return c.settled
	}
	h := heard{known: true, vote: c.proposal, round: c.round, state: kernel.Looking}
	if c.voice == mute || c.yielding {
		// ZooKeeper's servers count no vote with this zxid. The epoch tells those who have never had a history whether this server has, the leader whether there will be a vote.
		h.zxid = noZxid
		if h.epoch = 0; c.yielding || c.veteran() {
			h.epoch = max(1, int64(c.look.Epoch))
		}
		if c.yielding {
			h.leader = nobody
		}
	}
	return h
}

// send tells what this server has to say on a link. Each message has bytes of its own: they are the transport's.
func (c *Core) send(link kernel.LinkID) {
	says := c.says()
	n := peer.Notification{State: says.state, Leader: says.leader, Zxid: says.zxid, Round: says.round, PeerEpoch: says.epoch,
		Version: peer.NotificationVersion, Config: c.config.Text, Capabilities: peer.Capabilities{Version: 1, Cluster: c.belongs()}}
	c.effects.Send = append(c.effects.Send, kernel.Envelope{Link: link, Message: kernel.Message{Payload: n.AppendTo(nil)}})
}
