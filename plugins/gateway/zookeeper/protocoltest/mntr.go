package protocoltest

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The keys of mntr, without zk_, that exporters, dashboards and alert rules read (the starred ones of spec server-surface, 4): of every server, of those of an ensemble, and of its leader.
// They are looked up by name: one that is missing is a blank panel, or an alert that never fires.
var (
	everyServers = append([]string{
		"avg_latency", "max_latency", "min_latency", "packets_received", "packets_sent", "num_alive_connections", "outstanding_requests", "uptime", "znode_count", "watch_count",
		"ephemerals_count", "approximate_data_size", "global_sessions", "open_file_descriptor_count", "max_file_descriptor_count", "auth_failed_count", "looking_count", "diff_count", "snap_count",
		"connection_request_count", "unrecoverable_error_count", "connection_drop_count", "stale_sessions_expired", "proposal_count", "request_throttle_wait_count", "digest_mismatches_count",
		"commit_count", "p50_readlatency", "p95_readlatency", "p99_readlatency", "p999_readlatency", "p50_updatelatency", "p95_updatelatency", "p99_updatelatency", "p999_updatelatency",
	}, summaries("fsynctime", "snapshottime", "follower_sync_time", "election_time", "unavailable_time", "readlatency", "updatelatency")...)
	ensembles = []string{"quorum_size"}
	leaders   = []string{
		"learners", "followers", "synced_followers", "synced_observers", "synced_non_voting_followers", "pending_syncs", "leader_uptime", "last_proposal_size", "min_proposal_size", "max_proposal_size",
	}
)

func summaries(names ...string) (keys []string) {
	for _, name := range names {
		for _, prefix := range []string{"avg_", "min_", "max_", "cnt_", "sum_"} {
			keys = append(keys, prefix+name)
		}
	}
	return keys
}

// Mntr asks a server for mntr: the values by key, without zk_.
func Mntr(t testing.TB, addr string) map[string]string {
	t.Helper()
	values := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSuffix(Word(t, addr, "mntr"), "\n"), "\n") {
		k, v, ok := strings.Cut(line, "\t")
		name, prefixed := strings.CutPrefix(k, "zk_")
		if _, twice := values[name]; !ok || !prefixed || twice {
			t.Fatalf("mntr has the line %q", line)
		}
		values[name] = v
	}
	return values
}

// mntrKeys: a server shows those that its state asks for, and nobody but a leader what only a leader knows. Where the words are not enabled it refuses.
func mntrKeys(t *testing.T, target Target) {
	if !target.Words {
		wordIs(t, target, "mntr", "")
		return
	}
	values := Mntr(t, target.Addr)
	state := values["server_state"]
	keys := everyServers
	switch state {
	case "standalone":
	case "leader":
		keys = slices.Concat(keys, ensembles, leaders)
	case "follower", "observer":
		keys = slices.Concat(keys, ensembles)
	default:
		t.Errorf("zk_server_state is %q", state)
	}
	number := regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	for _, key := range keys {
		if !number.MatchString(values[key]) {
			t.Errorf("zk_%s is %q", key, values[key])
		}
	}
	for _, key := range leaders {
		if v, ok := values[key]; ok && !slices.Contains(keys, key) && !(state == "follower" && key == "synced_observers") {
			t.Errorf("a server that is %s has zk_%s %s", state, key, v)
		}
	}
	if want := map[string]string{"leader": "leading - broadcast", "follower": "following - broadcast", "observer": "observing - broadcast"}[state]; values["peer_state"] != want {
		t.Errorf("zk_peer_state is %q, want %q", values["peer_state"], want)
	}
	if v := values["version"]; !strings.HasPrefix(v, "3.") {
		t.Errorf("zk_version is %q", v)
	}
}
