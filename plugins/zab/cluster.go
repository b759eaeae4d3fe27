package zab

import (
	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// An ensemble has one id, and whoever knows another one is refused. Nobody hands ids out, so an ensemble that has none finds one as it finds its history: a leader names it when a quorum has
// promised its epoch, voters take it up with NEWLEADER, durably before they acknowledge, and from the establishment of the epoch on it is agreed on and never changes. Until then it gives way.
//
// Two ids can never both be agreed on. Let a leader establish epoch e with an id. Any leader of a later epoch is promised that by a quorum, and of those at least one took the id up in e; it did so
// before it promised, and says so, in the packet in which it introduces itself. What somebody may have taken up in an epoch that was never established either is older, and the newest counts, or
// came from a leader that was promised its epoch after e by such a quorum, and is the same. Servers of ZooKeeper's remember no id: while one of them is in the quorum that promises, none is drawn.

// announced is what this server says of itself to others of Zooid.
func (c *Core) announced() peer.Capabilities {
	caps := c.caps
	if caps.Announced() {
		caps.Cluster = c.words.cluster
	}
	return caps
}

// agreedCluster is the id that is never changed again, zero if there is none.
func (c *Core) agreedCluster() kernel.ClusterID {
	if c.words.cluster.Agreed {
		return c.words.cluster.ID
	}
	return kernel.ClusterID{}
}

func (c *Core) foreign(other kernel.ServerID, cluster peer.Cluster) error {
	return &kernel.ForeignError{Peer: other, Theirs: cluster.ID, Ours: c.words.cluster.ID}
}

// hearCluster notes what a voter that has promised the epoch knows.
func (c *Core) hearCluster(l *learner) {
	c.lead.mixed = c.lead.mixed || !l.caps.Announced()
	if newer(l.cluster, c.lead.cluster) {
		c.lead.cluster = l.cluster
	}
}

// newer tells whether an id is to be preferred: one that was agreed on, else the one that was taken up last.
func newer(a, b peer.Cluster) bool {
	if a.Agreed != b.Agreed {
		return a.Agreed
	}
	return a.ID != (kernel.ClusterID{}) && (b.ID == (kernel.ClusterID{}) || a.Epoch > b.Epoch)
}

// nameCluster gives the ensemble its id: a quorum has promised the epoch.
func (c *Core) nameCluster() {
	if !c.caps.Announced() || c.words.cluster.Agreed {
		return
	}
	named := c.words.cluster
	if newer(c.lead.cluster, named) {
		named = c.lead.cluster
	}
	if named.ID == (kernel.ClusterID{}) && !c.lead.mixed {
		named.ID = c.draw
	}
	c.takeUpCluster(named)
}

// takeUpCluster takes the id of the epoch's leader, zero if it has none.
func (c *Core) takeUpCluster(named peer.Cluster) {
	if named.ID != (kernel.ClusterID{}) && !c.words.cluster.Agreed {
		c.words.cluster = peer.Cluster{ID: named.ID, Epoch: c.epoch, Agreed: named.Agreed}
	}
}
