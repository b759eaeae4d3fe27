package zab

import (
	"slices"

	"github.com/zooid-project/zooid/kernel"
)

// active are the configurations that decide: the one in force and, while a change of it is undecided, the proposed one. A quorum is one in each of them (spec zab, 13).
type active []kernel.Ensemble

// quorum tells whether those for which has says yes are a quorum of every active configuration.
func (a active) quorum(has func(kernel.ServerID) bool) bool {
	for i := range a {
		if !a[i].IsQuorum(has) {
			return false
		}
	}
	return true
}

func (a active) isVoter(id kernel.ServerID) bool {
	for i := range a {
		if a[i].IsVoter(id) {
			return true
		}
	}
	return false
}

func (a active) isMember(id kernel.ServerID) bool {
	for i := range a {
		if a[i].IsMember(id) {
			return true
		}
	}
	return false
}

// servers is a small set.
type servers []kernel.ServerID

func (s servers) has(id kernel.ServerID) bool { return slices.Contains(s, id) }

func (s *servers) add(id kernel.ServerID) {
	if !s.has(id) {
		*s = append(*s, id)
	}
}

func (s *servers) remove(id kernel.ServerID) {
	if i := slices.Index(*s, id); i >= 0 {
		*s = slices.Delete(*s, i, i+1)
	}
}

// tracker knows how far each voter has come with something that only advances: its durable log, or the rounds of pings that it has answered. Whoever has come to a point has passed
// everything below (spec zab, R5).
type tracker struct {
	configs active
	voters  []kernel.ServerID // of all configurations, sorted
	reached []int64           // by index of voters
	sorted  []int64           // scratch
}

func newTracker(configs active) *tracker {
	t := &tracker{configs: configs}
	for i := range configs {
		t.voters = append(t.voters, configs[i].Voters...)
	}
	slices.Sort(t.voters)
	t.voters = slices.Compact(t.voters)
	t.reached, t.sorted = make([]int64, len(t.voters)), make([]int64, len(t.voters))
	return t
}

// reach notes how far a voter has come, and tells whether that was news. Others do not count.
func (t *tracker) reach(id kernel.ServerID, point int64) bool {
	i, ok := slices.BinarySearch(t.voters, id)
	if !ok || point <= t.reached[i] {
		return false
	}
	t.reached[i] = point
	return true
}

// carry takes over what voters of both have reached.
func (t *tracker) carry(from *tracker) {
	for i, id := range from.voters {
		t.reach(id, from.reached[i])
	}
}

// forget takes back what a voter has reached: it begins again.
func (t *tracker) forget(id kernel.ServerID) {
	if i, ok := slices.BinarySearch(t.voters, id); ok {
		t.reached[i] = 0
	}
}

// passed is the highest point that a quorum of every configuration has reached.
func (t *tracker) passed() int64 {
	lowest := int64(-1)
	for i := range t.configs {
		point := t.passedIn(&t.configs[i])
		if lowest < 0 || point < lowest {
			lowest = point
		}
	}
	return max(lowest, 0)
}

func (t *tracker) passedIn(c *kernel.Ensemble) int64 {
	if len(c.Groups) == 0 { // more than half of the voters have reached the element in the middle
		sorted := t.sorted[:0]
		for i, id := range t.voters {
			if c.IsVoter(id) {
				sorted = append(sorted, t.reached[i])
			}
		}
		if len(sorted) == 0 {
			return 0
		}
		slices.Sort(sorted)
		return sorted[(len(sorted)-1)/2]
	}
	best := int64(0)
	for _, point := range t.reached {
		if point > best && c.IsQuorum(func(id kernel.ServerID) bool {
			i, ok := slices.BinarySearch(t.voters, id)
			return ok && t.reached[i] >= point
		}) {
			best = point
		}
	}
	return best
}
