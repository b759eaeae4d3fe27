package zab

import (
	"math/rand/v2"
	"testing"

	"github.com/zooid-project/zooid/kernel"
)

// TestTrackerAgreesWithTheDefinition compares the tracker with what it means: the highest point such that those who have reached it are a quorum of every configuration.
func TestTrackerAgreesWithTheDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	weighted := func(ids ...kernel.ServerID) []kernel.WeightedVoter {
		var all []kernel.WeightedVoter
		for _, id := range ids {
			all = append(all, kernel.WeightedVoter{ID: id, Weight: int64(rng.IntN(3))})
		}
		return all
	}
	for range 2000 {
		configs := active{{Voters: []kernel.ServerID{1, 2, 3}}}
		switch rng.IntN(4) {
		case 0:
			configs[0].Voters = []kernel.ServerID{1, 2, 3, 4, 5}
		case 1:
			configs = append(configs, kernel.Ensemble{Voters: []kernel.ServerID{3, 4, 5, 6}})
		case 2:
			configs[0] = kernel.Ensemble{Voters: []kernel.ServerID{1, 2, 3, 4, 5, 6}, Groups: []kernel.QuorumGroup{{ID: 1, Members: weighted(1, 2)}, {ID: 2, Members: weighted(3, 4)}, {ID: 3, Members: weighted(5, 6)}}}
		}
		tr := newTracker(configs)
		reached := map[kernel.ServerID]int64{}
		for range 12 {
			id, point := kernel.ServerID(1+rng.IntN(8)), int64(rng.IntN(20))
			tr.reach(id, point)
			reached[id] = max(reached[id], point)
			want := int64(0)
			for p := int64(1); p < 20; p++ {
				if configs.quorum(func(id kernel.ServerID) bool { return reached[id] >= p }) {
					want = p
				}
			}
			if got := tr.passed(); got != want {
				t.Fatalf("%+v reached %v: %d, want %d", configs, reached, got, want)
			}
		}
	}
}
