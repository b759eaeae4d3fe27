package tcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// Reasons of LinkDown that are no errors of the network.
var (
	ErrHungUp      = errors.New("the link was hung up")
	ErrClosed      = errors.New("the server has closed its transport")
	ErrOverflow    = errors.New("more bytes wait on the link than its queue may hold")
	ErrClosedByEnd = errors.New("the peer has closed the connection")
	// ErrKnocked ends a dial for an election to a server with a larger id: it dials back, and that link comes as an accepted one.
	ErrKnocked = fmt.Errorf("the peer has the larger id and dials back: %w", kernel.ErrOtherLink)
	// ErrReplaced: there is one connection between the election ports of two servers, the newest.
	ErrReplaced = fmt.Errorf("there is a newer connection between the two servers: %w", kernel.ErrOtherLink)
	ErrNoMember = errors.New("the configuration has no such server")
)

// incarnations numbers the links of all transports of the process.
var incarnations atomic.Uint64

// Transport is one server's peer ports and its links.
type Transport struct {
	self     kernel.ServerID
	sink     kernel.TransportSink
	settings Settings
	log      *slog.Logger
	life     context.Context // ended by Close
	end      context.CancelFunc

	goroutines sync.WaitGroup
	events     events

	mu        sync.RWMutex
	closed    bool
	members   map[kernel.ServerID]member
	listening bool
	listeners map[place]net.Listener
	rebinding bool                              // a goroutine tries to bind what is missing
	strangers []*stranger                       // connections that have not introduced themselves, oldest first
	links     map[kernel.LinkID]*link           // until LinkDown was delivered
	elections map[kernel.ServerID]*link         // the one that is up between election ports
	dialling  map[kernel.ServerID]chan struct{} // election ports: one dial at a time to each server; closed when it has ended
}

var _ kernel.Transport = (*Transport)(nil)

// New returns a transport that does not listen yet and knows no members. Events go to sink from one goroutine until Close.
func New(self kernel.ServerID, sink kernel.TransportSink, settings Settings, logger *slog.Logger) *Transport {
	if logger == nil {
		logger = slog.Default()
	}
	t := &Transport{
		self: self, sink: sink, settings: settings.withDefaults(), log: logger,
		members:   make(map[kernel.ServerID]member),
		listeners: make(map[place]net.Listener),
		links:     make(map[kernel.LinkID]*link),
		elections: make(map[kernel.ServerID]*link),
		dialling:  make(map[kernel.ServerID]chan struct{}),
	}
	t.life, t.end = context.WithCancel(context.Background())
	t.events.wake = sync.NewCond(&t.events.mu)
	t.goroutines.Add(1)
	go t.dispatch()
	return t
}

// spawn starts a goroutine that Close waits for; false: the transport is closed. The caller holds t.mu.
func (t *Transport) spawn(f func()) bool {
	if t.closed {
		return false
	}
	t.goroutines.Add(1)
	go func() {
		defer t.goroutines.Done()
		f()
	}()
	return true
}

// Send implements kernel.Transport. The message is copied into what the link's writer takes next.
func (t *Transport) Send(id kernel.LinkID, msg kernel.Message) {
	if l := t.link(id); l != nil {
		l.send(&msg)
	}
}

// Stream implements kernel.Transport. A body behind SNAP travels as ZooKeeper's does: as it is, then its signature, and everything queued later behind it; r must yield exactly one snapshot.
// Any other body is cut in pieces that other messages go beside, which only a server of Zooid understands. A Close of r beside a Read must make the Read return.
func (t *Transport) Stream(id kernel.LinkID, msg kernel.Message, r io.ReadCloser) {
	l := t.link(id)
	if l == nil || !l.stream(&msg, &source{r: r}) {
		r.Close()
	}
}

// Flush implements kernel.Transport.
func (t *Transport) Flush(id kernel.LinkID) {
	if l := t.link(id); l != nil {
		l.flush()
	}
}

// Hold implements kernel.Transport.
func (t *Transport) Hold(id kernel.LinkID, hold bool) {
	if l := t.link(id); l != nil {
		l.hold(hold)
	}
}

// Hangup implements kernel.Transport. What waits in the link's queue is dropped.
func (t *Transport) Hangup(id kernel.LinkID) {
	if l := t.link(id); l != nil {
		l.hangup(ErrHungUp)
	}
}

// Close implements kernel.Transport. When it returns the sink is not called any more. It must not be called from the sink.
func (t *Transport) Close() error {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		t.end()
		for _, l := range t.listeners {
			l.Close()
		}
		for _, s := range t.strangers {
			s.conn.Close()
		}
		for _, l := range t.links {
			l.hangup(ErrClosed)
		}
		t.events.close()
	}
	t.mu.Unlock()
	t.goroutines.Wait()
	return nil
}

func (t *Transport) link(id kernel.LinkID) *link {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.links[id]
}

// register makes a link known; false: the transport is closed, or the limits of links are reached. The caller holds t.mu.
func (t *Transport) register(l *link) bool {
	if t.closed {
		return false
	}
	if l.accepted && !t.makeRoom(l) {
		return false
	}
	t.links[l.id] = l
	return true
}

// makeRoom keeps what strangers can make this server hold within bounds: a server of the configuration has few links, its oldest makes room for a newer one; all others together have
// maxUnknown. The caller holds t.mu.
func (t *Transport) makeRoom(l *link) bool {
	if _, known := t.members[l.id.Peer]; !known {
		unknown := 0
		for _, other := range t.links {
			if _, known := t.members[other.id.Peer]; !known && other.accepted {
				unknown++
			}
		}
		return unknown < maxUnknown
	}
	var oldest *link
	same := 0
	for _, other := range t.links {
		if other.accepted && other.id.Peer == l.id.Peer && other.id.Purpose == l.id.Purpose && other.alive() {
			same++
			if oldest == nil || other.id.Incarnation < oldest.id.Incarnation {
				oldest = other
			}
		}
	}
	if same >= maxFromOne {
		oldest.hangup(ErrReplaced)
	}
	return true
}

// takeElection makes l the connection between the two election ports; false: there is a newer one. The caller holds t.mu.
func (t *Transport) takeElection(l *link) bool {
	old := t.elections[l.id.Peer]
	if old != nil && old.alive() {
		if old.id.Incarnation > l.id.Incarnation {
			return false
		}
		old.hangup(ErrReplaced)
	}
	t.elections[l.id.Peer] = l
	return true
}

// forget drops a link whose LinkDown has been taken.
func (t *Transport) forget(l *link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.links, l.id)
	if t.elections[l.id.Peer] == l {
		delete(t.elections, l.id.Peer)
	}
}

// reason says what an error of reading or writing means.
func reason(err error) error {
	switch {
	case errors.Is(err, peer.ErrMalformed):
		return fmt.Errorf("the peer does not speak the protocol: %w", err)
	case errors.Is(err, io.EOF):
		return ErrClosedByEnd
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w in the middle of a message", ErrClosedByEnd)
	}
	return err
}
