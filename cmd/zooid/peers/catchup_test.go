package peers

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/sdk/client"
)

// pairs are a leader's kind and its learner's.
var pairs = [][2]kind{{zooid, apache38}, {apache38, zooid}, {zooid, apache39}, {apache39, zooid}}

func pairName(p [2]kind) string { return mixName([]kind{p[1]}) + "-under-" + mixName([]kind{p[0]}) }

// Said in the logs of ZooKeeper's servers: of one of the two every pair has one.
var (
	saysDiff  = [2]string{"Getting a diff from the leader", "Sending DIFF zxid="}
	saysTrunc = [2]string{"Truncating log to get in sync with the leader", "Sending TRUNC to follower"}
	saysSnap  = [2]string{"Getting a snapshot from leader", "Sending snapshot last zxid of peer"}
)

// marks are the ends of two logs.
type marks struct {
	learner, leader         *member
	learnerMark, leaderMark int64
}

func mark(learner, leader *member) marks {
	return marks{learner, leader, learner.logLength(), leader.logLength()}
}

// expect checks how the learner was brought up.
func (m marks) expect(t testing.TB, says [2]string) {
	t.Helper()
	ok := m.learner.kind.apache() && m.learner.loggedSince(m.learnerMark, says[0]) || m.leader.kind.apache() && m.leader.loggedSince(m.leaderMark, says[1])
	if !ok {
		t.Errorf("neither did %s say %q nor %s %q", m.learner, says[0], m.leader, says[1])
	}
}

// write sets a node n times to values of that size.
func (e *ensemble) write(c *client.Client, path string, n, size int) {
	e.t.Helper()
	ctx := within(e.t)
	if found, _, err := c.Exists(ctx, path); err != nil {
		e.t.Fatal(err)
	} else if !found {
		if _, err := c.Create(ctx, path, nil, client.CreateOptions{}); err != nil {
			e.t.Fatal(err)
		}
	}
	for i := range n {
		if _, err := c.Set(ctx, path, append(fmt.Append(nil, i), bytes.Repeat([]byte{'.'}, size)...), client.AnyVersion); err != nil {
			e.t.Fatalf("set %s: %v (%s)", path, err, e.status())
		}
	}
}

// catchUp stops server 1, lets change do something, starts it again, and checks how server 3 has brought it up.
func (e *ensemble) catchUp(says [2]string, change func(learner *member)) {
	e.t.Helper()
	e.expectLeader(3)
	learner := e.member(1)
	learner.stop(e.t)
	change(learner)
	m := mark(learner, e.member(3))
	learner.start(e.t)
	e.waitServing()
	e.expectLeader(3)
	m.expect(e.t, says)
	e.compareTrees()
	e.fill(fmt.Sprintf("at-%x", e.level())).end(e.t)
	e.compareTrees()
}

// TestCatchUp: a server that was away comes back by every way that the protocol has, in both directions.
func TestCatchUp(t *testing.T) {
	for _, p := range pairs {
		t.Run(pairName(p)+"/DIFF", func(t *testing.T) {
			e := newEnsemble(t, []kind{p[1], p[0], p[0]}, "-Dzookeeper.snapshotSizeFactor=1")
			e.startAll()
			c := e.connect(e.member(2))
			e.write(c, "/near", 1, 10)
			e.level()
			e.catchUp(saysDiff, func(*member) {})
			e.catchUp(saysDiff, func(*member) { e.fill("missed").end(t) })
			e.catchUp(saysDiff, func(*member) { e.write(c, "/far", 900, 10) }) // more than a leader of ZooKeeper's keeps in memory
		})
		t.Run(pairName(p)+"/DIFF-from-disk", func(t *testing.T) { // a leader that remembers nothing
			e := newEnsemble(t, []kind{p[1], p[0], p[0]}, "-Dzookeeper.snapshotSizeFactor=1", "plugin.broadcast.tailBytes=0")
			e.startAll()
			c := e.connect(e.member(2))
			e.write(c, "/near", 1, 10)
			e.level()
			e.catchUp(saysDiff, func(*member) { e.write(c, "/far", 900, 10) })
			e.catchUp(saysDiff, func(*member) {
				e.write(c, "/far", 50, 10)
				for _, id := range []int{2, 3} {
					e.member(id).stop(t)
				}
				e.member(3).start(t)
				e.member(2).start(t)
				e.waitServing()
				e.write(c, "/far", 50, 10)
			})
		})
		t.Run(pairName(p)+"/SNAP", func(t *testing.T) {
			e := newEnsemble(t, []kind{p[1], p[0], p[0]}, "snapCount=100", "-Dzookeeper.snapshotSizeFactor=-1", "plugin.broadcast.tailBytes=0", "plugin.log.segmentSize=64KiB", "plugin.machine.dirtyAge=100ms")
			e.startAll()
			c := e.connect(e.member(2))
			kept := e.fill("kept")
			e.catchUp(saysSnap, func(m *member) { m.wipe(t) })
			e.catchUp(saysSnap, func(*member) { e.write(c, "/far", 900, 1000) }) // the log is gone
			kept.checkSessions(t)
			e.compareTrees()
		})
		t.Run(pairName(p)+"/TRUNC", func(t *testing.T) {
			e := newEnsemble(t, []kind{p[0], p[0], p[1]})
			e.startAll()
			e.fill("before").end(t)
			isolated := e.member(3)
			const extra = "nobody else has this"
			for tries := 0; !isolated.hasOnDisk(t, extra); tries++ {
				if tries == 5 {
					t.Fatal("the leader has never logged what it could not commit")
				}
				e.isolatedWrite(isolated, extra)
			}
			e.member(2).start(t)
			e.member(1).start(t)
			e.waitServing()
			e.expectLeader(2)
			m := mark(isolated, e.member(2))
			isolated.start(t)
			e.waitServing()
			m.expect(t, saysTrunc)
			c := e.connect(isolated)
			if found, _, err := c.Exists(within(t), "/extra"); err != nil || found {
				t.Fatalf("what was never committed is there: %v, %v", found, err)
			}
			if err := c.Close(within(t)); err != nil {
				t.Fatal(err)
			}
			e.compareTrees()
			e.fill("after").end(t)
			e.compareTrees()
		})
	}
}

// isolatedWrite makes the leader propose what nobody hears, and leaves all servers down.
func (e *ensemble) isolatedWrite(leader *member, data string) {
	e.t.Helper()
	for _, m := range e.members {
		if !m.running() {
			m.start(e.t)
		}
	}
	e.waitServing()
	e.expectLeader(leader.id)
	h := e.hold(leader, 0, nil)
	if _, _, err := h.client.Get(within(e.t), "/"); err != nil { // the session is there
		e.t.Fatal(err)
	}
	e.level()
	var others []*member
	for _, m := range e.members {
		if m != leader {
			others = append(others, m)
		}
	}
	killAll(others...)
	done := make(chan error, 1)
	ctx := within(e.t)
	go func() {
		_, err := h.client.Create(ctx, "/extra", []byte(data), client.CreateOptions{})
		done <- err
	}()
	eventually(e.t, "the leader gives up, or has logged the proposal", func() bool { return leader.mode() != "leader" || leader.hasOnDisk(e.t, data) })
	leader.kill()
	h.leave()
	if err := <-done; err == nil {
		e.t.Fatal("a write was acknowledged that only one server of three has")
	}
}

// hasOnDisk looks for text in the server's log.
func (m *member) hasOnDisk(t testing.TB, text string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(m.data(), map[bool]string{true: "version-2/log.*", false: "log/segment.*"}[m.kind.apache()]))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil && bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}

// TestObserver: observers of one kind behind voters of the other.
func TestObserver(t *testing.T) {
	for _, kinds := range [][]kind{
		{apache38, apache38, apache38, observing(zooid)},
		{zooid, zooid, zooid, observing(apache38)},
		{apache38, zooid, zooid, observing(zooid), observing(apache38)},
		{zooid, apache39, apache39, observing(zooid), observing(apache39)},
	} {
		t.Run(mixName(kinds), func(t *testing.T) {
			e := newEnsemble(t, kinds, "-Dzookeeper.snapshotSizeFactor=1")
			for i := 2; i >= 0; i-- {
				e.member(i + 1).start(t)
			}
			e.waitServing()
			for _, m := range e.members[3:] {
				m.start(t)
			}
			e.waitServing()
			e.expectLeader(3)
			e.compareConfig()
			before := e.fill("before")
			before.checkSessions(t)
			e.compareTrees()
			for _, m := range e.members[3:] {
				if mode := m.mode(); mode != "observer" {
					t.Fatalf("%s is a %s", m, mode)
				}
				m.kill()
				e.fill(fmt.Sprintf("without-%d", m.id)).end(t)
				m.start(t)
			}
			e.waitServing()
			e.compareTrees()
			e.member(3).kill()
			e.waitServing()
			e.expectLeader(2)
			before.checkSessions(t)
			e.fill("after").end(t)
			e.compareTrees()
			e.member(3).start(t)
			e.waitServing()
			before.checkSessions(t)
			before.end(t)
			e.compareTrees()
		})
	}
}

// TestObserverThatNobodyKnows: a server of Zooid that only its own configuration names copies and serves a running ensemble of ZooKeeper's, which is not touched: the first step of a migration for
// who wants to see before he gives anything a vote.
func TestObserverThatNobodyKnows(t *testing.T) {
	for _, from := range []kind{apache38, apache39} {
		t.Run(mixName([]kind{from}), func(t *testing.T) {
			e := newEnsemble(t, []kind{from, from, from, observing(zooid)})
			for _, m := range e.members[:3] {
				config := filepath.Join(m.dir, "zoo.cfg")
				text, err := os.ReadFile(config)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(config, bytes.Replace(text, []byte(e.member(4).line()+"\n"), nil, 1), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for i := 3; i >= 1; i-- {
				e.member(i).start(t)
			}
			e.waitServing()
			before := e.fill("before")
			stranger := e.member(4)
			stranger.start(t)
			e.waitServing()
			if mode := stranger.mode(); mode != "observer" {
				t.Fatalf("%s is %s", stranger, mode)
			}
			before.checkSessions(t)
			e.fill("with").end(t)
			before.end(t)
			e.level()
			ours, theirs := tree(t, e.connect(stranger)), tree(t, e.connect(e.member(1)))
			e.level()
			for _, line := range strings.Split(difference(ours, theirs), "\n") {
				if line != "" && !strings.Contains(line, "/zookeeper/config ") && !strings.Contains(line, "server.") && !strings.Contains(line, "version=") {
					t.Errorf("the trees differ: %s", line)
				}
			}
		})
	}
}
