package client

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

func expectEvent(t *testing.T, w *Watch, want wire.EventType, path string) {
	t.Helper()
	e, err := w.Next(testContext(t))
	if err != nil || e.Gap || e.Type != want || e.Path != path {
		t.Fatalf("%+v %v, want %v %s", e, err, want, path)
	}
}

func expectGap(t *testing.T, w *Watch) {
	t.Helper()
	if e, err := w.Next(testContext(t)); err != nil || !e.Gap {
		t.Fatalf("%+v %v, want a gap", e, err)
	}
}

func TestOneShotWatches(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	c := dialFake(t, f.addr(), Options{})
	_, _, children, err := c.ChildrenW(ctx, "/")
	if err != nil {
		t.Fatal(err)
	}
	found, _, exists, err := c.ExistsW(ctx, "/a")
	if err != nil || found {
		t.Fatal(found, err)
	}
	f.put("/a", "1")
	expectEvent(t, exists, wire.EventNodeCreated, "/a")
	expectEvent(t, children, wire.EventNodeChildrenChanged, "/")
	_, _, data, err := c.GetW(ctx, "/a")
	if err != nil {
		t.Fatal(err)
	}
	f.put("/a", "2")
	f.put("/a", "3")
	expectEvent(t, data, wire.EventNodeDataChanged, "/a")
	for _, w := range []*Watch{children, exists, data} {
		if _, err := w.Next(ctx); !errors.Is(err, ErrWatchClosed) {
			t.Error(err)
		}
	}
	if _, _, _, err := c.GetW(ctx, "/nope"); !errors.Is(err, wire.ErrNoNode) {
		t.Error(err)
	}
}

func TestPersistentWatches(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	f.put("/app", "")
	c := dialFake(t, f.addr()+"/app", Options{})
	p, err := c.Watch(ctx, "/", wire.AddWatchPersistent)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Watch(ctx, "/", wire.AddWatchPersistentRecursive)
	if err != nil {
		t.Fatal(err)
	}
	f.put("/app/x", "")
	f.put("/app/x/y", "")
	f.put("/app", "2")
	expectEvent(t, r, wire.EventNodeCreated, "/x")
	expectEvent(t, r, wire.EventNodeCreated, "/x/y")
	expectEvent(t, r, wire.EventNodeDataChanged, "/")
	expectEvent(t, p, wire.EventNodeChildrenChanged, "/")
	expectEvent(t, p, wire.EventNodeDataChanged, "/")
}

// While the client is away /d changes, /e appears, /c gets a child and /p changes too: the one-shot watches report it, the persistent ones say that they cannot know.
func TestWatchesAfterReconnect(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	for _, p := range []string{"/d", "/c", "/p", "/same"} {
		f.put(p, "")
	}
	c := dialFake(t, f.addr(), Options{})
	_, _, d, _ := c.GetW(ctx, "/d")
	_, _, same, _ := c.GetW(ctx, "/same")
	_, _, e, _ := c.ExistsW(ctx, "/e")
	_, _, ch, _ := c.ChildrenW(ctx, "/c")
	p, err := c.Watch(ctx, "/p", wire.AddWatchPersistent)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.refuse = true
	f.mu.Unlock()
	states := c.States()
	f.dropAll()
	awaitState(t, states, Suspended)
	for _, path := range []string{"/d", "/e", "/c/1", "/p"} {
		f.put(path, "new")
	}
	f.mu.Lock()
	f.refuse = false
	f.mu.Unlock()
	expectEvent(t, d, wire.EventNodeDataChanged, "/d")
	expectEvent(t, e, wire.EventNodeCreated, "/e")
	expectEvent(t, ch, wire.EventNodeChildrenChanged, "/c")
	expectGap(t, p)
	f.put("/p", "newer")
	expectEvent(t, p, wire.EventNodeDataChanged, "/p")
	if ev, ok, err := same.TryNext(); ok || err != nil {
		t.Errorf("%+v %v", ev, err)
	}
	f.put("/same", "now")
	expectEvent(t, same, wire.EventNodeDataChanged, "/same")
}

// A new session arms the watches too.
func TestWatchesAfterSessionLoss(t *testing.T) {
	f := newFake(t)
	c := dialFake(t, f.addr(), Options{})
	w, err := c.Watch(testContext(t), "/a", wire.AddWatchPersistentRecursive)
	if err != nil {
		t.Fatal(err)
	}
	f.expire()
	expectGap(t, w)
	f.put("/a", "")
	expectEvent(t, w, wire.EventNodeCreated, "/a")
}

// Many watches are armed again in chunks, all against the same zxid, none lost.
func TestRearmInChunks(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	c := dialFake(t, f.addr(), Options{MaxFrame: 2000})
	const n = 200
	for i := range n {
		if _, _, _, err := c.ExistsW(ctx, fmt.Sprintf("/some/long/path/of/a/node/%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Watch(ctx, "/p", wire.AddWatchPersistent); err != nil {
		t.Fatal(err)
	}
	states := c.States()
	f.dropAll()
	awaitState(t, states, Suspended)
	awaitState(t, states, Connected)
	if err := c.Sync(ctx, "/"); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	total := 0
	for _, l := range f.lists {
		total += len(l.DataWatches) + len(l.ExistWatches) + len(l.ChildWatches) + len(l.PersistentWatches)
		if size := len(l.AppendTo(nil)); size > 2000 || l.RelativeZxid != f.lists[0].RelativeZxid {
			t.Errorf("%d bytes, zxid %d", size, l.RelativeZxid)
		}
		if (l.Code == wire.OpSetWatches2) != (len(l.PersistentWatches) > 0) {
			t.Errorf("%v with %d persistent watches", l.Code, len(l.PersistentWatches))
		}
	}
	if total != n+1 || len(f.lists) < 6 {
		t.Errorf("%d watches in %d requests", total, len(f.lists))
	}
}

func TestWatchClose(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	c := dialFake(t, f.addr(), Options{})
	a, _ := c.Watch(ctx, "/", wire.AddWatchPersistent)
	b, _ := c.Watch(ctx, "/", wire.AddWatchPersistent)
	f.put("/x", "")
	if err := a.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if n := f.count(wire.OpRemoveWatches); n != 0 {
		t.Fatal("removed at the server although another watch needs it")
	}
	f.put("/y", "")
	expectEvent(t, b, wire.EventNodeChildrenChanged, "/")
	expectEvent(t, b, wire.EventNodeChildrenChanged, "/")
	if err := b.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if n := f.count(wire.OpRemoveWatches); n != 1 {
		t.Fatal(n)
	}
	if _, err := b.Next(ctx); !errors.Is(err, ErrWatchClosed) {
		t.Error(err)
	}
	if err := b.Close(ctx); err != nil {
		t.Error(err)
	}
}

// A slow reader gets a gap instead of silence, and memory stays bounded.
func TestSlowReader(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	c := dialFake(t, f.addr(), Options{})
	w, err := c.Watch(ctx, "/", wire.AddWatchPersistent)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * watchQueue {
		f.put("/", "x")
	}
	if err := c.Sync(ctx, "/"); err != nil { // behind all events
		t.Fatal(err)
	}
	n, gap := 0, false
	for {
		e, ok, err := w.TryNext()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		n++
		gap = e.Gap
	}
	if n != watchQueue || !gap {
		t.Errorf("%d events, the last a gap: %v", n, gap)
	}
	f.put("/", "y")
	expectEvent(t, w, wire.EventNodeDataChanged, "/")
	select {
	case <-w.Ready():
	case <-time.After(time.Second): // Next may have taken the token
	}
	short, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := w.Next(short); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
