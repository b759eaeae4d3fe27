package simulate

import (
	"bytes"
	"flag"
	"io"
	"runtime"
	"slices"
	"testing"

	"github.com/zooid-project/zooid/kernel/sim"
)

var (
	seeds = flag.Int("seeds", 100, "how many seeds TestSeeds runs")
	first = flag.Uint64("seed", 1, "the first seed")
)

// Any seed must do. CI runs 2,000 of them (zooid sim --seeds 2000); here are some that everybody runs.
func TestSeeds(t *testing.T) {
	total, failed := Many(Options{Seed: *first}, *seeds, runtime.GOMAXPROCS(0))
	t.Logf("%d steps, %v", total.Steps, total.Tally)
	for _, r := range failed {
		t.Errorf("seed %d: %v (go run ./cmd/zooid sim --seed %d --trace)", r.Seed, r.Err, r.Seed)
	}
	for _, mark := range slices.Concat(sim.Marks, marks) {
		if total.Tally[mark] == 0 {
			t.Errorf("no seed has reached %s", mark)
		}
	}
	for _, reached := range []string{"changes of the members", "seeds with servers of ZooKeeper's kind", "DIFF", "SNAP", "TRUNC", "kills", "resets", "partitions", "slow disks", "slow networks", "flipped bits", "repairs", "altered states", "states given up", "power cuts", "power cuts inside the disk", "full disks", "failed syncs", "wipes", "clock jumps", "bridges", "one-way partitions", "pauses", "events", "sessions expired", "clients gone for good", "states that survive", "audits", "roll-overs", "unknown", "linearizable histories"} {
		if total.Tally[reached] == 0 {
			t.Errorf("no seed has reached: %s", reached)
		}
	}
}

// A seed is the whole story: two runs differ in nothing.
func TestASeedReplaysExactly(t *testing.T) {
	for seed := *first; seed < *first+5; seed++ {
		var traces [2]bytes.Buffer
		var results [2]Result
		for i := range traces {
			results[i] = Run(Options{Seed: seed, Trace: &traces[i]})
		}
		if results[0].Steps != results[1].Steps {
			t.Errorf("seed %d takes %d steps, and then %d", seed, results[0].Steps, results[1].Steps)
		}
		a, b := traces[0].Bytes(), traces[1].Bytes()
		if len(a) == 0 {
			t.Fatal("there is no trace")
		}
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("seed %d: the traces differ at byte %d:\n%s\n%s", seed, i, around(a, i), around(b, i))
			}
		}
		if len(a) != len(b) {
			t.Errorf("seed %d: traces of %d and %d bytes", seed, len(a), len(b))
		}
	}
}

func around(b []byte, i int) []byte { return b[max(0, i-200):min(len(b), i+200)] }

// The speed of one core: steps per second.
func BenchmarkSteps(b *testing.B) {
	steps := 0
	for i := range b.N {
		steps += Run(Options{Seed: uint64(i + 1), Trace: io.Writer(nil)}).Steps
	}
	b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "steps/s")
}
