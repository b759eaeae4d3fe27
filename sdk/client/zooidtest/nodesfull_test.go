package zooidtest_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// writesToNodes says whether an operation needs room on the node store's disk.
func writesToNodes(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFilePreallocate, errorfs.OpReuseForWrite:
		return strings.Contains(op.Path, "/nodes/")
	}
	return false
}

// TestNodesDiskFullUnderAPipeline fills the disk of the node store under a client with 8 MB of creates under way and a session time-out of a few seconds. The creates that come too late
// are refused at once, so that the session stays; reads go on; and when there is room the server takes writes again by itself, with everything that it had acknowledged.
func TestNodesDiskFullUnderAPipeline(t *testing.T) {
	f := &failing{err: syscall.ENOSPC, fails: writesToNodes}
	s := zooidtest.Start(t, zooidtest.OnFS(errorfs.Wrap(vfs.NewMem(), f)), zooidtest.Set("tickTime", "500"), zooidtest.Set("plugin.machine.dirty", "8MiB"))
	timeout := 4 * time.Second // a machine may have other things to do for one
	if raceDetector {
		timeout = 10 * time.Second
	}
	c := dial(t, s, client.Options{SessionTimeout: timeout})
	reader := dial(t, s, client.Options{SessionTimeout: timeout})
	set(t, c, "/kept", "1")
	if _, err := c.Create(within(t), "/e", nil, client.CreateOptions{Mode: wire.Ephemeral}); err != nil {
		t.Fatal(err)
	}
	id := c.SessionID()
	stays, readerStays := sameConnection(t, c), sameConnection(t, reader)

	f.on.Store(true)
	path := func(i int) string { return fmt.Sprintf("/full-%05d", i) }
	acknowledged, refused := map[string]bool{}, 0
	var mu sync.Mutex
	round := func(base, n int) {
		t.Helper()
		var wg sync.WaitGroup
		for i := base; i < base+n; i++ {
			wg.Add(1)
			c.Go(&wire.Request{Op: client.CreateOp(path(i), make([]byte, 4000), wire.Persistent, wire.OpenACL)}, func(r client.Reply) {
				defer wg.Done()
				mu.Lock()
				defer mu.Unlock()
				switch {
				case r.Err == nil:
					acknowledged[path(i)] = true
				case errors.Is(r.Err, wire.ErrSystemError):
					refused++
				default:
					t.Errorf("%s: %v", path(i), r.Err)
				}
			})
		}
		answered := make(chan struct{})
		go func() { wg.Wait(); close(answered) }()
		for waiting := true; waiting; {
			select {
			case <-answered:
				waiting = false
			default:
			}
			start := time.Now()
			if got := get(t, reader, "/kept"); got != "1" {
				t.Errorf("read %q", got)
			}
			if took := time.Since(start); took > timeout {
				t.Errorf("a read took %v", took)
			}
		}
	}
	round(0, 2000)
	eventually(t, "writes are refused", refusing(s))
	round(2000, 2000)
	t.Logf("%d creates acknowledged, %d refused", len(acknowledged), refused)
	if refused < 2000 || len(acknowledged) == 0 {
		t.Error("not what a disk that gets full does")
	}
	if err := s.Host().Status().Refusing; !errors.Is(err, kernel.ErrNoSpace) {
		t.Errorf("the reason: %v", err)
	}
	if c.SessionID() != id {
		t.Error("the session is gone")
	}
	stays()
	readerStays()

	f.on.Store(false)
	eventually(t, "writes are taken again", func() bool { return !refusing(s)() })
	set(t, c, "/kept", "2")
	check := func(when string) {
		t.Helper()
		names, _, err := c.Children(within(t), "/")
		if err != nil {
			t.Fatal(err)
		}
		there := map[string]bool{}
		for _, name := range names {
			there["/"+name] = true
		}
		for path := range acknowledged {
			if !there[path] {
				t.Errorf("%s: %s was acknowledged and is not there", when, path)
			}
		}
		if len(there) > len(acknowledged)+3 { // kept, e, zookeeper
			t.Errorf("%s: %d nodes, %d acknowledged: some that were refused are there", when, len(there), len(acknowledged))
		}
	}
	check("with room again")
	if found, stat, err := c.Exists(within(t), "/e"); err != nil || !found || stat.EphemeralOwner != id {
		t.Errorf("ephemeral: %v %+v %v", found, stat, err)
	}
	s.Restart()
	check("after a restart")
}

// A server whose node store has no room can be stopped, and has everything afterwards: it is in the log.
func TestStopWithNodesDiskFull(t *testing.T) {
	t.Parallel()
	f := &failing{err: syscall.ENOSPC, fails: writesToNodes}
	s := zooidtest.Start(t, zooidtest.OnFS(errorfs.Wrap(vfs.NewMem(), f)), zooidtest.Set("plugin.machine.dirtyAge", "50ms"))
	c := dial(t, s, client.Options{})
	set(t, c, "/kept", "0")
	f.on.Store(true)
	kept := 0 // acknowledged last; the flush that fails first decides how far it gets
	eventually(t, "writes are refused", func() bool {
		if _, err := c.Set(within(t), "/kept", []byte(strconv.Itoa(kept+1)), client.AnyVersion); err == nil {
			kept++
		}
		return refusing(s)()
	})
	eventually(t, "the flush was tried again and again", func() bool { return f.failed.Load() > 20 })
	stopped := make(chan error, 1)
	go func() { stopped <- s.TryStop() }()
	select {
	case err := <-stopped:
		if err != nil && !errors.Is(err, kernel.ErrNoSpace) {
			t.Errorf("stop: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the server does not stop")
	}
	f.on.Store(false)
	s.Restart()
	if got := get(t, c, "/kept"); got != strconv.Itoa(kept) {
		t.Errorf("found %q, acknowledged %d", got, kept)
	}
}
