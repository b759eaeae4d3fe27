package peers

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// peerTLS has the command make an authority and a certificate for 127.0.0.1, and returns the lines by which servers of both kinds use them between each other.
func peerTLS(t testing.TB) []string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command(zooidBinary(t), "init-tls", "--dir", dir, "127.0.0.1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return []string{"sslQuorum=true", "ssl.quorum.keyStore.location=" + filepath.Join(dir, "127.0.0.1.pem"), "ssl.quorum.trustStore.location=" + filepath.Join(dir, "authority.pem")}
}

// TestTLSBetweenPeers: servers of both kinds elect, follow and lead each other with TLS on both ports.
func TestTLSBetweenPeers(t *testing.T) {
	for _, kinds := range [][]kind{{zooid, zooid, zooid}, {zooid, apache38, zooid}, {apache38, zooid, apache38}, {apache39, zooid, zooid}} {
		t.Run(mixName(kinds), func(t *testing.T) {
			e := newEnsemble(t, kinds, peerTLS(t)...)
			before := e.leadInTurn()
			before.checkSessions(t)
			before.end(t)
			e.compareTrees()
		})
	}
}

// TestTLSAndPlain: with port unification a server that speaks TLS and one that does not yet, of either kind, are in one ensemble: that is how an installation gets TLS without a stop.
func TestTLSAndPlain(t *testing.T) {
	for _, kinds := range [][]kind{{zooid, zooid, zooid}, {apache38, zooid, zooid}, {zooid, apache38, apache38}} {
		t.Run(mixName(kinds), func(t *testing.T) {
			security := peerTLS(t)
			plain := append([]string{"sslQuorum=false", "portUnification=true"}, security[1:]...)
			e := newEnsemble(t, kinds, plain...)
			e.startAll()
			e.expectLeader(3)
			before := e.fill("before")
			e.lines[slices.Index(e.lines, plain[0])] = "sslQuorum=true"
			for _, m := range e.followersFirst() { // one after the other speaks TLS from now on, and still takes both
				m.kill()
				e.configureAs(m, e.members...)
				m.start(t)
				e.waitServing()
			}
			before.checkSessions(t)
			before.end(t)
			e.compareTrees()
		})
	}
}

// TestWeights: a server without weight is never elected and never waited for, whatever its kind; the others are a quorum together only.
func TestWeights(t *testing.T) {
	for _, kinds := range [][]kind{{zooid, zooid, zooid}, {zooid, apache38, zooid}, {apache38, zooid, apache38}} {
		t.Run(mixName(kinds), func(t *testing.T) {
			e := newEnsemble(t, kinds, "group.1=1:2:3", "weight.1=1", "weight.2=1", "weight.3=0")
			e.startAll()
			e.expectLeader(2)
			before := e.fill("before")
			e.member(3).kill()
			e.waitServing()
			e.expectLeader(2)
			e.member(3).start(t)
			e.waitServing()
			before.checkSessions(t)
			e.member(1).kill()
			eventually(t, "the leader gives up without the other server that has weight", func() bool { return e.leader() == nil })
			e.member(1).start(t)
			e.waitServing()
			e.expectLeader(2)
			before.checkSessions(t)
			before.end(t)
			e.compareTrees()
		})
	}
}
