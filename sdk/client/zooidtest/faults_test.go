package zooidtest_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/plugintest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// eventually waits for something that no client is told of.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func refusing(s *zooidtest.Server) func() bool {
	return func() bool { return s.Host().Status().Refusing != nil }
}

// fill writes in the background until the server refuses. What is under way when the disk gets full keeps its place and is answered later: outcome waits for all of it.
func fill(t *testing.T, s *zooidtest.Server, c *client.Client) (outcome func()) {
	t.Helper()
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	data := make([]byte, 4000)
	for i := 0; !refusing(s)(); i++ {
		if i == 50_000 {
			t.Fatal("200 MB written and the disk is not full")
		}
		if i%50 == 0 {
			time.Sleep(time.Millisecond)
		}
		wg.Add(1)
		c.Go(&wire.Request{Op: client.SetOp("/full", data, client.AnyVersion)}, func(r client.Reply) {
			defer wg.Done()
			if r.Err != nil && !errors.Is(r.Err, wire.ErrSystemError) && !errors.Is(r.Err, client.ErrTooManyInFlight) {
				failed.Store(&r.Err)
			}
		})
	}
	return func() {
		t.Helper()
		wg.Wait()
		if err := failed.Load(); err != nil {
			t.Errorf("a write under way: %v", *err)
		}
	}
}

// fullDisk checks a server whose disk gets full, and gets room again by makeRoom: writes are refused with SYSTEMERROR meanwhile, reads, watches and
// sessions go on, nothing that was acknowledged is lost.
func fullDisk(t *testing.T, s *zooidtest.Server, full, makeRoom func()) {
	c := dial(t, s, client.Options{SessionTimeout: 4 * time.Second})
	other := dial(t, s, client.Options{})
	set(t, other, "/kept", "1")
	set(t, other, "/full", "")
	if _, err := c.Create(within(t), "/e", nil, client.CreateOptions{Mode: wire.Ephemeral}); err != nil {
		t.Fatal(err)
	}
	id := c.SessionID()
	full()
	outcome := fill(t, s, other)
	if _, err := c.Set(within(t), "/kept", []byte("2"), client.AnyVersion); !errors.Is(err, wire.ErrSystemError) {
		t.Errorf("a write on a full disk: %v", err)
	}
	if got := get(t, c, "/kept"); got != "1" {
		t.Errorf("found %q", got)
	}
	if err := s.Host().Status().Refusing; !errors.Is(err, kernel.ErrNoSpace) {
		t.Errorf("the reason: %v", err)
	}
	if c.SessionID() != id {
		t.Error("the session is gone")
	}
	makeRoom()
	eventually(t, "writes are taken again", func() bool { return !refusing(s)() })
	outcome()
	connected(t, c)
	set(t, c, "/kept", "2")
	if found, stat, err := c.Exists(within(t), "/e"); err != nil || !found || stat.EphemeralOwner != id {
		t.Errorf("ephemeral: %v %+v %v", found, stat, err)
	}
	s.Restart()
	if got := get(t, c, "/kept"); got != "2" {
		t.Errorf("after a restart: %q", got)
	}
}

func TestLogDiskFull(t *testing.T) {
	disk := plugintest.NewDisk()
	s := zooidtest.Start(t, zooidtest.OnFS(disk), zooidtest.Set("tickTime", "500"), zooidtest.Set("maxSessionTimeout", "60000"))
	fullDisk(t, s, func() { disk.SetCapacity(disk.Used() + 1<<20) }, func() { disk.SetCapacity(-1) })
}

// A full disk gets room again by itself once the log behind a flush can go: nobody need come and delete files.
func TestFullDiskFreesItself(t *testing.T) {
	disk := plugintest.NewDisk()
	s := zooidtest.Start(t, zooidtest.OnFS(disk), zooidtest.Set("tickTime", "500"), zooidtest.Set("maxSessionTimeout", "60000"),
		zooidtest.Set("plugin.log.segmentSize", "64KiB"), zooidtest.Set("plugin.machine.dirtyAge", "100ms"))
	c := dial(t, s, client.Options{})
	set(t, c, "/full", "")
	disk.SetCapacity(disk.Used() + 4<<20)
	outcome := fill(t, s, c)
	eventually(t, "writes are taken again", func() bool { return !refusing(s)() })
	outcome()
	// What purging has not reached yet can fill the disk once more; it frees itself as often as that happens.
	eventually(t, "a write after that", func() bool {
		_, err := c.Set(within(t), "/full", []byte("again"), client.AnyVersion)
		if err != nil && !errors.Is(err, wire.ErrSystemError) {
			t.Fatal(err)
		}
		return err == nil
	})
	disk.SetCapacity(-1) // a server that is stopped just while its disk is full says so
}

// failing is a disk that fails some operations while on.
type failing struct {
	on     atomic.Bool
	err    error
	fails  func(errorfs.Op) bool
	failed atomic.Int64
}

func (f *failing) String() string { return "failing" }

func (f *failing) MaybeError(op errorfs.Op) error {
	if !f.on.Load() || !f.fails(op) {
		return nil
	}
	f.failed.Add(1)
	return fmt.Errorf("%s: %w", op.Path, f.err)
}

// counter writes ever higher numbers and remembers what was acknowledged.
type counter struct {
	path             string
	acked, attempted int
}

// run counts until the connection breaks. Any number of writes is under way.
func (n *counter) run(t *testing.T, c *client.Client, many int) {
	var mu sync.Mutex
	over := make(chan struct{})
	var once sync.Once
	slots := make(chan struct{}, many)
	for {
		select {
		case <-over:
			return
		case slots <- struct{}{}:
		}
		mu.Lock()
		n.attempted++
		i := n.attempted
		mu.Unlock()
		c.Go(&wire.Request{Op: client.SetOp(n.path, []byte(strconv.Itoa(i)), client.AnyVersion)}, func(r client.Reply) {
			if r.Err != nil {
				once.Do(func() { close(over) })
				return
			}
			mu.Lock()
			n.acked = max(n.acked, i)
			mu.Unlock()
			<-slots
		})
	}
}

func (n *counter) check(t *testing.T, c *client.Client) {
	t.Helper()
	if got, _ := strconv.Atoi(get(t, c, n.path)); got < n.acked || got > n.attempted {
		t.Errorf("%s: found %d, acknowledged up to %d, attempted up to %d", n.path, got, n.acked, n.attempted)
	}
}

// load lets several clients count until end is called, which stops the server. It returns what they know.
func load(t *testing.T, s *zooidtest.Server, writes int, end func()) []*counter {
	t.Helper()
	var counters []*counter
	var wg sync.WaitGroup
	before := s.Host().Status().LastApplied
	for i := range 4 {
		n := &counter{path: fmt.Sprintf("/count-%d", i)}
		c := dial(t, s, client.Options{})
		set(t, c, n.path, "0")
		counters = append(counters, n)
		wg.Add(1)
		go func() { defer wg.Done(); n.run(t, c, 1+i*8); c.Close(done()) }()
	}
	eventually(t, "enough writes", func() bool { return int(s.Host().Status().LastApplied-before) > writes })
	end()
	wg.Wait()
	return counters
}

func checkAll(t *testing.T, s *zooidtest.Server, counters []*counter) {
	t.Helper()
	c := dial(t, s, client.Options{})
	acked := 0
	for _, n := range counters {
		n.check(t, c)
		acked += n.acked
	}
	if acked == 0 {
		t.Error("nothing was acknowledged, so nothing was checked")
	}
}

func TestFailedSyncOfTheLog(t *testing.T) {
	f := &failing{err: syscall.EIO, fails: func(op errorfs.Op) bool {
		return (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) && strings.Contains(op.Path, "/log/segment")
	}}
	s := zooidtest.Start(t, zooidtest.OnFS(errorfs.Wrap(vfs.NewMem(), f)))
	var reason error
	counters := load(t, s, 500, func() {
		f.on.Store(true)
		select {
		case reason = <-s.Fatal():
		case <-time.After(patience):
			t.Error("the server goes on")
		}
		if reason == nil || !errors.Is(reason, syscall.EIO) || !strings.Contains(reason.Error(), "/data/log/segment.") {
			t.Errorf("the reason does not say what and where: %v", reason)
		}
		_ = s.TryStop() // the log cannot be closed properly
	})
	if n := f.failed.Load(); n > 3 {
		t.Errorf("the sync was tried %d times: one that has failed must not be tried again on the same file", n)
	}
	f.on.Store(false)
	s.Restart()
	checkAll(t, s, counters)
}

func TestPowerCutUnderLoad(t *testing.T) {
	for _, opts := range [][]zooidtest.Option{
		nil,
		{zooidtest.Set("plugin.log.segmentSize", "64KiB"), zooidtest.Set("plugin.machine.dirty", "256KiB"), zooidtest.Set("plugin.machine.dirtyAge", "20ms"), zooidtest.Set("tickTime", "50"), zooidtest.Set("maxSessionTimeout", "60000")},
		{zooidtest.Set("plugin.nodes", "memory"), zooidtest.Set("snapCount", "200"), zooidtest.Set("tickTime", "50"), zooidtest.Set("maxSessionTimeout", "60000")},
	} {
		s := zooidtest.Start(t, opts...)
		for round, end := range []func(){s.PowerCut, s.Kill, s.PowerCut} {
			counters := load(t, s, 300+round*170, end)
			s.Restart()
			checkAll(t, s, counters)
		}
	}
}

// TestTornTail cuts the power with some of what was not synced on the disk: whatever of the log's end is there, the server starts and has what it acknowledged.
func TestTornTail(t *testing.T) {
	disk := plugintest.NewDisk()
	s := zooidtest.Start(t, zooidtest.OnFS(disk))
	counters := load(t, s, 500, func() {
		disk.Cut()
		select {
		case <-s.Fatal():
		case <-time.After(patience):
			t.Error("the server goes on without a disk")
		}
		_ = s.TryStop()
	})
	for _, clone := range disk.Clones() {
		again := zooidtest.Start(t, zooidtest.OnFS(clone))
		checkAll(t, again, counters)
		again.Stop()
	}
}

func TestDamagedLog(t *testing.T) {
	disk := plugintest.NewDisk()
	s := zooidtest.Start(t, zooidtest.OnFS(disk))
	c := dial(t, s, client.Options{})
	for i := range 50 {
		set(t, c, "/a", strings.Repeat(strconv.Itoa(i), 200))
	}
	c.Close(within(t))
	s.Stop()
	segment := "/data/log/segment.00000001"
	if err := plugintest.FlipBit(disk.Memory(), segment, 8*8192); err != nil {
		t.Fatal(err)
	}
	before := contents(t, disk.Memory())
	_, err := zooidtest.TryStart(t, zooidtest.OnFS(disk))
	var damage *kernel.CorruptError
	if !errors.As(err, &damage) || damage.File != segment || damage.Offset == 0 || damage.Offset > 8192+4096 || damage.After.Counter() == 0 {
		t.Fatalf("a damaged log: %v (%+v)", err, damage)
	}
	for _, part := range []string{segment, fmt.Sprintf("byte %d", damage.Offset), damage.After.String(), "zooid log verify " + segment} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the message does not have %q: %v", part, err)
		}
	}
	if after := contents(t, disk.Memory()); after != before {
		t.Error("the refused start has changed the log")
	}
}

// contents is the log as it lies on the disk.
func contents(t *testing.T, mem *vfs.MemFS) string {
	t.Helper()
	var all strings.Builder
	for _, path := range plugintest.Files(mem, "/data/log") {
		f, err := mem.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, info.Size())
		if _, err := f.ReadAt(b, 0); err != nil && info.Size() > 0 {
			t.Fatal(err)
		}
		f.Close()
		fmt.Fprintf(&all, "%s %d %x\n", path, len(b), b)
	}
	return all.String()
}
