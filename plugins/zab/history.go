package zab

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/sdk/peer"
)

// hearDecision hears how the leader's history and this one come together (spec zab, 7.1). Before anything is changed, what undoes it is made durable.
func (c *Core) hearDecision(m *kernel.Message) error {
	l := &c.learn
	l.op, l.opZxid, l.body = m.Type, m.Zxid, m.Body
	c.phase = Synchronization
	switch m.Type {
	case peer.Diff:
		if l.reported < 0 && c.last > 0 {
			return errors.New("this server has said that it has no history to go on from")
		}
		l.known = min(m.Zxid, c.last)
		c.receive()
	case peer.Trunc:
		switch {
		case m.Zxid < 0 || l.reported < 0:
			return errUnexpected
		case m.Zxid < c.applied && l.relayed():
			return fmt.Errorf("it has less than this observer, which has applied everything up to %s", c.applied)
		case m.Zxid < c.applied:
			return fmt.Errorf("everything up to %s is committed here: the ensemble contradicts itself, look for servers whose data was replaced", c.applied)
		case m.Zxid == c.last:
			l.known = m.Zxid
			c.receive()
		case m.Zxid > c.last:
			return c.askForSnapshot()
		default:
			l.state = checking
			l.reading = c.effect()
			c.effects.ReadLog = append(c.effects.ReadLog, kernel.ReadLog{ID: l.reading, From: m.Zxid, To: m.Zxid, MaxBytes: 1})
		}
	case peer.Snap, peer.ChunkedSnap:
		if m.Zxid < 0 || m.Body == nil {
			return errUnexpected
		}
		l.given = !c.words.unsynced
		c.words.lose(true, c.last)
		l.state = marking
	default:
		return errUnexpected
	}
	return nil
}

// checked: the leader's cut was looked for in this server's log. Only a record with exactly that zxid will do (S-40).
func (c *Core) checked(r kernel.LogRead) {
	l := &c.learn
	if c.role == kernel.Looking || l.state != checking || r.ID != l.reading {
		return
	}
	if r.Err != nil || len(r.Records) == 0 || r.Records[0].Zxid != l.opZxid {
		if err := c.askForSnapshot(); err != nil {
			c.lose(err)
		}
		return
	}
	c.words.cutting, c.words.mark = true, l.opZxid
	l.state = marking
}

// askForSnapshot dials the same leader again and reports no history. The promise stays as it is, and so nothing is counted twice.
func (c *Core) askForSnapshot() error {
	l := &c.learn
	if l.distrust {
		return errors.New("the cut is not in this server's log, and a snapshot was asked for")
	}
	c.report(fmt.Errorf("zab: %s wants the log cut at %s, which is not in it: asking for a snapshot", l.name(), l.opZxid))
	c.hangup(l.link)
	*l = learning{leader: l.leader, hung: l.link, heard: c.halves, distrust: true}
	c.phase = Discovery
	c.dial()
	return nil
}

// change: what undoes the change is durable.
func (c *Core) change() {
	l := &c.learn
	switch l.op {
	case peer.Trunc:
		if c.last > l.opZxid {
			c.begunWith(l.opZxid)
			c.truncate(l.opZxid)
			l.state = cutting
			return
		}
		c.receive()
	case peer.Diff:
		c.receive()
	default:
		c.changing, c.cutTo = c.effect(), l.opZxid
		c.effects.Restore = &kernel.RestoreState{ID: c.changing, Link: l.link, Zxid: l.opZxid, Body: l.body}
		l.body = nil
		l.state = restoring
	}
}

func (c *Core) begunWith(known kernel.Zxid) {
	c.learn.begun, c.learn.known = true, known
}

// restored: the log is empty at the snapshot's position, whatever became of the state.
func (c *Core) restored(r kernel.Restored) {
	if r.ID != c.changing || r.ID == (kernel.EffectID{}) {
		return
	}
	c.changing = kernel.EffectID{}
	c.restoredTo(c.cutTo)
	if c.role == kernel.Looking || c.role == kernel.Leading || c.learn.state != restoring {
		return
	}
	if r.Err != nil {
		c.lose(fmt.Errorf("zab: the snapshot of leader %d could not be taken over: %w", c.learn.leader, r.Err))
		return
	}
	c.begunWith(c.cutTo)
	c.receive()
}

// receive waits for history.
func (c *Core) receive() {
	c.learn.state = receiving
	c.learn.heard = c.halves
	if c.last.Epoch() < c.epoch {
		c.learn.inherited = c.last
	}
}

// hearHistory takes what comes up to UPTODATE. From NEWLEADER on these are proposals of the new epoch, and belong to the history that was accepted.
func (c *Core) hearHistory(m *kernel.Message) error {
	l := &c.learn
	switch m.Type {
	case peer.Proposal, peer.Inform, peer.InformAndActivate, peer.Proposals, peer.Informs:
		if l.state == receiving && !l.begun && !c.words.unsynced {
			// The first change. Where the history ended that counted so far is where a restart cuts the log.
			l.begun = true
			c.words.cutting, c.words.mark = true, c.last
			l.op, l.state = peer.Diff, marking
			l.held, l.bytes = slices.Insert(l.held, 0, *m), l.bytes+len(m.Payload)
			return nil
		}
		return c.takeRecords(m)
	case peer.Commit, peer.CommitAndActivate: // what is in force comes with NEWLEADER
		return c.hearCommit(m.Zxid)
	case peer.Ping: // not before UPTODATE (spec peer-wire-and-disk, 3.2)
		return nil
	case peer.NewLeader:
		if l.state != receiving || m.Zxid != kernel.MakeZxid(c.epoch, 0) {
			return errUnexpected
		}
		text, caps := peer.DecodeNewLeader(m.Payload)
		if c.words.cluster.Foreign(caps.Cluster) {
			return c.foreign(l.leader, caps.Cluster)
		}
		if err := c.hearConfig(text); err != nil {
			return err
		}
		l.cluster = caps.Cluster
		l.state = accepting
		return nil
	case peer.UpToDate:
		if l.state != pledged {
			return errUnexpected
		}
		c.attach()
		return nil
	}
	return errUnexpected
}

// hearConfig reads the configuration that comes with NEWLEADER. It is in force when the epoch is established (spec zab, 14.6).
func (c *Core) hearConfig(text []byte) error {
	if len(text) <= 1 {
		return nil
	}
	e, err := config.ParseEnsemble(string(text))
	switch {
	case err != nil && c.settings.ReconfigEnabled:
		return err
	case err != nil:
		return nil
	case !c.settings.ReconfigEnabled:
		if !e.CountsAs(&c.active[0]) {
			c.report(fmt.Errorf("zab: leader %d counts quorums of servers %d and this server of %d, or in other groups or weights: make their configuration files agree", c.learn.leader, e.Voters, c.active[0].Voters))
		}
		return nil
	}
	next := c.proposed()
	switch {
	case next != nil && next.Version == e.Version:
	case e.Version == c.active[0].Version && e.Version != 0 && e.Text != c.active[0].Text: // a file was changed by hand that says what was agreed on
		c.foresee(e)
	case e.Version <= c.active[0].Version:
	case next != nil && next.Version.Counter() != 0 && next.Version > e.Version:
		// What is proposed here is so at the leader too, after what it says: that is in force there.
		proposed := *next
		c.install(e)
		c.foresee(proposed)
	default:
		c.foresee(e)
	}
	return nil
}

// accept makes history and epoch durable, in this order, and acknowledges NEWLEADER (R2, R3).
func (c *Core) accept() {
	l := &c.learn
	if c.durable < c.last {
		return
	}
	c.words.current, c.empty = c.epoch, false
	c.words.settle()
	c.takeUpCluster(l.cluster)
	if !c.wordsAre() {
		return
	}
	c.send(l.link, kernel.Message{Type: peer.Ack, Zxid: kernel.MakeZxid(c.epoch, 0)})
	l.state, l.heard = pledged, c.halves
	l.acked = c.last
	if !l.cumulative { // ZooKeeper's leaders wait for an ACK of each proposal that was not committed before NEWLEADER
		l.acked = max(l.known, kernel.MakeZxid(c.epoch, 0))
	}
}

// attach: the epoch is established. What it inherited is committed.
func (c *Core) attach() {
	l := &c.learn
	l.state = attached
	l.known = max(l.known, l.inherited)
	if l.cluster.ID != (kernel.ClusterID{}) {
		c.words.cluster.Agreed = true
	}
	c.phase = Broadcasting
	// What came with NEWLEADER is in force, unless it is a proposal in the history that is not known to be committed: ZooKeeper's leaders send those, too.
	if next := c.proposed(); next != nil && (next.Version.Counter() == 0 || next.Version <= l.known || next.Version > c.last && l.cumulative) {
		c.install(*next)
	}
	if !l.cumulative {
		c.send(l.link, kernel.Message{Type: peer.Ack, Zxid: kernel.MakeZxid(c.epoch, 0)})
	}
	c.effects.Role = &kernel.RoleChange{Role: c.role, Leader: l.leader, Epoch: c.epoch, Established: true, Unconfirmed: !l.confirms, Through: l.master.Peer, Incarnation: c.incarnation}
	c.meetObservers()
}
