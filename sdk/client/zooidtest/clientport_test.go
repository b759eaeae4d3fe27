package zooidtest_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// freePort is a port that nobody listens on, from a listener that gives it up.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func takesClients(address string) bool {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// A change of the configuration gives servers another place for clients: they are taken there at once, at the old one no more, and who is connected stays.
func TestClientPortMoves(t *testing.T) {
	e := zooidtest.StartEnsemble(t, 3, 0, append([]zooidtest.Option{zooidtest.Set("reconfigEnabled", "true"), zooidtest.Set("skipACL", "yes")}, quick...)...)
	through := dial(t, e.Leader(), client.Options{})
	change := func(id int, place string) {
		t.Helper()
		text, _, err := through.Reconfig(within(t), fmt.Sprintf("server.%d=server%d:2888:3888:participant;%s", id, id, place), "", "", -1)
		if err != nil || !strings.Contains(string(text), ";"+place) {
			t.Fatalf("server %d at %s: %s, %v", id, place, text, err)
		}
	}
	at := func(s *zooidtest.Server) string {
		for _, g := range s.Host().Gateways() {
			if a, ok := g.Addrs()["client"]; ok {
				return a.String()
			}
		}
		t.Fatal("nobody listens for clients")
		return ""
	}
	for i, s := range e.Servers { // the leader too
		r := protocoltest.Connect(t, s.Addr())
		r.Do(createOf(fmt.Sprintf("/moved-%d", i), wire.Ephemeral))
		old, place := at(s), fmt.Sprintf("127.0.0.1:%d", freePort(t))
		leader := e.Leader()
		change(i+1, place)
		eventually(t, "clients are taken at the new place", func() bool { return takesClients(place) })
		eventually(t, "clients are not taken at the old place", func() bool { return !takesClients(old) })
		if at(s) != place || e.Leader() != leader {
			t.Errorf("server %d says that it listens at %s", i+1, at(s))
		}
		protocoltest.Connect(t, place).Do(wire.Request{Op: wire.Op{Code: wire.OpExists, Path: fmt.Sprintf("/moved-%d", i)}})
		r.Do(wire.Request{Op: wire.Op{Code: wire.OpSetData, Path: fmt.Sprintf("/moved-%d", i), Version: -1}})
	}

	s := e.Servers[0]
	_, port, _ := net.SplitHostPort(at(s))
	change(1, "0.0.0.0:"+port) // the same port on all addresses
	eventually(t, "all addresses are listened on", func() bool { return strings.HasPrefix(at(s), "[::]:") || strings.HasPrefix(at(s), "0.0.0.0:") })
	if !takesClients("127.0.0.1:" + port) {
		t.Error("no clients are taken on all addresses")
	}
}
