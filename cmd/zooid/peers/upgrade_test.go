package peers

import (
	"os"
	"testing"
	"time"
)

// TestRollingUpgrade replaces the build of a loaded ensemble, one server after the other. It begins with ZOOID_PREVIOUS, the command of an earlier version. In each mixture the leader is killed too, of
// whichever build it is. No session is lost and no acknowledged write, and the trees are equal at the end.
func TestRollingUpgrade(t *testing.T) {
	previous := os.Getenv("ZOOID_PREVIOUS")
	if previous == "" {
		t.Skip("ZOOID_PREVIOUS names no earlier build: `.ci/run upgrade` makes one and runs this test")
	}
	zooidBinary(t) // built before anything is timed
	e := newEnsemble(t, []kind{zooid, zooid, zooid})
	for _, m := range e.members {
		m.binary = previous
	}
	e.startAll()
	kept := e.fill("kept")
	nomads, end := e.roam(6)
	for _, m := range e.followersFirst() {
		start := time.Now()
		m.stop(t)
		if code := m.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s ends on SIGTERM with exit code %d", m, code)
		}
		m.binary = ""
		m.start(t)
		e.waitServing()
		kept.checkSessions(t)
		leader := e.waitLeader()
		leader.kill()
		e.waitLeader()
		leader.start(t)
		e.waitServing()
		kept.checkSessions(t)
		t.Logf("%s is of this build after %v; %s led, of build %q, and was killed; %s leads", m, time.Since(start).Round(time.Millisecond), leader, leader.binary, e.waitLeader())
	}
	e.fill("new")
	end()
	longest, acked, unknown := settled(t, nomads)
	if acked < 10*len(nomads) {
		t.Errorf("only %d writes", acked)
	}
	e.compareTrees()
	for _, m := range e.members { // what the earlier build has left can be compared, and nobody differs
		eventually(t, m.String()+" knows its state's digest", func() bool { return m.figure(t, "zk_state_digest_known") == 1 })
		if n := m.figure(t, "zk_divergence_count"); n != 0 {
			t.Errorf("%s has found %d differences", m, n)
		}
	}
	kept.end(t)
	t.Logf("%d writes acknowledged, %d tries of unknown outcome; the longest write took %v", acked, unknown, longest.Round(time.Millisecond))
}
