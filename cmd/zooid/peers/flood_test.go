package peers

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/peer"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestFloodingLearner: a learner that sends requests as fast as it can costs the leader a bounded amount of memory, and clients are served.
func TestFloodingLearner(t *testing.T) {
	e := newEnsemble(t, []kind{zooid, zooid, zooid})
	e.startAll()
	leader := e.waitLeader()
	c := e.connect(leader)
	if _, err := c.Create(within(t), "/served", nil, client.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	before := leader.resident(t)

	learner := attachLearner(t, leader)
	create := wire.Request{Op: wire.Op{Code: wire.OpCreate, Path: "/flood", ACL: wire.OpenACL}}
	request := peer.Forwarded{Session: 99 << 56, Op: int32(wire.OpCreate), Body: create.AppendTo(nil)}
	var flood []byte
	for range 10_000 {
		flood = peer.AppendPacket(flood, &kernel.Message{Type: peer.Request, Zxid: -1, Payload: request.AppendTo(nil)})
	}
	end, last := time.Now().Add(10*time.Second), time.Now().Add(time.Minute)
	const enough = 64 << 20 // for a flood
	sent := 0
	highest := before
	for time.Now().Before(end) || sent < enough && time.Now().Before(last) {
		_ = learner.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := learner.Write(flood)
		if sent += n; n%len(flood) != 0 {
			flood = append(flood[n:len(flood):len(flood)], flood[:n]...) // goes on in the middle of a packet
		}
		if err != nil && !os.IsTimeout(err) {
			break // the leader may have had enough
		}
		highest = max(highest, leader.resident(t))
	}
	t.Logf("%d MB of requests, the leader's memory %d MB, at most %d MB", sent>>20, before>>20, highest>>20)
	if sent < enough {
		t.Errorf("only %d bytes were taken: this was no flood", sent)
	}
	if highest > before+600<<20 { // the queues may have 80 MB, in a form that takes more, and what is freed is not collected at once
		t.Errorf("the leader's memory grew from %d to %d MB", before>>20, highest>>20)
	}
	if _, err := c.Set(within(t), "/served", nil, client.AnyVersion); err != nil {
		t.Fatal(err)
	}
}

// attachLearner connects as an observer that has what the leader has, and reads whatever comes.
func attachLearner(t *testing.T, leader *member) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", net.JoinHostPort(leader.host, strconv.Itoa(leader.ports.quorum)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	send := func(m kernel.Message) {
		t.Helper()
		if _, err := conn.Write(peer.AppendPacket(nil, &m)); err != nil {
			t.Fatal(err)
		}
	}
	in := peer.NewReader(bufio.NewReader(conn), 1<<20)
	await := func(kind int32) kernel.Message {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		for {
			m, err := in.Packet()
			if err != nil {
				t.Fatalf("waiting for %s: %v", peer.TypeName(kind), err)
			}
			if m.Type == kind {
				return m
			}
		}
	}
	me := peer.LearnerInfo{Server: 99, Version: peer.ProtocolVersion}
	send(kernel.Message{Type: peer.ObserverInfo, Payload: me.AppendTo(nil)})
	await(peer.LeaderInfo)
	send(kernel.Message{Type: peer.AckEpoch, Zxid: kernel.Zxid(leader.zxid()), Payload: peer.AppendAckEpoch(nil, 0)})
	m := await(peer.NewLeader)
	send(kernel.Message{Type: peer.Ack, Zxid: m.Zxid})
	await(peer.UpToDate)
	_ = conn.SetReadDeadline(time.Time{})
	go func() {
		for { // until the connection is closed
			if _, err := in.Packet(); err != nil {
				return
			}
		}
	}()
	return conn
}

// resident is the memory that a process has, in bytes.
func (m *member) resident(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(text), "VmRSS:")
	var kB int
	if _, err := fmt.Sscan(line, &kB); err != nil {
		t.Fatal(err)
	}
	return kB << 10
}
