package inspect

import (
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// nodeFigures are those of the node and of its part in the ensemble. What the leader alone knows only the leader shows, so that a dashboard finds one answer in an ensemble.
func nodeFigures(status kernel.Status, set func(name string, value float64)) {
	f := status.Figures
	set("looking_count", float64(f.Looks))
	set("divergence_count", float64(f.Divergences))
	set("diff_count", float64(f.Diffs))
	set("snap_count", float64(f.Snapshots))
	set("proposal_count", float64(f.Proposed))
	set("commit_count", float64(f.Committed))
	summary(set, "fsynctime", status.Syncs.Times)
	summary(set, "snapshottime", f.SnapshotWrites)
	summary(set, "election_time", f.Elections)
	summary(set, "unavailable_time", f.Unavailable)
	summary(set, "follower_sync_time", f.FollowerSyncs)
	summary(set, "observer_sync_time", f.ObserverSyncs)
	if len(status.Members) == 0 {
		return
	}
	voters := 0
	for _, m := range status.Members {
		if m.Voter {
			voters++
		}
	}
	set("quorum_size", float64(voters))
	learners := CountLearners(f.Learners)
	state := ServerState(status)
	if state == "leader" || state == "follower" {
		set("synced_observers", float64(learners.SyncedObservers))
	}
	if state != "leader" {
		return
	}
	set("learners", float64(len(f.Learners)))
	set("followers", float64(learners.Followers)) // of ZooKeeper before 3.6: dashboards still ask for it
	set("synced_followers", float64(learners.SyncedFollowers))
	set("synced_non_voting_followers", float64(learners.SyncedNonVoting))
	set("pending_syncs", float64(f.Syncs))
	if !f.RoleSince.IsZero() {
		set("leader_uptime", float64(time.Since(f.RoleSince).Milliseconds()))
	}
	sizes := ProposalSizes(f.Proposals)
	set("last_proposal_size", float64(sizes.Last))
	set("min_proposal_size", float64(sizes.Min))
	set("max_proposal_size", float64(sizes.Max))
}

// summary shows times as ZooKeeper's plain summaries, in milliseconds; without any all of it is 0.
func summary(set func(name string, value float64), name string, t kernel.Times) {
	set("cnt_"+name, float64(t.Count))
	set("sum_"+name, float64(t.Sum.Milliseconds()))
	set("min_"+name, float64(t.Min.Milliseconds()))
	set("max_"+name, float64(t.Max.Milliseconds()))
	set("avg_"+name, t.Sum.Seconds()*1000/float64(max(t.Count, 1)))
}

// stageFigures are the sums of the stages of the write path: how many hand-overs, how many requests or transactions, and the milliseconds spent. Nothing, where they are not counted.
func stageFigures(o *kernel.StageObserver, set func(name string, value float64)) {
	if o == nil {
		return
	}
	for s := range kernel.NumStages {
		f := o.Figures(s)
		set("stage_"+s.String()+"_batches", float64(f.Batches))
		set("stage_"+s.String()+"_handled", float64(f.Handled))
		set("stage_"+s.String()+"_ms", f.Time.Seconds()*1000)
	}
}

// Learners is how many of which kind a server has. SyncedNonVoting are among SyncedFollowers, and these among Followers.
type Learners struct {
	Followers, SyncedFollowers, SyncedNonVoting, SyncedObservers int
}

// CountLearners counts them. Who serves clients is synced; who has only come, or is being brought up, is not.
func CountLearners(all []kernel.Learner) (n Learners) {
	for _, l := range all {
		switch {
		case l.Observer && l.Synced:
			n.SyncedObservers++
		case l.Observer:
		case !l.Synced:
			n.Followers++
		default:
			n.Followers++
			n.SyncedFollowers++
			if !l.Voter {
				n.SyncedNonVoting++
			}
		}
	}
	return n
}

// ProposalSizes are the sizes as ZooKeeper's leaders show them: -1 for none.
func ProposalSizes(s kernel.Sizes) kernel.Sizes {
	if s.Count == 0 {
		return kernel.Sizes{Last: -1, Min: -1, Max: -1}
	}
	return s
}

// peerState is the role with the phase of the protocol, for a server of an ensemble that serves: its phase is broadcast then. Of one that does not, mntr says nothing at all.
func peerState(s kernel.Status) string {
	word := map[kernel.Role]string{kernel.Leading: "leading", kernel.Following: "following", kernel.Observing: "observing"}[s.Role]
	if len(s.Members) == 0 || word == "" || s.ReadOnly || !s.Serving {
		return ""
	}
	return word + " - broadcast"
}
