package peers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/zooid-project/zooid/sdk/client"
)

// corrupt flips a byte of a file.
func corrupt(t testing.TB, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

// votesAgain checks that a server counts: the ensemble goes on without one of the two others.
func (e *ensemble) votesAgain(m *member) {
	e.t.Helper()
	for _, other := range e.members {
		if other != m && other != e.waitLeader() {
			other.stop(e.t)
			e.waitServing()
			e.write(e.connect(m), fmt.Sprintf("/with-%d-of-%d", m.id, other.id), 20, 100)
			other.start(e.t)
			e.waitServing()
			e.compareTrees()
			return
		}
	}
}

// TestDamagedServersRepairThemselves: what an operator finds after a bad disk, one server after the other, with the whole tree compared each time.
func TestDamagedServersRepairThemselves(t *testing.T) {
	e := newEnsemble(t, []kind{zooid, zooid, zooid})
	e.startAll()
	c := e.connect()
	e.fill("content").end(t)
	e.write(c, "/much", 200, 1000)
	for _, d := range []struct {
		name string
		do   func(dir string) error
	}{
		{"a byte of the log", func(dir string) error { corrupt(t, filepath.Join(dir, "log", "segment.00000001"), 9000); return nil }},
		{"the log", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "log")) }},
		{"the node store", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "nodes")) }},
	} {
		victim := e.members[0]
		if victim == e.waitLeader() {
			victim = e.members[1]
		}
		victim.kill()
		e.write(c, "/meanwhile", 3, 10)
		if err := d.do(victim.data()); err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
		victim.start(t)
		e.waitServing()
		e.compareTrees()
		e.votesAgain(victim)
	}
}

// TestDamageFoundWhileServing: damage that shows only when it is read ends the server, which says so. Its next start repairs it.
func TestDamageFoundWhileServing(t *testing.T) {
	e := newEnsemble(t, []kind{zooid, zooid, zooid})
	e.startAll()
	c := e.connect()
	for i := range 500 {
		if _, err := c.Create(within(t), fmt.Sprintf("/n-%d", i), make([]byte, 100), client.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	victim := e.members[0]
	if victim == e.waitLeader() {
		victim = e.members[1]
	}
	victim.stop(t)
	tables, err := filepath.Glob(filepath.Join(victim.data(), "nodes", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	for _, table := range tables {
		info, err := os.Stat(table)
		if err != nil {
			t.Fatal(err)
		}
		for at := info.Size() / 4; at < info.Size()/2; at += 100 { // data, not the index behind it
			corrupt(t, table, at)
		}
	}
	mark := victim.logLength()
	victim.launch(t)
	victim.wanted = false // it ends by itself
	direct := e.connect(victim)
	var reading sync.WaitGroup
	t.Cleanup(reading.Wait)
	reading.Go(func() { // until the test ends
		for i := 0; ; i++ {
			if _, _, err := direct.Get(t.Context(), fmt.Sprintf("/n-%d", i%500)); t.Context().Err() != nil || errors.Is(err, client.ErrClosed) {
				return
			}
		}
	})
	eventually(t, "the server ends", func() bool { return !victim.running() })
	// It is found while the server serves, or while it starts: then it was set aside by now.
	if !victim.loggedSince(mark, "copies everything from the peers") {
		t.Error("it does not say what comes next")
	}
	victim.start(t)
	e.waitServing()
	e.compareTrees()
	e.votesAgain(victim)
}

// TestServerOfAnotherCluster: a server with the data of another ensemble, started at the address of a member, is refused and says so; so do the others; and nobody is disturbed.
func TestServerOfAnotherCluster(t *testing.T) {
	beside(t)
	e, other := newEnsemble(t, []kind{zooid, zooid, zooid}), newEnsemble(t, []kind{zooid, zooid, zooid})
	for _, x := range []*ensemble{e, other} {
		x.startAll()
		x.write(x.connect(), "/whose", 1, 10)
	}
	for _, m := range other.members {
		m.stop(t)
	}
	follower := e.members[0]
	if follower == e.waitLeader() {
		follower = e.members[1]
	}
	follower.stop(t)
	kept := follower.data() + ".kept"
	if err := os.Rename(follower.data(), kept); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(follower.data(), os.DirFS(other.member(follower.id).data())); err != nil {
		t.Fatal(err)
	}
	marks := map[*member]int64{}
	for _, m := range e.members {
		marks[m] = m.logLength()
	}
	leader := e.waitLeader()
	follower.start(t)
	for _, m := range e.members {
		eventually(t, m.String()+" says that they are of different clusters", func() bool { return m.loggedSince(marks[m], "belongs to cluster") })
	}
	if text, err := leader.word("mntr"); err != nil || !strings.Contains(text, "zk_warnings\t1") {
		t.Errorf("the leader's mntr has no warning: %v", err)
	}
	for range 50 { // the two others go on
		e.write(e.connect(leader), "/undisturbed", 1, 10)
	}
	if e.waitLeader() != leader || follower.mode() == "follower" || follower.mode() == "leader" {
		t.Errorf("%s", e.status())
	}
	follower.kill()
	if err := os.RemoveAll(follower.data()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(kept, follower.data()); err != nil {
		t.Fatal(err)
	}
	follower.start(t)
	e.waitServing()
	e.compareTrees()
}

func runZooid(t testing.TB, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(zooidBinary(t), args...).CombinedOutput()
	return string(out), err
}

// TestRecover: two of three servers are gone for good. A survivor becomes a new ensemble with everything that was acknowledged; the old server that was thought lost is refused, and taken back when it is empty.
func TestRecover(t *testing.T) {
	beside(t)
	e := newEnsemble(t, []kind{zooid, zooid, zooid})
	e.startAll()
	c := e.connect()
	e.fill("content").end(t)
	e.write(c, "/acknowledged", 100, 100)
	value, stat, err := c.Get(within(t), "/acknowledged")
	if err != nil {
		t.Fatal(err)
	}
	e.level()
	killAll(e.members...)
	survivor, back, gone := e.member(3), e.member(2), e.member(1)
	gone.wipe(t)
	zoo := filepath.Join(survivor.dir, "zoo.cfg")

	out, err := runZooid(t, "recover", zoo)
	if err != nil || !strings.Contains(out, "Nothing was changed") || !strings.Contains(out, "last transaction") {
		t.Fatalf("%v: %s", err, out)
	}
	for range 2 { // as after a crash in the middle
		if out, err = runZooid(t, "recover", zoo, "--yes", "--with", e.member(1).line()); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	survivor.start(t)
	alone, err := client.New(survivor.addr(), client.Options{Auth: []client.Auth{superAuth}})
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close(within(t))
	got, stat2, err := alone.Get(within(t), "/acknowledged")
	if err != nil || string(got) != string(value) || stat2 != stat {
		t.Fatalf("%q %+v, %v; want %q %+v", got, stat2, err, value, stat)
	}
	e.write(alone, "/after", 10, 10)

	// The old server still has the old configuration: it finds nobody, and nobody takes it in.
	mark := back.logLength()
	back.start(t)
	eventually(t, "the old server is told", func() bool { return back.loggedSince(mark, "belongs to cluster") })
	if back.mode() == "follower" || back.mode() == "leader" {
		t.Error(back.mode())
	}
	back.kill()

	// The one that was named with --with begins as an observer, empty, and copies everything.
	config, err := os.ReadFile(zoo)
	if err != nil {
		t.Fatal(err)
	}
	config = []byte(strings.ReplaceAll(string(config), "dataDir="+survivor.data(), "dataDir="+gone.data()))
	config = []byte(strings.ReplaceAll(string(config), "clientPort=", "#clientPort="))
	if err := os.WriteFile(filepath.Join(gone.dir, "zoo.cfg"), append(config, "\npeerType=observer\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	gone.start(t)
	eventually(t, "the observer serves", func() bool { return gone.mode() == "observer" })
	observer := e.connect(gone)
	if err := observer.Sync(within(t), "/"); err != nil {
		t.Fatal(err)
	}
	if got, _, err := observer.Get(within(t), "/acknowledged"); err != nil || string(got) != string(value) {
		t.Fatalf("%q, %v", got, err)
	}
}

// TestRecoverSalvages: of the last server that is left, whose log is damaged, what stands before the damage comes back, and the command says what is lost.
// Where the tree on disk goes further than that, everything in it is there.
func TestRecoverSalvages(t *testing.T) {
	t.Run("killed", func(t *testing.T) { testRecoverSalvages(t, false) })
	t.Run("stopped", func(t *testing.T) { testRecoverSalvages(t, true) })
}

func testRecoverSalvages(t *testing.T, flushed bool) {
	e := newEnsemble(t, []kind{zooid, zooid, zooid})
	e.startAll()
	c := e.connect()
	const nodes = 60
	for i := range nodes {
		if _, err := c.Create(within(t), fmt.Sprintf("/n%02d", i), make([]byte, 1000), client.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	e.level()
	survivor := e.member(1)
	if flushed {
		survivor.stop(t)
	}
	killAll(e.members...)
	zoo := filepath.Join(survivor.dir, "zoo.cfg")
	out, err := runZooid(t, "recover", zoo, "--salvage")
	if err != nil || !strings.Contains(out, "is whole: there is nothing to salvage") || !strings.Contains(out, "last transaction") {
		t.Fatalf("whole: %v, %s", err, out)
	}
	segment := filepath.Join(survivor.data(), "log", "segment.00000001")
	corrupt(t, segment, 30_000)
	damaged, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	if out, err = runZooid(t, "recover", zoo, "--salvage"); err != nil || !strings.Contains(out, "Nothing was changed") || !strings.Contains(out, "Lost from it is everything behind that: 0x1") {
		t.Fatalf("%v: %s", err, out)
	}
	if now, err := os.ReadFile(segment); err != nil || !bytes.Equal(now, damaged) {
		t.Fatal("the log was changed without --yes", err)
	}
	if out, err = runZooid(t, "recover", zoo, "--salvage", "--yes"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	aside, err := filepath.Glob(filepath.Join(survivor.data(), "set-aside-*", "segment.00000001"))
	if err != nil || len(aside) != 1 {
		t.Fatal(aside, err)
	}
	if kept, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(kept, damaged) {
		t.Error("what was set aside is not what was damaged", err)
	}
	survivor.start(t)
	alone, err := client.New(survivor.addr(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close(within(t))
	kept := 0
	for i := range nodes {
		there, _, err := alone.Exists(within(t), fmt.Sprintf("/n%02d", i))
		if err != nil {
			t.Fatal(err)
		}
		if there && kept < i {
			t.Fatalf("/n%02d is there, and only %d before it", i, kept)
		}
		if there {
			kept++
		}
	}
	if kept == 0 || flushed != (kept == nodes) {
		t.Errorf("%d of %d nodes are there", kept, nodes)
	}
	if _, err := alone.Create(within(t), "/after", nil, client.CreateOptions{}); err != nil {
		t.Error(err)
	}
}

// TestSalvageAlone: a server that runs alone refuses a damaged log, and starts with what stands before the damage when it is told to.
func TestSalvageAlone(t *testing.T) {
	e := newEnsemble(t, []kind{zooid}, "admin.enableServer=false")
	alone := e.member(1)
	zoo := filepath.Join(alone.dir, "zoo.cfg")
	lines := append([]string{"dataDir=" + alone.data(), "clientPort=" + strings.TrimPrefix(alone.addr(), "127.0.0.1:")}, e.lines...)
	if err := os.WriteFile(zoo, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	serve := func() {
		t.Helper()
		alone.start(t)
		eventually(t, "it serves", func() bool { return alone.mode() == "standalone" })
	}
	serve()
	e.write(e.connect(), "/n", 60, 1000)
	alone.kill()
	corrupt(t, filepath.Join(alone.data(), "log", "segment.00000001"), 30_000)
	alone.launch(t)
	alone.wanted = false // it ends by itself
	eventually(t, "it refuses to start", func() bool { return !alone.running() })
	if out, err := runZooid(t, "recover", zoo, "--salvage"); err != nil || !strings.Contains(out, "Nothing was changed") {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := runZooid(t, "recover", zoo, "--salvage", "--yes"); err != nil || !strings.Contains(out, "Done: the last transaction is") {
		t.Fatalf("%v: %s", err, out)
	}
	serve()
	if _, stat, err := e.connect().Get(within(t), "/n"); err != nil || stat.Version == 0 || stat.Version >= 59 {
		t.Errorf("%+v, %v", stat, err)
	}
}

// TestRecoverRefuses: where there is nothing whole, nothing is recovered.
func TestRecoverRefuses(t *testing.T) {
	e := newEnsemble(t, []kind{zooid, zooid, zooid})
	zoo := filepath.Join(e.member(1).dir, "zoo.cfg")
	if out, err := runZooid(t, "recover", zoo, "--yes"); err == nil || !strings.Contains(out, "is not the data directory of a server of Zooid") {
		t.Errorf("empty: %v, %s", err, out)
	}
	e.startAll()
	e.write(e.connect(), "/n", 50, 1000)
	if out, err := runZooid(t, "recover", zoo, "--yes"); err == nil || !strings.Contains(out, "in use by another process") {
		t.Errorf("running: %v, %s", err, out)
	}
	killAll(e.members...)
	corrupt(t, filepath.Join(e.member(1).data(), "log", "segment.00000001"), 9000)
	if out, err := runZooid(t, "recover", zoo, "--yes"); err == nil || !strings.Contains(out, "is damaged at byte") {
		t.Errorf("damaged: %v, %s", err, out)
	}
	e.member(1).start(t) // it sets that aside, and waits for the others
	e.member(1).kill()
	if out, err := runZooid(t, "recover", zoo, "--yes"); err == nil || !strings.Contains(out, "is being repaired") {
		t.Errorf("being repaired: %v, %s", err, out)
	}
}
