package tcp

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

// The bytes of an election link that this server dials (spec peer-wire-and-disk, 2.1 and 2.3).
func TestElectionBytesDialled(t *testing.T) {
	p := ports(t, 4)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sink := plugintest.NewSink(t)
	two := New(2, sink, patient(Settings{}), logger(t))
	defer two.Close()
	two.Configure([]kernel.Member{line(1, p[0], p[1]), line(2, p[2], p[3])})
	link := two.Dial(1, kernel.ForElection)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	peer := newRaw(t, conn)
	peer.want("ffffffffffff0000 0000000000000002" + text(fmt.Sprintf("127.0.0.1:%d", p[3])))
	if up := sink.NextUp(false); up != link {
		t.Fatalf("up %v, dialled %v", up, link)
	}
	two.Send(link, kernel.Message{Payload: []byte{1, 2, 3}})
	two.Send(link, kernel.Message{Payload: []byte{4}})
	peer.want("00000003 010203 00000001 04")
	peer.put("00000002 aabb")
	if m := sink.Message(link); string(m.Payload) != "\xaa\xbb" || m.Type != 0 || m.Zxid != 0 {
		t.Fatalf("%+v", m)
	}
	two.Send(link, kernel.Message{}) // no notification is empty
	if e := sink.Next(); !e.Down {
		t.Fatalf("%v", e)
	}
	peer.wantEnd()
}

// A server with a larger id connects: the connection stays, in each form of the first message.
func TestElectionAccepted(t *testing.T) {
	one := listening(t, Settings{}, 1, 7)[0]
	for _, first := range []string{
		"ffffffffffff0000 0000000000000007" + text("zoo7:3888"),
		"ffffffffffff0001 0000000000000007" + text("zoo7:3888|[::1]:3888"),
		"0000000000000007",
	} {
		peer := dialRaw(t, one.election)
		peer.put(first + "00000001 2a")
		link := one.sink.NextUp(true)
		if m := one.sink.Message(link); string(m.Payload) != "*" || link.Peer != 7 || link.Purpose != kernel.ForElection {
			t.Fatalf("%+v on %v", m, link)
		}
		peer.Close()
		one.sink.Down(link)
	}
}

// A dial to a larger id is a knock: the peer dials back.
func TestKnock(t *testing.T) {
	servers := listening(t, Settings{}, 1, 2)
	one, two := servers[0], servers[1]
	knock := one.Dial(2, kernel.ForElection)
	var link kernel.LinkID
	for knocked := false; !knocked || link.Peer == 0; {
		switch e := one.sink.Next(); {
		case e.Down && e.Link == knock && errors.Is(e.Reason, ErrKnocked) && errors.Is(e.Reason, kernel.ErrOtherLink):
			knocked = true
		case e.Up && e.Accepted:
			link = e.Link
		default:
			t.Fatalf("%v", e)
		}
	}
	far := two.sink.NextUp(true) // the peer wished for it
	if link.Peer != 2 || far.Peer != 1 || far.Purpose != kernel.ForElection {
		t.Fatalf("%v and %v", link, far)
	}
	one.Send(link, kernel.Message{Payload: []byte("from 1")})
	two.Send(far, kernel.Message{Payload: []byte("from 2")})
	if a, b := one.sink.Message(link), two.sink.Message(far); string(a.Payload) != "from 2" || string(b.Payload) != "from 1" {
		t.Fatalf("%q, %q", a.Payload, b.Payload)
	}
}

// Who knocks without end in the name of a server does not keep its link from living.
func TestKnocking(t *testing.T) {
	servers := listening(t, Settings{}, 1, 2)
	one, two := servers[0], servers[1]
	two.Dial(1, kernel.ForElection)
	near, far := one.sink.NextUp(true), two.sink.NextUp(false)
	began, links := time.Now(), 1
	for time.Since(began) < 3*youth {
		for range 20 {
			k := dialRaw(t, two.election)
			k.put("ffffffffffff0000 0000000000000001" + text(one.election))
			k.wantEnd()
		}
		two.Send(far, kernel.Message{Payload: []byte("x")})
		for heard := false; !heard; {
			switch e := one.sink.Next(); {
			case e.Up:
				near = e.Link
				links++
				for up := false; !up; {
					e := two.sink.Next()
					if up = e.Up; up {
						far = e.Link
					}
				}
				two.Send(far, kernel.Message{Payload: []byte("x")})
			case e.Link == near && !e.Down:
				heard = true
			}
		}
	}
	if took := time.Since(began); links > 2+int(took/youth) {
		t.Errorf("%d links in %v", links, took)
	}
}

// There is one connection for each pair: a newer one takes the place of the older on both sides.
func TestNewestElectionLink(t *testing.T) {
	servers := listening(t, Settings{}, 1, 2)
	one, two := servers[0], servers[1]
	var near, far kernel.LinkID
	// next waits for the new link, and for the end of the old one if there is any; either may come first.
	next := func(s *server, old kernel.LinkID) (up kernel.LinkID) {
		for old.Peer != 0 || up.Peer == 0 {
			switch e := s.sink.Next(); {
			case e.Up && up.Peer == 0:
				up = e.Link
			case e.Down && e.Link == old:
				old = kernel.LinkID{}
			default:
				t.Fatalf("%v", e)
			}
		}
		return up
	}
	for range 5 {
		dialled := two.Dial(1, kernel.ForElection)
		near, far = next(one, near), next(two, far)
		if far != dialled {
			t.Fatalf("dialled %v, up %v", dialled, far)
		}
	}
	two.Send(far, kernel.Message{Payload: []byte("still here")})
	if m := one.sink.Message(near); string(m.Payload) != "still here" {
		t.Fatalf("%q", m.Payload)
	}
}

// greeter says something on every link as soon as it is up.
type greeter struct {
	*plugintest.Sink
	t *Transport
}

func (g *greeter) LinkUp(link kernel.LinkID, accepted bool) {
	g.t.Send(link, kernel.Message{Payload: []byte("x")})
	g.Sink.LinkUp(link, accepted)
}

// Both sides dial at once, again and again: each time a link comes out of it that carries messages both ways. Who loses a link that was up dials again, as an election does: a dial back that was asked for in
// the round before may come up as the other side takes its links down.
func TestElectionLinksSettle(t *testing.T) {
	servers := listening(t, Settings{}, 1, 2)
	for _, s := range servers {
		s.Transport.sink = &greeter{s.sink, s.Transport}
	}
	for range 50 {
		servers[0].Dial(2, kernel.ForElection)
		servers[1].Dial(1, kernel.ForElection)
		up := [2]map[kernel.LinkID]bool{{}, {}}
		for i, s := range servers {
			for heard := false; !heard; {
				switch e := s.sink.Next(); {
				case e.Up:
					up[i][e.Link] = true
				case e.Down:
					if up[i][e.Link] {
						delete(up[i], e.Link)
						s.Dial(kernel.ServerID(2-i), kernel.ForElection)
					}
				default:
					heard = up[i][e.Link]
				}
			}
		}
		for i, s := range servers { // take all down, so that the next round begins without
			for link := range up[i] {
				s.Hangup(link)
			}
			for len(up[i]) > 0 {
				switch e := s.sink.Next(); {
				case e.Up:
					up[i][e.Link] = true
					s.Hangup(e.Link)
				case e.Down:
					delete(up[i], e.Link)
				}
			}
		}
	}
}

// A knock of a server that is not in the configuration is answered where it says; one of a server that is, where the configuration says, and only then there.
func TestDialBackAddress(t *testing.T) {
	p := ports(t, 6)
	listen := func(port int) net.Listener {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	sink := plugintest.NewSink(t)
	five := New(5, sink, patient(Settings{}), logger(t))
	defer five.Close()
	five.Configure([]kernel.Member{line(5, p[0], p[1]), line(1, p[2], p[3])})
	if err := five.Listen(); err != nil {
		t.Fatal(err)
	}
	knock := func(id kernel.ServerID, l net.Listener) {
		t.Helper()
		k := dialRaw(t, fmt.Sprintf("127.0.0.1:%d", p[1]))
		k.put(fmt.Sprintf("ffffffffffff0000 %016x", int64(id)) + text(fmt.Sprintf("127.0.0.1:%d", p[5])))
		k.wantEnd()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		newRaw(t, conn).want("ffffffffffff0000 0000000000000005" + text(fmt.Sprintf("127.0.0.1:%d", p[1])))
		link := sink.NextUp(true)
		if link.Peer != id {
			t.Fatalf("%v", link)
		}
		conn.Close()
		sink.Down(link)
	}
	told := listen(p[5])
	knock(3, told)
	knock(1, told) // nobody listens where the configuration says
	knock(1, listen(p[3]))
}

// Who says that he is this very server, or nobody, gets nothing.
func TestImplausibleIDs(t *testing.T) {
	two := listening(t, Settings{}, 2, 3)[0]
	for _, id := range []string{"0000000000000002", "ffffffffffffffff", "7fffffffffffffff"} {
		peer := dialRaw(t, two.election)
		peer.put("ffffffffffff0000" + id + text("127.0.0.1:9"))
		peer.wantEnd()
		peer = dialRaw(t, two.quorum)
		peer.put("0000000b 0000000000000000 00000014" + id + "00010000 0000000000000000 ffffffff")
		peer.wantEnd()
	}
	peer := dialRaw(t, two.election)
	peer.put("0000000000000003") // the next event: nothing came of the others
	if link := two.sink.NextUp(true); link.Peer != 3 {
		t.Fatalf("%v", link)
	}
}

func TestDialNobody(t *testing.T) {
	one := listening(t, Settings{}, 1)[0]
	for _, purpose := range []kernel.Purpose{kernel.ForElection, kernel.ForBroadcast} {
		link := one.Dial(9, purpose)
		if e := one.sink.Next(); !e.Down || e.Link != link || !errors.Is(e.Reason, ErrNoMember) {
			t.Errorf("%v", e)
		}
		link = one.Dial(1, purpose)
		if e := one.sink.Next(); !e.Down || e.Link != link || !strings.Contains(e.Reason.Error(), "itself") {
			t.Errorf("%v", e)
		}
	}
}
