package zookeeper

import (
	"bytes"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// stolen makes requests stay in the write path until the test answers them.
func (n *fakeNode) stolen() chan *kernel.Request {
	got := make(chan *kernel.Request, 1000)
	n.steal.Store(&got)
	return got
}

func answer(req *kernel.Request) { req.Conn.Reply(req, kernel.Reply{Zxid: 9}) }

// What waits longer than throttledOpWait for its turn is answered THROTTLEDOP with the last applied zxid, in its place, and is not executed. A ping is not, and neither is closeSession (spec client-protocol, 4.0).
func TestThrottledOps(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, map[string]string{"window": "1", "throttledOpWait": "20"})
	r := protocoltest.Connect(t, clientAddr(g))
	got := n.stolen()
	r.Send(protocoltest.Request(1, setData("/")))
	first := <-got
	r.Send(protocoltest.Request(2, setData("/")))
	r.Send(protocoltest.Request(3, getData("/", true)))
	r.Send(protocoltest.Request(4, wire.Request{Op: wire.Op{Code: wire.OpSync, Path: "/"}}))
	r.Ping()
	until(t, "the requests to wait too long", func() bool { return n.queued(g) == 4 && n.oldest(g) > 30*time.Millisecond })
	r.Send(protocoltest.Request(5, wire.Request{Op: wire.Op{Code: wire.OpCloseSession}}))
	until(t, "closeSession to be queued", func() bool { return n.queued(g) == 5 })
	answer(first)
	r.Expect(1, wire.ErrOK)
	for _, xid := range []int32{2, 3, 4} {
		if f := r.Expect(xid, wire.ErrThrottledOp); f.Zxid != int64(n.Position()) && f.Zxid != 9 {
			t.Errorf("request %d: zxid %x, applied is %x", xid, f.Zxid, int64(n.Position()))
		}
	}
	closing := <-got
	if closing.Cxid != 5 || len(got) != 0 {
		t.Fatalf("request %d was executed", closing.Cxid)
	}
	answer(closing)
	r.Expect(5, wire.ErrOK)
	if throttled := g.stats.throttledOps.Load(); throttled != 3 {
		t.Errorf("%d counted", throttled)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.watches["/"]) != 0 {
		t.Error("a throttled read has set its watch")
	}
}

// A read behind its session's own slow write waits for that, not for the server: it is answered.
func TestReadBehindOwnWriteIsNotThrottled(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, map[string]string{"throttledOpWait": "20"})
	r := protocoltest.Connect(t, clientAddr(g))
	got := n.stolen()
	r.Send(append(protocoltest.Request(1, setData("/")), protocoltest.Request(2, getData("/", false))...))
	first := <-got
	until(t, "the read to wait long", func() bool { return n.queued(g) == 2 && n.oldest(g) > 30*time.Millisecond })
	answer(first)
	r.Expect(1, wire.ErrOK)
	r.Expect(2, wire.ErrOK)
}

// queued is the number of requests on the gateway's only connection, oldest how long the first of them has been there.
func (n *fakeNode) queued(g *Gateway) int {
	for _, c := range g.snapshot() {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.queue.length
	}
	return 0
}

func (n *fakeNode) oldest(g *Gateway) time.Duration {
	for _, c := range g.snapshot() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.queue.tail != nil {
			return time.Since(c.queue.tail.Received)
		}
	}
	return 0
}

// Writes over maxRequests wait, whichever connection they come from, and go on when there is room; connections that go give their places back.
func TestMaxRequests(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, map[string]string{"maxRequests": "2"})
	a, b := protocoltest.Connect(t, clientAddr(g)), protocoltest.Connect(t, clientAddr(g))
	got := n.stolen()
	for xid := range int32(3) {
		a.Send(protocoltest.Request(xid, setData("/")))
	}
	held := []*kernel.Request{<-got, <-got}
	b.Send(protocoltest.Request(1, setData("/")))
	until(t, "both to wait", func() bool { return g.stats.throttleWaits.Load() > 10 })
	if len(got) != 0 {
		t.Fatal("more than two are in the write path")
	}
	b.Ping()
	a.Conn.Close()
	third := <-got
	if third.Conn == held[0].Conn {
		t.Fatal("a write of the connection that has gone")
	}
	answer(third)
	b.Expect(1, wire.ErrOK)
	until(t, "the places to come back", func() bool { return g.load.inPath.used.Load() == 0 })
}

// Above its share of globalOutstandingLimit a server reads no more from clients that wait for answers; others are served.
func TestOutstandingLimit(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, map[string]string{"outstandingLimit": "10"})
	greedy, lone := protocoltest.Connect(t, clientAddr(g)), protocoltest.Connect(t, clientAddr(g))
	got := n.stolen()
	var held []*kernel.Request
	for xid := range int32(11) { // one more than the limit
		greedy.Send(protocoltest.Request(xid, setData("/")))
		held = append(held, <-got)
	}
	greedy.Send(protocoltest.Request(11, setData("/")))
	for range 100 { // time enough for the server to read the greedy client's request, if it did
		lone.Ping()
	}
	lone.Do(getData("/", false))
	lone.Send(protocoltest.Request(1, setData("/")))
	if other := <-got; other.Conn == held[0].Conn {
		t.Fatal("a client over the limit is read from")
	} else {
		answer(other)
	}
	lone.Expect(1, wire.ErrOK)
	answer(held[0])
	if next := <-got; next.Cxid != 11 {
		t.Fatalf("request %d", next.Cxid)
	}
}

func TestShareOfOutstandingLimit(t *testing.T) {
	g := &Gateway{cfg: config{outstanding: 1000}}
	for voters, want := range map[int]int64{1: 1000, 2: 1000, 3: 500, 5: 250} {
		s := kernel.Status{Members: []kernel.Member{{ID: 99}}} // an observer
		for i := range voters {
			s.Members = append(s.Members, kernel.Member{ID: kernel.ServerID(i + 1), Voter: true})
		}
		if g.shareOutstanding(s); g.load.share.Load() != want {
			t.Errorf("%d voters: %d, want %d", voters, g.load.share.Load(), want)
		}
	}
}

// Large requests have a budget of their own, from frame to answer; who exceeds it is closed, others go on.
func TestLargeRequests(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, map[string]string{"largeRequest": "1000", "largeRequestMax": "5000"})
	a, b, c := protocoltest.Connect(t, clientAddr(g)), protocoltest.Connect(t, clientAddr(g)), protocoltest.Connect(t, clientAddr(g))
	got := n.stolen()
	large := protocoltest.Request(1, setData("/", make([]byte, 2000)...))
	a.Send(large)
	b.Send(large)
	first := []*kernel.Request{<-got, <-got}
	c.Send(large)
	c.ExpectClosed()
	b.Send(protocoltest.Request(2, setData("/", make([]byte, 900)...))) // small ones do not count
	answer(<-got)
	for _, req := range first {
		answer(req)
	}
	a.Expect(1, wire.ErrOK)
	b.Expect(1, wire.ErrOK)
	b.Expect(2, wire.ErrOK)
	a.Send(large)
	<-got
	a.Conn.Close()
	until(t, "the budget to come back", func() bool { return g.load.large.used.Load() == 0 })
	b.Send(protocoltest.Encode(3, wire.OpSetData, bytes.Repeat([]byte{0x7f}, 2000))) // answered here: it counts while it is decoded
	b.Expect(3, wire.ErrMarshallingError)
	if used := g.load.large.used.Load(); used != 0 {
		t.Errorf("%d bytes of large requests are left", used)
	}
	if refused := g.stats.largeRefused.Load(); refused != 1 {
		t.Errorf("%d refused", refused)
	}
}

// A write that the machine refuses before the write path is answered at once, with zxid 0; behind other writes of its client it goes on, because they may change the answer.
func TestEarlyRefusal(t *testing.T) {
	n := newFakeNode(t)
	n.resolve = func(req *kernel.Request) error {
		if req.Cxid >= 100 {
			return &kernel.Refusal{Code: int32(wire.ErrNoAuth)}
		}
		return nil
	}
	r := protocoltest.Connect(t, clientAddr(startGateway(t, n, nil)))
	r.Send(protocoltest.Request(100, setData("/")))
	if f := r.Expect(100, wire.ErrNoAuth); f.Zxid != 0 {
		t.Errorf("zxid %d", f.Zxid)
	}
	got := n.stolen()
	r.Send(protocoltest.Request(1, setData("/")))
	first := <-got
	r.Send(protocoltest.Request(101, setData("/")))
	second := <-got
	answer(first)
	answer(second)
	r.Expect(1, wire.ErrOK)
	r.Expect(101, wire.ErrOK)
}
