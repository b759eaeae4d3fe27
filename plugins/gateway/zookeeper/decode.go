package zookeeper

import (
	"encoding/binary"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// burst is what one look into the read buffer found.
type burst struct {
	first, last *request
	count       int
	bytes       int // of bodies
	large       int // bytes on the budget of large requests
	pings       int
	frames      int
	now         time.Time
	touched     bool // the session was touched
	alive       bool // ... and is this connection's
	over        bool // nothing that follows is read: closeSession, a refusal that closes
}

func (b *burst) add(r *request) {
	if b.last == nil {
		b.first = r
	} else {
		b.last.next = r
	}
	b.last = r
	b.count++
	b.bytes += len(r.body)
}

// burst takes all whole frames out of the read buffer and queues what they ask for. An error ends the connection.
func (c *conn) burst(now time.Time) error {
	b := burst{now: now}
	var err error
	for !b.over {
		var payload []byte
		var oversized, ok bool
		payload, oversized, ok, err = c.in.frame(c.g.cfg.maxFrame, c.g.cfg.discard)
		if err != nil || !ok {
			break
		}
		b.frames++
		c.in.turn++
		if c.g.isLarge(len(payload)) {
			err = c.decodeLarge(&b, payload)
		} else {
			err = c.decode(&b, payload, oversized)
		}
		if err != nil {
			break
		}
	}
	if b.frames == 0 {
		return err
	}
	c.g.stats.received(b.frames)
	if o := c.g.stages; o != nil && b.count > 0 {
		e := kernel.StageEvent{Stage: kernel.StageDecode, Start: now, Duration: time.Since(now), Count: b.count, Bytes: b.bytes}
		if o.Traces() {
			for r := b.first; r != nil; r = r.next {
				e.Requests = append(e.Requests, &r.Request)
			}
		}
		o.Observe(e)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || c.phase != phaseServing {
		c.g.load.large.give(b.large)
		return err
	}
	c.stats.received += int64(b.frames)
	if b.alive {
		c.lastFrame = now
	}
	for range b.pings {
		c.stats.lastOp = wire.OpPing
		c.appendHead(wire.XidPing, c.g.host.Machine().Position(), 0, nil)
	}
	if b.count > 0 && !c.dead {
		if wire.OpCode(b.last.Op) == wire.OpCloseSession && b.last.kind != kindLocal {
			c.queue.closing = b.last
		}
		c.g.budget.force(b.bytes)
		c.queue.bytes += b.bytes
		c.queue.large += b.large
		c.g.count(b.count)
		c.queue.append(b.first, b.last, b.count)
	}
	return err
}

// decodeLarge is decode for a frame that counts as large: there must be room for it among those of all connections, until it is answered.
func (c *conn) decodeLarge(b *burst, payload []byte) error {
	if !c.g.load.large.take(len(payload)) {
		c.g.stats.largeRefused.Add(1)
		return errLargeRequests
	}
	before := b.last
	err := c.decode(b, payload, false)
	if r := b.last; r != before && r.kind != kindLocal {
		r.large = len(payload)
		b.large += r.large
	} else {
		c.g.load.large.give(len(payload))
	}
	return err
}

// decode makes one frame's request. The order of the checks is that of spec client-protocol, 4.0.
func (c *conn) decode(b *burst, payload []byte, oversized bool) error {
	if len(payload) < requestHeaderSize {
		return errMalformed
	}
	xid := int32(binary.BigEndian.Uint32(payload))
	op := wire.OpCode(binary.BigEndian.Uint32(payload[4:]))
	body := payload[requestHeaderSize:]
	switch {
	case op == wire.OpAuth || op == wire.OpSASL:
		if oversized {
			return errMalformed
		}
		return c.authenticate(b, xid, op, body)
	case !c.permitted():
		c.local(b, xid, op, 0, wire.ErrSessionClosedRequireSASLAuth, nil, true)
		return nil
	case !c.touch(b):
		return nil
	case op == wire.OpPing:
		b.pings++
		return nil
	case !op.Known():
		// Operations that servers use among themselves end the connection; whatever else is unknown does not (DESIGN, Configuration).
		internal := op == wire.OpNotification || op == wire.OpError || op == wire.OpCreateSession || op == wire.OpDeleteContainer
		c.local(b, xid, op, -1, wire.ErrUnimplemented, nil, internal)
		return nil
	case oversized:
		c.g.stats.oversized.Add(1)
		c.local(b, xid, op, zxidApplied, wire.ErrBadArguments, nil, false)
		return nil
	case c.readOnly && (op == wire.OpSync || op.IsWrite() && op != wire.OpCloseSession):
		c.local(b, xid, op, zxidApplied, wire.ErrNotReadOnly, nil, false)
		return nil
	}
	r := newRequest()
	r.body = append(r.body[:0], body...)
	if err := wire.DecodeRequest(op, r.body, &r.decoded); err != nil {
		r.recycle()
		c.local(b, xid, op, zxidApplied, wire.ErrMarshallingError, nil, false)
		return nil
	}
	if op == wire.OpListSessions || op == wire.OpEndSession {
		c.administer(b, xid, op, &r.decoded)
		r.recycle()
		return nil
	}
	r.kind = kindRead
	switch {
	case op == wire.OpSync:
		r.kind = kindBarrier
	case op.IsWrite() && !(op == wire.OpCloseSession && c.g.cfg.localSessions): // a local session ends without a transaction; Reply finds out whether this one is
		r.kind = kindWrite
	}
	r.Request = kernel.Request{
		Session: c.Session(), Cxid: xid, Op: int32(op), Body: r.body, Decoded: &r.decoded, Identities: c.Identities(), Conn: c,
		Received: b.now, Barrier: op == wire.OpSync,
	}
	b.add(r)
	b.over = op == wire.OpCloseSession
	return nil
}

// local queues an answer that the gateway gives itself, at its place among the others.
func (c *conn) local(b *burst, xid int32, op wire.OpCode, zxid kernel.Zxid, code wire.ErrorCode, reply []byte, closes bool) {
	r := newRequest()
	r.Request = kernel.Request{Cxid: xid, Op: int32(op), Conn: c, Received: b.now}
	r.kind, r.zxid, r.code, r.closes = kindLocal, zxid, int32(code), closes
	r.body = r.body[:0]
	r.reply = append(r.reply[:0], reply...)
	b.add(r)
	b.over = closes
}

// touch notes a sign of life, once for a burst. false: the session is not this connection's any more and the frame is dropped without an answer.
func (c *conn) touch(b *burst) bool {
	if !b.touched {
		b.touched = true
		b.alive = c.g.host.Machine().Sessions().Touch(c.Session(), c)
	}
	return b.alive
}

// syncPath is the path of a sync request as it was sent, null included: the answer is the same bytes.
func syncPath(body []byte) []byte {
	n := int32(binary.BigEndian.Uint32(body))
	return body[:4+max(n, 0)]
}
