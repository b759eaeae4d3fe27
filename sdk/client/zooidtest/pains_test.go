package zooidtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/inspect"
	"github.com/zooid-project/zooid/sdk/plugintest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// The tests in this file show answers to what users of coordination services suffer from; cmd/zooid/docs/pains.md lists them.

// createMany makes n nodes with all requests under way at once.
func createMany(t *testing.T, c *client.Client, n int, path func(i int) string, data []byte) {
	t.Helper()
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	for i := range n {
		wg.Add(1)
		c.Go(&wire.Request{Op: client.CreateOp(path(i), data, wire.Persistent, wire.OpenACL)}, func(r client.Reply) {
			defer wg.Done()
			if r.Err != nil {
				failed.Store(&r.Err)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
}

// sameConnection fails unless c has never lost its connection.
func sameConnection(t *testing.T, c *client.Client) func() {
	states := c.States()
	if _, err := states.Next(within(t)); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if s, err := states.Next(ctx); err == nil {
			t.Errorf("the connection did not stay: %v %v", s.State, s.Err)
		}
	}
}

func TestPainTooLargeIsAnsweredAndTheSessionStays(t *testing.T) {
	s := zooidtest.Start(t, zooidtest.Set("jute.maxbuffer", "10000"), zooidtest.Set("plugin.gateway.zookeeper.maxReply", "20000"), zooidtest.Set("plugin.machine.maxReply", "20000"))
	c := dial(t, s, client.Options{})
	stays := sameConnection(t, c)
	createMany(t, c, 100, func(i int) string { return fmt.Sprintf("/child-%0300d", i) }, nil)

	if _, err := c.Create(within(t), "/big", make([]byte, 11000), client.CreateOptions{}); !errors.Is(err, wire.ErrBadArguments) {
		t.Errorf("a request over the limit: %v", err)
	}
	var ops []wire.Op
	for i := range 60 {
		ops = append(ops, client.CreateOp(fmt.Sprintf("/multi-%d", i), make([]byte, 200), wire.Persistent, nil))
	}
	if _, err := c.Multi(within(t), ops...); !errors.Is(err, wire.ErrBadArguments) {
		t.Errorf("a multi over the limit: %v", err)
	}
	if _, _, err := c.Children(within(t), "/"); !errors.Is(err, wire.ErrBadArguments) {
		t.Errorf("a listing over the limit: %v", err)
	}
	if n, err := c.CountDescendants(within(t), "/"); err != nil || n < 100 {
		t.Errorf("%d nodes, %v", n, err)
	}
	if found, _, err := c.Exists(within(t), "/multi-0"); found || err != nil {
		t.Errorf("part of a refused multi is there: %v", err)
	}
	stays()

	// What fits is served for good: a transaction that got in also comes back from the log.
	if _, err := c.Create(within(t), "/fits", make([]byte, 9000), client.CreateOptions{}); err != nil {
		t.Error(err)
	}
	s.Kill()
	s.Restart()
	if got := get(t, c, "/fits"); len(got) != 9000 {
		t.Errorf("%d bytes", len(got))
	}
	// The client knows its servers' limit and says it, instead of losing its connection.
	limited := dial(t, s, client.Options{MaxFrame: 5000})
	if _, err := limited.Create(within(t), "/big", make([]byte, 6000), client.CreateOptions{}); !errors.Is(err, client.ErrRequestTooLarge) || !strings.Contains(err.Error(), "at most 5000") {
		t.Error(err)
	}
}

func TestPainManyWatchesOutliveAReconnect(t *testing.T) {
	s := zooidtest.Start(t)
	c, other := dial(t, s, client.Options{}), dial(t, s, client.Options{})
	path := func(i int) string { return fmt.Sprintf("/%0500d", i) }
	var all []*client.Watch
	for i := range 3000 { // a megabyte and a half of paths: more than one request may have
		_, _, w, err := c.ExistsW(within(t), path(i))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	s.Restart()
	connected(t, c)
	connected(t, other)
	for _, i := range []int{0, 1500, 2999} {
		set(t, other, path(i), "")
		if e, err := all[i].Next(within(t)); err != nil || e.Type != wire.EventNodeCreated {
			t.Errorf("watch %d: %+v %v", i, e, err)
		}
	}
}

func TestPainAWatchSaysWhatItMissed(t *testing.T) {
	s := zooidtest.Start(t)
	c, other := dial(t, s, client.Options{}), dial(t, s, client.Options{})
	w, err := c.Watch(within(t), "/a", wire.AddWatchPersistent)
	if err != nil {
		t.Fatal(err)
	}
	set(t, other, "/a", "1")
	if e, err := w.Next(within(t)); err != nil || e.Type != wire.EventNodeCreated {
		t.Fatal(e, err)
	}
	s.Kill()
	s.Restart()
	if e, err := w.Next(within(t)); err != nil || !e.Gap {
		t.Fatalf("after the connection was lost: %+v %v", e, err)
	}
	connected(t, other)
	set(t, other, "/a", "2")
	for {
		e, err := w.Next(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == wire.EventNodeDataChanged {
			break
		}
	}
}

func TestPainMoreDataThanMemory(t *testing.T) {
	const nodes, budget = 2000, 128 << 10 // and a thousand bytes in each node
	s := zooidtest.Start(t, zooidtest.Set("plugin.machine.cache", fmt.Sprint(budget)), zooidtest.Set("plugin.machine.dirty", "256KiB"), zooidtest.Set("plugin.machine.dirtyAge", "20ms"))
	c := dial(t, s, client.Options{})
	path := func(i int) string { return fmt.Sprintf("/n%d", i) }
	createMany(t, c, nodes, path, make([]byte, 1000))
	for restart := range 2 {
		eventually(t, "all is flushed", func() bool { return figure(t, s, "znode_dirty_bytes") == 0 }) // until then it has to be in memory
		before := figure(t, s, "znode_store_loads")
		for i := range nodes {
			if got := get(t, c, path(i)); len(got) != 1000 {
				t.Fatalf("node %d has %d bytes", i, len(got))
			}
			if i%100 != 0 {
				continue
			}
			eventually(t, "the cache is within its budget", func() bool { return figure(t, s, "znode_cache_bytes") <= budget })
		}
		// What the budget has room for may be there still.
		if loads := figure(t, s, "znode_store_loads") - before; loads < nodes-budget/1000 {
			t.Errorf("%v of %d nodes were read from the store: the others were in memory", loads, nodes)
		}
		if restart == 0 {
			s.Restart()
		}
	}
}

// figure is one of those that mntr shows.
func figure(t *testing.T, s *zooidtest.Server, name string) float64 {
	t.Helper()
	for _, f := range inspect.Monitor(s.Host()) {
		if f.Name == name {
			return f.Value
		}
	}
	t.Fatalf("mntr has no %s", name)
	return 0
}

func TestPainNoWatchIsLeftBehind(t *testing.T) {
	s := zooidtest.Start(t)
	writer := dial(t, s, client.Options{})
	for range 20 {
		c := dial(t, s, client.Options{})
		for i := range 50 {
			if _, _, _, err := c.ExistsW(within(t), fmt.Sprintf("/w%d", i)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Watch(within(t), "/", wire.AddWatchPersistentRecursive); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	_, _, w, err := writer.ExistsW(within(t), "/fires")
	if err != nil {
		t.Fatal(err)
	}
	set(t, writer, "/fires", "")
	if _, err := w.Next(within(t)); err != nil {
		t.Fatal(err)
	}
	machine := s.Host().Machine().(inspect.Machine)
	eventually(t, "all watches are forgotten", func() bool {
		connections, paths, watches := machine.WatchSummary()
		return connections == 0 && paths == 0 && watches == 0
	})
}

func TestPainHeartbeatsPassALoad(t *testing.T) {
	s := zooidtest.Start(t, zooidtest.Set("tickTime", "200"), zooidtest.Set("maxSessionTimeout", "60000"))
	greedy := dial(t, s, client.Options{})
	set(t, greedy, "/load", "")
	// A machine that has other things to do may keep the whole test from running for as long as the shortest session lasts.
	for timeout := time.Second; !staysUnderLoad(t, s, greedy, timeout); timeout *= 4 {
		if timeout > 10*time.Second {
			t.Fatalf("a quiet session of %v lost its connection", timeout)
		}
	}
}

// staysUnderLoad tells whether a client that only pings keeps its connection for more than two of its session's time-outs, beside one that pipelines all it can.
func staysUnderLoad(t *testing.T, s *zooidtest.Server, greedy *client.Client, timeout time.Duration) bool {
	quiet := dial(t, s, client.Options{SessionTimeout: timeout})
	states := quiet.States()
	if now, err := states.Next(within(t)); err != nil || now.State != client.Connected {
		return false
	}
	stop := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		slots := make(chan struct{}, 4000)
		for {
			select {
			case <-stop:
				return
			case slots <- struct{}{}:
				greedy.Go(&wire.Request{Op: client.SetOp("/load", make([]byte, 500), client.AnyVersion)}, func(client.Reply) { <-slots })
			}
		}
	})
	defer load.Wait()
	defer close(stop)
	select {
	case <-states.Changed():
		return false
	case <-time.After(timeout * 5 / 2):
		return true
	}
}

// A disk that takes longer for one write than a client waits between its pings: the connection stays, and the write is done.
func TestPainASlowDiskCostsNoConnection(t *testing.T) {
	f := &failing{fails: func(op errorfs.Op) bool {
		if (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) && strings.Contains(op.Path, "/log/segment") {
			time.Sleep(3 * time.Second)
		}
		return false
	}}
	s := zooidtest.Start(t, zooidtest.OnFS(errorfs.Wrap(vfs.NewMem(), f)))
	c := dial(t, s, client.Options{SessionTimeout: 6 * time.Second}) // it pings after 2 s and gives up after 4 s
	set(t, c, "/a", "")
	stays := sameConnection(t, c)
	f.on.Store(true)
	set(t, c, "/a", "slow")
	f.on.Store(false)
	stays()
}

func TestPainAServerThatDiesYoungStartsAgain(t *testing.T) {
	s := zooidtest.Start(t)
	for _, end := range []func(){s.Kill, s.PowerCut, s.PowerCut, s.Stop} {
		end()
		s.Restart()
	}
	c := dial(t, s, client.Options{})
	set(t, c, "/a", "1")
	s.PowerCut()
	s.Restart()
	if got := get(t, c, "/a"); got != "1" {
		t.Errorf("found %q", got)
	}
}

func TestPainASlowStoreDoesNotSlowTheLog(t *testing.T) {
	var slow atomic.Int64
	f := &failing{fails: func(op errorfs.Op) bool {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.Contains(op.Path, "/nodes/") {
			slow.Add(1)
			time.Sleep(300 * time.Millisecond)
		}
		return false
	}}
	s := zooidtest.Start(t, zooidtest.OnFS(errorfs.Wrap(vfs.NewMem(), f)), zooidtest.Set("plugin.machine.dirtyAge", "10ms"))
	c := dial(t, s, client.Options{})
	set(t, c, "/a", "")
	f.on.Store(true)
	eventually(t, "a flush is under way", func() bool { set(t, c, "/a", "x"); return slow.Load() > 0 })
	start := time.Now()
	for range 100 {
		set(t, c, "/a", "y")
	}
	if took := time.Since(start); took > 5*time.Second { // each would take 300 ms if it waited for the store
		t.Errorf("100 sets took %v beside a slow flush", took)
	}
	f.on.Store(false)
}

func TestPainARestartReplaysTheRestOnly(t *testing.T) {
	s := zooidtest.Start(t, zooidtest.Set("plugin.machine.dirtyAge", "20ms"))
	c := dial(t, s, client.Options{})
	createMany(t, c, 1000, func(i int) string { return fmt.Sprintf("/n%d", i) }, nil)
	var flushed int64
	eventually(t, "all is flushed", func() bool {
		flushed = int64(s.Host().Machine().Flushed())
		return flushed >= int64(s.Host().Status().LastApplied)
	})
	s.PowerCut()
	s.Restart()
	if got := int64(s.Host().Machine().Flushed()); got < flushed {
		t.Errorf("it started at 0x%x and had flushed 0x%x: what lies between was replayed", got, flushed)
	}
	if n, err := c.CountDescendants(within(t), "/"); err != nil || n < 1000 {
		t.Errorf("%d nodes, %v", n, err)
	}
}

func TestPainTheDiskStaysBounded(t *testing.T) {
	for _, nodes := range []string{"pebble", "memory"} {
		t.Run(nodes, func(t *testing.T) {
			disk := plugintest.NewDisk()
			s := zooidtest.Start(t, zooidtest.OnFS(disk), zooidtest.Set("plugin.nodes", nodes), zooidtest.Set("snapCount", "50"), zooidtest.Set("tickTime", "50"), zooidtest.Set("maxSessionTimeout", "60000"),
				zooidtest.Set("plugin.log.segmentSize", "64KiB"), zooidtest.Set("plugin.machine.dirtyAge", "20ms"))
			c := dial(t, s, client.Options{SessionTimeout: time.Minute})
			set(t, c, "/a", "")
			written := int64(0)
			eventually(t, "the log is a small part of what was written, and the rest of the disk has little more than the last snapshots", func() bool {
				for range 250 {
					set(t, c, "/a", strings.Repeat("x", 4000))
					written += 4000
				}
				var log int64
				for _, path := range plugintest.Files(disk.Memory(), "/data/log") {
					if info, err := disk.Memory().Stat(path); err == nil {
						log += info.Size()
					}
				}
				return written > 8<<20 && log < written/4 && disk.Used()-log < 64<<10
			})
		})
	}
}

func TestPainHealthWithoutWords(t *testing.T) {
	disk := plugintest.NewDisk()
	s := zooidtest.Start(t, zooidtest.OnFS(disk), zooidtest.AdminHTTP())
	if status, text := httpGet(t, s.AdminURL()+"/livez"); status != http.StatusOK || text != "ok\n" {
		t.Errorf("livez: %d %q", status, text)
	}
	if status, text := httpGet(t, s.AdminURL()+"/readyz"); status != http.StatusOK {
		t.Errorf("readyz: %d %q", status, text)
	}
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("ruok")); err != nil {
		t.Fatal(err)
	}
	if hint, err := io.ReadAll(conn); err != nil || !strings.Contains(string(hint), "whitelist") {
		t.Errorf("a word that is off: %q %v", hint, err)
	}

	c := dial(t, s, client.Options{})
	set(t, c, "/full", "")
	disk.SetCapacity(disk.Used())
	outcome := fill(t, s, c)
	if status, text := httpGet(t, s.AdminURL()+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "writes are refused") || !strings.Contains(text, "no space") {
		t.Errorf("readyz with a full disk: %d %q", status, text)
	}
	if status, _ := httpGet(t, s.AdminURL()+"/livez"); status != http.StatusOK {
		t.Errorf("livez with a full disk: %d: a restart would not help", status)
	}
	disk.SetCapacity(-1)
	outcome()
}

func httpGet(t *testing.T, url string) (status int, text string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return resp.StatusCode, string(body)
}

func TestPainManyClientsBehindOneAddress(t *testing.T) {
	s := zooidtest.Start(t)
	for range 200 {
		protocoltest.Connect(t, s.Addr())
	}
	limited := zooidtest.Start(t, zooidtest.Set("maxClientCnxns", "3"))
	for range 3 {
		protocoltest.Connect(t, limited.Addr())
	}
	protocoltest.Dial(t, limited.Addr()).ExpectClosed()
}

func TestPainManySessionsOpenAtOnce(t *testing.T) {
	var syncs atomic.Int64
	f := &failing{fails: func(op errorfs.Op) bool {
		if (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) && strings.Contains(op.Path, "/log/segment") {
			syncs.Add(1)
			time.Sleep(5 * time.Millisecond) // a disk
		}
		return false
	}}
	s := zooidtest.Start(t, zooidtest.OnFS(errorfs.Wrap(vfs.NewMem(), f)))
	f.on.Store(true)
	const many = 400
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			conn, err := net.Dial("tcp", s.Addr())
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { conn.Close() })
			conn.SetDeadline(time.Now().Add(patience))
			if _, err := conn.Write(protocoltest.FrameOf((&wire.ConnectRequest{TimeoutMs: 30000, Password: make([]byte, 16)}).AppendTo(nil))); err != nil {
				t.Error(err)
			}
			if _, err := io.ReadFull(conn, make([]byte, 40)); err != nil {
				t.Errorf("the answer to connect: %v", err)
			}
		})
	}
	all.Wait()
	if n := syncs.Load(); n == 0 || n > many/4 {
		t.Errorf("%d sessions took %d syncs of the log", many, n)
	}
	found := 0
	s.Host().Machine().Sessions().List(func(i kernel.SessionInfo) bool {
		if i.Local {
			t.Errorf("session 0x%x is local, and nobody has asked for that", int64(i.ID))
		}
		found++
		return true
	})
	if found != many {
		t.Errorf("%d sessions, want %d", found, many)
	}
}
