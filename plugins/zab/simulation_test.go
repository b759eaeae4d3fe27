package zab

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var (
	simSeed  = flag.Uint64("seed", 0, "run this seed of the simulation alone, and print what happens")
	simSeeds = flag.Int("seeds", 25, "how many seeds of the simulation to run for each kind of ensemble")
	simSteps = flag.Int("steps", 15000, "how many things happen in each")
)

var usual = faults{crash: 60, breakLink: 100, partition: 40, illegal: 200, purge: 100, retire: 10, tick: 500}

func run(seed uint64, voters, observers int, f faults, b bug, steps int, tracing bool) *world {
	w := newWorld(seed, voters, observers, f)
	w.bug, w.tracing = b, tracing
	for w.steps < steps && w.violated == nil {
		w.step()
	}
	return w
}

// heal ends all faults and asks for progress (I22): a leader with everybody attached, and a write that all of them apply.
func (w *world) heal() {
	w.faults, w.healing, w.roll = faults{tick: 100, masters: w.faults.masters}, true, 0
	clear(w.cut)
	for _, s := range w.servers {
		s.slow = false
		if s.core == nil {
			w.start(s)
		}
		s.core.roll = counterRoll
	}
	target := -1
	for range 150_000 {
		if w.violated != nil {
			return
		}
		w.step()
		attached := 0
		for _, s := range w.servers {
			if s.core != nil && s.role.Established {
				attached++
			}
		}
		if attached < len(w.servers) {
			continue
		}
		if target < 0 {
			target = len(w.check.history) + 5
		}
		all := true
		for _, s := range w.servers {
			all = all && s.applied >= target
		}
		if all {
			return
		}
	}
	if w.blocked() {
		w.waits++
		return
	}
	var state strings.Builder
	for _, s := range w.servers {
		fmt.Fprintf(&state, "\n  %d: %s of %d established=%v, %s lead=%v learn=%s applied=%d looked=%v words %+v jobs %d inbox %d log %s..%s", s.id, s.role.Role, s.role.Leader, s.role.Established, s.core.phase, s.core.lead.promised, s.core.learn.state, s.applied, s.core.looked, s.core.words, len(s.jobs), len(s.inbox), trace(s.base.zxid), trace(s.end()))
	}
	w.fail("I22: no progress after everything was healed; committed %d, wanted %d%s", len(w.check.history), target, state.String())
}

// blocked tells whether every voter that could lead has less than a witness remembers, in an ensemble with plain servers. A plain leader answers a follower that is ahead of what is committed
// with a snapshot, where one of Zooid finds its position; when it then loses its own unsynced log and the snapshot breaks off, nobody can say any more that the lost transactions were not
// committed. To wait for an operator is right then.
func (w *world) blocked() bool {
	var best, witness *look
	plain := false
	for _, s := range w.servers {
		plain = plain || s.plain
		switch {
		case !s.voter:
		case s.look == nil:
			return false
		case s.look.Witness && (witness == nil || s.look.better(witness)):
			witness = s.look
		case !s.look.NoVote && !s.look.Empty && (best == nil || s.look.better(best)):
			best = s.look
		}
	}
	return plain && witness != nil && best != nil && witness.better(best)
}

func TestSimulation(t *testing.T) {
	for _, kind := range []struct {
		name              string
		voters, observers int
		faults            faults
	}{
		{"three", 3, 0, usual},
		{"three and an observer", 3, 1, usual},
		{"five", 5, 0, usual},
		{"alone with an observer", 1, 1, usual},
		{"two", 2, 0, usual},
		{"calm", 3, 1, faults{crash: 5, breakLink: 20, partition: 5, illegal: 50, purge: 300, tick: 300}},
		{"changing", 3, 1, faults{crash: 40, breakLink: 80, partition: 30, illegal: 100, purge: 100, retire: 10, tick: 500, reconfig: 300}},
		{"changing all the time", 3, 2, faults{crash: 20, breakLink: 40, partition: 20, illegal: 50, purge: 100, tick: 400, reconfig: 400}},
		{"observer masters", 3, 2, faults{crash: 40, breakLink: 80, partition: 30, illegal: 100, purge: 100, retire: 10, tick: 500, masters: true}},
		{"observer masters that change", 3, 2, faults{crash: 20, breakLink: 40, partition: 20, illegal: 50, purge: 100, tick: 400, reconfig: 200, masters: true}},
		{"wiped disks", 3, 0, faults{crash: 60, breakLink: 100, partition: 40, illegal: 200, purge: 100, tick: 480, wipe: 20}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			var total world
			for seed := uint64(1); seed <= uint64(*simSeeds); seed++ {
				if *simSeed != 0 {
					seed = *simSeed
				}
				w := run(seed, kind.voters, kind.observers, kind.faults, noBug, *simSteps, *simSeed != 0)
				w.heal()
				if *simSeed != 0 {
					fmt.Fprintln(os.Stderr, strings.Join(w.trace, "\n"))
				}
				if w.violated != nil {
					t.Fatalf("after %d steps: %v\nagain: go test ./plugins/zab -run 'TestSimulation/%s$' -seed %d", w.steps, w.violated, strings.ReplaceAll(kind.name, " ", "_"), seed)
				}
				total.steps += w.steps
				total.snapsTaken += w.snapsTaken
				total.diffs += w.diffs
				total.truncs += w.truncs
				total.established += w.established
				total.barriersPassed += w.barriersPassed
				total.values += uint64(len(w.check.history))
				total.waits += w.waits
				total.decided += w.decided
				total.changes += len(w.check.configs) - 1
				if *simSeed != 0 {
					return
				}
			}
			t.Logf("%d steps, %d epochs, %d committed, %d barriers, %d DIFF, %d TRUNC, %d SNAP, %d changes of the configuration, %d wait for an operator", total.steps, total.established, total.values, total.barriersPassed,
				total.diffs, total.truncs, total.snapsTaken, total.changes, total.waits)
			if total.waits > 1+*simSeeds/100 {
				t.Errorf("%d of %d ensembles wait for an operator", total.waits, *simSeeds)
			}
			if kind.faults.reconfig > 0 && *simSeeds >= 25 && (total.changes == 0 || total.decided == 0) {
				t.Errorf("%d changes of the configuration, %d answers of elections that they decided", total.changes, total.decided)
			}
			if kind.voters > 2 && *simSeeds >= 25 && (total.truncs == 0 || total.snapsTaken == 0 || total.diffs == 0 || total.barriersPassed == 0) {
				t.Error("something never happened: the simulation has lost its point")
			}
		})
	}
}

// TestSimulationFindsPlantedBugs breaks one rule at a time: the invariants must notice (spec zab, 19).
func TestSimulationFindsPlantedBugs(t *testing.T) {
	for b, name := range map[bug]string{
		ackBeforeDurable: "acknowledged before it is durable", commitWithoutQuorum: "committed without a quorum", noTruncation: "not truncated", epochBeforeHistory: "current epoch before history",
		voteFromMemory: "vote from memory", promiseNotKept: "promise not on the disk", applyBeforeCommit: "applied before it is committed", intentForgotten: "intent not on the disk",
		nextForgotten: "proposed configuration not on the disk", oneQuorum: "quorum of one configuration",
	} {
		observers, f := 0, usual
		if b == nextForgotten || b == oneQuorum {
			observers, f = 1, faults{crash: 40, breakLink: 80, partition: 30, illegal: 100, purge: 100, retire: 10, tick: 500, reconfig: 60}
		}
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			for seed := uint64(1); seed <= 300; seed++ {
				if w := run(seed, 3, observers, f, b, 15000, false); w.violated != nil {
					t.Logf("seed %d, step %d: %v", seed, w.steps, w.violated)
					return
				}
			}
			t.Error("300 seeds did not notice")
		})
	}
}
