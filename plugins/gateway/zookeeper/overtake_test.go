package zookeeper

import (
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/wire"
)

func getChildren(path string) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpGetChildren, Path: path}}
}

// Writes behind waiting reads are under way together; the reads see the state in between all the same.
func TestWritesOvertakeWaitingReads(t *testing.T) {
	for name, c := range map[string]struct {
		between  []wire.Request
		together int // writes under way while the first is not applied
	}{
		"nothing":         {nil, 3},
		"a cheap read":    {[]wire.Request{getData("/a", false)}, 3},
		"several":         {[]wire.Request{getData("/a", false), {Op: wire.Op{Code: wire.OpExists, Path: "/a"}}}, 3},
		"a listing":       {[]wire.Request{getChildren("/")}, 1},
		"a sync":          {[]wire.Request{{Op: wire.Op{Code: wire.OpSync, Path: "/a"}}}, 3},
		"a read and sync": {[]wire.Request{getData("/a", false), {Op: wire.Op{Code: wire.OpSync, Path: "/a"}}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := newFakeNode(t)
			n.hold = make(chan struct{}, 1000)
			n.hold <- struct{}{} // the session
			submitted := make(chan wire.OpCode, 100)
			n.submit = func(req *kernel.Request) error {
				if op := wire.OpCode(req.Op); op.IsWrite() && op != wire.OpCreateSession {
					submitted <- op
				}
				return nil
			}
			r := protocoltest.Connect(t, clientAddr(startGateway(t, n, nil)))
			t.Cleanup(func() { close(n.hold) })
			var b []byte
			xid := int32(0)
			send := func(req wire.Request) {
				xid++
				b = append(b, protocoltest.Request(xid, req)...)
			}
			for i, w := range []wire.Request{create("/a", '0'), setData("/a", '1'), setData("/a", '2')} {
				if i > 0 {
					for _, req := range c.between {
						send(req)
					}
				}
				send(w)
			}
			r.Send(b)
			for range c.together {
				<-submitted
			}
			if c.together == 1 {
				select {
				case <-submitted:
					t.Fatal("a write was handed over past what it has to wait for")
				case <-time.After(50 * time.Millisecond):
				}
			}
			for range 20 {
				n.hold <- struct{}{}
			}
			xid = 0
			for i := range 3 {
				if i > 0 {
					for _, req := range c.between {
						xid++
						f := r.Expect(xid, wire.ErrOK)
						var got wire.Response
						if req.Code == wire.OpGetData {
							if err := wire.DecodeResponse(req.Code, f.Body, &got); err != nil || string(got.Data) != string(rune('0'+i-1)) {
								t.Fatalf("request %d reads %q, %v behind write %d", xid, got.Data, err, i)
							}
						}
					}
				}
				xid++
				r.Expect(xid, wire.ErrOK)
			}
			if n.unsettled.Load() > 0 {
				t.Error("reads could not be answered before a write that had overtaken them")
			}
		})
	}
}

// A write that the node would not take at first keeps its place, also when the reads in front of it were answered meanwhile.
func TestOvertakingWriteComesBack(t *testing.T) {
	n := newFakeNode(t)
	tries := 0
	n.submit = func(req *kernel.Request) error {
		if wire.OpCode(req.Op) != wire.OpSetData {
			return nil
		}
		if tries++; tries%3 != 0 {
			return kernel.ErrBusy
		}
		return nil
	}
	r := protocoltest.Connect(t, clientAddr(startGateway(t, n, nil)))
	r.Do(create("/a"))
	const writes = 30
	var b []byte
	for i := range int32(writes) {
		b = append(b, protocoltest.Request(2*i+100, setData("/a", byte(i)))...)
		b = append(b, protocoltest.Request(2*i+101, getData("/a", false))...)
	}
	r.Send(b)
	for i := range int32(writes) {
		r.Expect(2*i+100, wire.ErrOK)
		var got wire.Response
		if err := wire.DecodeResponse(wire.OpGetData, r.Expect(2*i+101, wire.ErrOK).Body, &got); err != nil || len(got.Data) != 1 || got.Data[0] != byte(i) {
			t.Fatalf("read %d: %v, %v", i, got.Data, err)
		}
	}
}

// Settle is called on the apply goroutine: a client that does not take its answers must not hold it up.
func TestSettleDoesNotWaitForSlowClients(t *testing.T) {
	n := newFakeNode(t)
	addr := clientAddr(startGateway(t, n, nil))
	slow, other := protocoltest.Connect(t, addr), protocoltest.Connect(t, addr)
	slow.Do(create("/large", make([]byte, 900<<10)...))
	other.Do(create("/a"))
	const rounds = 100
	go func() {
		var b []byte
		for i := range int32(rounds) {
			b = append(b, protocoltest.Request(2*i+100, setData("/a", byte(i)))...)
			b = append(b, protocoltest.Request(2*i+101, getData("/large", false))...)
		}
		slow.Conn.SetWriteDeadline(time.Now().Add(protocoltest.Patience))
		slow.Conn.Write(b)
	}()
	for range 50 {
		other.Do(setData("/a"))
	}
	for i := range int32(rounds) {
		slow.Expect(2*i+100, wire.ErrOK)
		slow.Expect(2*i+101, wire.ErrOK)
	}
}
