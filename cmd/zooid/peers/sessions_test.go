package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// command runs a command of zooid to its end.
func command(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, zooidBinary(t), args...)
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("zooid %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// listed is a session as `zooid sessions --json` shows it.
type listed struct {
	ID         string `json:"id"`
	ExpiresMs  int64  `json:"expires_ms"`
	Ephemerals int    `json:"ephemerals"`
	Local      bool   `json:"local"`
	Client     string `json:"client"`
	Server     int    `json:"server"`
}

// sessionsOf lists by id what one server is asked for.
func sessionsOf(t *testing.T, m *member) (all map[string]listed, problems string) {
	t.Helper()
	out, problems, code := command(t, "sessions", "--json", "--server", m.addr(), "--auth", string(superAuth.Data))
	if code != 0 {
		t.Fatalf("sessions of %s: exit %d, %s", m, code, problems)
	}
	all = map[string]listed{}
	for line := range strings.Lines(out) {
		var l listed
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all[l.ID] = l
	}
	return all, problems
}

// victim is a session that is to be ended: on one server, with an ephemeral node or, a local one, with none.
type victim struct {
	*client.Client
	on     *member
	id     string
	path   string
	states *client.StateStream
}

func (e *ensemble) victim(on *member, ephemeral bool) *victim {
	e.t.Helper()
	c, err := client.Dial(within(e.t), on.addr(), client.Options{SessionTimeout: 60 * time.Second})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.Close(ctx) // its session may be over
	})
	v := &victim{Client: c, on: on, id: fmt.Sprintf("0x%x", uint64(c.SessionID())), states: c.States()}
	if ephemeral {
		v.path = "/held-" + v.id
		for _, path := range []string{v.path, v.path + "-too"} {
			if _, err := c.Create(within(e.t), path, nil, client.CreateOptions{Mode: wire.Ephemeral}); err != nil {
				e.t.Fatal(err)
			}
		}
	}
	return v
}

// ended waits until the client has found its session expired.
func (v *victim) ended(t *testing.T) {
	t.Helper()
	for {
		s, err := v.states.Next(within(t))
		if err != nil {
			t.Fatalf("session %s: %v", v.id, err)
		}
		if s.State == client.Lost {
			if !errors.Is(s.Err, wire.ErrSessionExpired) {
				t.Errorf("session %s is over for another reason: %v", v.id, s.Err)
			}
			return
		}
	}
}

// TestSessionsOfAnEnsemble: any server lists the sessions of all, also those that only one of them knows, and ends any of them. Its client finds it expired, and its nodes go in one transaction.
func TestSessionsOfAnEnsemble(t *testing.T) {
	e := newEnsemble(t, []kind{zooid, zooid, zooid, observing(zooid)}, "localSessionsEnabled=true", "localSessionsUpgradingEnabled=true")
	e.startAll()
	e.expectLeader(3)
	var victims []*victim
	for _, m := range e.members {
		victims = append(victims, e.victim(m, true), e.victim(m, false))
	}
	for _, m := range e.members {
		all, problems := sessionsOf(t, m)
		if problems != "" {
			t.Errorf("%s: %s", m, problems)
		}
		for _, v := range victims {
			l, there := all[v.id]
			if !there || l.Server != v.on.id || !strings.HasPrefix(l.Client, "127.0.0.1:") || l.ExpiresMs < 1 || l.ExpiresMs > 62_000 || l.Local != (v.path == "") || !l.Local && l.Ephemerals != 2 {
				t.Errorf("%s shows session %s of %s as %+v", m, v.id, v.on, l)
			}
		}
	}
	through := e.connect(e.member(2))
	for i, v := range victims {
		asked := e.members[(v.on.id+i%2)%len(e.members)] // never the one that it is on
		if asked == v.on {
			t.Fatal("a server was to end its own session")
		}
		paths, watches := nodesOf(t, through, v)
		if out, problems, code := command(t, "sessions", "end", v.id, "--server", asked.addr(), "--auth", string(superAuth.Data)); code != 0 || out != "session "+v.id+" has ended\n" {
			t.Errorf("%s ends session %s of %s: exit %d, %s%s", asked, v.id, v.on, code, out, problems)
			continue
		}
		v.ended(t)
		wentTogether(t, paths, watches)
		if all, _ := sessionsOf(t, asked); all[v.id] != (listed{}) {
			t.Errorf("%s still shows it: %+v", asked, all[v.id])
		}
	}
	if _, problems, code := command(t, "sessions", "end", "0x1234", "--server", e.member(1).addr(), "--auth", string(superAuth.Data)); code != 1 || !strings.Contains(problems, "unknown session") {
		t.Errorf("a session that is nowhere: exit %d, %s", code, problems)
	}

	held := e.victim(e.member(1), true)
	e.member(4).stop(t)
	all, problems := sessionsOf(t, e.member(2))
	if all[held.id].Server != 1 || !strings.Contains(problems, "server 4 could not be asked at "+e.member(4).addr()) {
		t.Errorf("with the observer away: %+v, %s", all[held.id], problems)
	}
	if _, problems, code := command(t, "sessions", "end", "0x1234", "--server", e.member(2).addr(), "--auth", string(superAuth.Data)); code != 1 || !strings.Contains(problems, "server 4, which might know it, could not be asked at") {
		t.Errorf("a session that the observer might know: exit %d, %s", code, problems)
	}
	e.member(1).kill() // its client can go nowhere else: the leader knows when it expires
	if all, _ = sessionsOf(t, e.member(2)); all[held.id].Client != "" || all[held.id].ExpiresMs < 1 {
		t.Errorf("a session without a server: %+v", all[held.id])
	}
	e.compareTrees()
}

// nodesOf arms a watch on each node of v.
func nodesOf(t *testing.T, through *client.Client, v *victim) (paths []string, watches []*client.Watch) {
	t.Helper()
	if v.path == "" {
		return nil, nil
	}
	if err := through.Sync(within(t), "/"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{v.path, v.path + "-too"} {
		there, _, watch, err := through.ExistsW(within(t), path)
		if err != nil || !there {
			t.Fatalf("%s: %v, %v", path, there, err)
		}
		paths, watches = append(paths, path), append(watches, watch)
	}
	return paths, watches
}

// wentTogether waits for the watches: one transaction has deleted all nodes.
func wentTogether(t *testing.T, paths []string, watches []*client.Watch) {
	t.Helper()
	var zxid int64
	for i, w := range watches {
		event, err := w.Next(within(t))
		if err != nil || event.Type != wire.EventNodeDeleted || event.Path != paths[i] || event.Zxid <= 0 || zxid != 0 && event.Zxid != zxid {
			t.Errorf("%s: %+v, %v", paths[i], event, err)
		}
		zxid = event.Zxid
	}
}

// TestSessionsOfAMixture: under a leader of ZooKeeper's too, a server of Zooid ends a session that is connected to one of ZooKeeper's; what only those could tell is said to be missing. And a session
// that is a local one hears why it can have no ephemeral node, not that it has expired.
func TestSessionsOfAMixture(t *testing.T) {
	for _, k := range []kind{apache38, apache39} {
		t.Run(string(k), func(t *testing.T) {
			e := newEnsemble(t, []kind{zooid, zooid, k}, "-Dzookeeper.DigestAuthenticationProvider.superDigest="+superDigest)
			e.startAll()
			e.expectLeader(3)
			for _, on := range []*member{e.member(3), e.member(2)} {
				v := e.victim(on, true)
				all, problems := sessionsOf(t, e.member(1))
				server := 0
				if on.kind == zooid {
					server = on.id
				}
				if l, there := all[v.id]; !there || l.Ephemerals != 2 || l.Server != server {
					t.Errorf("session %s of %s: %+v", v.id, on, l)
				}
				if !strings.Contains(problems, "server 3 could not be asked") || !strings.Contains(problems, "it is no server of Zooid") {
					t.Errorf("problems: %s", problems)
				}
				paths, watches := nodesOf(t, e.connect(e.member(1)), v)
				if out, problems, code := command(t, "sessions", "end", v.id, "--server", e.member(1).addr(), "--auth", string(superAuth.Data)); code != 0 {
					t.Errorf("session %s of %s: exit %d, %s%s", v.id, on, code, out, problems)
					continue
				}
				v.ended(t)
				wentTogether(t, paths, watches)
			}
		})
		t.Run(string(k)+" local", func(t *testing.T) {
			e := newEnsemble(t, []kind{zooid, observing(zooid), k}, "localSessionsEnabled=true")
			e.startAll()
			e.expectLeader(3)
			for _, m := range e.members[:2] {
				c := e.connect(m)
				if _, err := c.Create(within(t), fmt.Sprintf("/p-%d", m.id), nil, client.CreateOptions{}); err != nil {
					t.Errorf("%s: %v", m, err)
				}
				if _, err := c.Create(within(t), "/e", nil, client.CreateOptions{Mode: wire.Ephemeral}); !errors.Is(err, wire.ErrEphemeralOnLocalSession) {
					t.Errorf("%s: %v", m, err)
				}
			}
		})
	}
}
