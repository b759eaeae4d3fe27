package memory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/zooid-project/zooid/kernel"
)

// Reasons of LinkDown.
var (
	ErrRefused  = errors.New("the peer does not listen")
	ErrHungUp   = errors.New("the link was hung up")
	ErrOverflow = errors.New("more bytes wait on the link than its queue may hold")
	ErrClosed   = errors.New("the server has closed its transport")
)

// Transport is one server's place on a Network.
type Transport struct {
	network    *Network
	self       kernel.ServerID
	sink       kernel.TransportSink
	queueBytes int
	goroutines sync.WaitGroup

	// Guarded by network.mu.
	listening bool
	closed    bool
	ends      map[kernel.LinkID]*end
	ready     []*end     // those with something to deliver, in turn
	wake      *sync.Cond // signalled when ready grows and at Close
}

var _ kernel.Transport = (*Transport)(nil)

// Join adds a server. Its events go to sink from one goroutine until Close. queueBytes bounds what waits on a link in one direction.
// A server that joins again takes the place of its former self.
func (n *Network) Join(self kernel.ServerID, sink kernel.TransportSink, queueBytes int) *Transport {
	t := &Transport{network: n, self: self, sink: sink, queueBytes: queueBytes, ends: make(map[kernel.LinkID]*end), wake: sync.NewCond(&n.mu)}
	t.goroutines.Add(1)
	go t.deliver()
	return t
}

// Configure implements kernel.Transport. Servers of a Network find each other by id.
func (t *Transport) Configure([]kernel.Member) {}

// Listen lets others dial this server.
func (t *Transport) Listen() error {
	t.network.mu.Lock()
	defer t.network.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	if other := t.network.servers[t.self]; other != nil && other != t && !other.closed {
		return fmt.Errorf("server %d listens already on this network: give every server its own id", t.self)
	}
	t.network.servers[t.self] = t
	t.listening = true
	return nil
}

// Dial makes a link at once, or one that is down at once.
func (t *Transport) Dial(peer kernel.ServerID, purpose kernel.Purpose) kernel.LinkID {
	n := t.network
	n.mu.Lock()
	defer n.mu.Unlock()
	near := &end{owner: t, id: kernel.LinkID{Peer: peer, Purpose: purpose, Incarnation: n.nextIncarnation()}}
	if t.closed {
		return near.id // nobody is told anything after Close
	}
	t.ends[near.id] = near
	other := n.servers[peer]
	if other == nil || !other.listening || other.closed || n.faults.apart(t.self, peer) {
		near.down = fmt.Errorf("server %d: %w", peer, ErrRefused)
		near.schedule()
		return near.id
	}
	far := &end{owner: other, id: kernel.LinkID{Peer: t.self, Purpose: purpose, Incarnation: n.nextIncarnation()}, accepted: true, up: true}
	other.ends[far.id] = far
	near.up = true
	near.peer, far.peer = far, near
	near.schedule()
	far.schedule()
	return near.id
}

// Send queues a copy of msg at the other end. On a link that is down nothing happens.
func (t *Transport) Send(link kernel.LinkID, msg kernel.Message) {
	t.network.mu.Lock()
	defer t.network.mu.Unlock()
	if e := t.open(link); e != nil {
		msg.Payload = bytes.Clone(msg.Payload)
		msg.Body = nil
		e.push(queued{msg: msg})
	}
}

// Stream queues msg with a body that is read from r while the receiver reads it. r is closed when it has ended, when the link is down, and
// at once if it is; a Close beside a Read must make the Read return.
func (t *Transport) Stream(link kernel.LinkID, msg kernel.Message, r io.ReadCloser) {
	t.network.mu.Lock()
	defer t.network.mu.Unlock()
	e := t.open(link)
	if e == nil {
		t.closeLater(r)
		return
	}
	msg.Payload = bytes.Clone(msg.Payload)
	s := newStream(e.peer, r)
	msg.Body = s
	if !e.push(queued{msg: msg, stream: s}) {
		t.closeLater(r)
		return
	}
	t.goroutines.Add(1)
	go func() {
		defer t.goroutines.Done()
		s.feed()
	}()
}

// closeLater closes r without the lock that the caller holds.
func (t *Transport) closeLater(r io.Closer) {
	t.goroutines.Add(1)
	go func() {
		defer t.goroutines.Done()
		r.Close()
	}()
}

// Flush implements kernel.Transport. What the other end's sink has been given counts as handed over.
func (t *Transport) Flush(link kernel.LinkID) {
	t.network.mu.Lock()
	defer t.network.mu.Unlock()
	if e := t.open(link); e != nil {
		e.peer.queue = append(e.peer.queue, queued{mark: true})
		e.peer.pass()
	}
}

// Hold implements kernel.Transport.
func (t *Transport) Hold(link kernel.LinkID, hold bool) {
	t.network.mu.Lock()
	defer t.network.mu.Unlock()
	if e := t.open(link); e != nil {
		e.held = hold
		e.schedule()
	}
}

// Hangup takes a link down at both ends.
func (t *Transport) Hangup(link kernel.LinkID) {
	t.network.mu.Lock()
	defer t.network.mu.Unlock()
	if e := t.open(link); e != nil {
		e.takeDown(ErrHungUp)
	}
}

// Close takes every link down at the other ends. When it returns the sink is not called any more. It must not be called from the sink.
func (t *Transport) Close() error {
	n := t.network
	n.mu.Lock()
	if !t.closed {
		t.closed = true
		for _, e := range t.ends {
			if e.down == nil {
				e.takeDown(ErrClosed)
			}
		}
		if n.servers[t.self] == t {
			delete(n.servers, t.self)
		}
		t.wake.Signal()
	}
	n.mu.Unlock()
	t.goroutines.Wait()
	return nil
}

// open returns this server's end of a link that is up, or nil.
func (t *Transport) open(link kernel.LinkID) *end {
	if e := t.ends[link]; e != nil && e.down == nil && !t.closed {
		return e
	}
	return nil
}

// deliver is the transport's goroutine: it calls the sink.
func (t *Transport) deliver() {
	defer t.goroutines.Done()
	for {
		event := t.next()
		if event == nil {
			return
		}
		event(t.sink)
	}
}

// next waits for the next event and takes it out; nil after Close.
func (t *Transport) next() func(kernel.TransportSink) {
	t.network.mu.Lock()
	defer t.network.mu.Unlock()
	for !t.closed && len(t.ready) == 0 {
		t.wake.Wait()
	}
	if t.closed {
		return nil
	}
	e := t.ready[0]
	t.ready[0] = nil
	t.ready = t.ready[1:]
	e.scheduled = false
	event := e.take()
	e.schedule()
	return event
}
