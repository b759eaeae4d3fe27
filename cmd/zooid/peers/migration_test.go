package peers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// voteOnlyWithHistory makes a server of ZooKeeper with an empty directory wait until it was brought up before it votes. A server of Zooid does so by itself.
const voteOnlyWithHistory = "db.autocreate=false"

// replace puts an empty server of another kind in a member's place: `zooid docs migration`, step by step. It returns where the old data is.
func (e *ensemble) replace(m *member, by kind) (old string) {
	e.t.Helper()
	m.stop(e.t)
	old = filepath.Join(m.dir, strings.ReplaceAll(string(m.kind), " ", "-")+".old")
	if err := os.RemoveAll(old); err != nil {
		e.t.Fatal(err)
	}
	if err := os.Rename(m.data(), old); err != nil {
		e.t.Fatal(err)
	}
	m.kind = by
	m.writeID(e.t)
	m.start(e.t)
	eventually(e.t, m.String()+" follows", func() bool { return m.mode() == "follower" })
	return old
}

// followersFirst are the members in the order in which they are to be replaced.
func (e *ensemble) followersFirst() []*member {
	e.t.Helper()
	leader := e.waitLeader()
	var out []*member
	for _, m := range e.members {
		if m != leader {
			out = append(out, m)
		}
	}
	return append(out, leader)
}

// kazooClients are those of .ci/peers/client.py.
type kazooClients struct {
	t   testing.TB
	in  io.WriteCloser
	out *bufio.Scanner
}

type kazooReport struct {
	Acked, Unknown, Reconnects int
	Pause                      float64 // in seconds, the longest between two writes of a client in this phase
	Problems                   []string
}

func (e *ensemble) kazooClients() *kazooClients {
	e.t.Helper()
	python := os.Getenv("ZOOID_PEERS_PYTHON")
	if python == "" {
		e.t.Skip("ZOOID_PEERS_PYTHON names no Python that has kazoo: `.ci/peers/run` runs this test")
	}
	cmd := exec.Command(python, filepath.Join("..", "..", "..", ".ci", "peers", "client.py"), e.connectString())
	k := &kazooClients{t: e.t}
	var err error
	if k.in, err = cmd.StdinPipe(); err != nil {
		e.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	k.out = bufio.NewScanner(out)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		_ = k.in.Close()
		timer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		_ = cmd.Wait()
	})
	return k
}

// report asks the clients. Anything that an application would call a loss fails the test.
func (k *kazooClients) report(word string) kazooReport {
	k.t.Helper()
	if _, err := fmt.Fprintln(k.in, word); err != nil {
		k.t.Fatal(err)
	}
	var r kazooReport
	if !k.out.Scan() {
		k.t.Fatal("the clients have ended")
	}
	if err := json.Unmarshal(k.out.Bytes(), &r); err != nil {
		k.t.Fatalf("%s: %v", k.out.Text(), err)
	}
	for _, p := range r.Problems {
		k.t.Error(p)
	}
	return r
}

// more waits until the clients have written so many more nodes.
func (k *kazooClients) more(n int) kazooReport {
	k.t.Helper()
	target := k.report("so far").Acked + n
	eventually(k.t, "the clients write", func() bool { return k.report("so far").Acked >= target || k.t.Failed() })
	return k.report("phase")
}

// TestMigration replaces the servers of a loaded ensemble one by one, from ZooKeeper to Zooid and back, with clients of kazoo connected throughout. No session and no acknowledged write is lost.
func TestMigration(t *testing.T) {
	for _, from := range []kind{apache38, apache39} {
		t.Run(mixName([]kind{from}), func(t *testing.T) {
			e := newEnsemble(t, []kind{from, from, from}, "tickTime=2000", voteOnlyWithHistory)
			for _, m := range e.members { // a new ensemble: here an empty server may vote
				if err := os.WriteFile(filepath.Join(m.data(), "initialize"), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			e.startAll()
			kept := e.fill("kept")
			clients := e.kazooClients()
			clients.more(100)
			for _, to := range []kind{zooid, from} {
				for _, m := range e.followersFirst() {
					began := time.Now()
					e.replace(m, to)
					r := clients.more(100)
					t.Logf("server %d is %s after %.1f s: %d writes so far, none waited longer than %.2f s, %d reconnects", m.id, m.kind, time.Since(began).Seconds(), r.Acked, r.Pause, r.Reconnects)
					kept.checkSessions(t)
				}
				e.waitServing()
			}
			last := clients.report("stop")
			kept.checkSessions(t)
			e.compareTrees()
			e.compareConfig()
			kept.end(t)
			t.Logf("%d writes acknowledged and found, %d of unknown outcome tried again, %d reconnects", last.Acked, last.Unknown, last.Reconnects)
		})
	}
}

// TestEmptyServerHasNoVote: two servers, one that lags and one that is empty, do not go on without what the others have committed.
func TestEmptyServerHasNoVote(t *testing.T) {
	beside(t)
	for _, kinds := range [][2]kind{{apache38, zooid}, {zooid, apache38}, {zooid, zooid}, {zooid, apache39}} {
		t.Run(mixName(kinds[:1])+"-then-"+mixName(kinds[1:]), func(t *testing.T) {
			e := newEnsemble(t, []kind{kinds[0], kinds[0], kinds[0]}, voteOnlyWithHistory)
			for _, m := range e.members {
				if err := os.WriteFile(filepath.Join(m.data(), "initialize"), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			e.startAll()
			lagging, other, replaced := e.member(1), e.member(2), e.member(3)
			c := e.connect(other)
			e.write(c, "/seen-by-all", 1, 1)
			e.level()
			lagging.stop(t)
			e.write(c, "/seen-by-two", 1, 1)
			if err := c.Close(within(t)); err != nil {
				t.Fatal(err)
			}
			other.stop(t)
			replaced.stop(t)

			replaced.wipe(t)
			replaced.kind = kinds[1]
			lagging.start(t)
			replaced.start(t)
			for until := time.Now().Add(8 * time.Second); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
				if mode := lagging.mode(); mode != "" {
					t.Fatalf("%s is %s with the vote of an empty server", lagging, mode)
				}
				if mode := replaced.mode(); mode != "" {
					t.Fatalf("%s is %s and was empty", replaced, mode)
				}
			}

			other.start(t)
			e.waitServing()
			e.expectLeader(other.id)
			e.compareTrees()
			back := e.connect(replaced)
			if found, _, err := back.Exists(within(t), "/seen-by-two"); err != nil || !found {
				t.Fatalf("what was committed: there %v, %v", found, err)
			}
		})
	}
}

// TestOldDirectory: an old directory of the server that was there before. Zooid refuses to start on one of ZooKeeper's; a server of ZooKeeper's that comes back with its own, older than everything
// that has happened since, is brought up to what the others have, as long as a quorum without it is there.
func TestOldDirectory(t *testing.T) {
	for _, from := range []kind{apache38, apache39} {
		t.Run(mixName([]kind{from}), func(t *testing.T) {
			e := newEnsemble(t, []kind{from, from, from}, voteOnlyWithHistory)
			for _, m := range e.members {
				if err := os.WriteFile(filepath.Join(m.data(), "initialize"), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			e.startAll()
			e.fill("old").end(t)
			var olds []string
			for _, m := range e.followersFirst() {
				olds = append(olds, e.replace(m, zooid))
				e.fill(fmt.Sprintf("since-%d", m.id)).end(t)
			}
			e.waitServing()
			leader := e.waitLeader()
			for i, m := range e.followersFirst()[:2] {
				old := ""
				for _, dir := range olds {
					if filepath.Dir(dir) == m.dir {
						old = dir
					}
				}
				// Zooid beside it: refused, with the reason.
				m.stop(t)
				ours := filepath.Join(m.dir, "zooid.aside")
				if err := errors.Join(os.Rename(m.data(), ours), os.Rename(old, m.data())); err != nil {
					t.Fatal(err)
				}
				end := m.logLength()
				m.launch(t)
				select {
				case <-m.ended:
				case <-time.After(patience):
					t.Fatal("Zooid runs on a directory of ZooKeeper's")
				}
				m.wanted = false
				if !m.loggedSince(end, "version-2") {
					t.Fatalf("Zooid does not say what is wrong:\n%s", tail(m.log()))
				}
				// ZooKeeper on it: brought up.
				m.kind = from
				m.start(t)
				e.waitServing()
				e.expectLeader(leader.id)
				e.fill(fmt.Sprintf("again-%d", i)).end(t)
				e.compareTrees()
				// And away again.
				m.stop(t)
				if err := errors.Join(os.RemoveAll(m.data()), os.Rename(ours, m.data())); err != nil {
					t.Fatal(err)
				}
				m.kind = zooid
				m.start(t)
				e.waitServing()
				e.compareTrees()
			}
			c := e.connect()
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if _, err := c.Create(ctx, "/end", nil, client.CreateOptions{Mode: wire.Persistent}); err != nil {
				t.Fatal(err)
			}
		})
	}
}
