package zab

import (
	"fmt"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// begin opens the synchronization: the learner keeps its history up to from.
func (c *Core) begin(l *learner, op int32, zxid, from kernel.Zxid) {
	if !c.admit(l, &c.lead.diffs, c.settings.DiffSyncs, "transactions") {
		return
	}
	c.diffs++
	c.send(l.link, kernel.Message{Type: op, Zxid: zxid})
	l.sent, l.told = from, from
	if l.zooid {
		l.told = min(from, c.settled())
	}
	c.stream(l)
}

// admit counts an observer among those that are brought up in one way. Beyond the limit it is sent away, to come back later. Voters are not counted: the quorum needs them (spec zab, 6.6).
func (c *Core) admit(l *learner, counter *int, limit int, what string) bool {
	switch {
	case !l.observer:
		return true
	case *counter >= limit:
		c.violation(l, fmt.Errorf("%d observers are being sent %s: it has to come back later", *counter, what))
		return false
	}
	*counter++
	l.countedBy = counter
	return true
}

func (c *Core) stream(l *learner) {
	l.state = streaming
	l.heard = c.halves
	l.target = c.settled()
}

// sendSnapshot brings a learner up with the whole state.
func (c *Core) sendSnapshot(l *learner) {
	if !c.admit(l, &c.lead.snapshots, c.settings.SnapshotSyncs, "snapshots") {
		return
	}
	l.state, l.held = snapshotting, true
	l.snapshot = c.effect()
	s := kernel.SendSnapshot{ID: l.snapshot, Link: l.link, Type: peer.Snap}
	if l.chunked {
		s.Type = peer.ChunkedSnap
	}
	c.effects.Snapshots = append(c.effects.Snapshots, s)
}

// snapshotBegun: the state as of s.Zxid is on its way. What is behind it follows when it has left.
func (c *Core) snapshotBegun(s kernel.SnapshotBegun) {
	for _, l := range c.lead.learners {
		if l.snapshot != s.ID || l.state != snapshotting {
			continue
		}
		if s.Err == nil && s.Zxid > c.settled() {
			s.Err = fmt.Errorf("the state is at %s and only %s is settled", s.Zxid, c.settled())
		}
		if s.Err != nil {
			c.violation(l, fmt.Errorf("no snapshot for it: %w", s.Err))
			return
		}
		l.sent, l.told = s.Zxid, s.Zxid
		c.flush(l)
		return
	}
}

func (c *Core) flush(l *learner) {
	l.flushing = true
	c.effects.Flush = append(c.effects.Flush, l.link)
}

func (c *Core) flushed(link kernel.LinkID) {
	l := c.lead.byLink[link]
	if l == nil || !l.flushing {
		return
	}
	l.flushing = false
	l.heard = max(l.heard, c.halves)
	if l.state == snapshotting {
		c.stream(l)
	}
}

// catchUp sends what is settled, then NEWLEADER. What has come since then follows behind UPTODATE, from memory: a learner of ZooKeeper's is never sent anything between the two, where it
// has had trouble (spec zab, S-53 and S-54).
func (c *Core) catchUp(l *learner) {
	c.pump(l, l.target)
	if l.sent < l.target || l.flushing || l.reading != (kernel.EffectID{}) {
		return
	}
	if end := c.settled(); l.sent < c.tail.base && l.target < end && l.chases < maxChases { // so much has come meanwhile that it should have that first
		l.target = end
		l.chases++
		c.pump(l, l.target)
		return
	}
	c.tell(l)
	text := c.active[len(c.active)-1].Text // completed by the establishment of the epoch
	if c.phase == Broadcasting {           // what is only proposed follows as a proposal
		text = c.active[0].Text
	}
	m := kernel.Message{Type: peer.NewLeader, Zxid: kernel.MakeZxid(c.epoch, 0)}
	var caps peer.Capabilities
	if l.caps.Announced() {
		caps = c.announced()
	}
	if payload := peer.AppendNewLeader(nil, text, caps); len(payload) > 0 {
		m.Payload = payload
	}
	c.send(l.link, m)
	c.discharge(l)
	l.state = asked
	l.heard = c.halves
}

// pump sends what follows, up to limit, as much as the link may be given at once.
func (c *Core) pump(l *learner, limit kernel.Zxid) {
	for l.sent < limit && !l.flushing && l.reading == (kernel.EffectID{}) {
		if l.sent < c.tail.base {
			c.read(l, l.sent+1, min(limit, c.durable), chunkBytes)
			return
		}
		records := c.tail.above(l.sent)
		n, bytes := 0, 0
		for n < len(records) && records[n].Zxid <= limit && (n == 0 || bytes+len(records[n].Data) <= chunkBytes) {
			bytes += len(records[n].Data)
			n++
		}
		if n == 0 {
			return
		}
		c.sendRecords(l, records[:n])
		if l.sent < limit {
			c.flush(l)
		}
	}
}

// encoded is a batch that was encoded in this Step, for the next learner that gets the same.
type encoded struct {
	first, last kernel.Zxid
	payload     []byte
}

func (c *Core) encode(records []kernel.Record) []byte {
	first, last := records[0].Zxid, records[len(records)-1].Zxid
	for i := range c.lead.encoded {
		if e := &c.lead.encoded[i]; e.first == first && e.last == last {
			return e.payload
		}
	}
	n := 0
	for i := range records {
		n += peer.ItemOverhead + len(records[i].Data)
	}
	payload := make([]byte, 0, n) // the transport's from now on: not reused
	for i := range records {
		payload = peer.AppendItem(payload, records[i].Zxid, records[i].Data)
	}
	c.lead.encoded = append(c.lead.encoded, encoded{first, last, payload})
	return payload
}

// sendRecords sends records in the learner's form.
func (c *Core) sendRecords(l *learner, records []kernel.Record) {
	inform := l.observer && l.state == serving
	last := records[len(records)-1].Zxid
	if l.zooid {
		m := kernel.Message{Type: peer.Proposals, Zxid: last, Payload: c.encode(records)}
		if inform {
			m.Type = peer.Informs
		}
		c.send(l.link, m)
	} else {
		for i := range records {
			r := &records[i]
			data := r.Data
			if data == nil {
				data = []byte{}
			}
			m := kernel.Message{Type: peer.Proposal, Zxid: r.Zxid, Payload: data}
			if inform {
				m.Type = peer.Inform
				if a, ok := c.activatedIn(r.Zxid-1, r.Zxid); ok {
					m.Type, m.Payload = peer.InformAndActivate, append(peer.AppendDesignated(nil, a.designated), data...)
				}
			}
			c.send(l.link, m)
			if !inform && l.state == streaming { // all of it is settled
				c.send(l.link, kernel.Message{Type: peer.Commit, Zxid: r.Zxid})
				l.told = r.Zxid
			}
		}
	}
	l.sent = last
	if inform {
		l.told = last
	}
}

// tell says what is committed of what was sent: once to a server of Zooid, one by one to ZooKeeper's, which check that each is the next (spec zab, 8.6). Then come the SYNCs that waited
// for it.
func (c *Core) tell(l *learner) {
	if z := min(c.settled(), l.sent); z > l.told && !(l.observer && l.state == serving) {
		switch {
		case l.zooid && l.state == streaming && c.phase != Broadcasting:
		case l.zooid:
			for a, ok := c.activatedIn(l.told, z); ok && l.state == serving; a, ok = c.activatedIn(l.told, z) {
				c.send(l.link, kernel.Message{Type: peer.CommitAndActivate, Zxid: a.zxid, Payload: peer.AppendDesignated(nil, a.designated)})
				l.told = a.zxid
			}
			if z > l.told {
				c.send(l.link, kernel.Message{Type: peer.Commit, Zxid: z})
			}
			l.told = z
		default:
			next := l.told + 1
			if l.told.Epoch() < z.Epoch() {
				next = kernel.MakeZxid(z.Epoch(), 1)
			}
			for ; next <= z; next++ {
				m := kernel.Message{Type: peer.Commit, Zxid: next}
				if a, ok := c.activatedIn(next-1, next); ok && l.state == serving {
					m.Type, m.Payload = peer.CommitAndActivate, peer.AppendDesignated(nil, a.designated)
				}
				c.send(l.link, m)
			}
			l.told = z
		}
	}
	for l.state == serving && len(l.syncs) > 0 && l.syncs[0] <= l.told {
		c.send(l.link, kernel.Message{Type: peer.Sync})
		l.syncs = l.syncs[:copy(l.syncs, l.syncs[1:])]
	}
}
