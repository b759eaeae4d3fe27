package simulate

import (
	"bytes"
	"errors"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/sim"
	"github.com/zooid-project/zooid/sdk/wire"
)

// gateway is what the ZooKeeper gateway is to real clients, for simulated ones: the same calls in the same order, without sockets, goroutines and frames. It is a server's sim.Guest.
type gateway struct {
	run    *run
	server *sim.Server
	host   kernel.Host
	conns  []*conn
	lost   []*conn // established too late: nobody is there
	ready  bool
}

func (r *run) guest(s *sim.Server) sim.Guest {
	g := &gateway{run: r, server: s, host: s.Host()}
	r.gateways[s.ID()] = g
	return g
}

// Waits implements sim.Guest.
func (g *gateway) Waits() bool { return g.ready }

// Turn implements sim.Guest: what has arrived on every connection is taken, and what may run, runs.
func (g *gateway) Turn() {
	g.ready = false
	kept := g.conns[:0]
	all := g.conns
	for _, c := range all {
		c.turn()
	}
	for _, c := range all {
		if !c.gone {
			kept = append(kept, c)
		}
	}
	clear(all[len(kept):])
	g.conns = kept
	for _, c := range g.lost {
		g.host.Machine().Sessions().Detach(c)
	}
	g.lost = nil
}

// Ended implements sim.Guest.
func (g *gateway) Ended(silent bool) {
	for _, c := range g.conns {
		c.gone = true
		if !silent && !c.finished {
			c.send(frame{kind: frameClosed})
		}
	}
	g.conns = nil
	delete(g.run.gateways, g.server.ID())
}

// frameKind tells what travels between a client and a server.
type frameKind uint8

const (
	frameConnect   frameKind = iota // client: the handshake
	frameRequest                    // client
	framePing                       // client, and the answer
	frameClosed                     // either: the connection is over
	frameConnected                  // server: the handshake's answer; session 0: the session is gone
	frameReply                      // server
	frameEvent                      // server
)

// frame is one message between a client and a server.
type frame struct {
	kind    frameKind
	cxid    int32
	op      wire.OpCode
	request wire.Request
	session kernel.SessionID
	timeout time.Duration
	zxid    kernel.Zxid
	code    wire.ErrorCode
	body    []byte
}

// conn is a client connection; the server's end implements kernel.Connection.
type conn struct {
	run      *run
	client   *client
	gateway  *gateway
	inbox    []frame // arrived at the server
	arriving time.Duration
	leaving  time.Duration

	session  kernel.SessionID
	timeout  time.Duration
	opening  *kernel.Request
	serving  bool
	finished bool // nothing more is taken or queued
	gone     bool // the server has forgotten it
	left     bool // the client has forgotten it

	queue []*asked
	ready int // of queue: those before it were handed over
}

var _ kernel.Connection = (*conn)(nil)

// asked is a request between decode and reply.
type asked struct {
	kernel.Request
	decoded  wire.Request
	answered bool
	refused  bool // by the node: the answer shows the state of when it leaves
	reply    frame
	closes   bool
}

// connect gives a client a connection to a server, whether anybody is there or not.
func (r *run) connect(c *client, to kernel.ServerID) *conn {
	n := &conn{run: r, client: c}
	at := r.world.Now() + r.clientLatency()
	n.arriving = at
	r.world.After(at-r.world.Now(), func() {
		g := r.gateways[to]
		if g == nil || n.left {
			r.world.After(r.clientLatency(), func() { c.receive(n, frame{kind: frameClosed}) })
			return
		}
		n.gateway = g
		g.conns = append(g.conns, n)
		if len(n.inbox) > 0 {
			g.ready = true
		}
	})
	return n
}

// toServer sends a frame from the client.
func (n *conn) toServer(f frame) {
	w := n.run.world
	n.arriving = max(n.arriving, w.Now()+n.run.clientLatency())
	w.After(n.arriving-w.Now(), func() {
		switch {
		case n.gone && n.gateway.server.Up() && f.kind != frameClosed: // another process: it does not know this connection
			w.After(n.run.clientLatency(), func() { n.client.receive(n, frame{kind: frameClosed}) })
		case !n.gone:
			n.inbox = append(n.inbox, f)
			if n.gateway != nil {
				n.gateway.ready = true
			}
		}
	})
}

// send sends a frame from the server.
func (n *conn) send(f frame) {
	w := n.run.world
	n.leaving = max(n.leaving, w.Now()+n.run.clientLatency())
	w.After(n.leaving-w.Now(), func() { n.client.receive(n, f) })
}

// turn takes what has arrived.
func (n *conn) turn() {
	inbox := n.inbox
	n.inbox = nil
	touched, alive := false, false
	for i := range inbox {
		f := &inbox[i]
		switch f.kind {
		case frameConnect:
			n.handshake(f)
		case frameClosed:
			n.end(true)
		default:
			if n.finished || !n.serving {
				continue
			}
			if !touched {
				touched, alive = true, n.gateway.host.Machine().Sessions().Touch(n.session, n)
				if alive {
					n.run.touched(n.gateway.server, n.session)
				}
			}
			if !alive {
				continue // dropped without an answer
			}
			if f.kind == framePing {
				n.send(frame{kind: framePing, zxid: n.gateway.host.Machine().Position()})
				continue
			}
			n.take(f)
		}
	}
	n.drive()
}

// end forgets the connection. told: the client knows, or need not.
func (n *conn) end(told bool) {
	if n.gone {
		return
	}
	n.gone, n.finished = true, true
	n.queue, n.ready = nil, 0
	if !told {
		n.send(frame{kind: frameClosed})
	}
	if n.session != 0 {
		n.gateway.host.Machine().Sessions().Detach(n)
	}
}

// kill ends the connection from inside a call of the state machine: the gateway's next turn forgets it.
func (n *conn) kill() {
	if n.finished {
		return
	}
	n.finished = true
	n.send(frame{kind: frameClosed})
	n.inbox = append(n.inbox, frame{kind: frameClosed})
	n.gateway.ready = true
}

func (n *conn) handshake(f *frame) {
	host := n.gateway.host
	if !host.Status().Serving || f.zxid > host.Machine().Position() {
		n.end(false)
		return
	}
	sessions := host.Machine().Sessions()
	n.timeout = sessions.Negotiate(f.timeout)
	if f.session != 0 {
		n.run.lives[f.session] = n.run.lives[f.session].granted(n.timeout) // the leader may take it up, and its answer be lost
		password := sessions.Password(f.session)
		n.run.lives[f.session] = n.run.lives[f.session].granted(n.timeout) // the leader goes by it from when it hears of it, whether its answer arrives or not
		sessions.Attach(f.session, password[:], n.timeout, n, func(a kernel.Attachment) {
			switch a.Verdict {
			case kernel.Accepted:
				n.session = f.session
				n.established(a.Timeout)
			case kernel.Refused:
				n.send(frame{kind: frameConnected})
				n.kill()
			default:
				n.kill()
			}
		})
		return
	}
	id := sessions.NewID()
	ms := int32(n.timeout / time.Millisecond)
	r := wire.Request{Op: wire.Op{Code: wire.OpCreateSession}, TimeoutMs: ms}
	n.opening = &kernel.Request{Session: id, Op: int32(wire.OpCreateSession), Body: r.AppendTo(nil), Decoded: &r, Identities: n.Identities(), Conn: n}
	if err := host.Submit(n.opening); err != nil {
		n.end(false)
	}
}

func (n *conn) established(timeout time.Duration) {
	if n.finished { // it was lost meanwhile, and is taken back from its session
		n.gateway.lost = append(n.gateway.lost, n)
		n.gateway.ready = true
		return
	}
	n.serving = true
	n.run.lives[n.session] = n.run.lives[n.session].granted(timeout)
	n.run.touched(n.gateway.server, n.session)
	n.send(frame{kind: frameConnected, session: n.session, timeout: timeout})
}

// take queues a request.
func (n *conn) take(f *frame) {
	a := &asked{decoded: f.request}
	a.Request = kernel.Request{Session: n.session, Cxid: f.cxid, Op: int32(f.op), Body: f.request.AppendTo(nil), Decoded: &a.decoded, Identities: identities(f.op), Conn: n,
		Barrier: f.op == wire.OpSync}
	a.closes = f.op == wire.OpCloseSession
	n.queue = append(n.queue, a)
}

// drive hands over what may run: writes and barriers at once, reads when everything before them is answered.
func (n *conn) drive() {
	if !n.serving {
		return
	}
	host := n.gateway.host
	for n.ready < len(n.queue) && !n.finished {
		a := n.queue[n.ready]
		op := wire.OpCode(a.Op)
		if op != wire.OpSync && !op.IsWrite() {
			if n.ready > 0 && !n.run.bugs.earlyRead {
				return
			}
			n.ready++
			host.Machine().Read([]*kernel.Request{&a.Request})
			continue
		}
		var err error
		if op != wire.OpSync {
			err = host.Machine().Resolve(&a.Request)
		}
		if err == nil {
			n.ready++
			if err = host.Submit(&a.Request); err != nil {
				n.ready--
				host.Machine().Release(&a.Request)
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, kernel.ErrBusy):
			n.run.world.After(2*time.Millisecond, func() { n.gateway.ready = true })
			return
		case errors.Is(err, kernel.ErrNotServing):
			n.kill()
			return
		default:
			n.ready++
			a.refused = true
			n.Reply(&a.Request, kernel.Reply{Err: int32(wire.ErrSystemError)})
		}
	}
}

// Reply implements kernel.Connection.
func (n *conn) Reply(req *kernel.Request, reply kernel.Reply) {
	if req == n.opening {
		n.opening = nil
		if reply.Err != 0 {
			n.kill()
			return
		}
		n.session = req.Session
		n.gateway.host.Machine().Sessions().Established(n.session, n.timeout, n)
		n.established(n.timeout)
		return
	}
	if n.finished {
		return
	}
	for _, a := range n.queue[:n.ready] {
		if &a.Request == req && !a.answered {
			a.answered = true
			a.reply = frame{kind: frameReply, cxid: req.Cxid, op: wire.OpCode(req.Op), zxid: reply.Zxid, code: wire.ErrorCode(reply.Err), body: bytes.Clone(reply.Body)}
			a.closes = a.closes || reply.Close
			n.advance()
			return
		}
	}
}

// advance lets the answers at the head of the queue leave.
func (n *conn) advance() {
	for n.ready > 0 && n.queue[0].answered && !n.finished {
		a := n.queue[0]
		n.queue = n.queue[1:]
		n.ready--
		if a.refused {
			a.reply.zxid = n.gateway.host.Machine().Position()
		}
		n.send(a.reply)
		if a.closes {
			n.kill()
		}
	}
	if n.ready < len(n.queue) {
		n.gateway.ready = true
	}
}

// Reserve implements kernel.Connection: with small trees the answer follows before anything else is queued.
func (n *conn) Reserve(req *kernel.Request) {}

// Deliver implements kernel.Connection.
func (n *conn) Deliver(event kernel.Event) {
	if n.finished {
		return
	}
	if n.run.bugs.loseEvent() {
		return
	}
	n.send(frame{kind: frameEvent, zxid: event.Zxid, body: bytes.Clone(event.Body)})
}

var (
	everybody     = []kernel.Identity{{Scheme: "ip", ID: "127.0.0.1"}}
	administrator = []kernel.Identity{{Scheme: "super"}}
)

// identities are who asks for an operation: changing the members needs more than the rest.
func identities(op wire.OpCode) []kernel.Identity {
	if op == wire.OpReconfig {
		return administrator
	}
	return everybody
}

// Identities implements kernel.Connection.
func (n *conn) Identities() []kernel.Identity { return everybody }

// Alive implements kernel.Connection.
func (n *conn) Alive() bool { return !n.finished && !n.gone }

// Session implements kernel.Connection.
func (n *conn) Session() kernel.SessionID { return n.session }

// Close implements kernel.Connection. The reply to the client's own closeSession closes by itself.
func (n *conn) Close(reason kernel.CloseReason) {
	if reason == kernel.CloseSessionEnded {
		for _, a := range n.queue {
			if a.closes {
				return
			}
		}
	}
	n.kill()
}
