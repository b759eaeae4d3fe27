package zookeeper

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/wire"
)

func TestFirstSteps(t *testing.T) {
	n := newFakeNode(t)
	addr := clientAddr(startGateway(t, n, nil))
	r := protocoltest.Connect(t, addr)
	r.Ping()
	r.Do(wire.Request{Op: wire.Op{Code: wire.OpCreate, Path: "/a", Data: []byte("x"), ACL: wire.OpenACL}})
	got := r.Do(wire.Request{Op: wire.Op{Code: wire.OpGetData, Path: "/a", Watch: true}})
	if string(got.Data) != "x" {
		t.Fatalf("got %q", got.Data)
	}
	r.Send(protocoltest.Request(7, wire.Request{Op: wire.Op{Code: wire.OpSetData, Path: "/a", Data: []byte("y"), Version: -1}}))
	if e, _ := r.Event(); e.Path != "/a" || e.Type != wire.EventNodeDataChanged {
		t.Fatalf("event %+v", e)
	}
	r.Expect(7, wire.ErrOK)
	r.Do(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})
	r.ExpectClosed()
}

func TestWords(t *testing.T) {
	n := newFakeNode(t)
	addr := clientAddr(startGateway(t, n, nil))
	ask := func(word string) string {
		r := protocoltest.Dial(t, addr)
		r.Send([]byte(word))
		r.Conn.SetReadDeadline(time.Now().Add(protocoltest.Patience))
		b, err := io.ReadAll(r.Conn)
		if err != nil {
			t.Fatal(err)
		}
		return string(bytes.TrimSpace(b))
	}
	if s := ask("ruok"); s != "imok" {
		t.Fatal(s)
	}
	if s := ask("isro"); s != "rw" {
		t.Fatal(s)
	}
	for _, w := range []string{"srvr", "stat", "mntr", "cons", "conf", "envi", "dump", "dirs", "wchs"} {
		t.Log(ask(w))
	}
}

// Between two leaders clients keep their connections and are answered their pings; nobody new is let in. A server that has given them up closes them.
func TestConnectionsAreHeldBetweenLeaders(t *testing.T) {
	n := newFakeNode(t)
	g := startGateway(t, n, nil)
	r := protocoltest.Connect(t, clientAddr(g))
	n.setStatus(kernel.Status{Role: kernel.Looking, Holding: true})
	for begun := time.Now(); time.Since(begun) < 3*sweepEvery; time.Sleep(sweepEvery / 4) { // the sweeper has nothing to say that one could wait for
		r.Ping()
	}
	late := protocoltest.Dial(t, clientAddr(g))
	late.SendConnect(wire.ConnectRequest{TimeoutMs: 10000})
	late.ExpectClosed()
	r.Ping()
	n.setStatus(kernel.Status{Role: kernel.Looking})
	r.ExpectClosed()
}
