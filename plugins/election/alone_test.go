package election

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
)

func TestALoneVoterElectsItselfOncePerLook(t *testing.T) {
	c := New()
	look := kernel.Look{Config: kernel.Ensemble{Voters: []kernel.ServerID{7}}}
	for round := uint64(1); round < 4; round++ {
		e := c.Step(0, kernel.Start{Self: 7}, look)
		if e.Elected == nil || e.Elected.Leader != 7 || e.Elected.Role != kernel.Leading || e.Elected.Round != round {
			t.Fatalf("round %d: elected %+v", round, e.Elected)
		}
		if e := c.Step(0, kernel.Tick{}); e.Elected != nil {
			t.Fatalf("elected again without a Look: %+v", e.Elected)
		}
	}
}

func TestNobodyIsElectedWithoutAQuorum(t *testing.T) {
	for name, voters := range map[string][]kernel.ServerID{"three voters, one heard": {4, 5, 6}, "not a voter": {1}} {
		if e := New().Step(0, kernel.Start{Self: 4}, kernel.Look{Config: kernel.Ensemble{Voters: voters}}); e.Elected != nil {
			t.Errorf("%s: elected %+v", name, e.Elected)
		}
	}
}

// A server without a history that counts is a new ensemble when it is alone, and damage is not.
func TestALoneVoterWithoutAHistory(t *testing.T) {
	alone := kernel.Ensemble{Voters: []kernel.ServerID{4}}
	for name, c := range map[string]struct {
		look kernel.Look
		want bool
	}{
		"new":                         {kernel.Look{Config: alone, Empty: true}, true},
		"damaged":                     {kernel.Look{Config: alone, NoVote: true}, false},
		"damaged and empty":           {kernel.Look{Config: alone, NoVote: true, Empty: true}, false},
		"empty, but it had an epoch":  {kernel.Look{Config: alone, Empty: true, Epoch: 3}, false},
		"neither, and nothing logged": {kernel.Look{Config: alone}, true},
	} {
		if e := New().Step(0, kernel.Start{Self: 4}, c.look); (e.Elected != nil) != c.want {
			t.Errorf("%s: elected %+v", name, e.Elected)
		}
	}
}
