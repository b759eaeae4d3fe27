package tcp

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// link is one connection to one peer, or the attempt to make one.
//
// Its events leave in the order: up, what was received and flushed, down. down is set once; from then on nothing is queued or read. What was received before the peer went is still delivered.
type link struct {
	t        *Transport
	id       kernel.LinkID
	accepted bool
	cancel   context.CancelFunc // of the dial; nil on accepted links
	gone     chan struct{}      // closed when down is set

	mu   sync.Mutex
	conn net.Conn  // nil until it is up
	born time.Time // when it came up
	in   *bufio.Reader
	down error

	// For the sink.
	up        bool // LinkUp is to be delivered
	flushed   int  // LinkFlushed events to be delivered
	received  []kernel.Message
	bytes     int        // in received
	held      bool       // nothing is read
	room      *sync.Cond // the reader waits for it
	told      bool       // LinkDown was taken
	scheduled bool       // in line for the sink, or with it

	// For the peer.
	queue   []item
	queued  int // bytes in queue and with the writer
	spare   [][]byte
	work    *sync.Cond // the writer waits for it
	drained *sync.Cond // feeders wait for it
	outs    map[int64]*outgoing
	number  int64 // of the last body sent in pieces

	bodies map[int64]*body // that come in pieces
}

func newLink(t *Transport, id kernel.LinkID, accepted bool) *link {
	l := &link{t: t, id: id, accepted: accepted, gone: make(chan struct{}), outs: make(map[int64]*outgoing), bodies: make(map[int64]*body)}
	l.room, l.work, l.drained = sync.NewCond(&l.mu), sync.NewCond(&l.mu), sync.NewCond(&l.mu)
	return l
}

// establish makes the link up on conn, with first as its first message; false: it is down already, and conn is the caller's to close. The caller holds t.mu, and becomes the reader.
func (l *link) establish(conn net.Conn, in *bufio.Reader, first *kernel.Message) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil || !l.t.spawn(l.write) {
		return false
	}
	l.conn, l.in, l.up, l.born = conn, in, true, time.Now()
	if first != nil {
		l.keep(*first)
	}
	l.schedule()
	return true
}

// closeConn ends a connection at once. What TLS would say at its end waits for a peer that may take nothing.
func closeConn(conn net.Conn) {
	if below, ok := conn.(interface{ NetConn() net.Conn }); ok {
		closeConn(below.NetConn())
		return
	}
	conn.Close()
}

// alive tells whether the link is not down.
func (l *link) alive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.down == nil
}

// youth is how long knocks do not replace a link.
const youth = time.Second

// grow waits until the link is down, or has been up for its youth. A nil link is down.
func (l *link) grow() {
	if l == nil {
		return
	}
	l.mu.Lock()
	left := time.Until(l.born.Add(youth))
	l.mu.Unlock()
	if left <= 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.gone:
	}
}

// isUp is called with mu held.
func (l *link) isUp() bool { return l.conn != nil && l.down == nil }

// hangup takes the link down from this side: nothing more of it is delivered.
func (l *link) hangup(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down == nil {
		l.received, l.bytes = nil, 0
		l.takeDown(reason)
	}
}

// fail takes the link down because of what happened on it.
func (l *link) fail(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.takeDown(reason)
}

// takeDown is called with mu held.
func (l *link) takeDown(reason error) {
	if l.down != nil {
		return
	}
	l.down, l.held = reason, false
	l.flushed = 0
	close(l.gone)
	if l.conn != nil {
		closeConn(l.conn)
	}
	if l.cancel != nil {
		l.cancel()
	}
	for _, i := range l.queue {
		if i.body != nil {
			l.closeLater(i.body)
		}
	}
	for _, o := range l.outs {
		l.closeLater(o.source)
	}
	for _, b := range l.bodies {
		b.fail(reason)
	}
	l.queue, l.spare = nil, nil
	l.room.Broadcast()
	l.work.Broadcast()
	l.drained.Broadcast()
	l.schedule()
}

// closeLater closes a source beside the Read that may be under way. The caller holds mu, and the link has goroutines, so that Close waits for this one too.
func (l *link) closeLater(s *source) {
	l.t.goroutines.Add(1)
	go func() {
		defer l.t.goroutines.Done()
		s.Close()
	}()
}

// keep queues a message for the sink. The caller holds mu.
func (l *link) keep(m kernel.Message) {
	l.received = append(l.received, m)
	l.bytes += cost(&m)
}

// cost is what a received message holds.
func cost(m *kernel.Message) int {
	n := overhead + len(m.Payload)
	for _, i := range m.Identities {
		n += overhead + len(i.Scheme) + len(i.ID)
	}
	return n
}

// deliverable is called with mu held.
func (l *link) deliverable() bool {
	return !l.told && (l.up || l.flushed > 0 || len(l.received) > 0 && !l.held || l.down != nil)
}

// hold stops the sink and the reader, or lets them go on. A link that is down is not held: the rest is delivered.
func (l *link) hold(hold bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return
	}
	l.held = hold
	l.room.Signal()
	l.schedule()
}

// schedule puts the link in line for the sink when it has something for it. The caller holds mu.
func (l *link) schedule() {
	if !l.scheduled && l.deliverable() {
		l.scheduled = true
		l.t.events.add(l)
	}
}

// take moves what the sink is to be told into turn.
func (l *link) take(turn *turnOf) {
	l.mu.Lock()
	defer l.mu.Unlock()
	turn.up, turn.flushed, turn.down = l.up, l.flushed, nil
	l.up, l.flushed = false, 0
	if n := len(l.received); l.held {
		turn.messages = turn.messages[:0]
	} else if n <= atOnce {
		turn.messages, l.received = l.received, turn.messages[:0]
		l.bytes = 0
	} else {
		turn.messages = append(turn.messages[:0], l.received[:atOnce]...)
		clear(l.received[:atOnce])
		l.received = l.received[atOnce:]
		for i := range turn.messages {
			l.bytes -= cost(&turn.messages[i])
		}
	}
	l.room.Signal()
	if l.down != nil && len(l.received) == 0 {
		turn.down, l.told = l.down, true
	}
}

// again puts the link in line after its turn.
func (l *link) again() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scheduled = false
	l.schedule()
}
