package peers

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestChaos runs a checked workload while servers are killed, paused, cut off from each other in both directions or in one, slowed down, robbed of their data and of the room on their disks. Each server
// is in a network namespace of its own, on a bridge in the namespace of the test, and has a small file system of its own: the test needs to be root, alone in a network and a mount namespace
// (`.ci/run chaos` does that), and to be told by ZOOID_CHAOS for how many seconds; ZOOID_CHAOS_SEED repeats a sequence of faults.
//
// What must hold: writes, and reads behind a sync, are linearizable; a multi is seen whole or not at all; what a session is shown never goes back; a watch misses nothing, tells nothing twice, in the order of
// the changes and not later than a reply that shows one (watchlog_test.go); no session is lost, because no fault is longer than a session may be silent, and those that are left alone live as long as they
// were promised and no longer than that and the faults; the ephemeral nodes of a session go with it; at the end all servers have the same tree. And enough must have happened for that to mean something.
func TestChaos(t *testing.T) {
	seconds, err := strconv.Atoi(os.Getenv("ZOOID_CHAOS"))
	if err != nil {
		t.Skip("ZOOID_CHAOS names no number of seconds: `.ci/run chaos` runs this test")
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ZOOID_CHAOS_SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("ZOOID_CHAOS_SEED: %v", err)
		}
	}
	t.Logf("ZOOID_CHAOS_SEED=%d", seed)
	e := newEnsemble(t, []kind{zooid, zooid, zooid}, "tickTime=500", "syncLimit=5", "minSessionTimeout=12000", "plugin.log.segmentSize=256KiB")
	newNetwork(t, e)
	newDisks(t, e)
	e.configure()
	e.startAll()

	w := e.startWorkload()
	v := e.startVisitors()
	f := &faults{e: e, w: w, r: rand.New(rand.NewPCG(seed, 1)), count: map[string]int{}}
	for end := time.Now().Add(time.Duration(seconds) * time.Second); (time.Now().Before(end) || f.missing() != "") && !t.Failed(); {
		f.one()
		w.progress()
		w.nextPhase()
	}
	e.waitServing()
	w.progress()
	v.end()
	w.end()
	e.compareTrees()
	for _, m := range e.members {
		if n := m.figure(t, "zk_divergence_count"); m.kind == zooid && n != 0 {
			t.Errorf("%s has found %d states that differ", m, n)
		}
	}
	checkMinimums(t, seconds, w, v, f)
}

// checkMinimums: a run in which little has happened proves little.
func checkMinimums(t *testing.T, seconds int, w *workload, v *visitors, f *faults) {
	t.Helper()
	caughtUp := map[string]int{}
	for _, m := range f.e.members {
		log, err := os.ReadFile(m.log())
		if err != nil {
			t.Fatal(err)
		}
		for _, way := range []string{"DIFF", "TRUNC", "SNAP"} {
			caughtUp[way] += strings.Count(string(log), "established=true by="+way)
		}
	}
	t.Logf("%d writes acknowledged, %d of unknown outcome, %d refused, %d reads, %d of them behind a sync, %d events, %d gaps, %d one-shot events, %d ephemeral nodes, %d sessions closed, %d expired, %d elections; caught up by %v; faults: %v",
		w.writes.Load(), w.unknown.Load(), w.refused.Load(), w.reads.Load(), w.syncs.Load(), w.events, w.gaps, w.fired.Load(), w.ephemerals.Load(), v.closed, v.expired, f.elections, caughtUp, f.count)
	atLeast := func(what string, got, want int) {
		t.Helper()
		if got < want {
			t.Errorf("in %d s there were %d %s, at least %d are needed", seconds, got, what, want)
		}
	}
	atLeast("acknowledged writes", int(w.writes.Load()), 20*seconds)
	atLeast("reads", int(w.reads.Load()), 20*seconds)
	atLeast("reads behind a sync", int(w.syncs.Load()), 10*seconds)
	atLeast("events", w.events, 20*seconds)
	atLeast("one-shot events", int(w.fired.Load()), seconds)
	atLeast("ephemeral nodes", int(w.ephemerals.Load()), seconds)
	atLeast("sessions closed", v.closed, seconds/10)
	atLeast("sessions expired", v.expired, 1)
	atLeast("elections", f.elections, max(1, seconds/10))
	for _, way := range []string{"DIFF", "TRUNC", "SNAP"} {
		atLeast("servers caught up by "+way, caughtUp[way], 1)
	}
	if what := f.missing(); what != "" {
		t.Errorf("there was no fault of kind %q", what)
	}
	if unknown, all := w.unknown.Load(), w.unknown.Load()+w.writes.Load(); unknown*50 > all {
		t.Errorf("of %d writes %d are of unknown outcome: more than one in fifty", all, unknown)
	}
}
