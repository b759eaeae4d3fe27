package zookeeper

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// conn is one client connection. Its reader goroutine runs serve; everything under mu is shared with the state machine's calls and the sweeper.
//
// Nothing that can block or call out is done with mu held.
type conn struct {
	g      *Gateway
	raw    net.Conn // as accepted; killing a connection closes it, whatever TLS is doing
	socket net.Conn
	peer   kernel.Peer
	host   string // the peer's address without port, as the limit per address counts it
	secure bool
	in     input // the reader's

	identities atomic.Pointer[[]kernel.Identity] // replaced by the reader only
	session    atomic.Int64
	exchange   kernel.Exchange // the reader's; SASL under way
	proven     bool            // the reader's; SASL is complete
	counted    netip.Prefix    // the reader's; where openSessions counts it
	upgradedIn kernel.Epoch    // of whoever executes the queue; when the local session was told to become a global one, -1: never

	mu   sync.Mutex
	cond sync.Cond // the reader waits here: for its handshake, for room
	// The apply goroutine waits here for reads under way.
	settled sync.Cond

	phase    phase
	dead     bool
	readOnly bool   // the server was in read-only mode at the handshake; the reader writes it before there is a session
	why      string // it was killed, for the log; empty where there is nothing to say
	timeout  time.Duration
	opening  opening

	queue  queue
	output output

	parting   bool // the server sends its clients away
	accepted  time.Time
	lastFrame time.Time // when the last frame that counts as a sign of life was complete
	woken     bool      // a goroutine was started to drive and has not looked yet
	stats     connStats
}

// phase is the part of its life that a connection is in.
type phase uint8

const (
	phaseNew      phase = iota // nothing but the first frame is understood
	phaseOpening               // the handshake waits for its session
	phaseServing               // requests
	phaseClosing               // nothing more is read or queued; what is queued leaves
	phaseFinished              // all has left and the client was told so; what it still sends is thrown away
)

var _ kernel.Connection = (*conn)(nil)

// lingerTime bounds how long a finished connection is kept open for the client to read what was sent: closing at once could destroy it on the way.
const lingerTime = time.Second

func newConn(g *Gateway, socket net.Conn, host string, secure bool) *conn {
	c := &conn{g: g, raw: socket, socket: socket, host: host, secure: secure, accepted: time.Now(), upgradedIn: -1}
	c.peer.Addr = socket.RemoteAddr()
	c.cond.L = &c.mu
	c.settled.L = &c.mu
	c.lastFrame = c.accepted
	c.stats.init(c.accepted)
	c.identities.Store(ipIdentities(c.peer.Addr))
	return c
}

// serve is the reader goroutine: the whole life of the connection.
func (c *conn) serve() {
	defer c.g.done.Done()
	defer c.end()
	first, err := c.secured()
	if err != nil {
		c.g.log.Debug("TLS handshake failed", "client", c.peer.Addr.String(), "err", err)
		c.g.stats.handshakesFailed.Add(1)
		return
	}
	var raw syscall.RawConn
	if tcp, ok := c.socket.(*net.TCPConn); ok && pollsWithoutBuffer {
		raw, _ = tcp.SyscallConn()
	}
	c.in.init(c.socket, raw, &c.g.budget)
	defer c.in.release()
	c.in.preload(first)
	if !c.open() {
		return
	}
	for {
		now := time.Now()
		err := c.burst(now)
		c.mu.Lock()
		c.drive()
		stop := !c.awaitRoom()
		c.mu.Unlock()
		if stop {
			break
		}
		if err == nil && c.in.turn >= turnFrames {
			c.in.turn = 0
			takeTurns()
		}
		if err == nil {
			err = c.in.fill()
		}
		if err != nil {
			if !c.parts() && c.serving() {
				c.lost(err)
			}
			break
		}
	}
	c.linger()
}

// serving says whether requests are still taken.
func (c *conn) serving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase <= phaseServing && !c.dead
}

// part ends the connection as soon as everything that was read from it is answered. The reader is woken if it waits for more.
func (c *conn) part() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parting = true
	if c.phase == phaseNew {
		c.killLocked()
		return
	}
	c.cond.Broadcast()
	if c.phase == phaseServing {
		c.socket.SetReadDeadline(time.Unix(1, 0))
	}
}

// parts waits for the answers that a parting connection owes, and begins its end. false: it is to stay. The reader calls it.
func (c *conn) parts() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.parting {
		return false
	}
	for c.queue.length > 0 && c.phase == phaseServing && !c.dead {
		c.cond.Wait()
	}
	c.finishLocked()
	return true
}

// gone says whether nothing more will leave on the connection.
func (c *conn) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead || c.phase == phaseFinished
}

// lost ends a connection whose socket failed or whose client sent what cannot be read.
func (c *conn) lost(err error) {
	switch {
	case errors.Is(err, errBudget):
		c.g.log.Warn("closed a connection: "+err.Error()+"; see plugin.gateway.zookeeper.budget", "client", c.peer.Addr.String(), "session", c.Session().String())
	case errors.Is(err, errFrameLength), errors.Is(err, errMalformed), errors.Is(err, errLargeRequests):
		c.g.log.Warn("closed a connection: "+err.Error(), "client", c.peer.Addr.String(), "session", c.Session().String())
	case err != io.EOF:
		c.g.log.Debug("connection lost", "client", c.peer.Addr.String(), "err", err)
	}
	c.kill()
}

// linger lets the client read what was sent to it, then goes.
func (c *conn) linger() {
	c.mu.Lock()
	for (c.phase == phaseClosing || c.output.writing) && !c.dead {
		c.cond.Wait()
	}
	dead := c.dead
	c.mu.Unlock()
	if dead {
		return
	}
	c.socket.SetReadDeadline(time.Now().Add(lingerTime))
	for {
		c.in.start, c.in.end, c.in.skip = 0, 0, 0
		if _, err := c.in.read(); err != nil {
			return
		}
	}
}

// end is the last thing that the reader does.
func (c *conn) end() {
	c.kill()
	if c.why != "" {
		c.g.log.Warn("closed a connection: "+c.why, "client", c.peer.Addr.String(), "session", c.Session().String())
	}
	if c.Session() != 0 {
		c.g.stats.dropped.Add(1)
		c.g.host.Machine().Sessions().Detach(c)
	}
	c.leaveSession()
	c.g.remove(c)
}

// kill closes the socket now and forgets what was queued. The reader finds out and ends. It may be called with or without reason to, any number of times.
func (c *conn) kill() {
	c.mu.Lock()
	c.killLocked()
	c.mu.Unlock()
}

func (c *conn) killLocked() {
	if c.dead {
		return
	}
	c.dead = true
	c.g.budget.give(c.queue.bytes)
	c.g.load.large.give(c.queue.large)
	c.g.leavePath(c.queue.running)
	c.g.count(-c.queue.length)
	c.queue = queue{}
	c.output.drop(&c.g.outgoing)
	c.raw.Close()
	c.cond.Broadcast()
}

// finishLocked stops taking requests: what is queued on the output leaves, then the connection ends.
func (c *conn) finishLocked() {
	if c.dead || c.phase >= phaseClosing {
		return
	}
	c.phase = phaseClosing
	c.cond.Broadcast()
	c.wakeLocked()
}

// Alive implements kernel.Connection.
func (c *conn) Alive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase <= phaseServing && !c.dead
}

// Session implements kernel.Connection.
func (c *conn) Session() kernel.SessionID { return kernel.SessionID(c.session.Load()) }

// Identities implements kernel.Connection.
func (c *conn) Identities() []kernel.Identity { return *c.identities.Load() }

// Close implements kernel.Connection. A connection whose own closeSession is under way is closed by the reply to that.
func (c *conn) Close(reason kernel.CloseReason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if reason == kernel.CloseSessionEnded && c.queue.closing != nil {
		return
	}
	if c.phase < phaseServing {
		c.killLocked()
		return
	}
	c.finishLocked()
}

// Deliver implements kernel.Connection.
func (c *conn) Deliver(event kernel.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || c.phase >= phaseClosing {
		return
	}
	c.appendFrame(wire.XidWatchEvent, event.Zxid, 0, event.Body)
	c.wakeLocked()
}
