package zookeeper

import (
	"errors"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// opening is a handshake under way.
type opening struct {
	request     wire.ConnectRequest
	create      *kernel.Request // the session's creation, as submitted
	id          kernel.SessionID
	timeout     time.Duration
	hasReadOnly bool
}

// minConnect is the length of a connect request without password and readOnly byte.
const minConnect = 4 + 8 + 4 + 8 + 4

// open takes the first frame: a four-letter word, or the handshake. false: the connection is over.
func (c *conn) open() bool {
	for c.in.end-c.in.start < 4 {
		if err := c.in.fill(); err != nil {
			c.lost(err)
			return false
		}
	}
	if w := findWord(c.in.buf[c.in.start:c.in.end]); w != nil {
		c.answerWord(w)
		return false
	}
	for {
		payload, oversized, ok, err := c.in.frame(c.g.cfg.maxFrame, c.g.cfg.maxFrame)
		switch {
		case err != nil || oversized:
			c.lost(errFrameLength)
			return false
		case ok:
			return c.handshake(payload)
		}
		if err := c.in.fill(); err != nil {
			c.lost(err)
			return false
		}
	}
}

// handshake judges a connect request by the rules of spec client-protocol, 2.1, in their order, and waits until the response is queued. What it refuses without a response just ends.
func (c *conn) handshake(payload []byte) bool {
	o := &c.opening
	d := jute.NewDecoder(payload)
	o.request.Decode(&d)
	if len(payload) < minConnect || d.Err() != nil {
		c.lost(errMalformed)
		return false
	}
	c.g.stats.received(1)
	c.g.stats.connectRequests.Add(1)
	req := &o.request
	status := c.g.host.Status()
	switch {
	case !c.g.throttle.take():
		c.g.stats.throttled.Add(1)
		return false
	case !status.Serving && !status.ReadOnly, status.ReadOnly && !req.ReadOnly, c.g.leadsOnly(status):
		return false
	case kernel.Zxid(req.LastZxidSeen) > c.g.host.Machine().Position():
		c.g.log.Info("refused a client that has seen a later state than this server has: it will try another one", "client", c.peer.Addr.String(),
			"seen", kernel.Zxid(req.LastZxidSeen).String())
		return false
	case !c.countSession():
		return false
	}
	o.hasReadOnly = req.HasReadOnly
	sessions := c.g.host.Machine().Sessions()
	o.timeout = sessions.Negotiate(time.Duration(req.TimeoutMs) * time.Millisecond)

	c.mu.Lock()
	c.phase, c.readOnly = phaseOpening, status.ReadOnly
	c.stats.received++
	c.mu.Unlock()
	if req.SessionID == 0 {
		if !c.create(sessions) {
			o.create = nil // nobody was asked
			return false
		}
	} else {
		o.id = kernel.SessionID(req.SessionID)
		sessions.Attach(o.id, req.Password, o.timeout, c, c.attached)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	for c.phase == phaseOpening && !c.dead {
		c.cond.Wait()
	}
	c.drive()
	return !c.dead
}

// create submits a createSession. The response leaves when it has been applied here.
func (c *conn) create(sessions kernel.Sessions) bool {
	o := &c.opening
	o.id = sessions.NewID()
	o.create = createSession(o.id, o.timeout)
	o.create.Identities, o.create.Conn = c.Identities(), c
	if c.g.cfg.localSessions {
		c.g.host.Machine().Read([]*kernel.Request{o.create})
		return true
	}
	if status := c.g.host.Status(); status.ReadOnly && !status.Serving { // a global session would have to be written (spec client-protocol, 2.5)
		return false
	}
	for {
		err := c.g.host.Submit(o.create)
		if err == nil {
			return true
		}
		if !errors.Is(err, kernel.ErrBusy) {
			if !errors.Is(err, kernel.ErrNotServing) {
				c.g.refused(err)
			}
			return false
		}
		select {
		case <-time.After(busyPause):
		case <-c.g.stop:
			return false
		}
		c.mu.Lock()
		dead := c.dead
		c.mu.Unlock()
		if dead {
			return false
		}
	}
}

// created is the answer to the session's creation: it has been applied.
func (c *conn) created(req *kernel.Request, reply kernel.Reply) {
	if req != c.opening.create {
		return
	}
	if reply.Err != 0 {
		c.kill()
		return
	}
	o := &c.opening
	c.session.Store(int64(o.id))
	c.g.host.Machine().Sessions().Established(o.id, o.timeout, c)
	c.established()
}

// attached is the answer to a client that wants its session back.
func (c *conn) attached(a kernel.Attachment) {
	o := &c.opening
	switch a.Verdict {
	case kernel.Accepted:
		c.session.Store(int64(o.id))
		if a.Timeout > 0 {
			o.timeout = a.Timeout
		}
		c.established()
	case kernel.Refused:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.dead {
			return
		}
		c.respond(wire.ConnectResponse{HasReadOnly: o.hasReadOnly})
		c.phase = phaseServing
		c.finishLocked()
	default:
		c.kill()
	}
}

// established queues the response and lets the reader go on. A connection that was lost meanwhile is taken back from its session.
func (c *conn) established() {
	o := &c.opening
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		c.g.detachLater(c)
		return
	}
	c.respond(wire.ConnectResponse{
		TimeoutMs: int32(o.timeout / time.Millisecond), SessionID: int64(o.id), Password: c.g.host.Machine().Sessions().Password(o.id),
		ReadOnly: c.readOnly, HasReadOnly: o.hasReadOnly,
	})
	c.timeout = o.timeout
	c.lastFrame = time.Now()
	c.stats.established = c.lastFrame
	c.stats.lastOp = wire.OpCreateSession
	c.phase = phaseServing
	o.create = nil
	c.cond.Broadcast() // the reader drives
}

// respond queues a connect response. mu is held.
func (c *conn) respond(r wire.ConnectResponse) {
	if c.output.head == nil {
		c.output.head = chunkPool.Get().(*chunk)
	}
	b, start := wire.StartFrame(c.output.head.b)
	b = r.AppendTo(b)
	wire.FinishFrame(b, start)
	c.output.head.b = b
	c.output.frames++
	c.output.size += len(b) - start
}
