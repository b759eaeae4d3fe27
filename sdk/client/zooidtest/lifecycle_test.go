package zooidtest_test

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/goleak"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestNothingIsLeftRunning starts and ends servers in every way, with clients, and looks for goroutines.
func TestNothingIsLeftRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	for name, end := range map[string]func(*zooidtest.Server){
		"stop": (*zooidtest.Server).Stop, "kill": (*zooidtest.Server).Kill, "power cut": (*zooidtest.Server).PowerCut, "restart": (*zooidtest.Server).Restart,
	} {
		t.Run(name, func(t *testing.T) {
			s := zooidtest.Start(t, zooidtest.AdminHTTP())
			c := dial(t, s, client.Options{})
			for _, mode := range []wire.CreateMode{wire.Persistent, wire.Ephemeral, wire.Container} {
				if _, err := c.Create(within(t), fmt.Sprintf("/n-%d", mode), nil, client.CreateOptions{Mode: mode}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := c.Watch(within(t), "/", wire.AddWatchPersistentRecursive); err != nil {
				t.Fatal(err)
			}
			end(s)
		})
	}
	nothingIsLeft(t, before)
}

// nothingIsLeft looks for goroutines that were not there before. Those that are about to end may take longer to get a processor than goleak waits by itself.
func nothingIsLeft(t *testing.T, before goleak.Option) {
	t.Helper()
	var left error
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if left = goleak.Find(before); left == nil {
			return
		}
	}
	t.Error(left)
}

// startFails expects a start to fail with one line that has all parts, and nothing to be left of it.
func startFails(t *testing.T, start func() error, parts ...string) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	err := start()
	if err == nil {
		t.Fatal("the server has started")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
	nothingIsLeft(t, before)
}

func TestBusyPort(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, port, _ := net.SplitHostPort(busy.Addr().String())
	startFails(t, func() error {
		_, err := zooidtest.TryStart(t, zooidtest.Set("plugin.gateway.zookeeper.port", port))
		return err
	}, busy.Addr().String(), "in use", "clientPort")
}

func TestUnwritableDirectory(t *testing.T) {
	f := &failing{err: syscall.EACCES, fails: func(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite }}
	f.on.Store(true)
	startFails(t, func() error {
		_, err := zooidtest.TryStart(t, zooidtest.OnFS(errorfs.Wrap(vfs.NewMem(), f)))
		return err
	}, "/data", "permission denied", "choose a writable one", "dataDir")
}

// TestTwoServersOnOneDirectory: the second is refused and does no harm.
func TestTwoServersOnOneDirectory(t *testing.T) {
	dir := t.TempDir()
	s := zooidtest.Start(t, zooidtest.OnDisk(dir))
	c := dial(t, s, client.Options{})
	set(t, c, "/a", "1") // an answered write: all of the client's goroutines run, none of them counts as left behind by what follows
	startFails(t, func() error {
		_, err := zooidtest.TryStart(t, zooidtest.OnDisk(dir))
		return err
	}, dir, "in use by another process")
	s.Restart()
	if got := get(t, c, "/a"); got != "1" {
		t.Errorf("found %q", got)
	}
}
