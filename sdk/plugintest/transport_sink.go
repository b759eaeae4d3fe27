package plugintest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// TransportEvent is one call of a sink.
type TransportEvent struct {
	Link     kernel.LinkID
	Up, Down bool
	Flushed  bool
	Accepted bool
	Reason   error
	Message  kernel.Message
}

// Sink is a kernel.TransportSink that keeps events in order for a test, and checks what must hold for every transport: one LinkUp at most for a link,
// nothing after LinkDown, messages only between them, and one call at a time.
type Sink struct {
	t      *testing.T
	events chan TransportEvent
	busy   atomic.Bool
	hold   sync.Mutex // held by a test that wants the transport to wait

	mu    sync.Mutex
	state map[kernel.LinkID]string
}

// NewSink returns a sink for t.
func NewSink(t *testing.T) *Sink {
	return &Sink{t: t, events: make(chan TransportEvent, 1<<14), state: make(map[kernel.LinkID]string)}
}

// LinkUp implements kernel.TransportSink.
func (s *Sink) LinkUp(link kernel.LinkID, accepted bool) {
	s.take(TransportEvent{Link: link, Up: true, Accepted: accepted}, "up", "")
}

// LinkDown implements kernel.TransportSink.
func (s *Sink) LinkDown(link kernel.LinkID, reason error) {
	s.take(TransportEvent{Link: link, Down: true, Reason: reason}, "down", "", "up")
}

// LinkFlushed implements kernel.TransportSink.
func (s *Sink) LinkFlushed(link kernel.LinkID) {
	s.take(TransportEvent{Link: link, Flushed: true}, "up", "up")
}

// Received implements kernel.TransportSink.
func (s *Sink) Received(link kernel.LinkID, msg kernel.Message) {
	s.take(TransportEvent{Link: link, Message: msg}, "up", "up")
}

func (s *Sink) take(e TransportEvent, becomes string, allowed ...string) {
	if !s.busy.CompareAndSwap(false, true) {
		s.t.Errorf("two events at once, one of them %v", e)
	}
	s.hold.Lock() // waits for the test
	//lint:ignore SA2001 nothing is guarded, the wait is the point
	s.hold.Unlock()
	s.mu.Lock()
	was := s.state[e.Link]
	s.state[e.Link] = becomes
	s.mu.Unlock()
	legal := false
	for _, a := range allowed {
		legal = legal || was == a
	}
	if !legal {
		s.t.Errorf("event %v on a link that was %q", e, was)
	}
	s.busy.Store(false)
	s.events <- e
}

// Next waits for the next event.
func (s *Sink) Next() TransportEvent {
	s.t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case e := <-s.events:
		return e
	case <-timeout.C:
		s.t.Fatal("no event came")
		panic("unreachable")
	}
}

// NextUp waits for a LinkUp, which must be the next event.
func (s *Sink) NextUp(accepted bool) kernel.LinkID {
	s.t.Helper()
	e := s.Next()
	if !e.Up || e.Accepted != accepted {
		s.t.Fatalf("got %v, want LinkUp with accepted %v", e, accepted)
	}
	return e.Link
}

// Down waits for the LinkDown of link and returns the messages that came on it before. Events of other links are dropped.
func (s *Sink) Down(link kernel.LinkID) []kernel.Message {
	s.t.Helper()
	var messages []kernel.Message
	for {
		switch e := s.Next(); {
		case e.Link != link:
		case e.Down:
			if e.Reason == nil {
				s.t.Errorf("LinkDown of %v without a reason", link)
			}
			return messages
		case !e.Up:
			messages = append(messages, e.Message)
		}
	}
}

// Message waits for a message on link, which must be the next event.
func (s *Sink) Message(link kernel.LinkID) kernel.Message {
	s.t.Helper()
	e := s.Next()
	if e.Link != link || e.Up || e.Down {
		s.t.Fatalf("got %v, want a message on %v", e, link)
	}
	return e.Message
}

// Block makes the transport wait in its next event until the function returned is called.
func (s *Sink) Block() (release func()) {
	s.hold.Lock()
	return sync.OnceFunc(s.hold.Unlock)
}

func (e TransportEvent) String() string {
	switch {
	case e.Up:
		return fmt.Sprintf("LinkUp(%v, accepted %v)", e.Link, e.Accepted)
	case e.Down:
		return fmt.Sprintf("LinkDown(%v, %v)", e.Link, e.Reason)
	}
	return fmt.Sprintf("Received(%v, type %d, zxid %v)", e.Link, e.Message.Type, e.Message.Zxid)
}
