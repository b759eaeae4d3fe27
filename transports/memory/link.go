package memory

import (
	"github.com/zooid-project/zooid/kernel"
)

// overhead is what a queued message costs besides its bytes, so that empty ones are bounded too.
const overhead = 64

// end is one server's end of a link, with what waits to be delivered there. Guarded by the network's mutex.
//
// Its events leave in the order: up, messages, down. down is set once, for both ends together; from then on nothing is queued.
type end struct {
	owner    *Transport
	peer     *end // nil: the dial was refused
	id       kernel.LinkID
	accepted bool

	up        bool // LinkUp is to be delivered
	queue     []queued
	bytes     int     // in queue
	body      *stream // handed to the sink and not yet read to its end: messages wait
	held      bool    // messages wait
	flushed   int     // LinkFlushed events to be delivered
	down      error
	gone      bool // LinkDown was delivered
	scheduled bool // in owner.ready
}

type queued struct {
	msg    kernel.Message
	stream *stream // of msg.Body
	mark   bool    // no message: what the sender queued before has been delivered
}

func (q queued) size() int { return overhead + len(q.msg.Payload) }

// push queues a message at the other end, or takes the link down if that is too much or a fault strikes. It says whether it was queued.
func (e *end) push(q queued) bool {
	far := e.peer
	if e.owner.network.faults.breaks(far) {
		e.takeDown(ErrReset)
		return false
	}
	if far.bytes+q.size() > e.owner.queueBytes {
		e.takeDown(ErrOverflow)
		return false
	}
	far.queue = append(far.queue, q)
	far.bytes += q.size()
	far.schedule()
	return true
}

// pass lets marks through that have nothing before them any more.
func (e *end) pass() {
	for len(e.queue) > 0 && e.queue[0].mark && e.body == nil {
		e.queue = e.queue[1:]
		if e.down == nil {
			e.peer.flushed++
			e.peer.schedule()
		}
	}
}

// takeDown ends a link that is up. What the other end has not delivered yet still is, up to the first stream; here nothing more is.
func (e *end) takeDown(reason error) {
	e.fail(reason)
	e.queue = drop(e.queue, 0)
	e.schedule()
	far := e.peer
	far.fail(reason)
	for i, q := range far.queue {
		if q.stream != nil || far.body != nil {
			far.queue = drop(far.queue, i)
			break
		}
	}
	far.schedule()
}

// fail marks one end. A body that is being read fails.
func (e *end) fail(reason error) {
	e.down, e.held = reason, false
	e.flushed = 0
	if e.body != nil {
		e.body.fail(reason)
	}
	for _, q := range e.queue {
		if q.stream != nil {
			q.stream.fail(reason)
		}
	}
}

// drop cuts a queue at n, without keeping the messages alive.
func drop(queue []queued, n int) []queued {
	clear(queue[n:])
	return queue[:n]
}

// deliverable tells whether take has something to give.
func (e *end) deliverable() bool {
	if e.gone {
		return false
	}
	return e.up || e.flushed > 0 || e.down != nil || len(e.queue) > 0 && e.body == nil && !e.held
}

// schedule puts the end in line at its owner when there is something to deliver.
func (e *end) schedule() {
	if !e.scheduled && e.deliverable() && !e.owner.closed {
		e.scheduled = true
		e.owner.ready = append(e.owner.ready, e)
		e.owner.wake.Signal()
	}
}

// take removes the next event. The end is deliverable.
func (e *end) take() func(kernel.TransportSink) {
	switch {
	case e.up:
		e.up = false
		return func(s kernel.TransportSink) { s.LinkUp(e.id, e.accepted) }
	case e.flushed > 0 && e.down == nil:
		e.flushed--
		return func(s kernel.TransportSink) { s.LinkFlushed(e.id) }
	case len(e.queue) > 0 && e.body == nil && !e.held:
		q := e.queue[0]
		e.queue[0] = queued{}
		e.queue = e.queue[1:]
		e.bytes -= q.size()
		e.body = q.stream
		e.pass()
		return func(s kernel.TransportSink) { s.Received(e.id, q.msg) }
	}
	e.gone = true
	delete(e.owner.ends, e.id)
	return func(s kernel.TransportSink) { s.LinkDown(e.id, e.down) }
}
