package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/inspect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stubMachine has one session, two ephemerals and three watches.
type stubMachine struct{ kernel.StateMachine }

type stubSessions struct{ kernel.Sessions }

// stubClients is a gateway with one connection.
type stubClients struct{ kernel.Gateway }

var traceMask atomic.Int64

// host is a node of those.
type host struct{ status *kernel.Status }

func (h host) Submit(*kernel.Request) error                    { return nil }
func (h host) Machine() kernel.StateMachine                    { return stubMachine{} }
func (h host) Status() kernel.Status                           { return *h.status }
func (h host) Authenticators() map[string]kernel.Authenticator { return nil }
func (h host) Gateways() []kernel.Gateway                      { return []kernel.Gateway{stubClients{}} }
func (h host) Stages() *kernel.StageObserver                   { return nil }

func (stubMachine) Sessions() kernel.Sessions { return stubSessions{} }

func (stubMachine) Gauges(set func(string, float64)) { set("znode_count", 5) }
func (stubSessions) List(yield func(kernel.SessionInfo) bool) {
	yield(kernel.SessionInfo{ID: 17, Expires: time.Second})
}
func (stubMachine) Ephemerals(yield func(kernel.SessionID, string) bool) {
	_ = yield(17, "/e1") && yield(17, "/e2")
}
func (stubMachine) Watches(yield func(string, kernel.SessionID) bool) {
	_ = yield("/a", 17) && yield("/a", 18) && yield("/b", 17)
}
func (stubMachine) WatchSummary() (int, int, int)                       { return 2, 2, 3 }
func (stubMachine) Digests(yield func(kernel.Zxid, int32, uint64) bool) { yield(128, 2, 1<<63) }

func (stubClients) Connections(yield func(inspect.Connection) bool) {
	yield(inspect.Connection{Remote: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4}, Session: 17, LastOp: "GETD", LastCxid: 3})
}
func (stubClients) Figures(set func(string, float64)) { set("avg_latency", 0); set("packets_sent", 9) }
func (stubClients) ServerStats() inspect.ServerStats  { return inspect.ServerStats{Sent: 9} }
func (stubClients) ResetServerStats()                 {}
func (stubClients) ResetConnectionStats()             {}
func (stubClients) TraceMask() int64                  { return traceMask.Load() }
func (stubClients) SetTraceMask(mask int64)           { traceMask.Store(mask) }
func (stubClients) Configuration() inspect.Configuration {
	return inspect.Configuration{ClientPort: 2181, DataDir: "/data"}
}

func start(t *testing.T, h kernel.Host, given map[string]string) (*Gateway, string) {
	t.Helper()
	all := map[string]string{"address": "127.0.0.1", "port": "0"}
	for k, v := range given {
		all[k] = v
	}
	o, err := kernel.NewOptions("gateway", "admin", options, all, nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := New(kernel.Env{Logger: slog.New(slog.DiscardHandler)}, o)
	if err != nil {
		t.Fatal(err)
	}
	g := made.(*Gateway)
	if err := g.Start(h); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	if g.Addrs() == nil {
		return g, ""
	}
	return g, "http://" + g.Addrs()["admin"].String()
}

func fetch(t *testing.T, method, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func serving() host {
	return host{&kernel.Status{Serving: true, Role: kernel.Leading, Started: time.Now()}}
}

func TestEveryCommandIsJSONWithItsName(t *testing.T) {
	_, base := start(t, serving(), nil)
	for _, c := range commands {
		for _, name := range c.names {
			status, body := fetch(t, "GET", base+"/commands/"+name)
			var got map[string]any
			if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
				t.Fatalf("%s: %d %v\n%s", name, status, err, body)
			}
			if got["command"] != c.names[0] {
				t.Errorf("%s: command %v", name, got["command"])
			}
			if _, ok := got["error"]; !ok {
				t.Errorf("%s: no field error", name)
			}
		}
	}
}

func TestLayout(t *testing.T) {
	_, base := start(t, serving(), nil)
	for path, want := range map[string]string{
		"ruok":          "{\n  \"command\" : \"ruok\",\n  \"error\" : null\n}\n",
		"nonsense":      "{\n  \"command\" : \"nonsense\",\n  \"error\" : \"Unknown command: nonsense\"\n}\n",
		"watch_summary": "{\n  \"num_connections\" : 2,\n  \"num_paths\" : 2,\n  \"num_total_watches\" : 3,\n  \"command\" : \"watch_summary\",\n  \"error\" : null\n}\n",
		"wchp":          "{\n  \"path_to_session_ids\" : {\n    \"/a\" : [ 17, 18 ],\n    \"/b\" : [ 17 ]\n  },\n  \"command\" : \"watches_by_path\",\n  \"error\" : null\n}\n",
		"hash":          "{\n  \"digests\" : [ {\n    \"zxid\" : 128,\n    \"digest\" : 9223372036854775808,\n    \"digest_version\" : 2\n  } ],\n  \"command\" : \"hash\",\n  \"error\" : null\n}\n",
		"leader":        "{\n  \"command\" : \"leader\",\n  \"error\" : \"server is not initialized\"\n}\n",
		"observers":     "{\n  \"synced_observers\" : 0,\n  \"observers\" : [ ],\n  \"command\" : \"observers\",\n  \"error\" : null\n}\n",
	} {
		if _, body := fetch(t, "GET", base+"/commands/"+path); body != want {
			t.Errorf("%s:\n%s\nwant\n%s", path, body, want)
		}
	}
	_, mntr := fetch(t, "GET", base+"/commands/monitor")
	for _, part := range []string{"\"server_state\" : \"standalone\"", "\"avg_latency\" : 0.0", "\"znode_count\" : 5", "\"packets_sent\" : 9"} {
		if !strings.Contains(mntr, part) {
			t.Errorf("monitor has no %s:\n%s", part, mntr)
		}
	}
}

// A server of an ensemble shows the observers that it has brought up, and a leader the sizes of its proposals.
func TestEnsemble(t *testing.T) {
	h := serving()
	h.status.Members = []kernel.Member{{ID: 1, Voter: true}, {ID: 2, Voter: true}, {ID: 3}}
	h.status.Figures = kernel.Figures{
		Learners: []kernel.Learner{
			{ID: 2, Voter: true, Synced: true}, {ID: 3, Observer: true, Synced: true, Told: kernel.MakeZxid(2, 17), Since: time.UnixMilli(1_700_000_000_123)}, {ID: 4, Observer: true},
		},
		Proposals: kernel.Sizes{Count: 2, Last: 70, Min: 50, Max: 71},
	}
	_, base := start(t, h, nil)
	var body struct {
		Count     int              `json:"synced_observers"`
		Observers []map[string]any `json:"observers"`
		Sizes     map[string]int   `json:"proposal_stats"`
	}
	ask := func(name string) {
		t.Helper()
		if _, text := fetch(t, "GET", base+"/commands/"+name); json.Unmarshal([]byte(text), &body) != nil {
			t.Fatal(text)
		}
	}
	ask("observers")
	if body.Count != 1 || len(body.Observers) != 1 || body.Observers[0]["sid"] != 3.0 || body.Observers[0]["established"] != 1_700_000_000_123.0 || body.Observers[0]["last_zxid"] != "0x200000011" {
		t.Errorf("%+v", body)
	}
	if packets, ok := body.Observers[0]["packets_sent"]; !ok || packets != nil {
		t.Errorf("packets_sent is %v, which nobody counts", packets)
	}
	if ask("server_stats"); body.Sizes["last_buffer_size"] != 70 || body.Sizes["min_buffer_size"] != 50 || body.Sizes["max_buffer_size"] != 71 {
		t.Errorf("%+v", body)
	}
	body.Sizes, h.status.Role = nil, kernel.Following
	if ask("stats"); body.Sizes != nil {
		t.Errorf("a follower has %+v", body)
	}
}

func TestTraceMask(t *testing.T) {
	_, base := start(t, serving(), nil)
	for _, step := range []struct{ path, want string }{
		{"set_trace_mask?traceMask=34", `"tracemask" : 34`},
		{"get_trace_mask", `"tracemask" : 34`},
		{"stmk?traceMask=all", `"error" : "set_trace_mask needs traceMask=NUMBER"`},
		{"stmk", `"error" : "set_trace_mask needs traceMask=NUMBER"`},
		{"gtmk", `"tracemask" : 34`},
	} {
		if _, body := fetch(t, "GET", base+"/commands/"+step.path); !strings.Contains(body, step.want) {
			t.Errorf("%s: %s", step.path, body)
		}
	}
}

func TestInitialConfiguration(t *testing.T) {
	for text, want := range map[string]string{"": `null`, "a=1\n# x \"y\"\n": `"a=1\n# x \"y\"\n"`} {
		_, base := start(t, serving(), map[string]string{"initialConfiguration": text})
		if _, body := fetch(t, "GET", base+"/commands/icfg"); body != "{\n  \"initial_configuration\" : "+want+",\n  \"command\" : \"initial_configuration\",\n  \"error\" : null\n}\n" {
			t.Error(body)
		}
	}
}

func TestLastSnapshot(t *testing.T) {
	h := serving()
	_, base := start(t, h, nil)
	for _, c := range []struct {
		saved kernel.SnapshotInfo
		want  string
	}{
		{kernel.SnapshotInfo{Zxid: kernel.MakeZxid(2, 17)}, `"zxid" : "200000011",` + "\n  " + `"timestamp" : -1`},
		{kernel.SnapshotInfo{Zxid: kernel.MakeZxid(2, 18), Time: time.Unix(1_700_000_000, 5)}, `"zxid" : "200000012",` + "\n  " + `"timestamp" : 1700000000`},
	} {
		h.status.Saved = c.saved
		if _, body := fetch(t, "GET", base+"/commands/last_snapshot"); !strings.Contains(body, c.want) {
			t.Errorf("%s\nwant %s", body, c.want)
		}
	}
}

func TestMethods(t *testing.T) {
	_, base := start(t, serving(), nil)
	for method, want := range map[string]int{"GET": 200, "TRACE": 403, "PUT": 405, "POST": 405, "DELETE": 405} {
		if got, _ := fetch(t, method, base+"/commands/ruok"); got != want {
			t.Errorf("%s: %d, want %d", method, got, want)
		}
	}
	if got, _ := fetch(t, "GET", base+"/"); got != 404 {
		t.Errorf("/: %d", got)
	}
	_, index := fetch(t, "GET", base+"/commands")
	lines := strings.Split(strings.TrimSpace(index), "\n")
	if len(lines) != len(commands) || !slices.IsSorted(lines) || !strings.HasSuffix(lines[0], "<br/>") {
		t.Errorf("index:\n%s", index)
	}
}

func TestHealth(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*kernel.Status)
		code   int
		part   string
	}{
		"serving":   {func(*kernel.Status) {}, 200, "ok: standalone"},
		"not yet":   {func(s *kernel.Status) { s.Serving = false; s.Role = kernel.Looking }, 503, "serves no clients"},
		"read-only": {func(s *kernel.Status) { s.Serving = false; s.ReadOnly = true }, 503, "no quorum"},
		"full":      {func(s *kernel.Status) { s.Refusing = errors.New("no space left") }, 503, "no space left"},
	} {
		t.Run(name, func(t *testing.T) {
			h := serving()
			c.change(h.status)
			_, base := start(t, h, nil)
			if code, body := fetch(t, "GET", base+"/readyz"); code != c.code || !strings.Contains(body, c.part) {
				t.Errorf("readyz: %d %q", code, body)
			}
			if code, _ := fetch(t, "GET", base+"/livez"); code != 200 {
				t.Errorf("livez: %d", code)
			}
			_, body := fetch(t, "GET", base+"/commands/monitor")
			if refused := strings.Contains(body, notServing); refused != (name == "not yet") {
				t.Errorf("monitor: %s", body)
			}
			if _, body := fetch(t, "GET", base+"/commands/ruok"); !strings.Contains(body, "\"error\" : null") {
				t.Errorf("ruok: %s", body)
			}
		})
	}
}

// A port that is taken keeps no server from starting, but its operator must hear of it.
func TestTakenPortIsNoError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	o, err := kernel.NewOptions("gateway", "admin", options, map[string]string{"address": "127.0.0.1", "port": port}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer // of this goroutine: nothing else runs when the port is taken
	g, err := New(kernel.Env{Logger: slog.New(slog.NewTextHandler(&log, nil))}, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(serving()); err != nil {
		t.Fatalf("a taken port is an error: %v", err)
	}
	defer g.Stop()
	if g.Addrs() != nil {
		t.Fatal("it says that it listens on a port that is taken")
	}
	for _, want := range []string{"level=WARN", "no admin server", "admin.serverPort", "address=" + l.Addr().String(), "in use"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not logged: %s", want, log.String())
		}
	}
}

func TestSwitchedOff(t *testing.T) {
	o, err := kernel.NewOptions("gateway", "admin", options, map[string]string{"enable": "false"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := New(kernel.Env{}, o); g != nil || err != nil {
		t.Fatalf("got %v, %v", g, err)
	}
}
