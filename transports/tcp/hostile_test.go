package tcp

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

// pair is two servers with a link whose health a test watches.
func pair(t *testing.T, s Settings) (one, two *server, near, far kernel.LinkID) {
	t.Helper()
	servers := listening(t, s, 1, 2)
	one, two = servers[0], servers[1]
	near, far = meet(one, two)
	return one, two, near, far
}

// meet makes a link from a to b.
func meet(a, b *server) (near, far kernel.LinkID) {
	a.Dial(b.self, kernel.ForBroadcast)
	near = a.sink.NextUp(false)
	a.Send(near, hello(a.self))
	far = b.sink.NextUp(true)
	b.sink.Message(far)
	return near, far
}

// works proves that a link carries messages.
func works(t *testing.T, one, two *server, near, far kernel.LinkID) {
	t.Helper()
	one.Send(near, kernel.Message{Type: peer.Ping, Zxid: 4})
	if m := two.sink.Message(far); m.Type != peer.Ping || m.Zxid != 4 {
		t.Fatalf("%+v", m)
	}
}

// Whatever a stranger says, he loses his own connection and nothing else.
func TestStrangers(t *testing.T) {
	one, two, near, far := pair(t, Settings{})
	for name, c := range map[string]struct{ port, says string }{
		"HTTP":                        {two.quorum, fmt.Sprintf("%x", "GET / HTTP/1.1\r\nHost: zoo\r\n\r\n")},
		"HTTP in an election":         {two.election, fmt.Sprintf("%x", "GET / HTTP/1.1\r\nHost: zoo\r\n\r\n")},
		"huge length":                 {two.quorum, "0000000b 0000000000000000 7fffffff"},
		"introduction over the limit": {two.quorum, "0000000b 0000000000000000 00001001"},
		"negative length":             {two.quorum, "0000000b 0000000000000000 fffffffe"},
		"null introduction":           {two.quorum, "0000000b 0000000000000000 ffffffff ffffffff"},
		"short introduction":          {two.quorum, "0000000b 0000000000000000 00000007 00000000000000 ffffffff"},
		"many identities":             {two.quorum, "0000000b 0000000000000000 ffffffff 7fffffff"},
		"not an introduction":         {two.quorum, "00000003 0000000000000000 ffffffff ffffffff"},
		"unknown version":             {two.election, "fffffffffffffff0"},
		"no address":                  {two.election, "ffffffffffff0000 0000000000000007 00000000"},
		"long address":                {two.election, "ffffffffffff0000 0000000000000007 00000801"},
		"bad address":                 {two.election, "ffffffffffff0000 0000000000000007 00000003 616263"},
	} {
		t.Run(name, func(t *testing.T) {
			s := dialRaw(t, c.port)
			s.put(c.says)
			s.wantEnd()
			works(t, one, two, near, far)
		})
	}
}

// Whatever a peer says after its introduction, it loses its own link and nothing else.
func TestLyingPeers(t *testing.T) {
	one, two, near, far := pair(t, Settings{})
	elector := "ffffffffffff0000 0000000000000007" + text("127.0.0.1:9")
	stream := func(number, payload string) string {
		return fmt.Sprintf("00000042 %s %08x %s ffffffff", number, len(unhex(t, payload)), payload)
	}
	const first, other = "0000000000000001", "0000000000000002"
	opened := stream(first, "00 00000002 0000000000000000 01")
	for name, c := range map[string]struct {
		port, says string
		messages   int
	}{
		"huge packet":                  {two.quorum, follower3 + "00000001 0000000000000000 7fffffff", 1},
		"negative packet":              {two.quorum, follower3 + "00000001 0000000000000000 80000000", 1},
		"identities":                   {two.quorum, follower3 + "00000001 0000000000000000 ffffffff 7fffffff", 1},
		"snapshot that is none":        {two.quorum, follower3 + "0000000f 0000000000000000 ffffffff ffffffff fffffff0", 2},
		"notification of length 0":     {two.election, elector + "00000000", 0},
		"notification of length -1":    {two.election, elector + "ffffffff", 0},
		"notification of a mebibyte":   {two.election, elector + "00100000", 0},
		"empty chunk":                  {two.quorum, follower3 + "00000042 0000000000000001 00000000 ffffffff", 1},
		"null chunk":                   {two.quorum, follower3 + "00000042 0000000000000001 ffffffff ffffffff", 1},
		"unknown chunk":                {two.quorum, follower3 + stream(first, "09"), 1},
		"piece of nothing":             {two.quorum, follower3 + stream(first, "0141"), 1},
		"end of nothing":               {two.quorum, follower3 + stream(first, "02"), 1},
		"empty piece":                  {two.quorum, follower3 + opened + stream(first, "01"), 2},
		"body opened twice":            {two.quorum, follower3 + opened + opened, 2},
		"short opening":                {two.quorum, follower3 + stream(other, "00 00000002 0000000000000000"), 1},
		"null opening with a payload":  {two.quorum, follower3 + stream(other, "00 00000002 0000000000000000 01 41"), 1},
		"chunk that opens a chunk":     {two.quorum, follower3 + stream(other, "00 00000042 0000000000000000 01"), 1},
		"room of three bytes":          {two.quorum, follower3 + stream(first, "03 000001"), 1},
		"more than the window":         {two.quorum, follower3 + opened + strings.Repeat(stream(first, "01"+strings.Repeat("41", 1<<18)), 5), 2},
		"more bodies than are allowed": {two.quorum, follower3 + bodies(maxBodies+1, stream), 1 + maxBodies},
	} {
		t.Run(name, func(t *testing.T) {
			s := dialRaw(t, c.port)
			s.Write(unhex(t, c.says)) // it may be cut off before the end
			link := two.sink.NextUp(true)
			var got []kernel.Message
			for e := two.sink.Next(); ; e = two.sink.Next() {
				if e.Down && e.Link == link {
					if !strings.Contains(e.Reason.Error(), "does not speak the protocol") {
						t.Errorf("the link went down: %v", e.Reason)
					}
					break
				}
				got = append(got, e.Message)
				if e.Message.Type == peer.Snap {
					e.Message.Body.Read(make([]byte, 10))
				}
			}
			if len(got) != c.messages {
				t.Errorf("%d messages, want %d", len(got), c.messages)
			}
			s.wantEnd()
			works(t, one, two, near, far)
		})
	}
}

func bodies(n int, stream func(number, payload string) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(stream(fmt.Sprintf("%016x", i+1), "00 00000002 0000000000000000 01"))
	}
	return b.String()
}

// A frame that stays half costs nobody else anything, and its link only when the peer goes.
func TestHalfFrames(t *testing.T) {
	one, two, near, far := pair(t, Settings{})
	const snap = "0000000f 0000000000000000 ffffffff ffffffff 0000" // whole, its body is not
	for _, half := range []string{"00", "00000001 0000000000000000 00100000 4142", snap} {
		s := dialRaw(t, two.quorum)
		s.put(follower3 + half)
		link := two.sink.NextUp(true)
		m := two.sink.Message(link)
		if half == snap {
			m = two.sink.Message(link)
		}
		works(t, one, two, near, far)
		s.Close()
		if m.Body != nil { // the connection is its reader's
			if _, err := io.ReadAll(m.Body); err == nil {
				t.Error("half a snapshot ended as if it were whole")
			}
		}
		two.sink.Down(link)
	}
}

// Who does not introduce himself in time is sent away, however he dribbles.
func TestSlowIntroductions(t *testing.T) {
	two := listening(t, Settings{ConnectTimeout: 100 * time.Millisecond}, 2)[0]
	silent := dialRaw(t, two.quorum)
	half := dialRaw(t, two.quorum)
	half.put(follower3[:26])
	dribbling := dialRaw(t, two.election)
	stop := make(chan struct{})
	defer func() { <-stop }()
	go func() {
		defer close(stop)
		for _, b := range unhex(t, "ffffffffffff0000 0000000000000007"+text(strings.Repeat("a", 1000)+":1")) {
			if _, err := dribbling.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	silent.wantEnd()
	half.wantEnd()
	dribbling.wantEnd()
}

// Connections that do not introduce themselves are bounded, and do not keep a peer out.
func TestManyStrangers(t *testing.T) {
	one, two, near, far := pair(t, Settings{})
	var all []*raw
	for range 3 * maxStrangers {
		all = append(all, dialRaw(t, two.quorum))
	}
	two.Dial(1, kernel.ForBroadcast) // makes sure that one hears of it
	back := two.sink.NextUp(false)
	two.Send(back, hello(2))
	one.sink.Message(one.sink.NextUp(true))
	works(t, one, two, near, far)
	next, nextFar := meet(one, two)
	works(t, one, two, next, nextFar)
	for _, s := range all[:2*maxStrangers-2] { // the oldest made room; accept may be a little behind
		s.wantEnd()
	}
	two.mu.RLock()
	defer two.mu.RUnlock()
	if n := len(two.strangers); n > maxStrangers {
		t.Errorf("%d connections wait", n)
	}
}

// Links of servers that nobody knows are bounded together; those of one server that is known make room for newer ones.
func TestManyLinks(t *testing.T) {
	one, two, near, far := pair(t, Settings{})
	for i := range maxUnknown {
		s := dialRaw(t, two.quorum)
		s.put(strings.Replace(follower3, "0000000000000003", fmt.Sprintf("%016x", 1000+i), 1))
		two.sink.Message(two.sink.NextUp(true))
	}
	s := dialRaw(t, two.quorum)
	s.put(strings.Replace(follower3, "0000000000000003", fmt.Sprintf("%016x", 2000), 1))
	s.wantEnd()
	works(t, one, two, near, far)

	var links []kernel.LinkID
	for range maxFromOne - 1 {
		n, f := meet(one, two)
		works(t, one, two, n, f)
		links = append(links, n)
	}
	one.Dial(2, kernel.ForBroadcast)
	newest := one.sink.NextUp(false)
	one.Send(newest, hello(1))
	var up kernel.LinkID
	for gone := false; !gone || up.Peer == 0; {
		switch e := two.sink.Next(); {
		case e.Up:
			up = e.Link
		case e.Down && e.Link == far:
			gone = true
		case e.Message.Type != peer.FollowerInfo:
			t.Fatalf("%v", e)
		}
	}
	one.sink.Down(near)
	for _, l := range links {
		one.Send(l, kernel.Message{Type: peer.Ping})
		if e := two.sink.Next(); e.Message.Type == peer.FollowerInfo {
			e = two.sink.Next()
		} else if e.Message.Type != peer.Ping {
			t.Fatalf("%v", e)
		}
	}
}

// A peer that sends more than is taken is held up, and what it makes this server hold is bounded.
func TestFlood(t *testing.T) {
	const queueBytes = 256 << 10
	one := listening(t, Settings{QueueBytes: queueBytes}, 1)[0]
	s := dialRaw(t, one.quorum)
	s.put(follower3)
	id := one.sink.NextUp(true)
	one.sink.Message(id)
	release := one.sink.Block()
	defer release()
	l := one.link(id)
	packet := peer.AppendPacket(nil, &kernel.Message{Type: peer.Ack, Payload: make([]byte, 1000)})
	burst := bytes.Repeat(packet, 200)
	s.SetWriteDeadline(time.Now().Add(time.Second))
	sent := 0
	for {
		n, err := s.Write(burst)
		sent += n
		if err != nil {
			break // held up
		}
		if sent > 256<<20 {
			t.Fatal("nothing held it up")
		}
		l.mu.Lock()
		held := l.bytes
		l.mu.Unlock()
		if held > 2*queueBytes {
			t.Fatalf("%d bytes wait for the sink", held)
		}
	}
	release()
	for range sent / len(packet) {
		if m := one.sink.Message(id); m.Type != peer.Ack {
			t.Fatalf("%+v", m)
		}
	}
}

// A peer that takes nothing loses its link; others have theirs without delay.
func TestHungPeer(t *testing.T) {
	one, two, near, far := pair(t, Settings{WriteTimeout: 200 * time.Millisecond})
	s := dialRaw(t, one.quorum)
	s.put(follower3)
	hung := one.sink.NextUp(true)
	one.sink.Message(hung)
	s.Conn.(*net.TCPConn).SetReadBuffer(1)
	for range 40 {
		one.Send(hung, kernel.Message{Type: peer.Proposal, Payload: make([]byte, 1<<20)})
	}
	for range 100 {
		works(t, one, two, near, far)
	}
	if e := one.sink.Next(); !e.Down || e.Link != hung || !strings.Contains(e.Reason.Error(), "writing") {
		t.Fatalf("%v", e)
	}
	works(t, one, two, near, far)
}

// FuzzChunk: whatever pieces come, a body holds no more than its window, and every error is the peer's.
func FuzzChunk(f *testing.F) {
	open := appendOpen(nil, 1, &kernel.Message{Type: peer.ChunkedSnap, Payload: []byte("p"), Identities: []kernel.Identity{{Scheme: "a", ID: "b"}}})
	f.Add(appendEnd(appendPiece(open, 1, []byte("piece")), 1))
	f.Add(appendRoom(open, 1, 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr := New(1, plugintest.NewSink(t), Settings{}, nil)
		defer tr.Close()
		here, there := net.Pipe()
		defer there.Close()
		l := newLink(tr, kernel.LinkID{Peer: 2, Purpose: kernel.ForBroadcast, Incarnation: 1}, false)
		tr.mu.Lock()
		tr.register(l)
		l.establish(here, nil, nil)
		tr.mu.Unlock()
		held := 0
		for _, m := range packetsOf(b) {
			if m.Type != peer.Stream {
				continue
			}
			held += len(m.Payload)
			if err := l.chunk(&m); err != nil {
				if !strings.Contains(err.Error(), peer.ErrMalformed.Error()) {
					t.Fatal(err)
				}
				return
			}
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, b := range l.bodies {
			if b.bytes > windowBytes || b.bytes > held {
				t.Fatalf("a body holds %d bytes of %d", b.bytes, held)
			}
		}
	})
}

// packetsOf are the whole packets at the beginning of b.
func packetsOf(b []byte) (all []kernel.Message) {
	r := peer.NewReader(bufio.NewReader(bytes.NewReader(b)), 1<<20)
	for {
		m, err := r.Packet()
		if err != nil {
			return all
		}
		all = append(all, m)
	}
}
