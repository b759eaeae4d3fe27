package zookeeper

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// A client that drops its connection while its session is being created leaves one all the same.
func TestSessionsLeftInTheHandshakeCount(t *testing.T) {
	n := newFakeNode(t)
	n.created = make(chan func(), 10)
	g := startGateway(t, n, map[string]string{"maxSessions": "3"})
	for range 3 {
		loseInHandshake(t, n, g)()
	}
	r := protocoltest.Dial(t, clientAddr(g))
	r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000})
	r.ExpectClosed()
	if len(n.created) != 0 || g.stats.rejected.Load() != 1 {
		t.Errorf("%d sessions were created, %d refused", len(n.created), g.stats.rejected.Load())
	}
}

// What is refused before anybody is asked to create a session leaves none.
func TestSessionsThatNobodyCreatesDoNotCount(t *testing.T) {
	n := newFakeNode(t)
	n.submit = func(*kernel.Request) error { return kernel.ErrNotServing }
	g := startGateway(t, n, map[string]string{"maxSessions": "3"})
	for range 10 {
		r := protocoltest.Dial(t, clientAddr(g))
		r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000})
		r.ExpectClosed()
	}
	until(t, "nothing to be counted", func() bool {
		g.sessions.mu.Lock()
		defer g.sessions.mu.Unlock()
		return len(g.sessions.by) == 0
	})
	if r := g.stats.rejected.Load(); r != 0 {
		t.Errorf("%d were refused for their number", r)
	}
}

// Of a burst of refusals the first is told, and of the next burst.
func TestRefusedSessionsAreToldOnce(t *testing.T) {
	o := openSessions{limit: 1, by: map[netip.Prefix]*addressSessions{}}
	from := netip.MustParsePrefix("10.0.0.1/32")
	now := time.Now()
	o.enter(from, true, now)
	for i, c := range []struct {
		after time.Duration
		first bool
	}{{0, true}, {50 * time.Second, false}, {100 * time.Second, false}, {170 * time.Second, true}} {
		if ok, first := o.enter(from, true, now.Add(c.after)); ok || first != c.first {
			t.Errorf("refusal %d: %v, first %v", i, !ok, first)
		}
	}
	if ok, _ := o.enter(from, false, now); !ok {
		t.Error("a session that is there cannot be taken up again")
	}
}

func TestWhatCountsAsOneAddress(t *testing.T) {
	for address, want := range map[string]string{
		"10.0.0.1": "10.0.0.1/32", "::ffff:10.0.0.1": "10.0.0.1/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "::1": "::/64",
	} {
		if got, ok := network(&net.TCPAddr{IP: net.ParseIP(address), Port: 1}); !ok || got.String() != want {
			t.Errorf("%s counts as %v", address, got)
		}
	}
	if got, ok := network(&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}); !ok || got.String() != "fe80::/64" {
		t.Errorf("with a zone: %v", got)
	}
	if _, ok := network(&net.UnixAddr{}); ok {
		t.Error("what is no IP address counts")
	}
}
