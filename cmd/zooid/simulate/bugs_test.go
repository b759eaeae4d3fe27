package simulate

import (
	"sync"
	"testing"
)

// bugSeeds is within how many seeds each planted bug must be found.
const bugSeeds = 500

// A checker that finds nothing is worth nothing: each planted bug must be found, and the message says what was seen.
func TestPlantedBugsAreFound(t *testing.T) {
	var wg sync.WaitGroup
	free := make(chan struct{}, 2)
	for _, bug := range Bugs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			free <- struct{}{}
			defer func() { <-free }()
			for seed := uint64(1); seed <= bugSeeds; seed++ {
				if r := Run(Options{Seed: seed, Bug: bug}); r.Err != nil {
					t.Logf("%-22s %3d seeds: %v", bug.Name, seed, r.Err)
					return
				}
			}
			t.Errorf("%s (%s) was not found in %d seeds", bug.Name, bug.Doc, bugSeeds)
		}()
	}
	wg.Wait()
}
