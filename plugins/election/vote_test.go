package election

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zooid-project/zooid/kernel"
)

// edges are the numbers at which an order can go wrong: votes are compared as the numbers that they carry, whatever these are.
var edges = []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, 2, 1 << 32, 4<<32 | 17, 5 << 32, math.MaxInt64 - 1, math.MaxInt64}

func someVotes(seed uint64) []vote {
	r := rand.New(rand.NewPCG(seed, 90))
	pick := func() int64 { return edges[r.IntN(len(edges))] }
	votes := make([]vote, 40)
	for i := range votes {
		votes[i] = vote{leader: kernel.ServerID(r.IntN(5)), zxid: kernel.Zxid(pick()), epoch: pick()}
		if r.IntN(8) == 0 {
			votes[i].leader = nobody
		}
	}
	return votes
}

// S-90: the relation is a total order, or servers turn from one vote to the next for ever. Server 0 weighs nothing and 4 does not vote.
func TestVotesAreTotallyOrdered(t *testing.T) {
	c := New()
	c.config = kernel.Ensemble{Voters: []kernel.ServerID{0, 1, 2, 3}, Groups: []kernel.QuorumGroup{
		{ID: 1, Members: []kernel.WeightedVoter{{ID: 0, Weight: 0}, {ID: 1, Weight: 1}, {ID: 2, Weight: 3}, {ID: 3, Weight: 1}}}}}
	next := kernel.Ensemble{Version: 1, Voters: []kernel.ServerID{1, 4}}
	for seed := range uint64(40) {
		if seed == 20 { // server 4 votes in the next configuration
			c.next = &next
		}
		votes := someVotes(seed)
		for _, a := range votes {
			if c.better(a, a) {
				t.Fatalf("%v is better than itself", a)
			}
			for _, b := range votes {
				if a != b && c.better(a, b) == c.better(b, a) {
					t.Fatalf("%v and %v: antisymmetry and totality", a, b)
				}
				for _, x := range votes {
					if c.better(a, b) && c.better(b, x) && !c.better(a, x) {
						t.Fatalf("%v > %v > %v: transitivity", a, b, x)
					}
				}
			}
		}
	}
}

// The order is that of a plain comparison, key by key, each only under equality of those before (spec zab, 4.5).
func TestTheOrderIsThatOfTheSpecification(t *testing.T) {
	c := New()
	c.config = kernel.Ensemble{Voters: []kernel.ServerID{0, 1, 2, 3, 4}}
	votes := slices.DeleteFunc(someVotes(7), func(v vote) bool { return v.leader == nobody })
	for _, a := range votes {
		for _, b := range votes {
			want := a.epoch > b.epoch || a.epoch == b.epoch && (a.zxid > b.zxid || a.zxid == b.zxid && a.leader > b.leader)
			if c.better(a, b) != want {
				t.Fatalf("%v better than %v: %v", a, b, !want)
			}
		}
	}
}

func TestWhatCannotBeElectedIsNeverBetter(t *testing.T) {
	c := New()
	c.config = kernel.Ensemble{Voters: []kernel.ServerID{0, 1, 2}, Groups: []kernel.QuorumGroup{
		{ID: 1, Members: []kernel.WeightedVoter{{ID: 0, Weight: 0}, {ID: 1, Weight: 1}, {ID: 2, Weight: 1}}}}}
	next := kernel.Ensemble{Version: 1, Voters: []kernel.ServerID{1, 2, 3}}
	c.next = &next
	high := kernel.MakeZxid(9, 9)
	for _, id := range []kernel.ServerID{0, 4} { // weighs nothing, unknown
		if v := (vote{leader: id, zxid: high, epoch: 9}); c.better(v, vote{leader: 1}) || !c.better(vote{leader: 1}, v) {
			t.Errorf("%v beats a candidate", v)
		}
	}
}

// Who votes in the next configuration alone is elected for what it has, not for its id.
func TestEqualsInForceWin(t *testing.T) {
	c := New()
	c.config = kernel.Ensemble{Voters: []kernel.ServerID{1, 2}}
	next := kernel.Ensemble{Version: 1, Voters: []kernel.ServerID{1, 2, 3}}
	c.next = &next
	for _, x := range []struct {
		epoch int64
		zxid  kernel.Zxid
		want  bool
	}{{4, 7, false}, {4, 6, false}, {4, 8, true}, {5, 0, true}} {
		v, than := vote{leader: 3, epoch: x.epoch, zxid: x.zxid}, vote{leader: 1, epoch: 4, zxid: 7}
		if c.better(v, than) != x.want || c.better(than, v) == x.want {
			t.Errorf("%v better than %v: want %v", v, than, x.want)
		}
	}
}

func TestSettledVotesAgree(t *testing.T) {
	base := heard{vote: vote{leader: 3, zxid: 7, epoch: 4}, round: 2, version: 2}
	for name, c := range map[string]struct {
		change func(*heard)
		want   bool
	}{
		"round and zxid differ":                {func(h *heard) { h.round, h.zxid = 9, 1 }, true},
		"epochs differ":                        {func(h *heard) { h.epoch = 5 }, false},
		"leaders differ":                       {func(h *heard) { h.leader = 2 }, false},
		"epochs differ, one of the first form": {func(h *heard) { h.epoch, h.version = 5, 0 }, true},
		"versions 1 and 2":                     {func(h *heard) { h.version = 1 }, true},
	} {
		other := base
		c.change(&other)
		if base.agrees(other) != c.want || other.agrees(base) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
}
