package plugintest

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// source is a body that notes its Close. Reads fail or wait where a test says so.
type source struct {
	io.Reader
	closed chan struct{}
	once   sync.Once
}

func newSource(r io.Reader) *source { return &source{Reader: r, closed: make(chan struct{})} }

func (s *source) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *source) awaitClose(t *testing.T) {
	t.Helper()
	select {
	case <-s.closed:
	case <-time.After(patience):
		t.Fatal("the stream's source was not closed")
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>16 ^ i>>8 ^ i)
	}
	return b
}

func testStream(t *testing.T, kit *transportKit) {
	const queueBytes = 256 << 10
	w := linked(t, kit, queueBytes)
	for _, size := range []int{0, 1, 16 * queueBytes} { // far larger than the queue
		s := newSource(bytes.NewReader(pattern(size)))
		w.transports[1].Send(w.near, numbered(1, 8))
		w.transports[1].Stream(w.near, numbered(2, 8), s)
		w.transports[1].Send(w.near, numbered(3, 8))
		checkNumbered(t, 1, 8, w.sinks[2].Message(w.far))
		m := w.sinks[2].Message(w.far)
		checkNumbered(t, 2, 8, m)
		if m.Body == nil {
			t.Fatal("the message has no body")
		}
		if kit.traits.Beside {
			checkNumbered(t, 3, 8, w.sinks[2].Message(w.far)) // nobody has read the body
		} else {
			select {
			case e := <-w.sinks[2].events:
				t.Fatalf("%v came before the body was read", e)
			default:
			}
		}
		got, err := io.ReadAll(m.Body)
		if err != nil || !bytes.Equal(got, pattern(size)) {
			t.Fatalf("a body of %d bytes became %d, %v", size, len(got), err)
		}
		if !kit.traits.Beside {
			checkNumbered(t, 3, 8, w.sinks[2].Message(w.far))
		}
		s.awaitClose(t)
	}
}

// testStreamBesideOthers: a body that nobody reads holds up its own link only.
func testStreamBesideOthers(t *testing.T, kit *transportKit) {
	w := linked(t, kit, roomy)
	first, firstFar := w.near, w.far
	w.transports[1].Stream(first, numbered(1, 8), newSource(bytes.NewReader(pattern(4<<20))))
	body := w.sinks[2].Message(firstFar).Body
	w.dial(t)
	for i := range 100 {
		w.transports[1].Send(w.near, numbered(i, 8))
		checkNumbered(t, i, 8, w.sinks[2].Message(w.far))
		w.transports[2].Send(firstFar, numbered(i, 8)) // the other way on the same link
		checkNumbered(t, i, 8, w.sinks[1].Message(first))
	}
	if n, err := io.Copy(io.Discard, body); n != 4<<20 || err != nil {
		t.Errorf("the body: %d bytes, %v", n, err)
	}
}

// testStreamBroken: a stream that is cut is never taken for a whole one.
func testStreamBroken(t *testing.T, kit *transportKit) {
	w := linked(t, kit, roomy)
	for _, by := range []kernel.ServerID{1, 2} {
		r, feed := io.Pipe() // never ends by itself
		s := newSource(r)
		stop := make(chan struct{})
		go func() {
			feed.Write(pattern(100))
			<-s.closed
			r.Close()
			close(stop)
		}()
		w.transports[1].Stream(w.near, numbered(1, 8), s)
		body := w.sinks[2].Message(w.far).Body
		if _, err := io.ReadFull(body, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		link := map[kernel.ServerID]kernel.LinkID{1: w.near, 2: w.far}[by]
		w.transports[by].Hangup(link)
		if _, err := io.ReadAll(body); err == nil {
			t.Error("a cut body ended as if it were whole")
		}
		w.sinks[1].Down(w.near)
		w.sinks[2].Down(w.far)
		s.awaitClose(t)
		<-stop
		if by == 1 {
			w.dial(t)
		}
	}
	s := newSource(bytes.NewReader(nil)) // on a dead link
	w.transports[1].Stream(w.near, numbered(1, 8), s)
	s.awaitClose(t)
}

var errSource = errors.New("the disk is gone")

func testStreamSourceFails(t *testing.T, kit *transportKit) {
	w := linked(t, kit, roomy)
	arrived := make(chan struct{}) // before that the link's end may take the message with it
	s := newSource(io.MultiReader(bytes.NewReader(pattern(1000)), failing{arrived}))
	w.transports[1].Stream(w.near, numbered(1, 8), s)
	body := w.sinks[2].Message(w.far).Body
	close(arrived)
	if got, err := io.ReadAll(body); err == nil {
		t.Errorf("a body whose source failed ended well, after %d bytes", len(got))
	}
	w.sinks[1].Down(w.near)
	w.sinks[2].Down(w.far)
	s.awaitClose(t)
}

// failing fails once after is closed.
type failing struct{ after chan struct{} }

func (f failing) Read([]byte) (int, error) {
	<-f.after
	return 0, errSource
}
