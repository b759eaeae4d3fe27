package zooidtest_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
)

// figures are the numbers of mntr.
func figures(t *testing.T, s *zooidtest.Server) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for name, text := range protocoltest.Mntr(t, s.Addr()) {
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			all[name] = v
		}
	}
	return all
}

// has waits until a server shows these figures.
func has(t *testing.T, s *zooidtest.Server, want map[string]float64) {
	t.Helper()
	var got map[string]float64
	differ := func() (names []string) {
		got = figures(t, s)
		for name, value := range want {
			if v, ok := got[name]; !ok || v != value {
				names = append(names, name)
			}
		}
		return names
	}
	for end := time.Now().Add(patience); len(differ()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			for _, name := range differ() {
				t.Errorf("%s is %v, want %v", name, got[name], want[name])
			}
			t.FailNow()
		}
	}
}

// TestMntrOfAnEnsemble: what monitoring is told of an ensemble is what has happened to it.
func TestMntrOfAnEnsemble(t *testing.T) {
	e := zooidtest.StartEnsemble(t, 3, 1, zooidtest.InMemory(), zooidtest.AdminHTTP(), zooidtest.Set("tickTime", "200"), zooidtest.Set("maxSessionTimeout", "60000"), zooidtest.Set("4lw.commands.whitelist", "*"))
	leader, observer := e.Leader(), e.Servers[3]
	has(t, leader, map[string]float64{
		"learners": 3, "followers": 2, "synced_followers": 2, "synced_non_voting_followers": 0, "synced_observers": 1, "pending_syncs": 0, "quorum_size": 3,
	})
	has(t, e.Followers()[0], map[string]float64{"synced_observers": 0})
	for i, s := range e.Servers {
		f := figures(t, s)
		if _, leads := f["leader_uptime"]; leads != (s == leader) {
			t.Errorf("server %d has leader_uptime: %v", i+1, leads)
		}
		if f["looking_count"] < 1 || f["cnt_election_time"] < 1 || f["cnt_election_time"] > f["looking_count"] {
			t.Errorf("server %d has looked %v times for %v elections", i+1, f["looking_count"], f["cnt_election_time"])
		}
		if s != leader && f["cnt_follower_sync_time"]+f["cnt_observer_sync_time"] < 1 {
			t.Errorf("server %d was never brought up", i+1)
		}
	}
	body := command(t, leader, "observers")
	if list := body["observers"].([]any); body["synced_observers"] != 1.0 || len(list) != 1 || list[0].(map[string]any)["sid"] != 4.0 {
		t.Errorf("observers of the leader: %v", body)
	}

	before := figures(t, leader)
	c := dial(t, observer, client.Options{})
	for range 5 {
		set(t, c, "/a", strings.Repeat("x", 1000))
	}
	if err := c.Sync(within(t), "/a"); err != nil {
		t.Fatal(err)
	}
	after := figures(t, leader)
	if n := after["proposal_count"] - before["proposal_count"]; n < 6 || after["commit_count"]-before["commit_count"] != n { // the session, the refused write, and these; others' sessions may come in between
		t.Errorf("%v proposals and %v commits", n, after["commit_count"]-before["commit_count"])
	}
	if after["max_proposal_size"] < 1000 || after["min_proposal_size"] >= 1000 || after["min_proposal_size"] <= 0 {
		t.Errorf("sizes of proposals: %v to %v", after["min_proposal_size"], after["max_proposal_size"])
	}
	if text := protocoltest.Word(t, leader.Addr(), "srvr"); strings.Contains(text, "last/min/max: -1") || !strings.Contains(text, "\nProposal sizes ") {
		t.Error(text)
	}

	leader.Kill()
	next := e.AwaitLeader(leader)
	e.Wait()
	has(t, next, map[string]float64{"learners": 2, "synced_followers": 1, "synced_observers": 1})
	if f := figures(t, next); f["looking_count"] < 2 || f["cnt_election_time"] < 2 || f["leader_uptime"] >= f["uptime"] || f["cnt_unavailable_time"] < 1 {
		t.Errorf("after the loss of the leader: looked %v times, %v elections, leads for %v of %v ms, and was away %v times", f["looking_count"], f["cnt_election_time"], f["leader_uptime"], f["uptime"],
			f["cnt_unavailable_time"])
	}

	snapshots := figures(t, next)["snap_count"]
	leader.Restart() // it has lost everything
	e.Wait()
	has(t, next, map[string]float64{"learners": 3, "synced_followers": 2})
	if f := figures(t, next); f["snap_count"] <= snapshots || f["diff_count"] < 1 {
		t.Errorf("an empty server was brought up: %v snapshots, before that %v, and %v others", f["snap_count"], snapshots, f["diff_count"])
	}
}

// A follower's observers are its own: it shows them, and the leader does not.
func TestMntrOfAnObserverMaster(t *testing.T) {
	e := zooidtest.StartEnsemble(t, 3, 1, zooidtest.Set("tickTime", "500"), zooidtest.Set("observerMasterPort", "2191"), zooidtest.Set("4lw.commands.whitelist", "*"))
	has(t, e.Leader(), map[string]float64{"learners": 2, "synced_observers": 0})
	eventually(t, "one follower that has the observer", func() bool {
		return figures(t, e.Followers()[0])["synced_observers"]+figures(t, e.Followers()[1])["synced_observers"] == 1
	})
}

// Snapshots are timed where there are any: the node store on disk is its own.
func TestMntrOfSnapshots(t *testing.T) {
	s := zooidtest.Start(t, zooidtest.Set("plugin.nodes", "memory"), zooidtest.Set("snapCount", "2"), zooidtest.Set("tickTime", "100"), zooidtest.Set("maxSessionTimeout", "60000"),
		zooidtest.Set("4lw.commands.whitelist", "*"))
	c := dial(t, s, client.Options{})
	for range 5 {
		set(t, c, "/a", "x")
	}
	var saved kernel.SnapshotInfo
	eventually(t, "a snapshot", func() bool {
		saved = s.Host().Status().Saved
		return !saved.Time.IsZero()
	})
	if f := figures(t, s); f["cnt_snapshottime"] < 1 || f["sum_snapshottime"] < f["max_snapshottime"] {
		t.Errorf("%v snapshots in %v ms, the longest in %v", f["cnt_snapshottime"], f["sum_snapshottime"], f["max_snapshottime"])
	}
}
