package zookeeper

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// A server without quorum gives clients that accept it local sessions, for reads; who brings a global session, or would need one, is closed without a word (spec client-protocol, 2.5).
func TestReadOnlyWithoutQuorum(t *testing.T) {
	readOnly := func(local string) (*fakeNode, *Gateway) {
		n := newFakeNode(t)
		n.submit = func(*kernel.Request) error { return kernel.ErrNotServing }
		n.attach = func(kernel.SessionID) (kernel.Verdict, bool) { return kernel.Unsure, true }
		n.setStatus(kernel.Status{Role: kernel.Looking, ReadOnly: true})
		return n, startGateway(t, n, map[string]string{"localSessions": local, "upgradeSessions": "true"})
	}
	ask := wire.ConnectRequest{TimeoutMs: 10000, ReadOnly: true, HasReadOnly: true}
	_, g := readOnly("true")
	r := protocoltest.Dial(t, clientAddr(g))
	r.SendConnect(ask)
	if s := r.ReceiveConnect(true); !s.ReadOnly || s.SessionID == 0 {
		t.Fatalf("%+v", s)
	}
	r.Do(getData("/", true))
	r.Ping()
	for xid, req := range []wire.Request{setData("/"), ephemeral("/e"), {Op: wire.Op{Code: wire.OpSync, Path: "/"}}, {Op: wire.Op{Code: wire.OpMulti}}} {
		r.Send(protocoltest.Request(int32(xid), req))
		r.Expect(int32(xid), wire.ErrNotReadOnly)
	}
	r.Send(protocoltest.Request(9, wire.Request{Op: wire.Op{Code: wire.OpCloseSession}}))
	r.Expect(9, wire.ErrOK)
	r.ExpectClosed()

	back := ask
	back.SessionID, back.Password = 5, make([]byte, 16)
	for what, c := range map[string]wire.ConnectRequest{"a global session": back, "a client that wants to write": {TimeoutMs: 10000, HasReadOnly: true}, "a client that knows no better": {TimeoutMs: 10000}} {
		t.Log(what)
		r := protocoltest.Dial(t, clientAddr(g))
		r.SendConnect(c)
		r.ExpectClosed()
	}
	_, g = readOnly("false")
	r = protocoltest.Dial(t, clientAddr(g))
	r.SendConnect(ask)
	r.ExpectClosed()
}

// On a server that takes writes, a client that would do without gets an ordinary session, and is told so.
func TestReadOnlyClientOfAnOrdinaryServer(t *testing.T) {
	r := protocoltest.Dial(t, clientAddr(startGateway(t, newFakeNode(t), map[string]string{"readOnlyMode": "true"})))
	r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000, ReadOnly: true, HasReadOnly: true})
	if s := r.ReceiveConnect(true); s.ReadOnly || s.SessionID == 0 {
		t.Fatalf("%+v", s)
	}
	r.Do(setData("/"))
}
