package plugintest

import (
	"bytes"
	"encoding/binary"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// Servers makes the transports of servers that can reach each other, one for each sink. queueBytes bounds what waits on a link in one direction.
// They need not listen yet. The kit closes them.
type Servers func(t *testing.T, sinks map[kernel.ServerID]kernel.TransportSink, queueBytes int) map[kernel.ServerID]kernel.Transport

// TransportTraits are what transports may do differently within the contract.
type TransportTraits struct {
	// Hello is what a server sends first on a link for broadcast that it has dialled: a transport that learns the dialler's id from it reports the link to the other side only then. Nil: no need.
	Hello func(self kernel.ServerID) kernel.Message
	// Beside says that messages sent behind a body arrive although nobody has read it yet. Otherwise they wait.
	Beside bool
}

// patience is how long the kit waits for an event before it calls it missing.
const patience = 30 * time.Second

// transportKit is what the cases work with.
type transportKit struct {
	servers Servers
	traits  TransportTraits
}

// Transport checks kernel.Transport's contract: links with incarnations, a gap-free prefix in order, bounded queues, streams, and an end to everything.
func Transport(t *testing.T, servers Servers, traits TransportTraits) {
	kit := &transportKit{servers: servers, traits: traits}
	for _, c := range []struct {
		name string
		run  func(*testing.T, *transportKit)
	}{
		{"Dial", testDial}, {"DialRefused", testDialRefused}, {"Order", testOrder}, {"Hold", testHold}, {"Contents", testContents}, {"Ownership", testOwnership}, {"Hangup", testHangup},
		{"Overflow", testOverflow}, {"Prefix", testPrefix}, {"Stream", testStream}, {"StreamBesideOthers", testStreamBesideOthers},
		{"StreamBroken", testStreamBroken}, {"StreamSourceFails", testStreamSourceFails}, {"Flush", testFlush}, {"Close", testTransportClose},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, kit) })
	}
}

// two are servers 1 and 2 with a link that 1 dialled.
type two struct {
	kit        *transportKit
	sinks      map[kernel.ServerID]*Sink
	transports map[kernel.ServerID]kernel.Transport
	near, far  kernel.LinkID // the same link as 1 and as 2 know it
}

const roomy = 64 << 20

func start(t *testing.T, kit *transportKit, queueBytes int, ids ...kernel.ServerID) *two {
	t.Helper()
	w := &two{kit: kit, sinks: make(map[kernel.ServerID]*Sink)}
	sinks := make(map[kernel.ServerID]kernel.TransportSink)
	for _, id := range ids {
		w.sinks[id] = NewSink(t)
		sinks[id] = w.sinks[id]
	}
	w.transports = kit.servers(t, sinks, queueBytes)
	for _, id := range ids {
		if w.transports[id] == nil {
			t.Fatalf("no transport for server %d", id)
		}
		t.Cleanup(func() {
			if err := w.transports[id].Close(); err != nil {
				t.Errorf("closing the transport of %d: %v", id, err)
			}
		})
	}
	return w
}

func (w *two) listen(t *testing.T) {
	t.Helper()
	for id, tr := range w.transports {
		if err := tr.Listen(); err != nil {
			t.Fatalf("server %d: %v", id, err)
		}
	}
}

func linked(t *testing.T, kit *transportKit, queueBytes int) *two {
	t.Helper()
	w := start(t, kit, queueBytes, 1, 2)
	w.listen(t)
	w.dial(t)
	return w
}

func (w *two) dial(t *testing.T) {
	t.Helper()
	dialled := w.transports[1].Dial(2, kernel.ForBroadcast)
	w.near = w.sinks[1].NextUp(false)
	hello := w.kit.traits.Hello
	if hello != nil {
		w.transports[1].Send(w.near, hello(1))
	}
	w.far = w.sinks[2].NextUp(true)
	if hello != nil {
		if got, want := w.sinks[2].Message(w.far), hello(1); !reflect.DeepEqual(got, want) {
			t.Fatalf("the first message arrived as %+v, want %+v", got, want)
		}
	}
	if w.near != dialled {
		t.Fatalf("Dial said %v, the event %v", dialled, w.near)
	}
	if w.far.Peer != 1 || w.far.Purpose != kernel.ForBroadcast {
		t.Fatalf("server 2 knows the link as %v", w.far)
	}
}

// numbered is the i-th message of a test, with a payload of at least 8 bytes.
func numbered(i, size int) kernel.Message {
	payload := make([]byte, max(size, 8))
	binary.BigEndian.PutUint64(payload, uint64(i))
	return kernel.Message{Type: int32(i % 7), Zxid: kernel.Zxid(i), Payload: payload}
}

func checkNumbered(t *testing.T, i, size int, got kernel.Message) {
	t.Helper()
	want := numbered(i, size)
	if got.Type != want.Type || got.Zxid != want.Zxid || !bytes.Equal(got.Payload, want.Payload) {
		t.Fatalf("message %d: got type %d, zxid %v, %d bytes", i, got.Type, got.Zxid, len(got.Payload))
	}
}

func testDial(t *testing.T, kit *transportKit) {
	w := linked(t, kit, roomy)
	first := w.near
	w.dial(t)
	if w.near == first || w.near.Incarnation == first.Incarnation {
		t.Error("two links have the same incarnation")
	}
	election := w.transports[2].Dial(1, kernel.ForElection)
	if up := w.sinks[2].NextUp(false); up != election || up.Purpose != kernel.ForElection || up.Peer != 1 {
		t.Errorf("dialled %v, up %v", election, up)
	}
	if up := w.sinks[1].NextUp(true); up.Purpose != kernel.ForElection || up.Peer != 2 {
		t.Errorf("accepted %v", up)
	}
}

func testDialRefused(t *testing.T, kit *transportKit) {
	w := start(t, kit, roomy, 1, 2)
	if err := w.transports[1].Listen(); err != nil {
		t.Fatal(err)
	}
	link := w.transports[1].Dial(2, kernel.ForBroadcast)
	if messages := w.sinks[1].Down(link); len(messages) != 0 {
		t.Error("messages on a link that never was up")
	}
	w.transports[1].Send(link, numbered(1, 8)) // must do nothing
	w.transports[1].Hangup(link)
	w.transports[1].Send(kernel.LinkID{Peer: 9, Incarnation: 1 << 60}, numbered(1, 8))
	if err := w.transports[2].Listen(); err != nil {
		t.Fatal(err)
	}
	w.dial(t)
}

// testHold: nothing comes on a held link, but on others; then all of it does, in order. A link that goes down is not held: what had arrived comes first.
func testHold(t *testing.T, kit *transportKit) {
	w := linked(t, kit, roomy)
	near, far := w.near, w.far
	w.transports[2].Hold(far, true)
	for i := range 3 {
		w.transports[1].Send(near, numbered(i, 8))
	}
	w.dial(t)
	for i := range 3 {
		w.transports[1].Send(w.near, numbered(i, 8))
		if e := w.sinks[2].Next(); e.Link != w.far {
			t.Fatalf("%v while its link was held", e)
		}
	}
	w.transports[2].Hold(far, false)
	for i := range 3 {
		checkNumbered(t, i, 8, w.sinks[2].Message(far))
	}
	w.transports[2].Hold(w.far, true)
	w.transports[2].Hangup(w.far)
	w.sinks[2].Down(w.far)
	w.transports[2].Hold(w.far, true) // must do nothing
}

func testOrder(t *testing.T, kit *transportKit) {
	const count = 5000
	w := linked(t, kit, roomy)
	size := func(i int) int { return i % 300 }
	for i := range count {
		w.transports[1].Send(w.near, numbered(i, size(i)))
		w.transports[2].Send(w.far, numbered(i, size(i)))
	}
	for i := range count {
		checkNumbered(t, i, size(i), w.sinks[2].Message(w.far))
		checkNumbered(t, i, size(i), w.sinks[1].Message(w.near))
	}
}

// testContents: null and empty are not the same, and a packet carries a client's identities.
func testContents(t *testing.T, kit *transportKit) {
	w := linked(t, kit, roomy)
	for _, want := range []kernel.Message{
		{Type: 1, Zxid: -1},
		{Type: 2, Zxid: 1 << 62, Payload: []byte{}},
		{Type: 3, Payload: []byte{0}, Identities: []kernel.Identity{{Scheme: "digest", ID: "joe:x"}, {Scheme: "ip", ID: ""}}},
	} {
		w.transports[1].Send(w.near, want)
		if got := w.sinks[2].Message(w.far); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v arrived as %+v", want, got)
		}
		w.transports[1].Stream(w.near, want, newSource(bytes.NewReader([]byte("body"))))
		got := w.sinks[2].Message(w.far)
		if body, err := io.ReadAll(got.Body); string(body) != "body" || err != nil {
			t.Errorf("the body became %q, %v", body, err)
		}
		if got.Body = nil; !reflect.DeepEqual(got, want) {
			t.Errorf("%+v arrived with a body as %+v", want, got)
		}
	}
}

// testOwnership: a received payload is the receiver's alone.
func testOwnership(t *testing.T, kit *transportKit) {
	w := linked(t, kit, roomy)
	shared := numbered(1, 100)
	w.transports[1].Send(w.near, shared)
	w.transports[1].Send(w.near, shared)
	first := w.sinks[2].Message(w.far)
	clear(first.Payload)
	checkNumbered(t, 1, 100, w.sinks[2].Message(w.far))
	if !bytes.Equal(shared.Payload, numbered(1, 100).Payload) {
		t.Error("the transport or the receiver changed the sender's bytes")
	}
}

// testFlush: the event comes once what was queued before has left, a stream included, and never on a link that is down.
func testFlush(t *testing.T, kit *transportKit) {
	w := linked(t, kit, roomy)
	near, far, t1, s1, s2 := w.near, w.far, w.transports[1], w.sinks[1], w.sinks[2]
	t1.Flush(near)
	if e := s1.Next(); !e.Flushed || e.Link != near {
		t.Fatalf("on an idle link: got %v, want LinkFlushed", e)
	}
	t1.Stream(near, numbered(1, 8), newSource(bytes.NewReader(pattern(4<<20))))
	t1.Send(near, numbered(2, 8))
	t1.Flush(near)
	body := s2.Next()
	if body.Link != far || body.Message.Body == nil {
		t.Fatalf("got %v, want a stream", body)
	}
	if kit.traits.Beside {
		if e := s2.Next(); e.Message.Type != 2 {
			t.Fatalf("got %v, want the message beside the stream", e)
		}
	}
	select {
	case e := <-s1.events:
		t.Fatalf("%v before the stream was read", e)
	case <-time.After(20 * time.Millisecond):
	}
	if n, err := io.Copy(io.Discard, body.Message.Body); n != 4<<20 || err != nil {
		t.Fatalf("read %d bytes: %v", n, err)
	}
	if !kit.traits.Beside {
		if e := s2.Next(); e.Message.Type != 2 {
			t.Fatalf("got %v, want the message behind the stream", e)
		}
	}
	if e := s1.Next(); !e.Flushed {
		t.Fatalf("got %v, want LinkFlushed", e)
	}
	t1.Hangup(near)
	if e := s1.Next(); !e.Down {
		t.Fatalf("got %v, want LinkDown", e)
	}
	t1.Flush(near)
	select {
	case e := <-s1.events:
		t.Fatalf("%v after LinkDown", e)
	case <-time.After(20 * time.Millisecond):
	}
}

func testHangup(t *testing.T, kit *transportKit) {
	w := linked(t, kit, roomy)
	w.transports[1].Send(w.near, numbered(0, 8))
	checkNumbered(t, 0, 8, w.sinks[2].Message(w.far))
	w.transports[1].Hangup(w.near)
	w.sinks[1].Down(w.near)
	w.sinks[2].Down(w.far)
	w.transports[1].Hangup(w.near) // again: nothing
	w.transports[2].Send(w.far, numbered(1, 8))
	w.dial(t) // the sinks complain if something comes on the old link
	w.transports[2].Hangup(w.far)
	w.sinks[1].Down(w.near)
	w.sinks[2].Down(w.far)
}

// testOverflow: a receiver that does not take its events costs the sender the link, not its memory.
func testOverflow(t *testing.T, kit *transportKit) {
	const queueBytes, size = 256 << 10, 4 << 10
	w := linked(t, kit, queueBytes)
	release := w.sinks[2].Block()
	defer release()
	limit := (queueBytes + 64<<20) / size // what the operating system may hold besides
	sent := 0
	for down := false; !down && sent < limit; sent++ {
		w.transports[1].Send(w.near, numbered(sent, size))
		select {
		case e := <-w.sinks[1].events:
			if down = e.Down && e.Link == w.near; !down {
				t.Fatalf("unexpected event %v", e)
			}
		default:
		}
	}
	if sent == limit {
		// The last sends may have been too quick for the event.
		w.sinks[1].Down(w.near)
	}
	release()
	for i, m := range w.sinks[2].Down(w.far) {
		checkNumbered(t, i, size, m)
	}
	w.dial(t)
}

// testPrefix: whatever is lost at the end of a link, nothing is lost before something that arrives.
func testPrefix(t *testing.T, kit *transportKit) {
	w := linked(t, kit, roomy)
	for round := range 20 {
		if round > 0 {
			w.dial(t)
		}
		for i := range 200 {
			w.transports[1].Send(w.near, numbered(i, 100))
		}
		if round%2 == 0 {
			w.transports[1].Hangup(w.near)
		} else {
			w.transports[2].Hangup(w.far)
		}
		for i, m := range w.sinks[2].Down(w.far) {
			checkNumbered(t, i, 100, m)
		}
		w.sinks[1].Down(w.near)
	}
}

func testTransportClose(t *testing.T, kit *transportKit) {
	w := linked(t, kit, roomy)
	w.transports[2].Send(w.far, numbered(0, 8))
	checkNumbered(t, 0, 8, w.sinks[1].Message(w.near))
	s := newSource(bytes.NewReader(pattern(4 << 20)))
	w.transports[2].Stream(w.far, numbered(1, 8), s) // nobody reads it
	w.sinks[1].Message(w.near)
	if err := w.transports[2].Close(); err != nil {
		t.Fatal(err)
	}
	s.awaitClose(t)
	w.sinks[1].Down(w.near)
	link := w.transports[1].Dial(2, kernel.ForBroadcast)
	w.sinks[1].Down(link)
	w.transports[2].Send(w.far, numbered(1, 8)) // after Close: nothing
	w.transports[2].Hangup(w.far)
	if err := w.transports[2].Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}
