package zab

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/sdk/peer"
)

// leading is a leadership, from the election on.
type leading struct {
	// What this server stood for when it was elected. Whoever promises the epoch must not be ahead of it (spec zab, 5.6).
	summaryEpoch kernel.Epoch
	history      kernel.Zxid // end of the initial history

	learners []*learner // by arrival
	byLink   map[kernel.LinkID]*learner

	// Discovery.
	heard     servers      // voters that have told their accepted epoch
	highest   kernel.Epoch // of what members have accepted
	proposed  bool         // the epoch is chosen
	announced bool         // it is durable here: LEADERINFO may leave (R1)
	promised  servers      // voters that have promised it and are not ahead of this server
	deadline  uint64       // of the phase, in half ticks

	cluster peer.Cluster // the best that those who promised know of
	mixed   bool         // a server of ZooKeeper's is among them

	acked servers // voters that have accepted the history: NEWLEADER's acks

	durable     *tracker // up to where each voter's log is durable
	answered    *tracker // which round of pings each voter has answered
	comparisons uint64   // of states
	round       uint64   // of pings
	another     bool     // a barrier waits for a round that has not begun

	snapshots int         // under way to observers
	diffs     int         // the same of transactions that they lack
	stalled   uint64      // half ticks in which this server's disk took nothing while the others went on
	stuck     kernel.Zxid // how far it was durable all that time
	outrun    bool        // a member has promised a higher epoch to somebody who did not come to lead: it can never follow this one
	retiring  bool
	activated []activation // changes of the configuration in this leadership
	handing   bool         // the configuration in force, or the proposed one, wants another leader: no proposals any more
	handBy    uint64
	retireBy  uint64
	encoded   []encoded // payloads of this Step
}

// beginLeading starts discovery (spec zab, 5).
func (c *Core) beginLeading() {
	c.role = kernel.Leading
	c.incarnation++
	c.lead = leading{summaryEpoch: c.words.current, history: c.last, byLink: map[kernel.LinkID]*learner{}}
	c.discover()
	if !c.alone() {
		c.effects.Role = &kernel.RoleChange{Role: kernel.Leading, Leader: c.self, Incarnation: c.incarnation}
	}
	c.meetParked()
}

// alone tells whether this server is a quorum by itself.
func (c *Core) alone() bool {
	return c.active.quorum(func(id kernel.ServerID) bool { return id == c.self })
}

// discover begins an epoch. A leader alone whose counter runs out comes here too and stays the leader: only its zxids go on in the next epoch.
func (c *Core) discover() {
	c.phase = Discovery
	l := &c.lead
	l.heard, l.promised, l.acked = nil, nil, nil
	l.cluster, l.mixed = peer.Cluster{}, false
	l.highest, l.proposed, l.announced, l.outrun = max(c.words.accepted, c.heardOf), false, false, false
	l.deadline = c.halves + c.initHalves()
	l.history = c.last
	l.durable, l.answered = newTracker(c.active), newTracker(c.active)
}

// dismiss closes the links of all learners: that tells them that this server cannot serve them any more.
func (c *Core) dismiss() {
	for _, l := range c.lead.learners {
		c.hangup(l.link)
		c.release(l)
	}
	c.lead = leading{}
}

func (c *Core) quorumWithSelf(others servers) bool {
	return c.active.quorum(func(id kernel.ServerID) bool { return id == c.self || others.has(id) })
}

// leadOn does what the Step's inputs have made possible.
func (c *Core) leadOn() {
	l := &c.lead
	if c.phase == Broadcasting {
		c.countAcks()
		if (c.full() || l.outrun) && c.committed == c.last && !c.rollOver() {
			return
		}
	}
	if c.phase == Discovery && !l.proposed && c.quorumWithSelf(l.heard) {
		if !c.choose() {
			return
		}
	}
	if c.phase == Discovery && l.proposed && !l.announced && c.stable.accepted == c.epoch {
		l.announced = true
		l.deadline = c.halves + c.initHalves()
	}
	if c.phase == Discovery && l.announced && c.quorumWithSelf(l.promised) {
		c.synchronize()
	}
	if c.phase == Synchronization && c.stable.current == c.epoch && c.quorumWithSelf(l.acked) {
		c.establish()
	}
	if c.phase == Broadcasting {
		c.pass()
	}
	c.serveAll()
	if l.retiring {
		c.tryToRetire()
	} else {
		c.handOver()
	}
}

// rollOver begins the next epoch at a quiet moment, in which nothing outstanding is lost (spec zab, 2). It needs promises, and so an election, unless this server is a quorum by itself.
func (c *Core) rollOver() bool {
	if !c.alone() {
		if c.lead.outrun {
			c.lose(fmt.Errorf("zab: a member has promised epoch %d and cannot follow a leader of epoch %d: the next epoch needs an election", c.heardOf, c.epoch))
		} else {
			c.lose(fmt.Errorf("zab: the counter of epoch %d runs out: the next epoch needs an election", c.epoch))
		}
		return false
	}
	for _, l := range c.lead.learners { // observers: they come back with what they have
		c.hangup(l.link)
		c.release(l)
	}
	c.lead.learners, c.lead.byLink = nil, map[kernel.LinkID]*learner{}
	c.discover()
	return true
}

// choose takes the epoch above everything that members have accepted, and promises it itself (spec zab, 5.3 and 5.4).
func (c *Core) choose() bool {
	l := &c.lead
	if l.highest >= maxEpoch {
		c.broken = fmt.Errorf("zab: there is no epoch above %d: the ensemble's data has to be moved to a new one", l.highest)
		c.effects.Fatal = c.broken
		return false
	}
	l.proposed = true
	c.epoch = l.highest + 1
	c.words.accepted = c.epoch
	return true
}

// synchronize: a quorum has promised the epoch and is not ahead. This server's history is the initial one (spec zab, 6.7), durable since the log was opened (R7).
func (c *Core) synchronize() {
	c.phase = Synchronization
	c.words.current = c.epoch
	c.words.settle()
	c.nameCluster()
	c.empty = false
	c.lead.deadline = c.halves + c.initHalves()
	if first := &c.active[0]; c.settings.ReconfigEnabled && first.Version == 0 && len(c.active) == 1 && first.Text != "" {
		// A configuration gets its version when an ensemble is first established under it (spec zab, 5.5).
		text := withVersion(first.Text, kernel.MakeZxid(c.epoch, 0))
		if next, err := config.ParseEnsemble(text); err == nil {
			c.foresee(next)
		}
	}
}

// establish: a quorum has accepted the history. Everything in it is committed now (spec zab, 6.7 and 7.3).
func (c *Core) establish() {
	l := &c.lead
	c.phase = Broadcasting
	c.next = kernel.MakeZxid(c.epoch, 1)
	c.committed = c.last
	if next := c.proposed(); next != nil { // it is in force with the history that it stands in
		l.handing = !c.stays(next)
		c.install(*next)
	}
	c.words.cluster.Agreed = c.words.cluster.ID != (kernel.ClusterID{})
	l.durable.reach(c.self, int64(c.durable))
	for _, other := range l.learners {
		other.deadline = c.halves + c.initHalves() + c.syncHalves()
	}
	if c.last != 0 {
		c.applied = c.last
		c.effects.Commit = c.last
	}
	c.effects.Role = &kernel.RoleChange{Role: kernel.Leading, Leader: c.self, Epoch: c.epoch, Established: true, Incarnation: c.incarnation}
}

// withoutPromise is the epoch that ZooKeeper's servers name when they are empty and are not to vote (db.autocreate=false). They say so again in ACKEPOCH, which then counts for nothing.
const withoutPromise = kernel.Zxid(-1 << 32)

// introduced hears a learner's first packet. Its epoch raises the new one if it is a member, and if it can be believed (spec zab, S-35 and S-39); what a follower hears of its observers raises
// nothing.
func (c *Core) introduced(l *learner, m *kernel.Message) error {
	if m.Type != peer.ObserverInfo && (m.Type != peer.FollowerInfo || l.link.Purpose == kernel.ForObservers) {
		return fmt.Errorf("began with %s", peer.TypeName(m.Type))
	}
	info, err := peer.DecodeLearnerInfo(m.Payload)
	if err != nil {
		return err
	}
	accepted := m.Zxid.Epoch()
	if m.Zxid == withoutPromise {
		accepted = 0
	}
	last := c.active[len(c.active)-1]
	switch {
	case info.Server != l.link.Peer:
		return fmt.Errorf("says that it is server %d", info.Server)
	case info.Version < peer.ProtocolVersion:
		return fmt.Errorf("speaks the protocol of ZooKeeper before 3.4 (%#x)", info.Version)
	case c.words.cluster.Foreign(info.Capabilities.Cluster):
		return c.foreign(info.Server, info.Capabilities.Cluster)
	case info.ConfigVersion > last.Version:
		return fmt.Errorf("has a configuration of version %s, newer than this server's %s", info.ConfigVersion, last.Version)
	case accepted < 0 || int64(accepted) > int64(c.words.accepted)+maxEpochStep:
		return fmt.Errorf("claims to have promised epoch %d, and this server %d: that cannot be believed, look for a damaged data directory or a stranger on the quorum port", accepted, c.words.accepted)
	}
	for _, other := range c.lead.learners { // the newest link of a peer is the one that counts
		if other != l && other.state > greeting && other.id == info.Server {
			c.drop(other)
			break
		}
	}
	l.id, l.observer = info.Server, m.Type == peer.ObserverInfo
	l.caps, l.cluster = info.Capabilities.Shared(c.caps), info.Capabilities.Cluster
	l.zooid, l.chunked = l.caps.Has(peer.Batches|peer.CumulativeAcks), l.caps.Has(peer.ChunkedSnapshots)
	l.state = introduced
	if c.role != kernel.Leading {
		return nil
	}
	c.promote(l)
	c.lead.acked.remove(l.id)
	c.lead.durable.forget(l.id)
	if !c.active.isMember(l.id) {
		return nil
	}
	c.heardOf = max(c.heardOf, accepted)
	switch {
	case !c.lead.proposed:
		c.lead.highest = max(c.lead.highest, accepted)
		if c.active.isVoter(l.id) && !l.observer {
			c.lead.heard.add(l.id)
		}
	case accepted > c.epoch:
		c.lead.outrun = true
	}
	return nil
}

// bitWithoutHistory in LEADERINFO says that the leader had no history when it was elected: its electors had none, or every voter was heard to have none. The ensemble is a new one, and its
// empty servers have lost nothing. Once the epoch is established there may be something to lose.
const bitWithoutHistory int64 = 1 << 32

func (c *Core) withoutHistory() bool { return c.lead.history <= 0 && c.phase != Broadcasting }

// invite tells a learner the epoch.
func (c *Core) invite(l *learner) {
	var caps peer.Capabilities
	if l.caps.Announced() {
		caps = c.announced()
		if c.withoutHistory() {
			caps.Bits |= bitWithoutHistory
		}
		if c.role != kernel.Leading && !c.learn.confirms { // the leader behind this server passes barriers as it is asked
			caps.Bits &^= peer.BarrierOnSync
		}
	}
	c.send(l.link, kernel.Message{Type: peer.LeaderInfo, Zxid: kernel.MakeZxid(c.epoch, 0), Payload: peer.AppendLeaderInfo(nil, caps)})
	l.state = invited
	l.heard = c.halves
}

// claimSize is the length of ACKEPOCH's payload from a learner of Zooid that has no history to go on from (its zxid is -1) but knows what it had: i32 current epoch, i64 zxid. ZooKeeper's
// leaders read the epoch, and do not count it.
const claimSize = 4 + 8

// promise hears ACKEPOCH. lost: the learner is ahead, and this server must not lead it (spec zab, 5.6).
func (c *Core) promise(l *learner, m *kernel.Message) (lost bool, err error) {
	current, err := peer.DecodeAckEpoch(m.Payload)
	if err != nil {
		return false, err
	}
	if m.Type != peer.AckEpoch {
		return false, fmt.Errorf("answered the epoch with %s", peer.TypeName(m.Type))
	}
	l.position = m.Zxid
	if current < peer.AlreadyPromised || current >= c.epoch || m.Zxid.Epoch() > c.epoch {
		return false, fmt.Errorf("claims history of epoch %d up to %s under a leader of epoch %d", current, m.Zxid, c.epoch)
	}
	l.state = waiting
	if current == peer.AlreadyPromised || l.observer || !c.active.isVoter(l.id) || c.phase != Discovery {
		return false, nil
	}
	end, claimed := m.Zxid, m.Zxid >= 0
	if !claimed && len(m.Payload) >= claimSize {
		end, claimed = kernel.Zxid(binary.BigEndian.Uint64(m.Payload[claimSize-8:])), true
	}
	if own := c.lead.summaryEpoch; current > own || current == own && end > c.lead.history {
		c.lose(fmt.Errorf("zab: server %d has history of epoch %d up to %s, and this server of epoch %d up to %s: it must not lead", l.id, current, end, own, c.lead.history))
		return true, nil
	}
	// Who says -1 and no more has nothing to promise with (spec zab, 3). A leader without history was elected by an ensemble without any: there, that is all there is.
	if claimed || c.withoutHistory() {
		c.lead.promised.add(l.id)
		c.hearCluster(l)
	}
	return false, nil
}

// accepted counts an acknowledgement of NEWLEADER.
func (c *Core) accepted(l *learner) {
	l.state = accepted
	l.heard = c.halves
	if l.observer {
		return
	}
	c.lead.durable.reach(l.id, int64(l.sent))
	l.acked = l.sent
	if c.active.isVoter(l.id) {
		c.lead.acked.add(l.id)
	}
}

// withVersion is a configuration's text with another version (spec peer-wire-and-disk, 8.3: it is the last line).
func withVersion(text string, version kernel.Zxid) string {
	if i := strings.LastIndex(text, "version="); i >= 0 {
		text = text[:i]
	}
	return fmt.Sprintf("%sversion=%x", text, uint64(version))
}
