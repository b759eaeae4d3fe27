package peers

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSeveralAddresses: servers with two addresses each are an ensemble, with one of ZooKeeper's among them; and when a server of Zooid answers at the second one only, the others find it there: those
// that dial it in an election, and those that follow it. (ZooKeeper's servers ping addresses, and dial for an election the one that answers that, whether anybody listens there or not: here they have
// no need to dial the one that is cut down.)
func TestSeveralAddresses(t *testing.T) {
	beside(t)
	const second = "127.0.0.2"
	l, err := net.Listen("tcp", net.JoinHostPort(second, "0"))
	if err != nil {
		t.Skipf("this machine has one loopback address only: %v", err)
	}
	_ = l.Close()
	for _, c := range []struct {
		kinds []kind
		half  int // server whose first address does not answer
	}{
		{[]kind{zooid, zooid, zooid}, 1},
		{[]kind{zooid, zooid, zooid}, 3},
		{[]kind{apache38, zooid, zooid}, 3},
		{[]kind{apache39, zooid, zooid}, 3},
		{[]kind{zooid, zooid, apache38}, 1},
	} {
		name := mixName(c.kinds)
		if c.half == 1 {
			name += "-first"
		}
		t.Run(name, func(t *testing.T) {
			e := newEnsemble(t, c.kinds, "multiAddress.enabled=true", "-Dzookeeper.multiAddress.enabled=true") // ZooKeeper's servers look at the property when they read the members
			for _, m := range e.members {
				m.also = second
			}
			e.configure()
			before := e.leadInTurn()

			half := e.member(c.half)
			half.stop(t)
			e.waitServing()
			half.listenOnlyAt(t, half.also)
			half.start(t)
			e.waitServing()
			before.checkSessions(t)
			// Of two servers that have the same the one with the higher number leads: with 1 cut down it is dialled and follows, with 3 it dials and leads.
			e.level()
			e.member(2).kill()
			e.waitServing()
			e.expectLeader(3)
			before.checkSessions(t)
			e.member(2).start(t)
			e.waitServing()
			half.stop(t)
			e.configureAs(half, e.members...) // every server shows clients its own file
			half.start(t)
			e.waitServing()
			before.checkSessions(t)
			before.end(t)
			e.compareTrees()
		})
	}
}

// listenOnlyAt takes all other addresses away from what a server knows of itself; the others still know all.
func (m *member) listenOnlyAt(t testing.TB, host string) {
	t.Helper()
	path := filepath.Join(m.dir, "zoo.cfg")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	kept := *m
	kept.host, kept.also = host, ""
	changed := strings.Replace(string(text), strings.Join(m.peerAddresses("participant"), "|"), kept.peerAddresses("participant")[0], 1)
	if changed == string(text) {
		t.Fatalf("%s is not in\n%s", m.line(), text)
	}
	if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}
