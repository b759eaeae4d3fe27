package zab

import (
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// takeRecords appends what a packet carries, in any of the forms in which transactions come.
func (c *Core) takeRecords(m *kernel.Message) error {
	committed := false
	switch m.Type {
	case peer.Proposals, peer.Informs:
		batch := peer.NewBatch(m.Payload)
		for batch.Next() {
			if err := c.takeRecord(batch.Zxid, batch.Data); err != nil {
				return err
			}
		}
		if batch.Err() != nil {
			return batch.Err()
		}
		if batch.Zxid != m.Zxid {
			return fmt.Errorf("its last transaction is %s", batch.Zxid)
		}
		committed = m.Type == peer.Informs
	case peer.InformAndActivate:
		designated, data, err := peer.DecodeDesignated(m.Payload)
		if err != nil {
			return err
		}
		c.hearDesignated(designated)
		if err := c.takeRecord(m.Zxid, data); err != nil {
			return err
		}
		committed = true
	default:
		if err := c.takeRecord(m.Zxid, m.Payload); err != nil {
			return err
		}
		committed = m.Type == peer.Inform
	}
	if committed {
		c.learn.known = max(c.learn.known, m.Zxid)
	} else if c.learn.state == attached {
		c.learn.proposed = true
	}
	return nil
}

// takeRecord appends one transaction behind the last: both seams of a synchronization and every proposal after it are compared (G9). Up to UPTODATE a transaction may come twice, with
// the history and as a proposal.
func (c *Core) takeRecord(z kernel.Zxid, data []byte) error {
	l := &c.learn
	if l.state != attached && z <= c.last && z > 0 && z.Counter() > 0 {
		return nil
	}
	if z.Epoch() > c.epoch || !follows(c.last, z) {
		return fmt.Errorf("%s does not follow %s", z, c.last)
	}
	if err := c.notice(z, data); err != nil {
		return err
	}
	c.append(kernel.Record{Zxid: z, Data: data})
	if z.Epoch() < c.epoch {
		l.inherited = z
	}
	return nil
}

// hearCommit notes up to where the leader has committed.
func (c *Core) hearCommit(z kernel.Zxid) error {
	if z > c.last {
		return fmt.Errorf("the last proposal is %s", c.last)
	}
	c.learn.known = max(c.learn.known, z)
	return nil
}

// hearBroadcast takes what comes after UPTODATE.
func (c *Core) hearBroadcast(m *kernel.Message) error {
	l := &c.learn
	switch m.Type {
	case peer.Proposal, peer.Proposals, peer.Inform, peer.Informs, peer.InformAndActivate:
		return c.takeRecords(m)
	case peer.Commit:
		return c.hearCommit(m.Zxid)
	case peer.CommitAndActivate:
		return c.hearActivation(m)
	case peer.Ping:
		c.effects.Deliver = append(c.effects.Deliver, kernel.Delivery{Kind: kernel.HeartbeatDue, Link: l.link, Zxid: m.Zxid})
	case peer.Revalidate:
		c.hearAnswer(m)
	case peer.Diverged:
		return c.hearDiverged(m)
	case peer.Sync:
		if len(l.syncs) == 0 {
			return errors.New("no sync was asked for")
		}
		c.barriers = append(c.barriers, barrier{id: l.syncs[0].id, after: l.known, from: l.syncs[0].from})
		l.syncs = l.syncs[1:]
	case peer.UpToDate, peer.NewLeader, peer.Diff, peer.Trunc, peer.Snap, peer.ChunkedSnap, peer.LeaderInfo:
		return errUnexpected
	}
	return nil // what is not known here is of no concern, as with ZooKeeper's learners: no transaction can hide in it, since the next would not follow
}

// acknowledge tells the leader what is durable here: everything below too (R5), and nothing before NEWLEADER was acknowledged (R4).
func (c *Core) acknowledge() {
	l := &c.learn
	if c.role != kernel.Following && !c.promoted() && !(c.learn.proposed && c.learn.cumulative) || c.durable <= l.acked || c.durable.Epoch() != c.epoch {
		return
	}
	if l.cumulative {
		c.send(l.link, kernel.Message{Type: peer.Ack, Zxid: c.durable})
	} else {
		for z := l.acked + 1; z <= c.durable; z++ {
			c.send(l.link, kernel.Message{Type: peer.Ack, Zxid: z})
		}
	}
	l.acked = c.durable
}

// attachedTo tells whether this server is a learner that serves.
func (c *Core) attachedTo() bool {
	return (c.role == kernel.Following || c.role == kernel.Observing) && c.phase == Broadcasting
}

// forward sends clients' requests to the leader, in order.
func (c *Core) forward(f kernel.Forward) {
	if !c.attachedTo() {
		return // the node keeps them
	}
	for _, req := range f.Requests {
		c.request(req, req.Op)
	}
}

func (c *Core) request(req *kernel.Request, op int32) {
	f := peer.Forwarded{Session: req.Session, Cxid: req.Cxid, Op: op, Body: req.Body}
	c.send(c.learn.link, kernel.Message{Type: peer.Request, Zxid: -1, Payload: f.AppendTo(make([]byte, 0, 16+len(req.Body))), Identities: req.Identities, Trace: req.Trace})
}

// askLeader sends a question of the state machine, or an observer's.
func (c *Core) askLeader(a kernel.AskLeader) {
	if c.attachedTo() {
		c.learn.questions = append(c.learn.questions, a.From)
		c.send(c.learn.link, kernel.Message{Type: peer.Revalidate, Zxid: -1, Payload: a.Payload})
	}
}

// hearAnswer gives the leader's answer to whoever asked. An observer may have gone.
func (c *Core) hearAnswer(m *kernel.Message) {
	l := &c.learn
	from := kernel.LinkID{}
	if len(l.questions) > 0 {
		from, l.questions = l.questions[0], l.questions[1:]
	}
	if from == (kernel.LinkID{}) {
		c.effects.Deliver = append(c.effects.Deliver, kernel.Delivery{Kind: kernel.SessionAnswer, Link: l.link, Payload: m.Payload})
	} else if c.lead.byLink[from] != nil {
		c.send(from, kernel.Message{Type: peer.Revalidate, Zxid: -1, Payload: m.Payload})
	}
}

// answer sends what the state machine has to say back to where the question came from, if that is still there.
func (c *Core) answer(a kernel.Answer) {
	payload := a.Payload
	if payload == nil {
		payload = []byte{}
	}
	switch a.To.Kind {
	case kernel.HeartbeatDue:
		if c.attachedTo() && a.To.Link == c.learn.link {
			c.send(a.To.Link, kernel.Message{Type: peer.Ping, Zxid: a.To.Zxid, Payload: payload})
		}
	case kernel.SessionAsked:
		if l := c.lead.byLink[a.To.Link]; l != nil && c.role == kernel.Leading {
			c.send(a.To.Link, kernel.Message{Type: peer.Revalidate, Zxid: -1, Payload: payload})
		}
	}
}
