package simulate

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// bugSeeds is within how many seeds each planted bug must be found.
const bugSeeds = 500

// hardToFind are seeds that find the rarest of them, tried before all others: to come to them in order takes most of a minute. They are a short cut and no more: a change of the
// simulation makes other seeds find a bug, and then the search is as long as it must be.
var hardToFind = map[string]uint64{"repaired-at-once": 499, "kept-difference": 44}

// A checker that finds nothing is worth nothing: each planted bug must be found by a rule that it breaks. That a server does not start, or that a simulation comes to nothing, is no find.
func TestPlantedBugsAreFound(t *testing.T) {
	var wg sync.WaitGroup
	free := make(chan struct{}, 2)
	for _, bug := range Bugs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			free <- struct{}{}
			defer func() { <-free }()
			others := 0
			for seed := range uint64(bugSeeds + 1) {
				if seed == 0 {
					if seed = hardToFind[bug.Name]; seed == 0 {
						continue
					}
				}
				r := Run(Options{Seed: seed, Bug: bug})
				if r.Err == nil {
					continue
				}
				if slices.ContainsFunc(rulesIn(r.Err), func(rule string) bool { return slices.Contains(bug.Rules, rule) }) {
					t.Logf("%-22s by seed %d: %v", bug.Name, seed, r.Err)
					return
				}
				if others++; others <= 3 {
					t.Logf("%-22s seed %d, by another rule: %v", bug.Name, seed, r.Err)
				}
			}
			t.Errorf("%s (%s) was not found by any of %v in %d seeds; %d failed otherwise", bug.Name, bug.Doc, bug.Rules, bugSeeds, others)
		}()
	}
	wg.Wait()
}

var rulesBroken = regexp.MustCompile(`\(((?:I\d+|rule \d+)(?:, (?:I\d+|rule \d+))*)\)$`)

// rulesIn are the rules that a violation names at its end.
func rulesIn(err error) []string {
	m := rulesBroken.FindStringSubmatch(err.Error())
	if m == nil {
		return nil
	}
	return strings.Split(m[1], ", ")
}
