package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// network carries links between the servers of a world. A link is a TCP connection as processes see it: what arrives is in order and without a gap, what is under way when it breaks is
// lost from some point on, at each end from its own. Messages that cannot pass (a partition) wait; when they have waited too long the connection breaks.
//
// Between two servers there is one election connection at most: the larger id dials, a dial to a larger id is a knock that comes back, and a newer connection takes the place of an older
// one, as transports/tcp does it.
type network struct {
	w       *World
	blocked map[[2]kernel.ServerID]bool // from, to: nothing passes
	delay   time.Duration               // of a message at most, beside a small constant
	counter uint64
	ends    []*end // that are up, in the order in which they came up: for faults that pick one
	tear    bool   // the next stream breaks off somewhere
}

// usualDelay is how long a message takes at most.
const usualDelay = 2 * time.Millisecond

// stuckLimit is how long a message may wait for a path before its connection breaks, as TCP's retransmission ends.
const stuckLimit = 8 * time.Second

var (
	errReset   = errors.New("connection reset")
	errRefused = errors.New("connection refused")
	errTimeout = errors.New("no answer")
	errHungUp  = errors.New("hung up")

	errKnocked  = fmt.Errorf("the peer dials back: %w", kernel.ErrOtherLink)
	errReplaced = fmt.Errorf("a newer connection: %w", kernel.ErrOtherLink)
)

func (n *network) init(w *World) {
	n.w, n.blocked, n.delay = w, map[[2]kernel.ServerID]bool{}, usualDelay
}

// Block lets nothing pass from one server to another; both directions need two calls.
func (w *World) Block(from, to kernel.ServerID) {
	w.network.blocked[[2]kernel.ServerID{from, to}] = true
}

// Partition cuts a group off from the rest, both ways.
func (w *World) Partition(group ...kernel.ServerID) {
	inside := map[kernel.ServerID]bool{}
	for _, id := range group {
		inside[id] = true
	}
	for _, a := range w.servers {
		for _, b := range w.servers {
			if inside[a.id] != inside[b.id] {
				w.Block(a.id, b.id)
			}
		}
	}
	w.fault("partitions")
	w.Logf("servers %v are cut off", group)
}

// Heal lets everything pass again.
func (w *World) Heal() {
	clear(w.network.blocked)
	w.Logf("the network is whole")
	for _, e := range w.network.ends {
		e.pump()
	}
}

// MaxDelay sets how long a message takes at most.
func (w *World) MaxDelay(d time.Duration) { w.network.delay = d }

// ResetSome breaks one connection of those that are up.
func (w *World) ResetSome() {
	ends := w.network.ends
	if len(ends) == 0 {
		return
	}
	e := ends[w.rng.IntN(len(ends))]
	w.fault("resets")
	w.Logf("the connection of %d and %d is reset", e.transport.server.id, e.id.Peer)
	e.breakBoth(errReset)
}

// TearStream makes the next snapshot that a server sends break off somewhere, with its connection.
func (w *World) TearStream() { w.network.tear = true }

func (n *network) passes(from, to kernel.ServerID) bool {
	return !n.blocked[[2]kernel.ServerID{from, to}]
}

func (n *network) latency() time.Duration { return n.w.between(20*time.Microsecond, n.delay) }

// transport is one start of a server on the network; it implements kernel.Transport.
type transport struct {
	network   *network
	server    *Server
	sink      kernel.TransportSink
	listening bool
	gone      bool
	ends      map[kernel.LinkID]*end
}

var _ kernel.Transport = (*transport)(nil)

func (n *network) join(s *Server) *transport {
	t := &transport{network: n, server: s, ends: map[kernel.LinkID]*end{}}
	s.transport = t
	return t
}

// leave ends a server's connections. silent: nobody is told; the peers find out when they send, or never.
func (n *network) leave(s *Server, silent bool) {
	t := s.transport
	if t == nil {
		return
	}
	t.gone = true
	for _, e := range append([]*end(nil), n.ends...) {
		if e.transport != t {
			continue
		}
		e.up = false
		n.forget(e)
		far := e.peer
		if !silent && far.up {
			n.w.After(n.latency(), func() { far.breaks(errReset) })
		}
	}
	s.transport = nil
}

func (n *network) forget(e *end) {
	for i, other := range n.ends {
		if other == e {
			n.ends = append(n.ends[:i], n.ends[i+1:]...)
			return
		}
	}
}

// resumed delivers what waited for a server that stood still.
func (n *network) resumed(s *Server) {
	for _, e := range n.ends {
		if e.transport.server == s {
			e.peer.pump()
		}
	}
}

// end is one end of a link.
type end struct {
	transport *transport
	peer      *end
	id        kernel.LinkID
	up        bool
	back      bool     // dialled because the peer knocked: the peer's wish
	out       []packet // on the way from here to the peer
	pumping   bool
	stuck     time.Duration // since when the first packet cannot pass; zero: it can
	body      *body         // of the last message with one: the next waits until it was read
}

type packet struct {
	msg   kernel.Message
	body  []byte
	flush bool
	at    time.Duration // not before
}

// Configure implements kernel.Transport: servers find each other by id.
func (t *transport) Configure([]kernel.Member) {}

// Listen implements kernel.Transport.
func (t *transport) Listen() error {
	t.listening = true
	return nil
}

// Hold implements kernel.Transport. What is on its way arrives all the same: there is never much of it here.
func (t *transport) Hold(kernel.LinkID, bool) {}

// Dial implements kernel.Transport.
func (t *transport) Dial(peer kernel.ServerID, purpose kernel.Purpose) kernel.LinkID {
	n := t.network
	n.counter++
	near := &end{transport: t, id: kernel.LinkID{Peer: peer, Purpose: purpose, Incarnation: n.counter}}
	n.w.After(n.latency(), func() { t.connect(near) })
	return near.id
}

func (t *transport) connect(near *end) {
	n := t.network
	if t.gone {
		return
	}
	far := t.server.world.Server(near.id.Peer)
	if !n.passes(t.server.id, far.id) || !n.passes(far.id, t.server.id) || far.paused && far.Up() && n.w.rng.IntN(2) == 0 {
		n.w.After(5*time.Second, func() { near.refused(errTimeout) })
		return
	}
	other := far.transport
	if other == nil || !other.listening || !far.Up() {
		near.refused(errRefused)
		return
	}
	if near.id.Purpose == kernel.ForElection {
		if far.id > t.server.id && !near.back {
			near.refused(errKnocked)
			n.counter++
			back := &end{transport: other, back: true, id: kernel.LinkID{Peer: t.server.id, Purpose: kernel.ForElection, Incarnation: n.counter}}
			n.w.After(n.latency(), func() { other.connect(back) })
			return
		}
		for _, e := range append([]*end(nil), n.ends...) {
			if e.transport == t && e.id.Peer == far.id && e.id.Purpose == kernel.ForElection && e.up {
				e.breakBoth(errReplaced)
			}
		}
	}
	n.counter++
	accepted := &end{transport: other, id: kernel.LinkID{Peer: t.server.id, Purpose: near.id.Purpose, Incarnation: n.counter}}
	near.peer, accepted.peer = accepted, near
	for _, e := range []*end{near, accepted} {
		e.up = true
		n.ends = append(n.ends, e)
		e.transport.ends[e.id] = e
	}
	t.sink.LinkUp(near.id, near.back)
	other.sink.LinkUp(accepted.id, true)
}

func (e *end) refused(reason error) {
	if !e.transport.gone && !e.back {
		e.transport.sink.LinkDown(e.id, fmt.Errorf("server %d: %w", e.id.Peer, reason))
	}
}

// breaks ends this end: the process hears of it.
func (e *end) breaks(reason error) {
	if !e.up {
		return
	}
	e.up = false
	e.out = nil
	n := e.transport.network
	n.forget(e)
	delete(e.transport.ends, e.id)
	if e.body != nil {
		e.body.broken = true
	}
	if !e.transport.gone {
		e.transport.sink.LinkDown(e.id, reason)
	}
}

// breakBoth ends the link: here now, at the other end a little later. What is on the way may still arrive before that.
func (e *end) breakBoth(reason error) {
	far := e.peer
	n := e.transport.network
	e.breaks(reason)
	n.w.After(n.latency(), func() { far.breaks(reason) })
}

// Send implements kernel.Transport.
func (t *transport) Send(link kernel.LinkID, msg kernel.Message) {
	if e := t.ends[link]; e != nil && e.up {
		if see := t.network.w.opt.Sent; see != nil {
			see(t.server, link, &msg)
		}
		e.push(packet{msg: msg})
	}
}

// Stream implements kernel.Transport.
func (t *transport) Stream(link kernel.LinkID, msg kernel.Message, r io.ReadCloser) {
	defer r.Close()
	content, err := io.ReadAll(r)
	e := t.ends[link]
	switch {
	case e == nil || !e.up:
	case err != nil:
		e.breakBoth(err)
	default:
		e.push(packet{msg: msg, body: append([]byte{}, content...)})
	}
}

// Flush implements kernel.Transport.
func (t *transport) Flush(link kernel.LinkID) {
	if e := t.ends[link]; e != nil && e.up {
		e.push(packet{flush: true})
	}
}

// Hangup implements kernel.Transport.
func (t *transport) Hangup(link kernel.LinkID) {
	if e := t.ends[link]; e != nil && e.up {
		e.breakBoth(errHungUp)
	}
}

// Close implements kernel.Transport.
func (t *transport) Close() error { return nil }

func (e *end) push(p packet) {
	n := e.transport.network
	p.at = n.w.now + n.latency()
	if len(e.out) > 0 {
		p.at = max(p.at, e.out[len(e.out)-1].at)
	}
	e.out = append(e.out, p)
	e.pump()
}

// pump plans the delivery of the first packet.
func (e *end) pump() {
	if e.pumping || !e.up || len(e.out) == 0 {
		return
	}
	e.pumping = true
	n := e.transport.network
	n.w.at(max(e.out[0].at, n.w.now), e.deliver)
}

// deliver gives the peer the first packet, or finds that it cannot pass.
func (e *end) deliver() {
	e.pumping = false
	if !e.up || len(e.out) == 0 {
		return
	}
	n := e.transport.network
	far := e.peer
	to := far.transport.server
	if far.transport.gone && to.Up() && n.passes(e.transport.server.id, to.id) {
		n.w.After(n.latency(), func() { e.breaks(errReset) }) // another process has come up there since, and knows nothing of this connection
		return
	}
	if !n.passes(e.transport.server.id, to.id) || far.transport.gone {
		if e.stuck == 0 {
			e.stuck = n.w.now
			n.w.After(stuckLimit, e.giveUp)
		}
		return
	}
	e.stuck = 0
	if !far.up {
		return
	}
	if to.paused {
		return // resumed goes on
	}
	if far.body != nil && !far.body.read() {
		n.w.After(time.Millisecond, e.pump)
		return
	}
	p := e.out[0]
	e.out[0] = packet{}
	e.out = e.out[1:]
	if p.flush {
		e.transport.sink.LinkFlushed(e.id)
	} else {
		if p.body != nil {
			content := p.body
			if n.tear {
				n.tear = false
				n.w.reach(MarkStreamTorn)
				content = content[:n.w.rng.IntN(len(content)+1)]
				n.w.Logf("the stream from %d to %d breaks off after %d bytes of %d", e.transport.server.id, to.id, len(content), len(p.body))
				defer e.breakBoth(errReset)
			}
			far.body = &body{r: bytes.NewReader(content), torn: len(content) < len(p.body)}
			p.msg.Body = far.body
		}
		far.transport.sink.Received(far.id, p.msg)
	}
	e.pump()
}

// giveUp breaks a link whose first packet has waited too long; the other end hears of it only if something reaches it.
func (e *end) giveUp() {
	n := e.transport.network
	if !e.up || e.stuck == 0 {
		return
	}
	if n.w.now-e.stuck < stuckLimit {
		return // it passed meanwhile, and another one is stuck
	}
	far := e.peer
	e.breaks(errTimeout)
	if far.up && n.passes(e.transport.server.id, far.transport.server.id) {
		n.w.After(n.latency(), func() { far.breaks(errReset) })
	} else {
		n.w.After(stuckLimit, func() { far.breaks(errTimeout) })
	}
}

// body is a stream at its receiver.
type body struct {
	r      *bytes.Reader
	torn   bool // it ends too early
	broken bool
}

func (b *body) read() bool { return b.r.Len() == 0 }

// Read implements io.Reader. A link that broke meanwhile has lost the rest.
func (b *body) Read(p []byte) (int, error) {
	if b.broken {
		return 0, errReset
	}
	n, err := b.r.Read(p)
	if err == io.EOF && b.torn {
		err = errReset
	}
	return n, err
}
