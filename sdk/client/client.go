package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// Client is a session with a ZooKeeper ensemble. All methods may be called from any number of goroutines at the same time.
type Client struct {
	opts    Options
	servers []server // shuffled; run's own
	useful  bool     // the connection under way has answered something; run's own
	chroot  string

	ctx    context.Context // ends when Close has given up on the connection
	cancel context.CancelFunc
	done   chan struct{} // closed when run has returned

	calls sync.Pool // of *call. Not of all clients together: their channels may belong to a test in virtual time

	mu            sync.Mutex
	state         *stateNode
	conn          *conn // nil unless requests can be sent
	final         error // set once: every call returns it
	closing       bool
	auths         []Auth
	sessionID     int64
	password      []byte
	provisional   bool          // the session was opened at a read-only server and is not offered to others
	timeout       time.Duration // negotiated
	lastZxid      int64         // highest of the replies seen
	sessionCtx    context.Context
	cancelSession context.CancelCauseFunc
	watches       watchTable
}

// New returns a client that connects in the background; calls wait for it as long as their contexts allow. The connect string is "host:port,host:port/chroot"; the port defaults to 2181, and
// with a chroot all paths are below that node, which must exist (or be made by a create with Parents).
func New(connect string, opts Options) (*Client, error) {
	servers, chroot, err := parseConnect(connect)
	if err != nil {
		return nil, err
	}
	opts.setDefaults()
	c := &Client{opts: opts, servers: servers, chroot: chroot, done: make(chan struct{}), auths: append([]Auth(nil), opts.Auth...),
		sessionID: opts.SessionID, password: opts.Password, timeout: opts.SessionTimeout}
	c.calls.New = func() any { return &call{pool: &c.calls, done: make(chan struct{}, 1)} }
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.sessionCtx, c.cancelSession = context.WithCancelCause(context.Background())
	c.state = newStateNode(StateChange{State: Connecting, Time: time.Now(), SessionID: c.sessionID})
	go c.run()
	return c, nil
}

// Dial is New and waits until the session is open. On error nothing is left behind.
func Dial(ctx context.Context, connect string, opts Options) (*Client, error) {
	c, err := New(connect, opts)
	if err != nil {
		return nil, err
	}
	states := c.States()
	for {
		s, err := states.Next(ctx)
		switch {
		case err == nil && (s.State == Connected || s.State == ReadOnly):
			return c, nil
		case err == nil && s.State != AuthFailed && s.State != Closed:
			continue
		case err == nil:
			err = s.Err
		}
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		_ = c.Close(gone)
		return nil, fmt.Errorf("client: connect to %s: %w", connect, err)
	}
}

// SessionID returns the present session's id, 0 before there is one.
func (c *Client) SessionID() int64 { c.mu.Lock(); defer c.mu.Unlock(); return c.sessionID }

// Session returns what Options.SessionID and Password need to continue this session elsewhere.
func (c *Client) Session() (id int64, password []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessionID, append([]byte(nil), c.password...)
}

// SessionTimeout returns the timeout that the server granted last.
func (c *Client) SessionTimeout() time.Duration { c.mu.Lock(); defer c.mu.Unlock(); return c.timeout }

// LastZxid returns the highest zxid of the replies seen so far.
func (c *Client) LastZxid() int64 { c.mu.Lock(); defer c.mu.Unlock(); return c.lastZxid }

// Close ends the session: its ephemeral nodes go at once. It waits for the server's reply as long as ctx allows; without it the session ends by its timeout and the error says so. Calls under way
// and all later ones return ErrClosed. Close may be called again, to no effect.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	already := c.closing
	c.closing = true
	c.mu.Unlock()
	var err error
	if !already {
		err = c.closeSession(ctx)
	}
	c.cancel()
	<-c.done
	return err
}

func (c *Client) closeSession(ctx context.Context) error {
	if c.SessionID() == 0 || c.finalErr() != nil {
		return nil
	}
	cl, err := c.submit(&wire.Request{Op: wire.Op{Code: wire.OpCloseSession}}, nil, nil)
	if err == nil {
		err = c.await(ctx, cl)
	}
	if err != nil {
		return fmt.Errorf("client: the session ends only by its timeout of %v: %w", c.SessionTimeout(), err)
	}
	return nil
}

func (c *Client) finalErr() error { c.mu.Lock(); defer c.mu.Unlock(); return c.final }

// full returns the server's name of a path.
func (c *Client) full(path string) string {
	if c.chroot == "" {
		return path
	}
	if path == "/" {
		return c.chroot
	}
	return c.chroot + path
}

// strip returns the caller's name of a server's path.
func (c *Client) strip(path string) string {
	if c.chroot == "" || len(path) < len(c.chroot) {
		return path
	}
	if path = path[len(c.chroot):]; path == "" {
		return "/"
	}
	return path
}

// call is a request that awaits its reply.
type call struct {
	pool *sync.Pool // its client's
	op   wire.OpCode
	done chan struct{} // gets one token on completion; nil with a call-back
	back func(Reply)
	xid  int32

	arming *Watch // registers on the reply's success; the watch table counts it as on its way until then

	taken     bool // the reader is completing it (under c.mu)
	abandoned bool // nobody waits any more (under c.mu)

	resp wire.Response
	zxid int64
	err  error
	sent bool
}

func (cl *call) free() {
	pool := cl.pool
	*cl = call{pool: pool, done: cl.done}
	pool.Put(cl)
}

// Reply is what Go's call-back gets.
type Reply struct {
	Zxid     int64
	Response *wire.Response // valid during the call-back only, but its strings and byte slices may be kept; nil with Err. Paths are the server's own, chroot included
	Err      error          // a wire.ErrorCode, or one of this package's errors
	Sent     bool           // false: the request has certainly not reached a server
}

// Go sends a request and returns at once. done is called exactly once: from the goroutine that reads replies, which it must not block, or before Go returns if the request cannot be sent (not
// connected, closed, too large, too many in flight). Nothing is repeated. req's path is below the chroot, in a multi the paths of its operations too; req is not kept. Watch fields are ignored.
func (c *Client) Go(req *wire.Request, done func(Reply)) {
	r := *req
	r.Watch = false
	if c.chroot != "" {
		r.Path = c.full(r.Path)
		r.Ops = c.fullOps(r.Ops)
	}
	if _, err := c.submit(&r, done, nil); err != nil {
		done(Reply{Err: err})
	}
}

// submit queues a request whose paths are full ones. ErrNotConnected means that nothing was queued.
func (c *Client) submit(req *wire.Request, back func(Reply), w *Watch) (*call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.final != nil:
		return nil, c.final
	case c.closing && req.Code != wire.OpCloseSession:
		return nil, ErrClosed
	case c.conn == nil:
		return nil, ErrNotConnected
	case c.conn.pending.len() >= c.opts.MaxInFlight:
		return nil, ErrTooManyInFlight
	}
	return c.enqueue(c.conn, req, back, w)
}

// enqueue appends the request's frame to what the writer will write next. Callers hold c.mu.
func (c *Client) enqueue(cn *conn, req *wire.Request, back func(Reply), w *Watch) (*call, error) {
	var start int
	before := len(cn.out)
	cn.out, start = wire.StartFrame(cn.out)
	xid := cn.nextXid
	switch req.Code {
	case wire.OpPing:
		xid = wire.XidPing
	case wire.OpAuth:
		xid = wire.XidAuth
	default:
		if cn.nextXid++; cn.nextXid == math.MaxInt32 {
			cn.nextXid = 1
		}
	}
	h := wire.RequestHeader{Xid: xid, Op: req.Code}
	cn.out = req.AppendTo(h.AppendTo(cn.out))
	if n := len(cn.out) - start - 4; n > c.opts.MaxFrame {
		cn.out = cn.out[:before]
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrRequestTooLarge, n, c.opts.MaxFrame)
	}
	wire.FinishFrame(cn.out, start)

	cl := c.calls.Get().(*call)
	cl.op, cl.xid, cl.back, cl.arming = req.Code, xid, back, w
	cn.pending.push(cl)
	cn.unsent++
	if w != nil {
		c.watches.arming(w)
	}
	select {
	case cn.wake <- struct{}{}:
	default: // the writer knows
	}
	return cl, nil
}

// await waits for a call without call-back. On success the caller frees it; after an error it is not the caller's any more.
func (c *Client) await(ctx context.Context, cl *call) error {
	select {
	case <-cl.done:
	case <-ctx.Done():
		c.mu.Lock()
		if !cl.taken {
			cl.abandoned = true
			c.mu.Unlock()
			return ctx.Err()
		}
		c.mu.Unlock()
		<-cl.done // it is being completed
	}
	if cl.err != nil {
		err, sent := cl.err, cl.sent
		cl.free()
		if !sent {
			return unsentError{err}
		}
		return err
	}
	return nil
}

// unsentError marks an error of a request that was queued but never written.
type unsentError struct{ error }

func (e unsentError) Unwrap() error { return e.error }

// do sends a request, whose path is the caller's own and is kept in errors, and waits for its reply, repeating it as the policy says. On success the caller reads the result from the call and
// frees it.
func (c *Client) do(ctx context.Context, req *wire.Request, w *Watch) (*call, error) {
	path := req.Path
	if c.chroot != "" {
		if !req.NullPath && path != "" {
			req.Path = c.full(path)
		}
		req.Ops = c.fullOps(req.Ops)
	}
	wait := c.opts.Retry.MinWait
	everSent := false
	for attempt := 1; ; attempt++ {
		cl, sent, err := c.try(ctx, req, w)
		everSent = everSent || sent
		if err == nil {
			return cl, nil
		}
		if !c.repeat(req.Code, err, sent) || attempt == c.opts.Retry.Attempts {
			return nil, &Error{Op: req.Code, Path: path, Err: err, Sent: everSent}
		}
		if errors.Is(err, wire.ErrThrottledOp) {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
			wait = min(2*wait, c.opts.Retry.MaxWait)
		}
	}
}

// try waits for a connection and sends the request once.
func (c *Client) try(ctx context.Context, req *wire.Request, w *Watch) (cl *call, sent bool, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		c.mu.Lock()
		changed := c.state.ready
		c.mu.Unlock()
		cl, err := c.submit(req, nil, w)
		if err == nil {
			err = c.await(ctx, cl)
			if u, ok := err.(unsentError); ok {
				return nil, false, u.error
			}
			return cl, true, err
		}
		if err != ErrNotConnected {
			return nil, false, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// repeat says whether the policy lets a call that failed so be done again. If its context has ended meanwhile, the next try says so.
func (c *Client) repeat(op wire.OpCode, err error, sent bool) bool {
	if errors.Is(err, wire.ErrThrottledOp) {
		return true
	}
	if !errors.Is(err, wire.ErrConnectionLoss) {
		return false
	}
	return !sent || !op.IsWrite() || c.opts.Retry.Writes
}
