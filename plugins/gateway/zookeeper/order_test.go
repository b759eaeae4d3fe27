package zookeeper

import (
	"errors"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/wire"
)

func create(path string, data ...byte) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpCreate, Path: path, Data: data, ACL: wire.OpenACL}}
}

func setData(path string, data ...byte) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpSetData, Path: path, Data: data, Version: -1}}
}

func getData(path string, watch bool) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpGetData, Path: path, Watch: watch}}
}

// held is a node whose writes wait until the test lets them go.
func held(t *testing.T, given map[string]string) (*fakeNode, *protocoltest.Raw, string) {
	n := newFakeNode(t)
	n.hold = make(chan struct{}, 1000)
	n.hold <- struct{}{} // the session
	addr := clientAddr(startGateway(t, n, given))
	r := protocoltest.Connect(t, addr)
	t.Cleanup(func() { close(n.hold) })
	return n, r, addr
}

func TestPingPassesAnUnfinishedWrite(t *testing.T) {
	n, r, _ := held(t, nil)
	r.Send(protocoltest.Request(1, create("/a")))
	r.Ping()
	n.hold <- struct{}{}
	r.Expect(1, wire.ErrOK)
}

func TestReadWaitsForOwnWriteOnly(t *testing.T) {
	n, r, addr := held(t, nil)
	n.hold <- struct{}{}
	other := protocoltest.Connect(t, addr)
	r.Send(protocoltest.Request(1, create("/a", 'x')))
	r.Send(protocoltest.Request(2, getData("/a", false)))
	other.Send(protocoltest.Request(1, getData("/a", false)))
	other.Expect(1, wire.ErrNoNode) // the write of another session does not hold it up
	n.hold <- struct{}{}
	r.Expect(1, wire.ErrOK)
	r.Expect(2, wire.ErrOK)
}

func TestReadBeforeWriteDoesNotSeeIt(t *testing.T) {
	n := newFakeNode(t)
	addr := clientAddr(startGateway(t, n, nil))
	r := protocoltest.Connect(t, addr)
	b := protocoltest.Request(1, getData("/a", false))
	b = append(b, protocoltest.Request(2, create("/a"))...)
	b = append(b, protocoltest.Request(3, getData("/a", false))...)
	r.Send(b)
	r.Expect(1, wire.ErrNoNode)
	r.Expect(2, wire.ErrOK)
	r.Expect(3, wire.ErrOK)
}

// A local answer behind an unfinished write waits for it, and its zxid is not lower than that of the write.
func TestLocalAnswerWaits(t *testing.T) {
	n, r, _ := held(t, nil)
	b := protocoltest.Request(1, create("/a"))
	b = append(b, protocoltest.Encode(2, wire.OpSetData, nil)...)
	b = append(b, protocoltest.Encode(3, 999, nil)...)
	r.Send(append(b, protocoltest.Encode(-2, wire.OpPing, nil)...))
	r.Expect(-2, wire.ErrOK)
	n.hold <- struct{}{}
	z := r.Expect(1, wire.ErrOK).Zxid
	if f := r.Expect(2, wire.ErrMarshallingError); f.Zxid < z {
		t.Fatalf("zxid %#x after %#x", f.Zxid, z)
	}
	r.Expect(3, wire.ErrUnimplemented)
}

// Barriers and writes may be answered in any order; replies leave in the order of the requests.
func TestRepliesOutOfOrder(t *testing.T) {
	n := newFakeNode(t)
	r := protocoltest.Connect(t, clientAddr(startGateway(t, n, nil)))
	got := make(chan *kernel.Request, 10)
	n.steal.Store(&got)
	r.Send(protocoltest.Request(1, wire.Request{Op: wire.Op{Code: wire.OpSync, Path: "/p"}}))
	r.Send(protocoltest.Request(2, create("/a")))
	r.Send(protocoltest.Request(3, create("/b")))
	taken := []*kernel.Request{<-got, <-got, <-got}
	for i := 2; i >= 0; i-- {
		taken[i].Conn.Reply(taken[i], kernel.Reply{Zxid: kernel.Zxid(10 + i), Body: []byte{byte(i)}})
	}
	if f := r.Expect(1, wire.ErrOK); string(f.Body) != "\x00\x00\x00\x02/p" {
		t.Fatalf("sync: %x", f.Body)
	}
	for i := 1; i <= 2; i++ {
		if f := r.Expect(int32(i+1), wire.ErrOK); len(f.Body) != 1 || f.Body[0] != byte(i) {
			t.Fatalf("reply %d: %x", i+1, f.Body)
		}
	}
}

// While a reserved answer is missing, everything that was queued after it waits behind it, events too (spec client-semantics, 1.5, O7); pings do not.
func TestReserve(t *testing.T) {
	n := newFakeNode(t)
	n.reserved = make(chan func(), 2)
	addr := clientAddr(startGateway(t, n, nil))
	r := protocoltest.Connect(t, addr)
	r.Do(create("/slow", 'x'))
	r.Do(create("/w", 'x'))
	r.Send(append(protocoltest.Request(10, getData("/slow", true)), protocoltest.Request(11, getData("/w", true))...))
	r.Send(protocoltest.Request(12, getData("/slow", false)))
	r.Send(protocoltest.Request(13, setData("/w", 'y')))
	r.Send(protocoltest.Request(14, setData("/slow", 'y')))
	first := <-n.reserved
	second := <-n.reserved
	for n.Position().Counter() < 5 { // both sets applied, their events delivered
		time.Sleep(time.Millisecond)
	}
	r.Ping()
	second()
	r.Ping()
	first()
	r.Expect(10, wire.ErrOK)
	r.Expect(11, wire.ErrOK)
	r.Expect(12, wire.ErrOK)
	if e, _ := r.Event(); e.Path != "/w" {
		t.Fatalf("%+v", e)
	}
	r.Expect(13, wire.ErrOK)
	if e, _ := r.Event(); e.Path != "/slow" {
		t.Fatalf("%+v", e)
	}
	r.Expect(14, wire.ErrOK)
	r.Ping()
}

// The events of one's own write come before its reply (O3), those of others in the order of transactions (O2).
func TestEventsBeforeReplies(t *testing.T) {
	n := newFakeNode(t)
	addr := clientAddr(startGateway(t, n, nil))
	r, other := protocoltest.Connect(t, addr), protocoltest.Connect(t, addr)
	last := int64(0)
	r.Do(create("/a"))
	for i := range 200 {
		r.Send(protocoltest.Request(1, getData("/a", true)))
		r.Expect(1, wire.ErrOK)
		writer := other
		if i%2 == 0 {
			writer = r
		}
		writer.Send(protocoltest.Request(2, setData("/a", byte(i))))
		_, zxid := r.Event()
		if zxid <= last {
			t.Fatalf("event of %#x after %#x", zxid, last)
		}
		last = zxid
		if f := writer.Expect(2, wire.ErrOK); f.Zxid != zxid {
			t.Fatalf("event %#x, reply %#x", zxid, f.Zxid)
		}
	}
}

func TestWindow(t *testing.T) {
	n, r, _ := held(t, map[string]string{"window": "4"})
	var b []byte
	for i := range 20 {
		b = append(b, protocoltest.Request(int32(i), setData("/", byte(i)))...)
	}
	r.Send(append(b, protocoltest.Request(20, getData("/", false))...))
	r.Ping()
	if len(n.queue) > 4 {
		t.Fatalf("%d writes in the node, the window is 4", len(n.queue))
	}
	for i := range 20 {
		n.hold <- struct{}{}
		r.Expect(int32(i), wire.ErrOK)
	}
	r.Expect(20, wire.ErrOK)
}

// A client that sends much more than the queue takes is read slowly; all is answered in the end.
func TestQueueBound(t *testing.T) {
	n, r, _ := held(t, map[string]string{"window": "4", "maxQueue": "10"})
	const count = 5000
	go func() {
		for i := range count {
			r.Conn.Write(protocoltest.Request(int32(i), setData("/", make([]byte, 1000)...)))
		}
	}()
	go func() {
		for range count {
			n.hold <- struct{}{}
		}
	}()
	for i := range count {
		r.Expect(int32(i), wire.ErrOK)
	}
}

func TestBusyNodeIsTriedAgain(t *testing.T) {
	n := newFakeNode(t)
	refuse := 5
	n.submit = func(*kernel.Request) error {
		if refuse--; refuse > 0 {
			return kernel.ErrBusy
		}
		refuse = 5
		return nil
	}
	r := protocoltest.Connect(t, clientAddr(startGateway(t, n, nil)))
	for i := range 5 {
		r.Send(protocoltest.Request(int32(i), setData("/")))
	}
	for i := range 5 {
		r.Expect(int32(i), wire.ErrOK)
	}
}

func TestRefusingNode(t *testing.T) {
	n := newFakeNode(t)
	r := protocoltest.Connect(t, clientAddr(startGateway(t, n, nil)))
	n.submit = func(*kernel.Request) error { return errors.New("no space left") }
	r.Send(append(protocoltest.Request(1, setData("/")), protocoltest.Request(2, getData("/", false))...))
	r.Expect(1, wire.ErrSystemError)
	r.Expect(2, wire.ErrOK)
	n.submit = func(*kernel.Request) error { return kernel.ErrNotServing }
	r.Send(protocoltest.Request(3, setData("/")))
	r.ExpectClosed()
}
