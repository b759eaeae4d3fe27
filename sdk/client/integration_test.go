package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// The tests in this file run against a real server, below a chroot of their own: a Zooid in this process, or the one whose connect string is in ZOOID_TEST_CONNECT.
func realServer(t *testing.T) (connect string) {
	t.Helper()
	connect = os.Getenv("ZOOID_TEST_CONNECT")
	if connect == "" {
		connect = zooidtest.Start(t).ConnectString()
	}
	connect = fmt.Sprintf("%s/zooid-client-test-%d", connect, time.Now().UnixNano())
	c := dialFake(t, connect, Options{})
	if err := c.ensure(testContext(t), c.chroot, wire.OpenACL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c, err := Dial(ctx, connect, Options{})
		if err != nil {
			t.Error(err)
			return
		}
		if err := c.DeleteAll(ctx, "/"); err != nil {
			t.Error(err)
		}
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return connect
}

func TestRealOperations(t *testing.T) {
	connect := realServer(t)
	ctx := testContext(t)
	c := dialFake(t, connect, Options{Auth: []Auth{{"digest", []byte("u:p")}}})
	if p, err := c.Create(ctx, "/a/b/c", []byte("x"), CreateOptions{Parents: true}); err != nil || p != "/a/b/c" {
		t.Fatal(p, err)
	}
	if _, err := c.Create(ctx, "/a", nil, CreateOptions{}); !errors.Is(err, wire.ErrNodeExists) {
		t.Error(err)
	}
	data, stat, err := c.Get(ctx, "/a/b/c")
	if err != nil || string(data) != "x" || stat.Version != 0 || stat.DataLength != 1 {
		t.Error(data, stat, err)
	}
	if stat, err := c.Set(ctx, "/a/b/c", nil, 0); err != nil || stat.Version != 1 {
		t.Error(stat, err)
	}
	if data, _, err := c.Get(ctx, "/a/b/c"); err != nil || data != nil {
		t.Errorf("null came back as %#v, %v", data, err)
	}
	if _, err := c.Set(ctx, "/a/b/c", nil, 0); !errors.Is(err, wire.ErrBadVersion) {
		t.Error(err)
	}
	if err := c.Delete(ctx, "/a", AnyVersion); !errors.Is(err, wire.ErrNotEmpty) {
		t.Error(err)
	}
	if names, stat, err := c.Children(ctx, "/a/b"); err != nil || !slices.Equal(names, []string{"c"}) || stat.NumChildren != 1 {
		t.Error(names, stat, err)
	}
	p, stat, err := c.CreateStat(ctx, "/e-", nil, CreateOptions{Mode: wire.EphemeralSequential, ACL: wire.CreatorAllACL})
	if err != nil || p != "/e-0000000001" || stat.EphemeralOwner != c.SessionID() {
		t.Error(p, stat, err)
	}
	if list, stat, err := c.GetACL(ctx, p); err != nil || len(list) != 1 || list[0].ID.Scheme != "digest" || list[0].ID.ID != wire.DigestID([]byte("u:p")) {
		t.Error(list, stat, err)
	}
	if stat, err := c.SetACL(ctx, p, wire.OpenACL, 0); err != nil || stat.Aversion != 1 {
		t.Error(stat, err)
	}
	if paths, err := c.Ephemerals(ctx, "/"); err != nil || !slices.Equal(paths, []string{p}) {
		t.Error(paths, err)
	}
	if n, err := c.CountDescendants(ctx, "/"); err != nil || n != 4 {
		t.Error(n, err)
	}
	if list, err := c.WhoAmI(ctx); err != nil || !slices.Contains(list, wire.ClientInfo{Scheme: "digest", User: "u"}) {
		t.Error(list, err)
	}
	if p, err := c.Create(ctx, "/box", nil, CreateOptions{Mode: wire.Container}); err != nil || p != "/box" {
		t.Error(p, err)
	}
	if p, err := c.Create(ctx, "/brief", nil, CreateOptions{Mode: wire.PersistentTTL, TTL: time.Hour}); err == nil && p != "/brief" || err != nil && !errors.Is(err, wire.ErrUnimplemented) {
		t.Error(p, err) // servers refuse it unless extendedTypesEnabled is set
	}
	if err := c.Sync(ctx, "/"); err != nil {
		t.Error(err)
	}
	if _, _, err := c.Config(ctx); err != nil {
		t.Error(err)
	}
	if p, err := c.Create(ctx, "/guid-", nil, CreateOptions{Mode: wire.EphemeralSequential, Protected: true}); err != nil || !strings.HasPrefix(p, "/_c_") {
		t.Error(p, err)
	}
}

func TestRealMulti(t *testing.T) {
	connect := realServer(t)
	ctx := testContext(t)
	c := dialFake(t, connect, Options{})
	results, err := c.Multi(ctx, CreateOp("/m", []byte("0"), wire.Persistent, nil), SetOp("/m", []byte("1"), 0), CreateOp("/m/box", nil, wire.Container, nil), CheckOp("/m", 1), DeleteOp("/m/box", AnyVersion))
	if err != nil || len(results) != 5 || results[0].Path != "/m" || results[1].Stat.Version != 1 || results[2].Path != "/m/box" {
		t.Fatal(results, err)
	}
	_, err = c.Multi(ctx, SetOp("/m", []byte("2"), 1), DeleteOp("/nope", AnyVersion))
	var me *MultiError
	if !errors.As(err, &me) || me.Index != 1 || !errors.Is(err, wire.ErrNoNode) {
		t.Fatal(err)
	}
	reads, err := c.MultiRead(ctx, GetOp("/m"), GetOp("/nope"), ChildrenOp("/"))
	if err != nil || string(reads[0].Data) != "1" || reads[1].Err != wire.ErrNoNode || !slices.Equal(reads[2].Children, []string{"m"}) {
		t.Fatal(reads, err)
	}
}

func TestRealWatches(t *testing.T) {
	connect := realServer(t)
	ctx := testContext(t)
	c := dialFake(t, connect, Options{})
	other := dialFake(t, connect, Options{})
	r, err := c.Watch(ctx, "/", wire.AddWatchPersistentRecursive)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Watch(ctx, "/q", wire.AddWatchPersistent)
	if err != nil {
		t.Fatal(err)
	}
	found, _, e, err := c.ExistsW(ctx, "/w")
	if err != nil || found {
		t.Fatal(err)
	}
	if _, err := other.Create(ctx, "/w", nil, CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	expectEvent(t, e, wire.EventNodeCreated, "/w")
	expectEvent(t, r, wire.EventNodeCreated, "/w")
	_, _, one, err := c.GetW(ctx, "/w")
	if err != nil {
		t.Fatal(err)
	}
	_, _, ch, err := c.ChildrenW(ctx, "/")
	if err != nil {
		t.Fatal(err)
	}

	// Away, and back with the same session.
	id := c.SessionID()
	states := c.States()
	c.mu.Lock()
	nc := c.conn.nc
	c.mu.Unlock()
	if _, err := other.Set(ctx, "/w", []byte("1"), AnyVersion); err != nil {
		t.Fatal(err)
	}
	expectEvent(t, r, wire.EventNodeDataChanged, "/w")
	expectEvent(t, one, wire.EventNodeDataChanged, "/w")
	_, _, one, err = c.GetW(ctx, "/w")
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	awaitState(t, states, Suspended)
	if _, err := other.Create(ctx, "/q", nil, CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Set(ctx, "/w", []byte("2"), AnyVersion); err != nil {
		t.Fatal(err)
	}
	awaitState(t, states, Connected)
	if c.SessionID() != id {
		t.Fatal("another session")
	}
	expectEvent(t, one, wire.EventNodeDataChanged, "/w")
	expectEvent(t, ch, wire.EventNodeChildrenChanged, "/")
	for _, w := range []*Watch{r, p} { // unless the reconnect was quicker than the writes, whose events may then come after the gap
		for {
			ev, err := w.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if ev.Gap {
				break
			}
		}
	}
	if err := other.Delete(ctx, "/q", AnyVersion); err != nil {
		t.Fatal(err)
	}
	for {
		ev, err := p.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if ev.Type == wire.EventNodeDeleted {
			break
		}
	}
	if err := p.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := r.Close(ctx); err != nil {
		t.Error(err)
	}
}

// cutting is a connection whose answers can be withheld: the request has gone, the reply never comes.
type cutting struct {
	net.Conn
	cut *atomic.Bool
}

func (c *cutting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil && c.cut.CompareAndSwap(true, false) {
		c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// A protected create whose reply is lost is done once, and its path comes back: no orphan is left to block a lock.
func TestRealCreateWhoseReplyIsLostIsDoneOnce(t *testing.T) {
	connect := realServer(t)
	ctx := testContext(t)
	var cut atomic.Bool
	c := dialFake(t, connect, Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, address)
		return &cutting{nc, &cut}, err
	}})
	id := c.SessionID()
	mine := map[string]bool{}
	for range 10 {
		cut.Store(true)
		p, stat, err := c.CreateStat(ctx, "/lock-", nil, CreateOptions{Mode: wire.EphemeralSequential, Protected: true})
		if err != nil || stat.EphemeralOwner != id || mine[p] || cut.Load() {
			t.Fatalf("%q %+v %v, reply lost: %v", p, stat, err, !cut.Load())
		}
		mine[p] = true
	}
	names, _, err := c.Children(ctx, "/")
	if err != nil || len(names) != 10 {
		t.Errorf("%d nodes: %v %v", len(names), names, err)
	}
}

func TestRealDeleteAll(t *testing.T) {
	connect := realServer(t)
	ctx := testContext(t)
	c := dialFake(t, connect, Options{})
	done := make(chan error, 3000)
	if _, err := c.Create(ctx, "/t", nil, CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		op := CreateOp(fmt.Sprintf("/t/n%d", i), nil, wire.Persistent, wire.OpenACL)
		if i%3 == 2 {
			op.Path = fmt.Sprintf("/t/n%d/c%d", i-2, i)
		}
		c.Go(&wire.Request{Op: op}, func(r Reply) { done <- r.Err })
	}
	for range 3000 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := c.DeleteAll(ctx, "/t"); err != nil {
		t.Fatal(err)
	}
	if found, _, err := c.Exists(ctx, "/t"); found || err != nil {
		t.Fatal(found, err)
	}
}

func TestRealSessionMoves(t *testing.T) {
	connect := realServer(t)
	ctx := testContext(t)
	a := dialFake(t, connect, Options{})
	if _, err := a.Create(ctx, "/e", nil, CreateOptions{Mode: wire.Ephemeral}); err != nil {
		t.Fatal(err)
	}
	id, password := a.Session()
	a.cancel() // gone without a word: two live clients of one session would take it from each other for ever
	<-a.done
	b := dialFake(t, connect, Options{SessionID: id, Password: password})
	if b.SessionID() != id {
		t.Fatal("another session")
	}
	if err := b.Close(ctx); err != nil {
		t.Fatal(err)
	}
	c := dialFake(t, connect, Options{})
	if found, _, err := c.Exists(ctx, "/e"); found || err != nil {
		t.Error(found, err)
	}
}

func BenchmarkReal(b *testing.B) {
	connect := os.Getenv("ZOOID_TEST_CONNECT")
	if connect == "" {
		connect = zooidtest.Start(b).ConnectString()
	}
	ctx := context.Background()
	c, err := Dial(ctx, connect, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(ctx)
	path, err := c.Create(ctx, "/zooid-bench-", make([]byte, 128), CreateOptions{Mode: wire.EphemeralSequential})
	if err != nil {
		b.Fatal(err)
	}
	for name, req := range map[string]*wire.Request{"get": {Op: GetOp(path)}, "set": {Op: SetOp(path, make([]byte, 128), AnyVersion)}} {
		b.Run("op="+name+"/inflight=256", func(b *testing.B) {
			b.ReportAllocs()
			slots := make(chan struct{}, 256)
			done := func(r Reply) {
				if r.Err != nil {
					b.Error(r.Err)
				}
				<-slots
			}
			for b.Loop() {
				slots <- struct{}{}
				c.Go(req, done)
			}
			for range cap(slots) {
				slots <- struct{}{}
			}
		})
	}
}
