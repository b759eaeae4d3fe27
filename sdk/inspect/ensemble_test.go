package inspect

import (
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// What a server shows of its ensemble goes by what it is.
func TestNodeFigures(t *testing.T) {
	members := []kernel.Member{{ID: 1, Voter: true}, {ID: 2, Voter: true}, {ID: 3, Voter: true}, {ID: 4}}
	figures := kernel.Figures{
		RoleSince: time.Now().Add(-time.Hour), Syncs: 4, Diffs: 5, Snapshots: 6, Divergences: 10, Proposed: 7, Committed: 8, Looks: 9,
		Proposals: kernel.Sizes{Count: 3, Last: 20, Min: 10, Max: 30},
		Elections: kernel.Times{Count: 2, Sum: 25 * time.Millisecond, Min: 5 * time.Millisecond, Max: 20 * time.Millisecond},
		Learners: []kernel.Learner{
			{ID: 2, Voter: true, Synced: true}, {ID: 3, Voter: true}, {ID: 5, Synced: true}, // a server that is to join
			{ID: 4, Observer: true, Synced: true}, {ID: 6, Observer: true},
		},
	}
	everywhere := map[string]float64{
		"diff_count": 5, "divergence_count": 10, "snap_count": 6, "proposal_count": 7, "commit_count": 8, "looking_count": 9,
		"avg_election_time": 12.5, "min_election_time": 5, "max_election_time": 20, "cnt_election_time": 2, "sum_election_time": 25, "avg_unavailable_time": 0, "cnt_snapshottime": 0,
	}
	leader := map[string]float64{
		"learners": 5, "followers": 3, "synced_followers": 2, "synced_non_voting_followers": 1, "pending_syncs": 4, "last_proposal_size": 20, "min_proposal_size": 10, "max_proposal_size": 30,
	}
	for _, c := range []struct {
		name    string
		status  kernel.Status
		state   string
		leads   bool
		quorum  float64 // -1: it is not shown
		observe float64
	}{
		{"standalone", kernel.Status{Role: kernel.Leading, Serving: true, Figures: figures}, "", false, -1, -1},
		{"leader", kernel.Status{Role: kernel.Leading, Serving: true, Members: members, Figures: figures}, "leading - broadcast", true, 3, 1},
		{"follower", kernel.Status{Role: kernel.Following, Serving: true, Members: members, Figures: figures}, "following - broadcast", false, 3, 1},
		{"observer", kernel.Status{Role: kernel.Observing, Serving: true, Members: members, Figures: figures}, "observing - broadcast", false, 3, -1},
		{"read-only", kernel.Status{Role: kernel.Looking, ReadOnly: true, Members: members, Figures: figures}, "", false, 3, -1},
		{"not yet", kernel.Status{Role: kernel.Following, Members: members, Figures: figures}, "", false, 3, 1},
	} {
		got := map[string]float64{}
		nodeFigures(c.status, func(name string, value float64) { got[name] = value })
		want := func(name string, value float64) {
			if v, ok := got[name]; ok != (value != -1) || ok && v != value {
				t.Errorf("%s: %s is %v (%v), want %v", c.name, name, v, ok, value)
			}
		}
		for name, value := range everywhere {
			want(name, value)
		}
		for name, value := range leader {
			if !c.leads {
				value = -1
			}
			want(name, value)
		}
		want("quorum_size", c.quorum)
		want("synced_observers", c.observe)
		if up, ok := got["leader_uptime"]; ok != c.leads || ok && (up < 3600_000 || up > 3700_000) {
			t.Errorf("%s: leader_uptime is %v (%v)", c.name, up, ok)
		}
		if state := peerState(c.status); state != c.state {
			t.Errorf("%s: peer_state is %q, want %q", c.name, state, c.state)
		}
	}
}

func TestSizesOfNoProposal(t *testing.T) {
	if s := ProposalSizes(kernel.Sizes{}); s.Last != -1 || s.Min != -1 || s.Max != -1 {
		t.Errorf("%+v", s)
	}
	if s := ProposalSizes(kernel.Sizes{Count: 1}); s.Last != 0 || s.Min != 0 || s.Max != 0 {
		t.Errorf("%+v", s)
	}
}
