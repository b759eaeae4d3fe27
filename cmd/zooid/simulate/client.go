package simulate

import (
	"fmt"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// client is one simulated client: a session after the other, on any server, with a few requests under way.
type client struct {
	run  *run
	id   int
	stop bool // begins nothing more

	silent bool // it does nothing by itself, not even show life: it wants a long time-out

	conn      *conn
	connected bool
	dialled   time.Duration
	heard     time.Duration
	away      time.Duration // it stays away until then
	lost      time.Duration // when its last connection was

	session  kernel.SessionID // zero: none, or gone
	timeout  time.Duration
	lastZxid kernel.Zxid // of any reply, also of earlier sessions: what it has seen it never sees undone
	cxid     int32
	writes   kernel.Zxid // of its last write in this session
	flight   []*op
	watches  []*watching
	ended    bool // it has asked for the session's end
	made     int
}

// op is one request of a client and what became of it.
type op struct {
	client  *client
	session kernel.SessionID
	cxid    int32
	request wire.Request
	synced  bool        // a read right behind a sync of the same client
	floor   kernel.Zxid // what had been seen by anybody when it was sent (for a synced read: when the sync was)
	called  time.Duration
	done    time.Duration
	outcome outcome
	zxid    kernel.Zxid
	code    wire.ErrorCode
	read    registerState // what a synced read has returned
}

// outcome of an operation.
type outcome uint8

const (
	underWay outcome = iota
	answered
	unknown // the connection was lost: it may have happened, once at most
)

// watching is a one-shot watch that a client waits for.
type watching struct {
	path  string
	child bool
	gone  bool // set on a node that did not exist
	since kernel.Zxid
}

// act is one turn of a client.
func (c *client) act() {
	w := c.run.world
	defer func() { w.After(c.run.think(), c.act) }()
	now := w.Now()
	switch {
	case c.conn == nil:
		if now >= c.away && (!c.stop || len(c.flight) > 0) {
			c.dial()
		}
		return
	case !c.connected:
		if now-c.dialled > 3*time.Second {
			c.lose()
		}
		return
	case now-c.heard > c.timeout*2/3:
		c.lose()
		return
	}
	if now-c.heard > c.timeout/3 {
		c.conn.toServer(frame{kind: framePing})
	}
	if c.stop || c.ended || len(c.flight) >= 4 {
		return
	}
	switch rng := w.Rand(); {
	case rng.IntN(60) == 0: // a reset, or a client that moves on
		c.conn.toServer(frame{kind: frameClosed})
		c.lose()
		if rng.IntN(4) == 0 {
			c.away = now + time.Duration(rng.Int64N(int64(3*c.timeout)+1))
		}
	case rng.IntN(80) == 0:
		c.ended = true
		c.ask(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})
	default:
		c.work()
	}
}

// dial begins a connection to some server.
func (c *client) dial() {
	w := c.run.world
	c.dialTo(w.Servers()[w.Rand().IntN(len(w.Servers()))].ID())
}

func (c *client) dialTo(to kernel.ServerID) {
	w := c.run.world
	c.conn = c.run.connect(c, to)
	c.dialled = w.Now()
	c.timeout = c.run.tick * time.Duration(4+w.Rand().IntN(10))
	if c.silent {
		c.timeout = 20 * c.run.tick
	}
	c.conn.toServer(frame{kind: frameConnect, session: c.session, timeout: c.timeout, zxid: c.lastZxid})
}

// lose forgets the connection: what was under way may have happened or not.
func (c *client) lose() {
	c.conn.left = true
	c.conn.toServer(frame{kind: frameClosed})
	opening := !c.connected && c.session == 0
	c.conn, c.connected, c.lost = nil, false, c.run.world.Now()
	for _, o := range c.flight {
		o.outcome, o.done = unknown, c.run.world.Now()
		c.run.tally("unknown")
		switch o.request.Code {
		case wire.OpSync:
			c.run.tally(markLostSync)
		case wire.OpMulti:
			c.run.tally(markMovedMulti)
		}
	}
	if opening {
		c.run.tally(markLostOpening)
	}
	c.flight = nil
	if c.ended { // the end of the session may be on its way: nobody asks for it again
		c.newSession()
	}
}

// newSession forgets the session.
func (c *client) newSession() {
	c.session, c.watches, c.ended, c.writes = 0, nil, false, 0
}

// receive takes a frame from the server.
func (c *client) receive(from *conn, f frame) {
	if c.conn != from {
		return
	}
	c.heard = c.run.world.Now()
	switch f.kind {
	case frameClosed:
		c.lose()
	case frameConnected:
		c.opened(f)
	case frameReply:
		c.reply(f)
	case frameEvent:
		c.event(f)
	}
}

func (c *client) opened(f frame) {
	if f.session == 0 {
		c.run.refused = append(c.run.refused, c.session)
		c.run.tally("sessions expired")
		c.newSession()
		c.lose()
		return
	}
	if c.session == 0 {
		c.cxid = 0
		c.run.tally("sessions")
	} else if f.session != c.session {
		c.run.fail("a client asked for session %s and got %s (rule 13)", c.session, f.session)
	}
	c.session, c.timeout, c.connected = f.session, f.timeout, true
	if s := c.run.model.sessions[int64(c.session)]; s == nil {
		c.run.fail("session %s was given out and is not committed (rule 13)", c.session)
	}
	if len(c.watches) > 0 {
		c.rewatch()
	}
	if !c.run.model.now(parent).exists {
		c.ask(wire.Request{Op: wire.Op{Code: wire.OpCreate2, Path: parent, ACL: wire.OpenACL}})
	}
}

// ask sends a request.
func (c *client) ask(r wire.Request) *op {
	c.cxid++
	o := &op{client: c, session: c.session, cxid: c.cxid, request: r, floor: c.run.seen, called: c.run.world.Now()}
	c.flight = append(c.flight, o)
	c.run.ops = append(c.run.ops, o)
	c.run.world.Logf("client %d asks %d %v %s", c.id, o.cxid, r.Code, r.Path)
	c.conn.toServer(frame{kind: frameRequest, cxid: o.cxid, op: r.Code, request: r})
	return o
}

// rewatch sets the watches of an earlier connection again.
func (c *client) rewatch() {
	r := wire.Request{Op: wire.Op{Code: wire.OpSetWatches}, RelativeZxid: int64(c.lastZxid)}
	for _, w := range c.watches {
		switch {
		case w.child:
			r.ChildWatches = append(r.ChildWatches, w.path)
		case w.gone:
			r.ExistWatches = append(r.ExistWatches, w.path)
		default:
			r.DataWatches = append(r.DataWatches, w.path)
		}
	}
	c.ask(r)
}

// reply takes an answer and checks it.
func (c *client) reply(f frame) {
	if len(c.flight) == 0 || c.flight[0].cxid != f.cxid {
		c.run.fail("client %d gets an answer to %d out of order (I18)", c.id, f.cxid)
		return
	}
	o := c.flight[0]
	c.flight = c.flight[1:]
	o.outcome, o.done, o.zxid, o.code = answered, c.run.world.Now(), f.zxid, f.code
	c.run.tally("answered")
	c.run.world.Logf("client %d: answer to %d at %s, error %d", c.id, o.cxid, f.zxid, f.code)
	c.run.checkReply(o, f)
	c.lastZxid = max(c.lastZxid, f.zxid)
	c.run.seen = max(c.run.seen, f.zxid)
	if o.request.Code == wire.OpCloseSession {
		c.newSession()
		c.lose()
	}
}

// String names a client in the trace.
func (c *client) String() string { return fmt.Sprintf("client %d", c.id) }
