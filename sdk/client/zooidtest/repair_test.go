package zooidtest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
)

// damage is what happens to a stopped server's data directory.
type damage struct {
	name string
	do   func(t *testing.T, dir string)
	// stands is set where the log is whole, and so the server counts as soon as it is back.
	stands bool
}

var damages = []damage{
	{"a byte of the log", func(t *testing.T, dir string) { flip(t, first(t, dir, "log", "segment."), 5000) }, false},
	{"the log is removed", func(t *testing.T, dir string) { remove(t, dir, "log") }, false},
	{"a segment is removed", func(t *testing.T, dir string) {
		if err := os.Remove(first(t, dir, "log", "segment.")); err != nil {
			t.Fatal(err)
		}
	}, false},
	{"the words", func(t *testing.T, dir string) {
		flip(t, filepath.Join(dir, "log", "state"), 60)
		flip(t, filepath.Join(dir, "log", "state"), 60+16<<10)
	}, false},
	{"the node store is removed", func(t *testing.T, dir string) { remove(t, dir, "nodes") }, true},
	{"the node store and the log are removed", func(t *testing.T, dir string) { remove(t, dir, "nodes"); remove(t, dir, "log") }, false},
	{"all files of the node store", func(t *testing.T, dir string) {
		files, err := filepath.Glob(filepath.Join(dir, "nodes", "*"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			if info, err := os.Stat(f); err == nil && info.Size() > 0 {
				for at := int64(0); at < info.Size(); at += 64 {
					flip(t, f, at)
				}
			}
		}
	}, true},
	{"the manifest", func(t *testing.T, dir string) { flip(t, filepath.Join(dir, "manifest"), 3) }, false},
	{"the manifest is removed", func(t *testing.T, dir string) { remove(t, dir, "manifest") }, false},
	{"everything but the manifest is removed", func(t *testing.T, dir string) {
		for _, name := range []string{"log", "nodes", "snapshots", "words"} {
			remove(t, dir, name)
		}
	}, true},
}

// A member whose data is damaged or gone repairs itself: it comes back without hands, has everything, and counts again: without the server that had everything meanwhile, the other two go on.
func TestDamagedMemberIsRepaired(t *testing.T) {
	t.Parallel()
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			e := zooidtest.StartEnsemble(t, 3, 0, append([]zooidtest.Option{zooidtest.OnDisk("")}, quick...)...)
			c := dialAll(t, e)
			for i := range 200 {
				create(t, c, fmt.Sprintf("/before-%d", i))
			}
			victim := e.Followers()[0]
			victim.Stop()
			create(t, c, "/meanwhile")
			d.do(t, victim.DataDir())
			victim.Restart()
			e.Wait()
			if victim.Host().Status().Repairing {
				t.Error("it serves, and says that it is being repaired")
			}
			if !d.stands {
				mustHave(t, victim.DataDir(), "set-aside-*")
			}
			if _, err := os.Stat(filepath.Join(victim.DataDir(), "repair")); !os.IsNotExist(err) {
				t.Errorf("the repair has not ended: %v", err)
			}
			e.AwaitLeader(nil).Stop() // now its vote is needed
			e.AwaitLeader(nil)
			e.Wait()
			create(t, c, "/after")
			direct := dial(t, victim, client.Options{})
			if err := direct.Sync(within(t), "/"); err != nil {
				t.Fatal(err)
			}
			list, _, err := direct.Children(within(t), "/")
			if err != nil || len(list) != 203 { // and /zookeeper
				t.Errorf("%d children, %v", len(list), err)
			}
		})
	}
}

// A member that is started with the directory of another one leaves that alone and copies everything.
func TestDirectoryOfAnotherMember(t *testing.T) {
	t.Parallel()
	e := zooidtest.StartEnsemble(t, 5, 0, append([]zooidtest.Option{zooidtest.OnDisk("")}, quick...)...)
	c := dialAll(t, e)
	create(t, c, "/before")
	a, b := e.Followers()[0], e.Followers()[1]
	a.Stop()
	b.Stop()
	swap := t.TempDir()
	for _, names := range [][2]string{{a.DataDir(), swap + "/a"}, {b.DataDir(), a.DataDir()}, {swap + "/a", b.DataDir()}} {
		if err := os.Rename(names[0], names[1]); err != nil {
			t.Fatal(err)
		}
	}
	a.Restart()
	b.Restart()
	e.Wait()
	for _, s := range []*zooidtest.Server{a, b} {
		mustHave(t, s.DataDir(), "set-aside-*/manifest")
		if there, _, err := dial(t, s, client.Options{}).Exists(within(t), "/before"); err != nil || !there {
			t.Error(there, err)
		}
	}
	for _, s := range e.Servers { // two of the three that were there all along
		if s != a && s != b && s != e.AwaitLeader(nil) {
			s.Stop()
			break
		}
	}
	e.AwaitLeader(nil).Stop()
	e.AwaitLeader(nil)
	create(t, c, "/after")
}

// When so many members are damaged that no quorum of the others is left, nobody leads, however long: what was acknowledged may be in what was set aside.
func TestTooManyDamaged(t *testing.T) {
	t.Parallel()
	e := zooidtest.StartEnsemble(t, 3, 0, append([]zooidtest.Option{zooidtest.OnDisk("")}, quick...)...)
	create(t, dialAll(t, e), "/before")
	for _, s := range e.Servers {
		s.Stop()
	}
	for _, s := range e.Servers {
		remove(t, s.DataDir(), "log")
	}
	for _, s := range e.Servers {
		s.Restart()
	}
	deadline := time.Now().Add(3 * time.Second)
	for time.Now().Before(deadline) {
		for _, s := range e.Servers {
			if st := s.Host().Status(); st.Serving || !st.Repairing {
				t.Fatalf("%+v", st)
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, s := range e.Servers {
		if w := s.Host().Status().Warnings; len(w) == 0 || !strings.Contains(w[0], "zooid recover") {
			t.Errorf("server %d does not say what to do: %q", s.Host().Status().Server, w)
		}
	}
}

// A lone server has nobody to copy from: it refuses, as ever, and changes nothing.
func TestLoneServerIsNotRepaired(t *testing.T) {
	s := zooidtest.Start(t, zooidtest.OnDisk(""))
	c := dial(t, s, client.Options{})
	for i := range 200 {
		create(t, c, fmt.Sprintf("/n-%d", i))
	}
	s.Stop()
	flip(t, first(t, s.DataDir(), "log", "segment."), 5000)
	if err := s.TryRestart(); err == nil || !strings.Contains(err.Error(), "is damaged at byte") {
		t.Errorf("%v", err)
	}
	if found, _ := filepath.Glob(filepath.Join(s.DataDir(), "set-aside-*")); len(found) > 0 {
		t.Errorf("%v", found)
	}
}

func dialAll(t *testing.T, e *zooidtest.Ensemble) *client.Client {
	t.Helper()
	c, err := client.New(e.ConnectString(), client.Options{SessionTimeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(within(t)) }) // its server may be gone
	return c
}

// create makes a node, if need be again: leaders change in these tests.
func create(t *testing.T, c *client.Client, path string) {
	t.Helper()
	ctx := within(t)
	for {
		_, err := c.Create(ctx, path, []byte(strings.Repeat("x", 100)), client.CreateOptions{})
		if err == nil || strings.Contains(err.Error(), "exists") {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(path, err)
		}
	}
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(path, err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// first is the first of the files in a directory with this prefix.
func first(t *testing.T, dir, sub, prefix string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, sub, prefix+"*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return files[0]
}

func mustHave(t *testing.T, dir, pattern string) {
	t.Helper()
	if found, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(found) == 0 {
		t.Errorf("%s has no %s", dir, pattern)
	}
}
