package tcp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/peer"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

const follower3 = "0000000b 0000000000000000 00000014 0000000000000003 00010000 0000000000000000 ffffffff"

// The bytes of a quorum link, as a learner of ZooKeeper's sees them.
func TestQuorumBytes(t *testing.T) {
	one := listening(t, Settings{}, 1)[0]
	learner := dialRaw(t, one.quorum)
	learner.put(follower3 + "00000012 0000000700000009 00000004 00000007 ffffffff") // in one segment
	link := one.sink.NextUp(true)
	if m := one.sink.Message(link); m.Type != peer.FollowerInfo || link.Peer != 3 || link.Purpose != kernel.ForBroadcast {
		t.Fatalf("%+v on %v", m, link)
	}
	if m := one.sink.Message(link); m.Type != peer.AckEpoch || m.Zxid != 7<<32|9 {
		t.Fatalf("%+v", m)
	}
	one.Send(link, kernel.Message{Type: peer.LeaderInfo, Zxid: 8 << 32, Payload: peer.AppendLeaderInfo(nil, peer.Capabilities{})})
	one.Send(link, kernel.Message{Type: peer.Ping, Zxid: 8 << 32})
	learner.want("00000011 0000000800000000 00000004 00010000 ffffffff" + "00000005 0000000800000000 ffffffff ffffffff")
}

// Observers find their masters on the port that all voters have in common, and the link says so.
func TestObserverMasterPort(t *testing.T) {
	p := ports(t, 5)
	sinks := map[kernel.ServerID]*plugintest.Sink{1: plugintest.NewSink(t), 2: plugintest.NewSink(t)}
	one := New(1, sinks[1], patient(Settings{ObserverMasterPort: p[4]}), logger(t))
	defer one.Close()
	two := New(2, sinks[2], patient(Settings{ObserverMasterPort: p[4]}), logger(t))
	defer two.Close()
	observer := line(2, p[2], p[3])
	observer.Voter, observer.Text = false, strings.Replace(observer.Text, "participant", "observer", 1)
	for _, server := range []*Transport{one, two} { // on one address: the second could not listen there, and does not have to
		server.Configure([]kernel.Member{line(1, p[0], p[1]), observer})
		if err := server.Listen(); err != nil {
			t.Fatal(err)
		}
	}
	two.Send(two.Dial(1, kernel.ForObservers), kernel.Message{}) // not up yet: nothing is sent
	up := sinks[2].NextUp(false)
	two.Send(up, hello(2))
	link := sinks[1].NextUp(true)
	if m := sinks[1].Message(link); up.Purpose != kernel.ForObservers || link.Purpose != kernel.ForObservers || link.Peer != 2 || m.Type != peer.FollowerInfo {
		t.Fatalf("%+v: %v and %v", m, up, link)
	}
	one.Send(link, kernel.Message{Type: peer.Ping, Zxid: 7})
	if m := sinks[2].Message(up); m.Type != peer.Ping || m.Zxid != 7 {
		t.Fatalf("%+v", m)
	}
	// Nobody serves observers who was not told a port.
	none := New(3, sinks[2], patient(Settings{}), logger(t))
	defer none.Close()
	none.Configure([]kernel.Member{line(1, p[0], p[1])})
	none.Dial(1, kernel.ForObservers)
	if e := sinks[2].Next(); !errors.Is(e.Reason, ErrNoMember) {
		t.Fatalf("%+v", e)
	}
}

// snapshotBytes is a small snapshot without the signature.
func snapshotBytes(data int) []byte {
	b := jute.AppendInt64(jute.AppendInt32(nil, 1), 7) // a session
	b = jute.AppendInt32(jute.AppendInt32(b, 30000), 0)
	for _, path := range []string{"", "/zookeeper", "/a"} {
		b = jute.AppendBuffer(jute.AppendString(b, path), bytes.Repeat([]byte("x"), data))
		b = append(jute.AppendInt64(b, -1), make([]byte, 60)...)
	}
	return jute.AppendString(b, "/")
}

// A snapshot to a learner of ZooKeeper's: as it is, with the signature, and what was queued later behind it.
func TestSnapOut(t *testing.T) {
	one := listening(t, Settings{}, 1)[0]
	learner := dialRaw(t, one.quorum)
	learner.put(follower3)
	link := one.sink.NextUp(true)
	one.sink.Message(link)
	snapshot := snapshotBytes(100_000)
	one.Stream(link, kernel.Message{Type: peer.Snap, Zxid: 5}, io.NopCloser(bytes.NewReader(snapshot)))
	one.Send(link, kernel.Message{Type: peer.NewLeader, Zxid: 8 << 32, Payload: []byte("version=0")})
	one.Flush(link)
	learner.want("0000000f 0000000000000005 ffffffff ffffffff" + fmt.Sprintf("%x", snapshot) + "0000000a 42656e57617348657265" +
		"0000000a 0000000800000000" + text("version=0") + "ffffffff")
	if e := one.sink.Next(); !e.Flushed {
		t.Fatalf("%v", e)
	}
}

// A snapshot from a leader of ZooKeeper's: the body ends with it, and what stands behind it in the same segment comes next.
func TestSnapIn(t *testing.T) {
	p := ports(t, 4)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sink := plugintest.NewSink(t)
	two := New(2, sink, patient(Settings{}), logger(t))
	defer two.Close()
	two.Configure([]kernel.Member{line(1, p[0], p[1]), line(2, p[2], p[3])})
	dial := func() (kernel.LinkID, *raw) {
		t.Helper()
		link := two.Dial(1, kernel.ForBroadcast)
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		sink.NextUp(false)
		return link, newRaw(t, conn)
	}
	snapshot := snapshotBytes(100)
	wire := "0000000f 0000000000000005 ffffffff ffffffff" + fmt.Sprintf("%x", snapshot)

	link, leader := dial()
	leader.put(wire + "0000000a 42656e57617348657265" + "0000000c ffffffffffffffff ffffffff ffffffff" + wire)
	m := sink.Message(link)
	if m.Type != peer.Snap || m.Zxid != 5 || m.Body == nil {
		t.Fatalf("%+v", m)
	}
	got, err := io.ReadAll(m.Body)
	if err != nil || !bytes.Equal(got, snapshot) {
		t.Fatalf("%d of %d bytes, %v", len(got), len(snapshot), err)
	}
	if m := sink.Message(link); m.Type != peer.UpToDate {
		t.Fatalf("%+v", m)
	}

	// The second one is cut: its reader must not take it for whole.
	m = sink.Message(link)
	leader.Close()
	if _, err := io.ReadAll(m.Body); err == nil {
		t.Fatal("a cut snapshot ended as if it were whole")
	}
	sink.Down(link)

	// One that is no snapshot costs the link.
	link, leader = dial()
	leader.put("0000000f 0000000000000005 ffffffff ffffffff fffffff0")
	if _, err := io.ReadAll(sink.Message(link).Body); err == nil || !strings.Contains(err.Error(), "snapshot") {
		t.Fatalf("%v", err)
	}
	sink.Down(link)

	// One that nobody reads any more when the link is hung up ends too.
	link, leader = dial()
	leader.put(wire[:len(wire)-40])
	m = sink.Message(link)
	if _, err := io.ReadFull(m.Body, make([]byte, 20)); err != nil {
		t.Fatal(err)
	}
	two.Hangup(link)
	if _, err := io.ReadAll(m.Body); err == nil {
		t.Fatal("a cut snapshot ended as if it were whole")
	}
	sink.Down(link)
}

// blocked is a source whose Read waits for Close.
type blocked struct{ closed chan struct{} }

func (b blocked) Read([]byte) (int, error) {
	<-b.closed
	return 0, io.ErrClosedPipe
}

func (b blocked) Close() error {
	close(b.closed)
	return nil
}

// A snapshot whose source waits, and one that waits behind it, end with the link.
func TestSnapOutHungUp(t *testing.T) {
	one := listening(t, Settings{}, 1)[0]
	learner := dialRaw(t, one.quorum)
	learner.put(follower3)
	link := one.sink.NextUp(true)
	one.sink.Message(link)
	first, second := blocked{make(chan struct{})}, blocked{make(chan struct{})}
	one.Stream(link, kernel.Message{Type: peer.Snap}, first)
	learner.want("0000000f 0000000000000000 ffffffff ffffffff")
	one.Stream(link, kernel.Message{Type: peer.Snap}, second)
	one.Hangup(link)
	one.sink.Down(link)
	<-first.closed
	<-second.closed
	learner.wantEnd()
}
