package zooidtest_test

import (
	"context"
	"net"
	"testing"

	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// opens says whether a new session is opened; its connection is dropped when the client is done with it.
func opens(t *testing.T, s *zooidtest.Server, timeoutMs int32) (*protocoltest.Raw, bool) {
	t.Helper()
	r := protocoltest.Dial(t, s.Addr())
	r.SendConnect(wire.ConnectRequest{TimeoutMs: timeoutMs, Password: make([]byte, 16), HasReadOnly: true})
	if _, err := r.Conn.Read(make([]byte, 1)); err != nil {
		return nil, false
	}
	r.Conn.Close()
	return r, true
}

// A client that opens sessions and drops the connections fills no memory: at the limit of its address it is refused, by a connection that closes. Nobody else is, its own sessions go on, and
// an end of one makes room.
func TestSessionsOfOneAddressAreBounded(t *testing.T) {
	const limit = 20
	s := zooidtest.Start(t, zooidtest.Set("plugin.gateway.zookeeper.maxSessions", "20"), zooidtest.Set("tickTime", "100"), zooidtest.Set("maxSessionTimeout", "3600000"),
		zooidtest.Set("4lw.commands.whitelist", "*"))
	own := protocoltest.ConnectFor(t, s.Addr(), 3600000) // of the same address
	for range limit - 1 {
		if _, ok := opens(t, s, 3600000); !ok {
			t.Fatal("refused below the limit")
		}
	}
	for range 5 * limit {
		if _, ok := opens(t, s, 3600000); ok {
			t.Fatal("a session over the limit was opened")
		}
	}
	f := figures(t, s)
	if f["global_sessions"] != limit || f["connection_rejected"] != 5*limit {
		t.Fatalf("%v sessions, %v refused", f["global_sessions"], f["connection_rejected"])
	}

	elsewhere := dial(t, s, client.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext(ctx, network, address)
	}})
	set(t, elsewhere, "/a", "served")
	own.Do(wire.Request{Op: wire.Op{Code: wire.OpSetData, Path: "/a", Version: -1}})
	own.Conn.Close()
	again := protocoltest.Dial(t, s.Addr()) // takes its session up again, although its address is at the limit
	again.SendConnect(wire.ConnectRequest{TimeoutMs: 3600000, SessionID: own.Session.SessionID, Password: own.Session.Password[:]})
	if got := again.ReceiveConnect(false); got.SessionID != own.Session.SessionID {
		t.Fatalf("an address at the limit lost its session: %+v", got)
	}
	if _, ok := opens(t, s, 200); ok {
		t.Fatal("a session that was taken up again has made room")
	}
	again.Do(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})
	eventually(t, "room after an end", func() bool { _, ok := opens(t, s, 200); return ok })
	if _, ok := opens(t, s, 200); ok {
		t.Fatal("one end has made room for two")
	}
	eventually(t, "room after a time-out", func() bool { _, ok := opens(t, s, 200); return ok })
}
