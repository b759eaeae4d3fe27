package zab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// learning is this server's part as a follower or an observer, from the election on.
type learning struct {
	leader kernel.ServerID
	master kernel.DialPeer // the leader's quorum port, or where an observer gets what is committed instead
	link   kernel.LinkID   // zero while dialling
	hung   kernel.LinkID   // closed by this server to dial again
	state  learningState
	tries  int
	retry  time.Duration // when to dial again, 0: a dial is under way
	heard  uint64        // half tick of the leader's last sign of life

	compares   bool // the leader compares states
	confirms   bool // the leader's barriers confirm that it leads
	cumulative bool // between servers of Zooid: batches, cumulative acknowledgements and commits
	fresh      bool // the promise is new: it may count
	first      bool // nobody in the quorum of this epoch had promised anything, and this server has nothing
	distrust   bool // the leader's cut is not in this log: it is asked for a snapshot (S-40)
	reported   kernel.Zxid

	op      int32 // DIFF, TRUNC or SNAP
	opZxid  kernel.Zxid
	body    io.Reader
	begun   bool // the history is being changed: what undoes that is durable, or is being made so
	given   bool // this role has given the history up for a snapshot
	held    []kernel.Message
	bytes   int // held
	reading kernel.EffectID

	cluster   peer.Cluster // the leader's, as of NEWLEADER
	known     kernel.Zxid  // committed at the leader, as far as it has told
	inherited kernel.Zxid  // end of the history before this epoch: committed when the epoch is established
	acked     kernel.Zxid

	syncs     []passingOn     // barriers at the leader, in order
	questions []kernel.LinkID // at the leader, in order: whose they are; zero: this server's

	proposed   bool            // this observer is sent proposals
	designated kernel.ServerID // who is to lead under the configuration that was put in force last; zero: nothing was said
}

// learningState is how far a learner has come.
type learningState uint8

const (
	dialling  learningState = iota
	greeted                 // it has said who it is, LEADERINFO is to come
	promising               // the promise is being saved (R1)
	agreed                  // ACKEPOCH was sent, the leader's decision is to come
	checking                // is the leader's cut in the own log?
	marking                 // what undoes the change of history is being saved (G3)
	cutting                 // the log is being cut
	restoring               // a snapshot is being taken over
	receiving               // history comes
	accepting               // NEWLEADER came: history and current epoch are being made durable (R2, R3)
	pledged                 // NEWLEADER was acknowledged, UPTODATE is to come
	attached                // UPTODATE came
)

func (s learningState) String() string {
	return [...]string{"dialling", "greeted", "promising", "agreed", "checking", "marking", "cutting", "restoring", "receiving", "accepting", "pledged", "attached"}[s]
}

// busy tells whether packets have to wait until the disk has answered.
func (s learningState) busy() bool {
	switch s {
	case promising, checking, marking, cutting, restoring, accepting:
		return true
	}
	return false
}

const (
	dialTries = 5 // as ZooKeeper's learners (spec zab, 9.1)
	dialPause = 100 * time.Millisecond
	// maxHeld bounds what waits for the disk, in bytes. A leader of Zooid sends a chunk at a time.
	maxHeld = 1 << 30
)

// beginLearning dials the leader.
func (c *Core) beginLearning(e kernel.Elected) {
	c.role, c.phase = e.Role, Discovery
	c.incarnation++
	c.learn = learning{leader: e.Leader, heard: c.halves}
	observers := c.parked[:0]
	for _, p := range c.parked {
		if p.link.Purpose == kernel.ForObservers && e.Role == kernel.Following {
			observers = append(observers, p)
		} else { // it waits for a leader, and this server is none
			c.hangup(p.link)
		}
	}
	c.parked = observers
	c.effects.Role = &kernel.RoleChange{Role: e.Role, Leader: e.Leader, Incarnation: c.incarnation}
	if wait := c.part(c.settings.ObserverReconnectDelay); e.Role == kernel.Observing && c.pause > 0 && wait > 0 {
		c.learn.retry = c.now + wait
	} else {
		c.dial()
	}
}

func (c *Core) dial() {
	c.learn.retry = 0
	c.learn.master = c.chooseMaster()
	c.effects.Dial = append(c.effects.Dial, c.learn.master)
}

func (c *Core) endLearning() {
	c.dismiss()
	if c.learn.link != (kernel.LinkID{}) {
		c.hangup(c.learn.link)
	}
	c.leaveMaster()
	if c.learn.state == marking && c.learn.given { // the snapshot was never begun: the history is still there
		c.words.settle()
	}
	c.learn = learning{}
}

// dialled takes the link to the leader up.
func (c *Core) dialled(link kernel.LinkID) {
	l := &c.learn
	if c.role == kernel.Looking || c.role == kernel.Leading || l.state != dialling || link.Peer != l.master.Peer || link.Purpose != l.master.Purpose {
		c.hangup(link) // of a role that is over
		return
	}
	l.link, l.state, l.heard, l.retry = link, greeted, c.halves, 0
	m := kernel.Message{Type: peer.FollowerInfo, Zxid: kernel.MakeZxid(c.words.accepted, 0)}
	if c.role == kernel.Observing {
		m.Type = peer.ObserverInfo
	}
	info := peer.LearnerInfo{Server: c.self, Version: peer.ProtocolVersion, ConfigVersion: c.active[0].Version, Capabilities: c.announced()}
	m.Payload = info.AppendTo(nil)
	c.send(link, m)
}

// leaderGone ends the role, or the try to begin it.
func (c *Core) leaderGone(link kernel.LinkID, reason error) {
	l := &c.learn
	switch {
	case link == l.link:
		l.link = kernel.LinkID{}
		c.lose(fmt.Errorf("zab: the link to %s is down: %w", l.name(), said(reason)))
	case l.state != dialling || link.Peer != l.master.Peer || link.Purpose != l.master.Purpose || link == l.hung || l.retry != 0:
	case l.relayed(): // there are others
		c.missed++
		l.retry = c.now + max(dialPause, c.part(c.settings.ObserverReconnectDelay))
	default:
		if l.tries++; l.tries >= dialTries {
			c.lose(fmt.Errorf("zab: leader %d cannot be reached: %w", l.leader, said(reason)))
			return
		}
		l.retry = c.now + dialPause
	}
}

var errLinkClosed = errors.New("closed")

// said makes a loss without a reason say something.
func said(reason error) error {
	if reason == nil {
		return errLinkClosed
	}
	return reason
}

// learnHalf gives a silent leader up. While this server's own disk is at work nobody is waited for.
func (c *Core) learnHalf() {
	l := &c.learn
	limit := c.initHalves()
	if l.state >= pledged {
		limit = c.syncHalves()
	}
	if l.state.busy() || c.now < l.retry {
		l.heard = c.halves
	} else if c.halves-l.heard > limit {
		c.lose(fmt.Errorf("zab: %s has been silent for %d half ticks (%s)", l.name(), c.halves-l.heard, l.state))
	}
	if len(c.lead.learners) > 0 {
		c.ping()
		c.watchAll()
	}
}

// fromLeader takes a packet of the leader, or keeps it until the disk has answered.
func (c *Core) fromLeader(link kernel.LinkID, m *kernel.Message) {
	l := &c.learn
	if link != l.link {
		return
	}
	l.heard = c.halves
	if l.state.busy() || len(l.held) > 0 {
		l.held = append(l.held, *m)
		if l.bytes += len(m.Payload); l.bytes > maxHeld {
			c.lose(fmt.Errorf("zab: leader %d has sent %d bytes while this server's disk was at work (%s)", l.leader, l.bytes, l.state))
		}
		return
	}
	c.hear(m)
}

// learnOn does what the Step's inputs have made possible.
func (c *Core) learnOn() {
	for c.role != kernel.Looking {
		before := c.learn.state
		c.progress()
		for c.role != kernel.Looking && !c.learn.state.busy() && len(c.learn.held) > 0 {
			m := c.learn.held[0]
			c.learn.held[0] = kernel.Message{}
			c.learn.held, c.learn.bytes = c.learn.held[1:], c.learn.bytes-len(m.Payload)
			c.hear(&m)
		}
		if c.learn.state == before {
			break
		}
	}
	if c.role == kernel.Looking {
		return
	}
	if c.phase == Broadcasting {
		c.committed = c.learn.known
		c.commitTo(c.committed)
		c.acknowledge()
		c.decideChange()
		c.pass()
		c.serveAll()
		if c.obey(); c.role == kernel.Looking {
			return
		}
	}
	c.effects.Wake = c.learn.retry
}

// progress goes on where the disk, or time, has allowed it.
func (c *Core) progress() {
	l := &c.learn
	switch l.state {
	case dialling:
		if l.retry != 0 && c.now >= l.retry {
			c.dial()
		}
	case promising:
		if c.wordsAre() && c.stable.accepted == c.epoch {
			c.agree()
		}
	case marking:
		if c.wordsAre() {
			c.change()
		}
	case cutting:
		if c.changing == (kernel.EffectID{}) {
			c.receive()
		}
	case accepting:
		c.accept()
	}
}

func (c *Core) hear(m *kernel.Message) {
	var err error
	switch c.learn.state {
	case greeted:
		err = c.hearEpoch(m)
	case agreed:
		err = c.hearDecision(m)
	case receiving, pledged:
		err = c.hearHistory(m)
	case attached:
		err = c.hearBroadcast(m)
	default:
		err = errUnexpected
	}
	if err != nil {
		c.lose(fmt.Errorf("zab: %s sent %s %s (%s): %w", c.learn.name(), peer.TypeName(m.Type), m.Zxid, c.learn.state, err))
	}
}

var errUnexpected = errors.New("it has no place here")

// hearEpoch promises the leader's epoch, unless a newer one was promised to another (spec zab, 5).
func (c *Core) hearEpoch(m *kernel.Message) error {
	if m.Type != peer.LeaderInfo || m.Zxid.Counter() != 0 || m.Zxid < 0 {
		return errUnexpected
	}
	version, caps, err := peer.DecodeLeaderInfo(m.Payload)
	if err != nil {
		return err
	}
	l, e := &c.learn, m.Zxid.Epoch()
	first := c.words.accepted == 0 // a newcomer believes any epoch
	switch {
	case version < peer.ProtocolVersion:
		return fmt.Errorf("it speaks the protocol of ZooKeeper before 3.4 (%#x)", version)
	case c.words.cluster.Foreign(caps.Cluster):
		return c.foreign(l.leader, caps.Cluster)
	case e < c.words.accepted:
		return fmt.Errorf("epoch %d was promised to another leader", c.words.accepted)
	case !first && int64(e) > int64(c.words.accepted)+maxEpochStep || e == maxEpoch:
		return fmt.Errorf("this server has promised epoch %d: so far above it an epoch cannot be believed", c.words.accepted)
	}
	l.cumulative = caps.Shared(c.caps).Has(peer.Batches | peer.CumulativeAcks)
	l.confirms = caps.Shared(c.caps).Has(peer.BarrierOnSync)
	l.compares = caps.Shared(c.caps).Has(peer.StateDigests)
	l.fresh = e > c.words.accepted
	c.epoch, c.words.accepted = e, e
	if c.empty && l.fresh {
		// In a new ensemble there is nothing to lose. In any other an empty server must not count before it was brought up, in later lives too (spec zab, S-82). A leader of ZooKeeper's does not
		// say which it is; its first epoch is promised by whoever has promised nothing yet, but only now.
		c.empty = false
		if !(c.caps.Announced() && caps.Has(bitWithoutHistory)) {
			c.words.lose(false, 0)
			l.first = e == 1
		}
	}
	l.state = promising
	return nil
}

// agree sends ACKEPOCH: what this server has on stable storage (G6).
func (c *Core) agree() {
	l := &c.learn
	current := c.words.current
	if !l.fresh {
		current = peer.AlreadyPromised
	}
	payload := peer.AppendAckEpoch(nil, current)
	l.reported = c.durable
	switch {
	case c.words.claimed:
		payload = binary.BigEndian.AppendUint64(payload, uint64(c.words.mark))
	case l.distrust && !c.words.unsynced:
		payload = binary.BigEndian.AppendUint64(payload, uint64(c.durable))
	}
	if c.words.unsynced && !l.first || l.distrust {
		l.reported = -1
	}
	c.send(l.link, kernel.Message{Type: peer.AckEpoch, Zxid: l.reported, Payload: payload})
	l.state = agreed
}
