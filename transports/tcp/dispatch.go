package tcp

import (
	"sync"

	"github.com/zooid-project/zooid/kernel"
)

// events are the links that have something for the sink, in turn.
type events struct {
	mu     sync.Mutex
	wake   *sync.Cond
	ready  []*link
	closed bool
}

func (e *events) add(l *link) {
	e.mu.Lock()
	e.ready = append(e.ready, l)
	e.mu.Unlock()
	e.wake.Signal()
}

func (e *events) close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.wake.Signal()
}

// next waits for a link; nil after close.
func (e *events) next() *link {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.ready) == 0 && !e.closed {
		e.wake.Wait()
	}
	if e.closed {
		return nil
	}
	l := e.ready[0]
	e.ready[0] = nil
	e.ready = e.ready[1:]
	return l
}

// atOnce is how many messages of one link are delivered before the next link has its turn.
const atOnce = 64

// turnOf is what a link has for the sink.
type turnOf struct {
	up       bool
	flushed  int
	messages []kernel.Message
	down     error
}

// dispatch is the goroutine that calls the sink.
func (t *Transport) dispatch() {
	defer t.goroutines.Done()
	var turn turnOf
	for {
		l := t.events.next()
		if l == nil {
			return
		}
		l.take(&turn)
		if turn.up {
			t.sink.LinkUp(l.id, l.accepted)
		}
		for range turn.flushed {
			t.sink.LinkFlushed(l.id)
		}
		for _, m := range turn.messages {
			t.sink.Received(l.id, m)
		}
		clear(turn.messages)
		if turn.down != nil {
			t.forget(l)
			t.sink.LinkDown(l.id, turn.down)
		}
		l.again()
	}
}
