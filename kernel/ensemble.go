package kernel

import "slices"

// Ensemble is a configuration: who the members are, who votes, and what a quorum is (spec zab, 13). It is a value: nothing in it is changed after it was made.
type Ensemble struct {
	Version Zxid // 0 until the ensemble is first established
	Members []Member
	Voters  []ServerID // sorted
	Others  []ServerID // observers, sorted
	// Groups make quorums hierarchical; without any, a quorum is more than half of the voters.
	Groups []QuorumGroup
	// Text is the configuration as servers exchange it (spec peer-wire-and-disk, 8.3), version line included.
	Text string
}

// QuorumGroup is one group of a hierarchical quorum.
type QuorumGroup struct {
	ID      int64
	Members []WeightedVoter // by id
}

// WeightedVoter is a voter and what its vote weighs. One of weight 0 is never elected and never counts.
type WeightedVoter struct {
	ID     ServerID
	Weight int64
}

// IsVoter tells whether a server's vote counts at all.
func (e *Ensemble) IsVoter(id ServerID) bool {
	_, ok := slices.BinarySearch(e.Voters, id)
	return ok
}

// IsMember tells whether a server belongs to the ensemble, as a voter or not.
func (e *Ensemble) IsMember(id ServerID) bool {
	_, ok := slices.BinarySearch(e.Others, id)
	return ok || e.IsVoter(id)
}

// Weight is what a voter's vote weighs, 0 for everybody else.
func (e *Ensemble) Weight(id ServerID) int64 {
	if !e.IsVoter(id) {
		return 0
	}
	for _, g := range e.Groups {
		for _, v := range g.Members {
			if v.ID == id {
				return v.Weight
			}
		}
	}
	return 1
}

// CountsAs tells whether the quorums of both are the same.
func (e *Ensemble) CountsAs(other *Ensemble) bool {
	return slices.Equal(e.Voters, other.Voters) && slices.EqualFunc(e.Groups, other.Groups, func(a, b QuorumGroup) bool { return slices.Equal(a.Members, b.Members) })
}

// IsQuorum tells whether the voters for which has says yes are a quorum: more than half of the voters; with groups, more than half of the groups that weigh anything,
// each won by more than half of its weight.
func (e *Ensemble) IsQuorum(has func(ServerID) bool) bool {
	if len(e.Groups) == 0 {
		n := 0
		for _, v := range e.Voters {
			if has(v) {
				n++
			}
		}
		return n > len(e.Voters)/2
	}
	groups, won := 0, 0
	for _, g := range e.Groups {
		var all, mine int64
		for _, v := range g.Members {
			if !e.IsVoter(v.ID) {
				continue
			}
			all += v.Weight
			if has(v.ID) {
				mine += v.Weight
			}
		}
		if all == 0 {
			continue
		}
		groups++
		if mine > all/2 {
			won++
		}
	}
	return won > groups/2
}
