package zookeeper

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// until waits for a condition that another goroutine brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(protocoltest.Patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain for: " + what)
		}
	}
}

func TestConnectionLimits(t *testing.T) {
	for key, name := range map[string]string{"maxCnxns": "all", "maxClientCnxns": "one address"} {
		t.Run(name, func(t *testing.T) {
			n := newFakeNode(t)
			g := startGateway(t, n, map[string]string{key: "3"})
			var open []*protocoltest.Raw
			for range 3 {
				open = append(open, protocoltest.Connect(t, clientAddr(g)))
			}
			protocoltest.Dial(t, clientAddr(g)).ExpectClosed()
			for _, r := range open {
				r.Ping()
			}
			open[0].Conn.Close()
			until(t, "room", func() bool { return len(g.snapshot()) == 2 })
			protocoltest.Connect(t, clientAddr(g)).Ping()
			if g.stats.rejected.Load() != 1 {
				t.Errorf("%d rejected", g.stats.rejected.Load())
			}
		})
	}
}

func TestThrottle(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, map[string]string{"throttleTokens": "2", "throttleFillTime": "1h"})
	protocoltest.Connect(t, clientAddr(g))
	protocoltest.Connect(t, clientAddr(g))
	r := protocoltest.Dial(t, clientAddr(g))
	r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000})
	r.ExpectClosed()
}

func TestSessionlessAndHalfFrames(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, map[string]string{"sessionlessTimeout": "50"})
	var open []*protocoltest.Raw
	for _, b := range [][]byte{nil, {0}, {0, 0, 0}, {0, 0, 0, 45, 0, 0}, {0, 0x0f, 0, 0, 1}} {
		r := protocoltest.Dial(t, clientAddr(g))
		r.Send(append([]byte{}, b...))
		open = append(open, r)
	}
	for _, r := range open {
		r.ExpectClosed()
	}
	until(t, "every connection to be forgotten", func() bool { return len(g.snapshot()) == 0 })
}

func TestIdleConnectionEnds(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, nil)
	begin := time.Now()
	r := protocoltest.Connect(t, clientAddr(g))
	half := protocoltest.Connect(t, clientAddr(g))
	half.Send([]byte{0, 0, 1})
	idle := func() bool { // a client may have its answer before the server has noted that it is written, and in 19 s that would be a write that is stuck
		for _, c := range g.snapshot() {
			c.mu.Lock()
			busy := c.output.writing || c.phase != phaseServing
			c.mu.Unlock()
			if busy {
				return false
			}
		}
		return true
	}
	until(t, "the answers to be written", idle)
	for _, c := range g.snapshot() {
		c.sweep(begin.Add(19*time.Second), false, false)
	}
	r.Ping()
	until(t, "the answer to be written", idle)
	for _, c := range g.snapshot() {
		c.sweep(time.Now().Add(21*time.Second), false, false)
	}
	r.ExpectClosed()
	half.ExpectClosed()
	until(t, "the session to be let go", func() bool { return n.detached.Load() == 2 })
}

func TestServerThatStopsServingClosesAll(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, nil)
	r := protocoltest.Connect(t, clientAddr(g)) // and at once, before the sweeper has seen that it serves:
	n.setStatus(kernel.Status{Serving: false})
	r.ExpectClosed()
	if n := g.stats.stoppedServing.Load(); n != 1 {
		t.Errorf("%d connections were closed because the server serves no more, and not for another reason", n)
	}
	again := protocoltest.Dial(t, clientAddr(g))
	again.SendConnect(wire.ConnectRequest{TimeoutMs: 10000})
	again.ExpectClosed()
	if s := protocoltest.Word(t, clientAddr(g), "srvr"); s != "This ZooKeeper instance is not currently serving requests\n" {
		t.Errorf("%q", s)
	}
	if s := protocoltest.Word(t, clientAddr(g), "isro"); s != "null" {
		t.Errorf("%q", s)
	}
}

// TestElectionKeepsConnections: a server that holds its clients while there is no leader closes none of them, however long the election takes, and takes no new ones.
func TestElectionKeepsConnections(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, nil)
	r := protocoltest.Connect(t, clientAddr(g))
	time.Sleep(2 * sweepEvery) // the sweeper has to have seen that it serves
	n.setStatus(kernel.Status{Holding: true})
	time.Sleep(6 * sweepEvery)
	r.Ping()
	again := protocoltest.Dial(t, clientAddr(g))
	again.SendConnect(wire.ConnectRequest{TimeoutMs: 10000})
	again.ExpectClosed()
	n.setStatus(kernel.Status{})
	r.ExpectClosed()
}

// A leader that only leads lets its clients go and takes no others; the four-letter words are answered. One that leads nobody else serves.
func TestLeaderThatOnlyLeads(t *testing.T) {
	members := []kernel.Member{{ID: 1, Voter: true}, {ID: 2, Voter: true}, {ID: 3, Voter: true}}
	n := newFakeNode(t)
	n.setStatus(kernel.Status{Serving: true, Role: kernel.Following, Members: members})
	g := startGateway(t, n, map[string]string{"leaderServes": "false"})
	r := protocoltest.Connect(t, clientAddr(g)) // and at once, before the sweeper has seen that it serves:
	n.setStatus(kernel.Status{Serving: true, Role: kernel.Leading, Members: members})
	r.ExpectClosed()
	if n := g.stats.stoppedServing.Load(); n != 1 {
		t.Errorf("%d connections were closed because the server only leads, and not for another reason", n)
	}
	refused := protocoltest.Dial(t, clientAddr(g))
	refused.SendConnect(wire.ConnectRequest{TimeoutMs: 10000})
	refused.ExpectClosed()
	if s := protocoltest.Word(t, clientAddr(g), "srvr"); !strings.Contains(s, "Mode: leader") {
		t.Errorf("%q", s)
	}
	n.setStatus(kernel.Status{Serving: true, Role: kernel.Leading, Members: members[:1]})
	protocoltest.Connect(t, clientAddr(g)).Ping()
}

func TestReadOnlyServer(t *testing.T) {
	n := newFakeNode(t)
	n.setStatus(kernel.Status{Serving: true, ReadOnly: true})
	g := startGateway(t, n, nil)
	r := protocoltest.Dial(t, clientAddr(g))
	r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000, HasReadOnly: true})
	r.ExpectClosed()
	r = protocoltest.Dial(t, clientAddr(g))
	r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000, ReadOnly: true, HasReadOnly: true})
	if s := r.ReceiveConnect(true); !s.ReadOnly {
		t.Fatal("the response does not say read-only")
	}
	r.Send(protocoltest.Request(1, setData("/")))
	r.Expect(1, wire.ErrNotReadOnly)
	r.Send(protocoltest.Request(2, wire.Request{Op: wire.Op{Code: wire.OpSync, Path: "/"}}))
	r.Expect(2, wire.ErrNotReadOnly)
	r.Send(protocoltest.Request(3, getData("/", false)))
	r.Expect(3, wire.ErrOK)
	if s := protocoltest.Word(t, clientAddr(g), "isro"); s != "ro" {
		t.Errorf("%q", s)
	}
}

func TestUnsureAttachmentClosesSilently(t *testing.T) {
	n := newFakeNode(t)
	n.attach = func(kernel.SessionID) (kernel.Verdict, bool) { return kernel.Unsure, true }
	g := startGateway(t, n, nil)
	r := protocoltest.Dial(t, clientAddr(g))
	r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000, SessionID: 5})
	r.ExpectClosed()
}

// loseInHandshake ends a connection whose session is being created. What it returns lets the creation end.
func loseInHandshake(t *testing.T, n *fakeNode, g *Gateway) (created func()) {
	t.Helper()
	r := protocoltest.Dial(t, clientAddr(g))
	r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000})
	created = <-n.created
	for _, c := range g.snapshot() {
		c.kill()
	}
	until(t, "the connection to end", func() bool { return len(g.snapshot()) == 0 })
	return created
}

// A connection that is lost while its session is being created does not stay the session's owner.
func TestLostDuringHandshake(t *testing.T) {
	n := newFakeNode(t)
	n.created = make(chan func(), 1)
	g := startGateway(t, n, nil)
	loseInHandshake(t, n, g)()
	until(t, "the session to be let go", func() bool { return n.detached.Load() >= 1 })
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.sessions {
		if s.conn != nil {
			t.Fatal("the lost connection owns the session")
		}
	}
}

// A client that does not read is closed when too much waits for it; others are served meanwhile.
func TestSlowReader(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, map[string]string{"maxOutput": "256KiB"})
	slow, other := protocoltest.Connect(t, clientAddr(g)), protocoltest.Connect(t, clientAddr(g))
	slow.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	slow.Do(getData("/", false))
	var c *conn
	for _, k := range g.snapshot() {
		if int64(k.Session()) == slow.Session.SessionID {
			c = k
		}
	}
	event := kernel.Event{Zxid: 1, Body: make([]byte, 10<<10)}
	dead := func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.dead }
	for range 10000 {
		c.Deliver(event)
	}
	until(t, "the end of the slow reader", dead)
	other.Ping()
	c.mu.Lock()
	size := c.output.size
	c.mu.Unlock()
	if size > 512<<10 {
		t.Errorf("%d bytes are still queued", size)
	}
}

// One that reads slowly is not closed, however long a reply takes it, as long as it takes some of it within the length of its session.
func TestSlowButReading(t *testing.T) {
	n := newFakeNode(t)
	n.nodes["/big"] = make([]byte, 8<<20)
	g := startGateway(t, n, nil)
	r := protocoltest.Connect(t, clientAddr(g))
	c := g.snapshot()[0]
	r.Conn.(*net.TCPConn).SetReadBuffer(16 << 10)
	c.raw.(*net.TCPConn).SetWriteBuffer(16 << 10)
	under := func() (writing bool, since time.Time) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.output.writing && !c.dead, c.output.since
	}
	r.Send(protocoltest.Request(1, getData("/big", false)))
	for range 4 { // the reply fills the buffers of the system, and its reader makes room
		var before time.Time
		until(t, "a write that cannot go on", func() bool {
			writing, since := under()
			stuck := writing && since.Equal(before) && time.Since(since) > 20*time.Millisecond
			before = since
			return stuck
		})
		if _, err := io.ReadFull(r.Conn, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		until(t, "progress to be noted", func() bool { writing, since := under(); return writing && since.After(before) })
	}
	_, since := under()
	c.sweep(since.Add(9*time.Second), false, false)
	if writing, _ := under(); !writing {
		t.Fatal("a client that reads was closed")
	}
	c.sweep(time.Now().Add(11*time.Second), false, false) // and one that has stopped is
	if writing, _ := under(); writing {
		t.Fatal("a client that does not read stays")
	}
}

// A client that asks and does not read is not read from any more; what it can make the server hold is bounded.
func TestFloodWithoutReading(t *testing.T) {
	n := newFakeNode(t)
	n.nodes["/big"] = make([]byte, 100<<10)
	g := startGateway(t, n, nil)
	flood, other := protocoltest.Connect(t, clientAddr(g)), protocoltest.Connect(t, clientAddr(g))
	flood.Conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	req := protocoltest.Request(1, getData("/big", false))
	var batch []byte
	for range 1000 {
		batch = append(batch, req...)
	}
	for {
		if _, err := flood.Conn.Write(batch); err != nil {
			break
		}
	}
	for _, c := range g.snapshot() {
		c.mu.Lock()
		if c.output.size > 16<<20 || c.queue.length > g.cfg.maxQueue+readSize/12 {
			t.Errorf("%d bytes of output, %d requests", c.output.size, c.queue.length)
		}
		c.mu.Unlock()
	}
	other.Ping()
}

func TestReplyCap(t *testing.T) {
	n := newFakeNode(t)
	n.nodes["/big"] = make([]byte, 5000)
	g := startGateway(t, n, map[string]string{"maxReply": "4KiB"})
	r := protocoltest.Connect(t, clientAddr(g))
	r.Send(protocoltest.Request(1, getData("/big", false)))
	r.Expect(1, wire.ErrBadArguments)
	r.Send(protocoltest.Request(2, getData("/", false)))
	r.Expect(2, wire.ErrOK)
}

// Half received frames are paid for with bytes received, and all together stay within the budget.
func TestBudget(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, map[string]string{"budget": "1MiB"})
	lone := protocoltest.Connect(t, clientAddr(g))
	var half []*protocoltest.Raw
	for range 20 {
		r := protocoltest.Connect(t, clientAddr(g))
		r.Send(binary.BigEndian.AppendUint32(nil, 900<<10))
		half = append(half, r)
	}
	lone.Ping()
	if used := g.budget.used.Load(); used > 0 {
		t.Errorf("%d bytes for lengths alone", used)
	}
	for _, r := range half {
		r.Conn.SetWriteDeadline(time.Now().Add(protocoltest.Patience))
		r.Conn.Write(make([]byte, 200<<10)) // some of them are closed
	}
	lone.Ping()
	if used := g.budget.used.Load(); used > 1<<20 {
		t.Errorf("%d bytes used of a budget of 1 MiB", used)
	}
	lone.Do(setData("/", make([]byte, 1000)...))
	for _, r := range half {
		r.Conn.Close()
	}
	until(t, "the budget to come back", func() bool { return g.budget.used.Load() == 0 })
}

func TestEnforcedAuthentication(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, map[string]string{"enforceAuth": "true", "enforceSchemes": "digest"})
	for _, frame := range [][]byte{protocoltest.Request(3, getData("/", false)), protocoltest.Encode(3, wire.OpPing, nil), protocoltest.Encode(3, wire.OpCloseSession, nil), protocoltest.Encode(3, 999, nil)} {
		r := protocoltest.Connect(t, clientAddr(g))
		r.Send(frame)
		if f := r.Expect(3, wire.ErrSessionClosedRequireSASLAuth); f.Zxid != 0 {
			t.Errorf("zxid %d", f.Zxid)
		}
		r.ExpectClosed()
	}
	r := protocoltest.Connect(t, clientAddr(g))
	r.Do(wire.Request{Op: wire.Op{Code: wire.OpAuth}, Scheme: "digest", Auth: []byte("joe:x")})
	r.Do(getData("/", false))
}

// Drain waits for answers that are on their way, takes no new connections, and sends those away that it has.
func TestDrain(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, nil)
	r, idle, silent := protocoltest.Connect(t, clientAddr(g)), protocoltest.Connect(t, clientAddr(g)), protocoltest.Dial(t, clientAddr(g))
	idle.Ping()
	got := make(chan *kernel.Request, 1)
	n.steal.Store(&got)
	r.Send(protocoltest.Request(1, setData("/")))
	req := <-got
	drained := make(chan struct{})
	go func() {
		g.Drain(t.Context())
		close(drained)
	}()
	until(t, "the listener to close", func() bool {
		c, err := net.Dial("tcp", clientAddr(g))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	idle.ExpectClosed()
	silent.ExpectClosed()
	select {
	case <-drained:
		t.Fatal("drained before the write was answered")
	default:
	}
	r.Send(protocoltest.Request(2, setData("/"))) // too late: it is not read
	req.Conn.Reply(req, kernel.Reply{Zxid: 9})
	r.Expect(1, wire.ErrOK)
	r.ExpectClosed()
	<-drained
}

func TestAddressInUse(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, nil)
	_, port, _ := net.SplitHostPort(clientAddr(g))
	o, _ := kernel.NewOptions("gateway", "zookeeper", append(options, tlsOptions()...), map[string]string{"address": "127.0.0.1", "port": port}, nil)
	second, err := New(kernel.Env{}, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(n); err == nil {
		t.Fatal("two gateways on one port")
	}
}

func TestIPText(t *testing.T) {
	for in, want := range map[string]string{"10.0.0.1": "10.0.0.1", "::ffff:10.0.0.1": "10.0.0.1", "::1": "0:0:0:0:0:0:0:1", "2001:db8::ff00:42": "2001:db8:0:0:0:0:ff00:42"} {
		if got := ipText(net.ParseIP(in)); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// An IPv4 client of a listener for all addresses has a plain IPv4 identity (spec client-protocol, 13).
func TestDualStack(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, map[string]string{"address": ""})
	_, port, _ := net.SplitHostPort(clientAddr(g))
	r := protocoltest.Connect(t, "127.0.0.1:"+port)
	want := kernel.Identity{Scheme: "ip", ID: "127.0.0.1"}
	for _, c := range g.snapshot() {
		if ids := c.Identities(); len(ids) != 1 || ids[0] != want || c.host != "127.0.0.1" {
			t.Errorf("%v, counted as %s", ids, c.host)
		}
	}
	r.Ping()
}

// Without clientPort there is no plain listener, as in a zoo.cfg that names secureClientPort alone.
func TestNoPlainPort(t *testing.T) {
	o, err := kernel.NewOptions("gateway", "zookeeper", append(options, tlsOptions()...), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(kernel.Env{}, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(newFakeNode(t)); err != nil {
		t.Fatal(err)
	}
	defer g.Stop()
	if a := g.Addrs(); len(a) != 0 {
		t.Errorf("it listens on %v", a)
	}
}

// A client may ask for much more at once than maxOutput: it is answered as fast as it reads.
func TestLargeRepliesInABurst(t *testing.T) {
	n := newFakeNode(t)
	n.nodes["/big"] = make([]byte, 256<<10)
	g := startGateway(t, n, map[string]string{"maxOutput": "512KiB"})
	r := protocoltest.ConnectFor(t, clientAddr(g), 40000)
	var b []byte
	const count = 150
	for i := range count {
		path := "/"
		if i >= 50 {
			path = "/big"
		}
		b = append(b, protocoltest.Request(int32(i), getData(path, false))...)
	}
	r.Send(b)
	for i := range count {
		r.Expect(int32(i), wire.ErrOK)
	}
	for _, c := range g.snapshot() {
		c.mu.Lock()
		if c.queue.burst > readBurst/4 {
			t.Errorf("still %d reads at a time", c.queue.burst)
		}
		c.mu.Unlock()
	}
}
