package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// conn is one connection with its queue. Client.mu guards all fields but nc.
type conn struct {
	nc      net.Conn
	wake    chan struct{} // one token: out has grown
	out     []byte        // frames not yet handed to the writer
	unsent  int           // calls whose frames are in out
	pending fifo          // calls without a reply, in the order of their frames
	nextXid int32
}

// errRefused: the server does not know the session (any more).
var errRefused = errors.New("client: the server refused the session")

// run owns the client: it connects, reads until the connection breaks, and connects again.
func (c *Client) run() {
	defer close(c.done)
	defer c.finish()
	const minWait, maxWait = 50 * time.Millisecond, time.Second
	wait, pause := minWait, false
	lastContact := time.Now()
	for i := 1; c.ctx.Err() == nil && !c.isClosing(); i++ {
		if pause {
			select {
			case <-time.After(wait/2 + rand.N(wait)):
			case <-c.ctx.Done():
				return
			}
			wait = min(2*wait, maxWait)
		}
		srv := c.servers[0]
		c.servers = append(c.servers[1:len(c.servers):len(c.servers)], srv) // the next attempt is at another one
		started := time.Now()
		c.useful = false
		served, contact, err := c.connect(srv)
		if !contact.IsZero() {
			lastContact = contact
		}
		// After a connection that was of use the next is tried at once; after a round of failures, or one that a server opened only to drop it, we give them time.
		if served && (c.useful || time.Since(started) > maxWait) {
			i, wait, pause = 0, minWait, false
		} else {
			pause = served || i%len(c.servers) == 0
		}
		switch {
		case c.finalErr() != nil:
			return
		case errors.Is(err, wire.ErrAuthFailed):
			c.end(AuthFailed, err)
			return
		case errors.Is(err, errRefused), c.SessionID() != 0 && time.Since(lastContact) > c.SessionTimeout()*4/3:
			if c.loseSession() {
				return
			}
			lastContact = time.Now()
		case err != nil:
			c.opts.Logger.Debug("connect", "server", srv.String(), "err", err)
		}
	}
}

func (c *Client) isClosing() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.closing }

// loseSession ends the session on our side and reports whether that ends the client.
func (c *Client) loseSession() (final bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setState(Lost, "", wire.ErrSessionExpired)
	c.cancelSession(wire.ErrSessionExpired)
	c.sessionID, c.password, c.provisional = 0, nil, false
	if c.closing || c.opts.StayLost {
		c.final = wire.ErrSessionExpired
		return true
	}
	c.sessionCtx, c.cancelSession = context.WithCancelCause(context.Background())
	c.timeout = c.opts.SessionTimeout
	c.setState(Connecting, "", nil)
	return false
}

// end makes err the answer to everything.
func (c *Client) end(s State, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.final = err
	c.setState(s, "", err)
}

// finish closes what callers may still wait for.
func (c *Client) finish() {
	c.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.final == nil {
		c.final = ErrClosed
	}
	if s := c.state.change.State; s != AuthFailed {
		c.setState(Closed, "", c.final)
	}
	c.cancelSession(c.final)
	c.watches.closeAll(c.final)
}

// connect tries one server, address by address as its name resolves now, and serves the first connection that works until it breaks. contact is when the server was heard last.
func (c *Client) connect(srv server) (served bool, contact time.Time, err error) {
	timeout := c.opts.DialTimeout
	if timeout == 0 {
		timeout = max(time.Second, c.SessionTimeout()/time.Duration(len(c.servers)))
	}
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	addresses, err := c.opts.Resolve(ctx, srv.host)
	cancel()
	if err != nil {
		return false, time.Time{}, err
	}
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
	for _, a := range addresses {
		var nc net.Conn
		if nc, err = c.dial(srv, net.JoinHostPort(a, srv.port), timeout); err != nil {
			continue
		}
		served, contact, err = c.serve(nc, timeout)
		if served || errors.Is(err, errRefused) || errors.Is(err, wire.ErrAuthFailed) {
			break
		}
	}
	return served, contact, err
}

func (c *Client) dial(srv server, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	defer cancel()
	nc, err := c.opts.Dial(ctx, "tcp", address)
	if err != nil || c.opts.TLS == nil {
		return nc, err
	}
	cfg := c.opts.TLS
	if cfg.ServerName == "" {
		cfg = cfg.Clone()
		cfg.ServerName = srv.host
	}
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// serve opens the session on nc, then reads until the connection breaks.
func (c *Client) serve(nc net.Conn, timeout time.Duration) (served bool, contact time.Time, err error) {
	stop := context.AfterFunc(c.ctx, func() { nc.Close() })
	defer stop()
	defer nc.Close()

	r := &frameReader{nc: nc, br: bufio.NewReaderSize(nc, 64<<10), max: c.opts.MaxReply}
	_ = nc.SetDeadline(time.Now().Add(timeout))
	resp, err := c.handshake(nc, r)
	if err != nil {
		return false, time.Time{}, err
	}
	contact = time.Now()
	if c.opts.SASL != nil {
		if err := c.opts.SASL.authenticate(nc, r); err != nil {
			return false, contact, err
		}
	}
	_ = nc.SetDeadline(time.Time{})

	cn := &conn{nc: nc, wake: make(chan struct{}, 1), nextXid: 1}
	negotiated := time.Duration(resp.TimeoutMs) * time.Millisecond
	if err := c.attach(cn, resp); err != nil {
		return false, contact, err
	}
	writerDone := make(chan struct{})
	connCtx, cancel := context.WithCancel(c.ctx)
	go func() { defer close(writerDone); c.write(connCtx, cn, negotiated) }()
	pollerDone := make(chan struct{})
	if resp.ReadOnly {
		go func() { defer close(pollerDone); c.seekReadWrite(connCtx, nc) }()
	} else {
		close(pollerDone)
	}

	r.timeout = negotiated * 2 / 3
	err = c.read(cn, r)
	cancel()
	nc.Close()
	<-writerDone
	<-pollerDone
	c.detach(cn, err)
	return true, r.last, err
}

func (c *Client) handshake(nc net.Conn, r *frameReader) (*wire.ConnectResponse, error) {
	c.mu.Lock()
	q := wire.ConnectRequest{LastZxidSeen: c.lastZxid, TimeoutMs: int32(c.opts.SessionTimeout.Milliseconds()), ReadOnly: c.opts.ReadOnly, HasReadOnly: true}
	if !c.provisional {
		q.SessionID, q.Password = c.sessionID, c.password
	}
	c.mu.Unlock()
	if q.Password == nil {
		q.Password = make([]byte, wire.PasswordSize)
	}
	frame, start := wire.StartFrame(nil)
	frame = q.AppendTo(frame)
	wire.FinishFrame(frame, start)
	if _, err := nc.Write(frame); err != nil {
		return nil, err
	}
	b, err := r.next()
	if err != nil {
		return nil, err
	}
	var resp wire.ConnectResponse
	d := jute.NewDecoder(b)
	if resp.Decode(&d); d.Err() != nil {
		return nil, fmt.Errorf("client: no ZooKeeper server at %v: %w", nc.RemoteAddr(), d.Err())
	}
	if resp.TimeoutMs <= 0 || resp.SessionID == 0 {
		if q.SessionID == 0 {
			return nil, errors.New("client: the server refuses new sessions")
		}
		return nil, errRefused
	}
	return &resp, nil
}

// attach makes cn the connection of the client: credentials first, then the watches, then whatever callers send.
func (c *Client) attach(cn *conn, resp *wire.ConnectResponse) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.provisional && c.sessionID != resp.SessionID { // the session of the read-only server was never more than a way to read
		c.cancelSession(wire.ErrSessionExpired)
		c.sessionCtx, c.cancelSession = context.WithCancelCause(context.Background())
	}
	c.provisional = resp.ReadOnly && (c.sessionID == 0 || c.provisional)
	c.sessionID = resp.SessionID
	c.password = append([]byte(nil), resp.Password[:]...)
	c.timeout = time.Duration(resp.TimeoutMs) * time.Millisecond
	for _, a := range c.auths {
		if err := c.enqueueAuth(cn, a, nil); err != nil {
			return err
		}
	}
	if err := c.rearm(cn); err != nil {
		return err
	}
	if !c.closing {
		c.conn = cn
	}
	state := Connected
	if resp.ReadOnly {
		state = ReadOnly
	}
	c.setState(state, cn.nc.RemoteAddr().String(), nil)
	return nil
}

// detach fails what had no reply.
func (c *Client) detach(cn *conn, err error) {
	c.mu.Lock()
	c.conn = nil
	closing := c.closing
	list := cn.pending.list[cn.pending.head:]
	for _, cl := range list {
		cl.taken = true
		if cl.arming != nil {
			c.watches.disarmed(cl.arming)
		}
	}
	c.watches.disconnected(c.lastZxid)
	if !closing && c.final == nil {
		c.setState(Suspended, "", err)
	}
	c.mu.Unlock()
	for i, cl := range list {
		cl.err = wire.ErrConnectionLoss
		if errors.Is(err, wire.ErrAuthFailed) {
			cl.err = wire.ErrAuthFailed
		} else if closing {
			cl.err = ErrClosed
		}
		cl.sent = i < len(list)-cn.unsent
		cl.complete()
	}
}

// complete hands the outcome to whoever waits. The reader alone calls it, once per call.
func (cl *call) complete() {
	switch {
	case cl.abandoned:
		cl.free()
	case cl.back != nil:
		rep := Reply{Zxid: cl.zxid, Err: cl.err, Sent: cl.sent}
		if cl.err == nil {
			rep.Response = &cl.resp
		}
		cl.back(rep)
		cl.free()
	default:
		cl.done <- struct{}{}
	}
}

// write is the connection's writer: one write per batch of frames, a ping when nothing was written for a third of the session timeout.
func (c *Client) write(ctx context.Context, cn *conn, timeout time.Duration) {
	idle := min(timeout/3, 10*time.Second)
	timer := time.NewTimer(idle)
	defer timer.Stop()
	ping := &wire.Request{Op: wire.Op{Code: wire.OpPing}}
	var buf []byte
	for {
		select {
		case <-ctx.Done():
			return
		case <-cn.wake:
		case <-timer.C:
			c.mu.Lock()
			_, _ = c.enqueue(cn, ping, discardReply, nil)
			c.mu.Unlock()
		}
		c.mu.Lock()
		buf, cn.out = cn.out, buf[:0]
		cn.unsent = 0
		c.mu.Unlock()
		if len(buf) == 0 {
			continue
		}
		_ = cn.nc.SetWriteDeadline(time.Now().Add(timeout))
		if _, err := cn.nc.Write(buf); err != nil {
			cn.nc.Close() // the reader notices
			return
		}
		if cap(buf) > 1<<20 {
			buf = nil
		}
		timer.Reset(idle)
	}
}

func discardReply(Reply) {}

// read completes calls and delivers events until the connection breaks.
func (c *Client) read(cn *conn, r *frameReader) error {
	for {
		frame, err := r.next()
		if err != nil {
			return err
		}
		d := jute.NewDecoder(frame)
		var h wire.ReplyHeader
		h.Decode(&d)
		if d.Err() != nil {
			return fmt.Errorf("client: reply without header: %w", d.Err())
		}
		if h.Xid == wire.XidWatchEvent {
			var e wire.WatcherEvent
			if e.Decode(&d); d.Err() != nil {
				return fmt.Errorf("client: watch event: %w", d.Err())
			}
			c.deliver(e, h.Zxid)
			continue
		}
		c.mu.Lock()
		var cl *call
		switch h.Xid { // servers answer these ahead of requests before them: Zooid pings, and some others credentials
		case wire.XidPing:
			cl = cn.pending.takeFirst(wire.OpPing)
		case wire.XidAuth:
			cl = cn.pending.takeFirst(wire.OpAuth)
		default:
			cl = cn.pending.pop()
		}
		if cl == nil || cl.xid != h.Xid {
			if cl != nil { // its outcome is not known: back to the head
				cn.pending.list = append([]*call{cl}, cn.pending.list[cn.pending.head:]...)
				cn.pending.head = 0
			}
			c.mu.Unlock()
			return fmt.Errorf("client: reply with xid %d is out of order", h.Xid)
		}
		cl.taken = true
		if h.Zxid > c.lastZxid && h.Xid > 0 {
			c.lastZxid = h.Zxid
		}
		abandoned := cl.abandoned
		c.mu.Unlock()

		cl.zxid, cl.err, cl.sent = h.Zxid, h.Err.Err(), true
		if cl.err == nil && !abandoned {
			cl.resp.Code = cl.op
			if cl.resp.Decode(&d); d.Err() != nil {
				cl.err = fmt.Errorf("client: %v reply: %w", cl.op, d.Err())
			}
			if keepsFrame(cl.op) {
				r.give()
			}
		}
		if cl.arming != nil {
			c.armed(cl, abandoned)
		}
		op, failed := cl.op, cl.err
		c.useful = c.useful || failed == nil && op != wire.OpAuth && op != wire.OpSetWatches && op != wire.OpSetWatches2
		cl.complete()
		if op == wire.OpAuth && failed != nil {
			return fmt.Errorf("%w: the server refused the credentials: %w", wire.ErrAuthFailed, failed)
		}
		if op == wire.OpCloseSession {
			return io.EOF
		}
	}
}

// keepsFrame reports whether a decoded response aliases its frame.
func keepsFrame(op wire.OpCode) bool {
	switch op {
	case wire.OpGetData, wire.OpMulti, wire.OpMultiRead, wire.OpReconfig, wire.OpSASL:
		return true
	}
	return false
}
