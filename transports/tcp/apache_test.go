//go:build apache

// These tests speak to servers of Apache ZooKeeper: `.ci/peers/run` has what they need.

package tcp

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/peer"
	"github.com/zooid-project/zooid/sdk/plugintest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// ours is what a server of Zooid announces; ZooKeeper's servers must not mind.
var ours = peer.Capabilities{Version: 1, Bits: peer.Batches | peer.CumulativeAcks | peer.ChunkedSnapshots | peer.BarrierOnSync}

// apache is one server of Apache ZooKeeper.
type apache struct {
	id      kernel.ServerID
	client  int
	command *exec.Cmd
	log     string
}

// startApache starts server id of members with the program that ZOOID_APACHE names, which takes a configuration file.
func startApache(t *testing.T, members []kernel.Member, id kernel.ServerID, settings ...string) *apache {
	t.Helper()
	program := os.Getenv("ZOOID_APACHE")
	if program == "" {
		t.Fatal("ZOOID_APACHE must name a program that runs Apache ZooKeeper with a configuration file; .ci/peers/run does that")
	}
	dir := t.TempDir()
	a := &apache{id: id, client: ports(t, 1)[0], log: filepath.Join(dir, "log")}
	lines := append([]string{"tickTime=1000", "initLimit=20", "syncLimit=10", "dataDir=" + dir, fmt.Sprintf("clientPort=%d", a.client), "clientPortAddress=127.0.0.1",
		"admin.enableServer=false", "4lw.commands.whitelist=*"}, settings...)
	for _, m := range members {
		lines = append(lines, fmt.Sprintf("server.%d=%s", m.ID, m.Text))
	}
	config := filepath.Join(dir, "zoo.cfg")
	for name, content := range map[string]string{config: strings.Join(lines, "\n") + "\n", filepath.Join(dir, "myid"): fmt.Sprint(id)} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(a.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	a.command = exec.Command(program, config)
	a.command.Env = append(os.Environ(), "SERVER=apache", "APACHE_LOG=info")
	a.command.Stdout, a.command.Stderr = log, log
	if err := a.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.stop()
		if t.Failed() {
			b, _ := os.ReadFile(a.log)
			t.Logf("server %d of Apache ZooKeeper said:\n%s", id, b)
		}
	})
	return a
}

func (a *apache) stop() {
	if a.command.ProcessState == nil {
		a.command.Process.Kill()
		a.command.Wait()
	}
}

// srvr is what the server tells of itself, "" while it does not.
func (a *apache) srvr() string {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", a.client))
	if err != nil {
		return ""
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(conn, "srvr")
	b, _ := io.ReadAll(conn)
	return string(b)
}

// eventually waits for what has no event.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !holds(); time.Sleep(500 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 90 seconds: %s", what)
		}
	}
}

// notification waits for the next one on a link and reads it.
func notification(t *testing.T, sink *plugintest.Sink, link kernel.LinkID) peer.Notification {
	t.Helper()
	n, err := peer.DecodeNotification(sink.Message(link).Payload)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// An observer of ours at an ensemble of Apache ZooKeeper's: it asks who leads, with and without bytes behind the configuration, and lets the leader bring it up to date.
func TestApacheEnsemble(t *testing.T) {
	var members []kernel.Member
	var servers []*apache
	for id := kernel.ServerID(1); id <= 3; id++ {
		p := ports(t, 2)
		members = append(members, line(id, p[0], p[1]))
	}
	for _, m := range members {
		servers = append(servers, startApache(t, members, m.ID))
	}
	var leader kernel.ServerID
	eventually(t, "three servers serve", func() bool {
		n := 0
		for _, s := range servers {
			said := s.srvr()
			if strings.Contains(said, "Mode: leader") {
				leader = s.id
			}
			if strings.Contains(said, "Mode: ") {
				n++
			}
		}
		return n == 3
	})
	t.Log(strings.SplitN(servers[0].srvr(), "\n", 2)[0])

	sink := plugintest.NewSink(t)
	me := New(101, sink, patient(Settings{}), logger(t))
	defer me.Close()
	p := ports(t, 2)
	me.Configure(append(members, line(101, p[0], p[1])))
	if err := me.Listen(); err != nil {
		t.Fatal(err)
	}

	var config string
	for _, m := range members {
		link := me.Dial(m.ID, kernel.ForElection)
		if up := sink.NextUp(false); up != link {
			t.Fatalf("%v, want %v", up, link)
		}
		ask := peer.Notification{State: kernel.Looking, Leader: -1 << 63, Zxid: -1 << 63, Round: 1, PeerEpoch: -1 << 63, Version: 1}
		me.Send(link, kernel.Message{Payload: ask.AppendTo(nil)})
		first := notification(t, sink, link)
		want := kernel.Following
		if m.ID == leader {
			want = kernel.Leading
		}
		if first.State != want || first.Leader != leader || first.Version != 2 || !strings.Contains(first.Config, "server.3=") || first.Capabilities.Announced() {
			t.Errorf("server %d answers %+v", m.ID, first)
		}
		config = first.Config

		// With the configuration, and bytes behind it: twice, since the first could kill the one who answers.
		ask.Version, ask.Config, ask.Capabilities = 2, config, ours
		for range 2 {
			me.Send(link, kernel.Message{Payload: ask.AppendTo(nil)})
			if again := notification(t, sink, link); again != first {
				t.Errorf("server %d answers %+v to bytes behind the configuration", m.ID, again)
			}
		}
		me.Hangup(link)
		sink.Down(link)
	}

	link := me.Dial(leader, kernel.ForBroadcast)
	sink.NextUp(false)
	info := peer.LearnerInfo{Server: 101, Version: peer.ProtocolVersion, Capabilities: ours}
	me.Send(link, kernel.Message{Type: peer.ObserverInfo, Payload: info.AppendTo(nil)})
	proposed := sink.Message(link)
	if version, c, err := peer.DecodeLeaderInfo(proposed.Payload); proposed.Type != peer.LeaderInfo || version != peer.ProtocolVersion || c.Announced() || err != nil {
		t.Fatalf("%+v", proposed)
	}
	epoch := proposed.Zxid.Epoch()
	me.Send(link, kernel.Message{Type: peer.AckEpoch, Zxid: 0, Payload: peer.AppendAckEpoch(nil, 0)})
	snap := sink.Message(link)
	if snap.Type != peer.Snap || snap.Body == nil {
		t.Fatalf("got %s, want SNAP", peer.TypeName(snap.Type))
	}
	body, err := io.ReadAll(snap.Body)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a snapshot of %d bytes at %s", len(body), snap.Zxid)
	newLeader := sink.Message(link)
	if newLeader.Type != peer.NewLeader || string(newLeader.Payload) != config {
		t.Fatalf("%s: %q, want %q", peer.TypeName(newLeader.Type), newLeader.Payload, config)
	}
	me.Send(link, kernel.Message{Type: peer.Ack, Zxid: newLeader.Zxid})
	if m := sink.Message(link); m.Type != peer.UpToDate {
		t.Fatalf("got %s, want UPTODATE", peer.TypeName(m.Type))
	}
	me.Send(link, kernel.Message{Type: peer.Ack, Zxid: newLeader.Zxid})

	// It stays with us while we answer, and commits what we forward.
	const session = 101<<56 | 1
	forwarded := peer.Forwarded{Session: session, Op: int32(wire.OpCreateSession), Body: jute.AppendInt32(nil, 10000)}
	me.Send(link, kernel.Message{Type: peer.Request, Zxid: -1, Payload: forwarded.AppendTo(nil)})
	pings := 0
	for informed := false; !informed || pings < 4; {
		switch m := sink.Message(link); m.Type {
		case peer.Ping:
			pings++
			me.Send(link, kernel.Message{Type: peer.Ping, Zxid: m.Zxid, Payload: peer.Touch{Session: session, Timeout: 10 * time.Second}.AppendTo(nil)})
		case peer.Inform:
			var entry wire.Entry
			if err := wire.DecodeEntry(m.Payload, &entry); err != nil || entry.Header.ClientID != session || m.Zxid != kernel.MakeZxid(epoch, 1) {
				t.Fatalf("%+v, %v", entry, err)
			}
			informed = true
		default:
			t.Fatalf("got %s", peer.TypeName(m.Type))
		}
	}
	me.Send(link, kernel.Message{Type: peer.Revalidate, Zxid: -1, Payload: peer.Touch{Session: session, Timeout: 10 * time.Second}.AppendTo(nil)})
	sync := peer.Forwarded{Session: session, Cxid: 7, Op: int32(wire.OpSync), Body: jute.AppendString(nil, "/")}
	me.Send(link, kernel.Message{Type: peer.Request, Zxid: -1, Payload: sync.AppendTo(nil)})
	for valid, synced := false, false; !valid || !synced; {
		switch m := sink.Message(link); m.Type {
		case peer.Revalidate:
			r, err := peer.DecodeRevalidated(m.Payload)
			if err != nil || r.Session != session || !r.Valid {
				t.Fatalf("%+v, %v", r, err)
			}
			valid = true
		case peer.Sync:
			synced = true
		case peer.Ping:
			me.Send(link, kernel.Message{Type: peer.Ping, Zxid: m.Zxid, Payload: peer.NoTouches})
		}
	}
}

// A voter of ours wins an election against a server of Apache ZooKeeper's with notifications that carry bytes behind the configuration, and leads it: the snapshot it sends is loaded, its
// proposals are acknowledged and applied, besides the node of the configuration that it adds itself.
func TestApacheFollower(t *testing.T) {
	t.Run("plain", func(t *testing.T) { leadApache(t, TLS{}) })
	t.Run("TLS", func(t *testing.T) {
		ca := newAuthority(t)
		config := ca.protected(ca.keyStore("127.0.0.1"))
		var lines []string
		for key, value := range config {
			lines = append(lines, key+"="+value)
		}
		leadApache(t, settingsOf(t, config), lines...)
	})
}

func leadApache(t *testing.T, protected TLS, settings ...string) {
	var members []kernel.Member
	for id := kernel.ServerID(1); id <= 3; id++ {
		p := ports(t, 2)
		members = append(members, line(id, p[0], p[1]))
	}
	sink := plugintest.NewSink(t)
	me := New(3, sink, patient(Settings{TLS: protected}), logger(t))
	defer me.Close()
	me.Configure(members)
	if err := me.Listen(); err != nil {
		t.Fatal(err)
	}
	follower := startApache(t, members, 1, settings...)

	// It knocks, as its id is the smaller one, and looks for a leader.
	link := sink.NextUp(true)
	if link.Peer != 1 || link.Purpose != kernel.ForElection {
		t.Fatalf("%v", link)
	}
	vote := notification(t, sink, link)
	if vote.State != kernel.Looking || vote.Leader != 1 || vote.Version != 2 {
		t.Fatalf("%+v", vote)
	}
	mine := vote
	mine.Leader, mine.Capabilities = 3, ours
	me.Send(link, kernel.Message{Payload: mine.AppendTo(nil)})

	var quorum kernel.LinkID
	for quorum.Peer == 0 {
		switch e := sink.Next(); {
		case e.Up && e.Link.Purpose == kernel.ForBroadcast:
			quorum = e.Link
		case e.Link == link && !e.Up && !e.Down:
			n, err := peer.DecodeNotification(e.Message.Payload)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("server 1: %v votes for %d in round %d", n.State, n.Leader, n.Round)
		default:
			t.Fatalf("%v", e)
		}
	}
	first := sink.Message(quorum)
	info, err := peer.DecodeLearnerInfo(first.Payload)
	if first.Type != peer.FollowerInfo || err != nil || info.Server != 1 || info.Capabilities.Announced() {
		t.Fatalf("%+v, %+v, %v", first, info, err)
	}

	const epoch = 5 << 32
	me.Send(quorum, kernel.Message{Type: peer.LeaderInfo, Zxid: epoch, Payload: peer.AppendLeaderInfo(nil, ours)})
	promise := sink.Message(quorum)
	if current, err := peer.DecodeAckEpoch(promise.Payload); promise.Type != peer.AckEpoch || err != nil || current != 0 {
		t.Fatalf("%+v, %v", promise, err)
	}
	me.Stream(quorum, kernel.Message{Type: peer.Snap, Zxid: epoch}, io.NopCloser(strings.NewReader(string(emptyTree()))))
	me.Send(quorum, kernel.Message{Type: peer.NewLeader, Zxid: epoch, Payload: []byte(vote.Config)})
	ack := func(zxid kernel.Zxid) {
		t.Helper()
		for {
			m := sink.Message(quorum)
			if m.Type == peer.Ping {
				continue
			}
			if m.Type != peer.Ack || m.Zxid != zxid {
				t.Fatalf("got %s %s, want ACK %s", peer.TypeName(m.Type), m.Zxid, zxid)
			}
			return
		}
	}
	ack(epoch)
	me.Send(quorum, kernel.Message{Type: peer.UpToDate, Zxid: -1})
	ack(epoch)
	for n := range kernel.Zxid(3) {
		zxid := epoch + 1 + n
		entry := wire.Entry{Header: wire.TxnHeader{ClientID: 9, Zxid: int64(zxid), Time: 1, Type: wire.OpCreate},
			Txn: wire.Txn{Path: fmt.Sprintf("/by-zooid-%d", n), Data: []byte("x"), ACL: []wire.ACL{{Perms: 31, ID: wire.WorldAnyone}}, ParentCVersion: int32(n) + 1}}
		me.Send(quorum, kernel.Message{Type: peer.Proposal, Zxid: zxid, Payload: entry.AppendTo(nil)})
		ack(zxid)
		me.Send(quorum, kernel.Message{Type: peer.Commit, Zxid: zxid})
		me.Send(quorum, kernel.Message{Type: peer.Ping, Zxid: zxid})
	}
	var said string
	defer func() { t.Log(strings.ReplaceAll(said, "\n", ", ")) }()
	eventually(t, "the follower has applied three creates", func() bool {
		me.Send(quorum, kernel.Message{Type: peer.Ping, Zxid: epoch + 3})
		said = follower.srvr()
		return strings.Contains(said, "Mode: follower") && strings.Contains(said, "Zxid: 0x500000003") && strings.Contains(said, "Node count: 8") // an empty one has 5: it counts the root twice
	})
}

// emptyTree is a snapshot of a new ensemble: the root and the reserved nodes.
func emptyTree() []byte {
	b := jute.AppendInt32(jute.AppendInt32(nil, 0), 0)
	for _, path := range []string{"", "/zookeeper", "/zookeeper/quota"} {
		b = jute.AppendInt64(jute.AppendBuffer(jute.AppendString(b, path), []byte{}), -1)
		b = append(b, make([]byte, 60)...)
	}
	return jute.AppendString(b, "/")
}
