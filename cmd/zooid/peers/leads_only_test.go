package peers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestLeaderThatOnlyLeads: with leaderServes=no the clients of a server that comes to lead go to the others, with their sessions, whenever leadership moves; a client that knows only the leader waits.
// What operators ask the leader for is answered.
func TestLeaderThatOnlyLeads(t *testing.T) {
	e := newEnsemble(t, []kind{zooid, zooid, zooid}, "leaderServes=no")
	e.startAll()
	nomads, end := e.roam(6)
	var order []string
	for _, m := range e.members { // the leader first: a client asks it before the others
		order = append([]string{m.addr()}, order...)
	}
	owner, err := client.New(strings.Join(order, ","), client.Options{SessionTimeout: 60 * time.Second, StayLost: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = owner.Close(within(t)) })
	if _, err := owner.Create(within(t), "/owned", nil, client.CreateOptions{Mode: wire.Ephemeral}); err != nil {
		t.Fatal(err)
	}
	session := owner.SessionID()
	var led []int
	for range 3 {
		leader := e.waitLeader()
		led = append(led, leader.id)
		e.leadsOnly(leader)
		// Everybody writes behind that, and nobody at the leader.
		if stat, err := owner.Set(within(t), "/owned", nil, client.AnyVersion); err != nil || stat.EphemeralOwner != session {
			t.Fatalf("under %s: %+v, %v", leader, stat, err)
		}
		for _, m := range e.members {
			if m != leader { // one that led before takes clients again
				direct := e.connect(m)
				if _, err := direct.Set(within(t), "/owned", nil, client.AnyVersion); err != nil {
					t.Fatalf("%s: %v", m, err)
				}
				if err := direct.Close(within(t)); err != nil {
					t.Fatal(err)
				}
			}
		}
		// Leadership moves; the server that had it comes back, and the next leader's clients go.
		mark := leader.logLength()
		leader.stop(t)
		if !leader.loggedSince(mark, "giving leadership to a follower that has everything") {
			t.Errorf("%s did not hand over", leader)
		}
		leader.start(t)
		e.waitServing()
		if e.waitLeader() == leader {
			t.Fatalf("%s leads again", leader)
		}
	}
	// Without a hand-over too.
	leader := e.waitLeader()
	leader.kill()
	e.waitServing()
	e.leadsOnly(e.waitLeader())
	leader.start(t)
	e.waitServing()
	end()
	if _, acked, _ := settled(t, nomads); acked < 10*len(nomads) {
		t.Errorf("only %d writes", acked)
	}
	if _, stat, err := owner.Get(within(t), "/owned"); err != nil || stat.EphemeralOwner != session || owner.SessionID() != session {
		t.Errorf("session 0x%x became 0x%x: %+v, %v", session, owner.SessionID(), stat, err)
	}
	slices.Sort(led)
	if led = slices.Compact(led); len(led) < 2 {
		t.Errorf("only servers %d led", led)
	}
}

// leadsOnly checks that a leader has no client left and takes none, and answers words.
func (e *ensemble) leadsOnly(m *member) {
	e.t.Helper()
	var text string
	eventually(e.t, m.String()+" has no clients", func() bool {
		var err error
		text, err = m.word("cons")
		return err == nil && !strings.Contains(text, "sid=0x")
	})
	refused := protocoltest.Dial(e.t, m.addr())
	refused.SendConnect(wire.ConnectRequest{TimeoutMs: 10_000})
	refused.ExpectClosed()
	text, err := m.word("srvr")
	for _, line := range []string{"Mode: leader\n", "Zxid: 0x", "Node count: "} {
		if err != nil || !strings.Contains(text, line) {
			e.t.Errorf("srvr of %s: %q, %v", m, text, err)
		}
	}
}
