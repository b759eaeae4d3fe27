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

// moved are the stages of the write path that have handled more since before.
func moved(t *testing.T, s *zooidtest.Server, before map[string]float64) string {
	t.Helper()
	after := figures(t, s)
	var all []string
	for stage := range kernel.NumStages {
		name := "stage_" + stage.String()
		if after[name+"_batches"] > before[name+"_batches"] && after[name+"_handled"] > before[name+"_handled"] && after[name+"_ms"] >= before[name+"_ms"] {
			all = append(all, stage.String())
		}
	}
	return strings.Join(all, " ")
}

// One set moves the figures of every stage that it goes through, on every server. Whoever wants no metrics has none of them.
func TestMntrOfTheStages(t *testing.T) {
	words := zooidtest.Set("4lw.commands.whitelist", "*")
	t.Run("one server", func(t *testing.T) {
		s := zooidtest.Start(t, words)
		c := dial(t, s, client.Options{})
		set(t, c, "/a", "1")
		before := figures(t, s)
		set(t, c, "/a", "2")
		const want = "decode route prepare propose append sync ack commit apply reply"
		eventually(t, want, func() bool { return moved(t, s, before) == want })
		after := figures(t, s)
		for _, stage := range []string{"decode", "prepare", "propose", "append", "sync", "apply", "reply"} {
			if name := "stage_" + stage + "_ms"; after[name] <= before[name] || after[name]-before[name] > float64(patience.Milliseconds()) {
				t.Errorf("%s went from %v to %v", name, before[name], after[name])
			}
		}
		if n := after["stage_ack_handled"] - before["stage_ack_handled"]; n != 1 {
			t.Errorf("%v transactions were confirmed, want 1", n)
		}
	})
	t.Run("an ensemble", func(t *testing.T) {
		e := zooidtest.StartEnsemble(t, 3, 0, append([]zooidtest.Option{zooidtest.InMemory(), words}, quick...)...)
		leader, followers := e.Leader(), e.Followers()
		c := dial(t, followers[0], client.Options{})
		set(t, c, "/a", "1")
		before := map[*zooidtest.Server]map[string]float64{}
		for _, s := range e.Servers {
			before[s] = figures(t, s)
		}
		set(t, c, "/a", "2")
		for s, want := range map[*zooidtest.Server]string{
			leader: "prepare propose append sync ack commit apply", followers[0]: "decode route append sync ack commit apply reply", followers[1]: "append sync ack commit apply",
		} {
			eventually(t, want, func() bool { return moved(t, s, before[s]) == want })
		}
	})
	t.Run("no metrics", func(t *testing.T) {
		s := zooidtest.Start(t, words, zooidtest.Set("metricsProvider.className", "org.apache.zookeeper.metrics.impl.NullMetricsProvider"))
		set(t, dial(t, s, client.Options{}), "/a", "1")
		for name := range figures(t, s) {
			if strings.HasPrefix(name, "stage_") {
				t.Errorf("%s is there", name)
			}
		}
	})
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
