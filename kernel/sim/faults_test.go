package sim

import (
	"bytes"
	"testing"
	"time"
)

// misbehave lets everything go wrong for a while, and ends it.
func misbehave(t *testing.T, seed uint64, d time.Duration) *stage {
	st := newStage(t, seed, 3)
	st.Misbehave(d)
	st.RunFor(d)
	st.Calm()
	st.RunFor(time.Second)
	st.whole()
	return st
}

// A seed is the whole story; another seed is another one.
func TestTracesFollowFromTheSeed(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		a, b, c := misbehave(t, seed, 30*time.Second), misbehave(t, seed, 30*time.Second), misbehave(t, seed+100, 30*time.Second)
		if !bytes.Equal(a.trace.Bytes(), b.trace.Bytes()) || a.Steps() != b.Steps() || a.Now() != b.Now() {
			t.Fatalf("seed %d: %d steps, and then %d\n%s\n%s", seed, a.Steps(), b.Steps(), a.trace, b.trace)
		}
		if bytes.Equal(a.trace.Bytes(), c.trace.Bytes()) {
			t.Errorf("seeds %d and %d have the same trace", seed, seed+100)
		}
	}
}

// Every kind of fault comes, and when they have ended nothing is left of them.
func TestFaultsComeAndGo(t *testing.T) {
	tally := map[string]int{}
	for seed := uint64(1); seed <= 40; seed++ {
		st := misbehave(t, seed, 60*time.Second)
		for name, n := range st.Tally {
			tally[name] += n
		}
		for _, s := range st.Servers() {
			if !s.Up() || s.paused || s.slow != 0 || s.disk.full || s.disk.broken != nil || s.disk.cutIn != 0 {
				t.Errorf("seed %d: server %d is up: %v, paused: %v, slow: %v, its disk: %+v", seed, s.ID(), s.Up(), s.paused, s.slow, s.disk)
			}
		}
		if len(st.network.blocked) != 0 || st.network.delay != usualDelay || st.network.tear {
			t.Errorf("seed %d: the network is not whole: %+v", seed, st.network.blocked)
		}
	}
	for _, name := range []string{"kills", "power cuts", "pauses", "partitions", "one-way partitions", "bridges", "slow disks", "full disks", "slow networks", "failed syncs", "wipes", "clock jumps"} {
		if tally[name] == 0 {
			t.Errorf("there were no %s: %v", name, tally)
		}
	}
}

// No more servers than a minority have an empty disk before one of them serves again.
func TestWipesHaveABudget(t *testing.T) {
	st := newStage(t, 1, 5)
	f := &st.faults
	f.w = st.World
	for range 50 {
		f.wipe()
		st.StartAll()
	}
	if n := st.Tally["wipes"]; n != 2 { // these servers never serve
		t.Errorf("of five servers %d were wiped", n)
	}
}
