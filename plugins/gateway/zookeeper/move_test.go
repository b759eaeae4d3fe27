package zookeeper

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
)

// A place that cannot be had leaves the listener where it was, also when the old one had to be closed to try; a gateway that ends moves nowhere.
func TestMoveThatFails(t *testing.T) {
	g := startGateway(t, newFakeNode(t), nil)
	old := clientAddr(g)
	_, port, _ := net.SplitHostPort(old)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := g.Move("client", taken.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("a place that is taken: %v", err)
	}
	if err := g.Move("client", "192.0.2.1:"+port); err == nil { // reserved for documentation: no machine has it
		t.Error("an address of nobody's was listened on")
	}
	if err := g.Move("secure-client", "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("TLS without a certificate: %v", err)
	}
	if err := g.Move("client", old); err != nil || clientAddr(g) != old {
		t.Errorf("%s became %s: %v", old, clientAddr(g), err)
	}
	protocoltest.Connect(t, old)

	if err := g.Move("client", "0.0.0.0:"+port); err != nil {
		t.Fatal(err)
	}
	second, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	_, other, _ := net.SplitHostPort(second.Addr().String())
	if err := g.Move("client", "127.0.0.1:"+other); err != nil { // the same port, of another address: nothing is in the way
		t.Fatal(err)
	}
	if err := g.Move("client", "0.0.0.0:"+other); !errors.Is(err, syscall.EADDRINUSE) || clientAddr(g) != "127.0.0.1:"+other { // the old one went, and came back
		t.Fatalf("at %s: %v", clientAddr(g), err)
	}
	protocoltest.Connect(t, clientAddr(g))

	g.Stop()
	if err := g.Move("client", "127.0.0.1:"+port); err != nil {
		t.Error(err)
	}
	if c, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second); err == nil {
		c.Close()
		t.Error("a stopped gateway listens")
	}
}
