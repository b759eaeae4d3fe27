package znode

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

func addWatch(path string, mode wire.AddWatchMode) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpAddWatch, Path: path}, AddWatchMode: mode}
}

func watchOp(op wire.OpCode, path string, typ wire.WatcherType) wire.Request {
	return wire.Request{Op: wire.Op{Code: op, Path: path}, WatcherType: typ}
}

func multi(ops ...wire.Request) wire.Request {
	r := wire.Request{Op: wire.Op{Code: wire.OpMulti}}
	for _, o := range ops {
		r.Ops = append(r.Ops, o.Op)
	}
	return r
}

// events returns what a connection was told, in words, and forgets it.
func (c *conn) events() string {
	var words []string
	for _, s := range c.take() {
		name := map[wire.EventType]string{1: "created", 2: "deleted", 3: "changed", 4: "children"}[s.event]
		words = append(words, name+" "+s.path)
	}
	return strings.Join(words, ", ")
}

// TestTriggers is the table of spec client-semantics, 1.2: which watch on /p sees which change, and how often.
func TestTriggers(t *testing.T) {
	watches := []struct {
		name string
		arm  wire.Request
	}{
		{"data", get(wire.OpGetData, "/p", true)},
		{"exists", get(wire.OpExists, "/p", true)},
		{"child", get(wire.OpGetChildren, "/p", true)},
		{"persistent", addWatch("/p", wire.AddWatchPersistent)},
		{"recursive", addWatch("/p", wire.AddWatchPersistentRecursive)},
		{"recursive above", addWatch("/", wire.AddWatchPersistentRecursive)},
	}
	cases := []struct {
		change string
		do     wire.Request
		want   [6]string
	}{
		{"create child", create("/p/new", ""), [6]string{"", "", "children /p", "children /p", "created /p/new", "created /p/new"}},
		{"create grandchild", create("/p/c/new", ""), [6]string{"", "", "", "", "created /p/c/new", "created /p/c/new"}},
		{"setData", set("/p", "", -1), [6]string{"changed /p", "changed /p", "", "changed /p", "changed /p", "changed /p"}},
		{"setData child", set("/p/c", "", -1), [6]string{"", "", "", "", "changed /p/c", "changed /p/c"}},
		{"delete child", del("/p/c", -1), [6]string{"", "", "children /p", "children /p", "deleted /p/c", "deleted /p/c"}},
		{"setACL", wire.Request{Op: wire.Op{Code: wire.OpSetACL, Path: "/p", ACL: wire.OpenACL, Version: -1}}, [6]string{}},
		{"delete", multi(del("/p/c", -1), del("/p", -1)), [6]string{"deleted /p", "deleted /p", "children /p", "children /p, deleted /p", "deleted /p/c, deleted /p", "deleted /p/c, deleted /p"}},
		{"failed", del("/p", -1), [6]string{}},
		{"failed multi", multi(set("/p", "", -1), del("/none", -1)), [6]string{}},
		{"check", multi(wire.Request{Op: wire.Op{Code: wire.OpCheck, Path: "/p", Version: -1}}), [6]string{}},
	}
	for i, w := range watches {
		for _, x := range cases {
			t.Run(w.name+"/"+x.change, func(t *testing.T) {
				d := newDriver(t, nil)
				other, c := d.client(), d.client()
				other.want(0, create("/p", ""))
				other.want(0, create("/p/c", ""))
				c.want(0, w.arm)
				other.do(x.do)
				if got := c.events(); got != x.want[i] {
					t.Fatalf("got %q, want %q", got, x.want[i])
				}
			})
		}
	}
}

// TestFramesPerChange is spec client-semantics, 1.3 and the notes under 1.2: several watches of one connection, several operations of one transaction.
func TestFramesPerChange(t *testing.T) {
	exists := func(p string) wire.Request { return get(wire.OpExists, p, true) }
	child := func(p string) wire.Request { return get(wire.OpGetChildren, p, true) }
	data := func(p string) wire.Request { return get(wire.OpGetData, p, true) }
	persistent := func(p string) wire.Request { return addWatch(p, wire.AddWatchPersistent) }
	recursive := func(p string) wire.Request { return addWatch(p, wire.AddWatchPersistentRecursive) }
	cases := []struct {
		name string
		arm  []wire.Request
		do   []wire.Request
		want string
	}{
		{"every kind at once", []wire.Request{data("/a/b"), persistent("/a/b"), recursive("/a/b"), recursive("/a"), recursive("/")}, []wire.Request{set("/a/b", "", -1)}, "changed /a/b"},
		{"data and child, delete", []wire.Request{data("/a/b"), child("/a/b")}, []wire.Request{del("/a/b", -1), create("/a/b", "")}, "deleted /a/b"},
		{"child alone, delete", []wire.Request{child("/a/b")}, []wire.Request{del("/a/b", -1)}, "deleted /a/b"},
		{"recursive above and child", []wire.Request{recursive("/a"), child("/a/b")}, []wire.Request{del("/a/b", -1), create("/a/b", ""), del("/a/b", -1)}, "deleted /a/b, created /a/b, deleted /a/b"},
		{"persistent, delete", []wire.Request{persistent("/a/b")}, []wire.Request{del("/a/b", -1), create("/a/b", "")}, "deleted /a/b, created /a/b"},
		{"persistent on parent and node", []wire.Request{persistent("/a"), persistent("/a/x")}, []wire.Request{create("/a/x", "")}, "created /a/x, children /a"},
		{"recursive above, child below", []wire.Request{recursive("/a"), child("/a/b")}, []wire.Request{create("/a/b/c", "")}, "created /a/b/c, children /a/b"},
		{"multi, one-shot", []wire.Request{child("/a")}, []wire.Request{multi(create("/a/x", ""), create("/a/y", ""))}, "children /a"},
		{"multi, persistent", []wire.Request{persistent("/a")}, []wire.Request{multi(create("/a/x", ""), create("/a/y", ""))}, "children /a, children /a"},
		{"multi, all of a life", []wire.Request{recursive("/a/x")}, []wire.Request{multi(create("/a/x", ""), set("/a/x", "", -1), del("/a/x", -1))}, "created /a/x, changed /a/x, deleted /a/x"},
		{"multi, never seen", []wire.Request{exists("/a/x")}, []wire.Request{multi(create("/a/x", ""), del("/a/x", -1))}, "created /a/x"},
		{"registered twice", []wire.Request{data("/a"), data("/a"), exists("/a")}, []wire.Request{set("/a", "", -1), set("/a", "", -1)}, "changed /a"},
		{"exists armed by a missing node", []wire.Request{exists("/x")}, []wire.Request{create("/x", ""), set("/x", "", -1)}, "created /x"},
		{"child of the root", []wire.Request{child("/")}, []wire.Request{create("/x", "")}, "children /"},
		{"empty path never fires", []wire.Request{child("")}, []wire.Request{create("/x", "")}, ""},
		{"one-shot does not end persistent", []wire.Request{persistent("/a"), data("/a")}, []wire.Request{set("/a", "", -1), set("/a", "", -1)}, "changed /a, changed /a"},
		{"not under a path that only begins alike", []wire.Request{recursive("/a")}, []wire.Request{create("/ab", "")}, ""},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			d := newDriver(t, nil)
			other, c := d.client(), d.client()
			other.want(0, create("/a", ""))
			other.want(0, create("/a/b", ""))
			for _, r := range x.arm {
				c.do(r)
			}
			for _, r := range x.do {
				other.want(0, r)
			}
			if got := c.events(); got != x.want {
				t.Fatalf("got %q, want %q", got, x.want)
			}
			c.d.m.Sessions().Detach(c)
			other.d.m.Sessions().Detach(other)
			d.noWatches()
		})
	}
}

// noWatches checks that nothing is left of any watch.
func (d *driver) noWatches() {
	d.t.Helper()
	w := &d.m.watches
	for conn, by := range w.byConn {
		if len(by.paths) > 0 || by.weight != 0 {
			d.t.Errorf("%v still watches: weight %d", conn.Session(), by.weight)
		}
	}
	if len(w.byPath) != 0 || w.pairs.Load() != 0 || w.recursive != 0 {
		d.t.Fatalf("left over: %d paths, %d pairs, %d recursive", len(w.byPath), w.pairs.Load(), w.recursive)
	}
}

func TestOwnEventsComeFirst(t *testing.T) {
	d := newDriver(t, nil)
	c := d.client()
	c.want(0, createMode("/e", wire.Ephemeral))
	c.want(0, get(wire.OpGetData, "/e", true))
	c.want(0, get(wire.OpGetChildren, "/", true))
	z := d.next
	d.apply(d.prepare(c.request(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})))
	got := c.take()
	if len(got) != 3 || got[0].event != wire.EventNodeDeleted || got[1].event != wire.EventNodeChildrenChanged || got[2].event != 0 || got[2].zxid != z || got[0].zxid != z {
		t.Fatalf("got %+v", got)
	}
	if !c.closed || c.reason != kernel.CloseSessionEnded {
		t.Fatal("not hung up")
	}
}

// TestDeliveryNeedsRead is spec client-semantics, 1.8: who may not read the node is not told, and its one-shot watch is gone.
func TestDeliveryNeedsRead(t *testing.T) {
	d := newDriver(t, nil)
	owner, c := d.client(joe), d.client()
	closed := func(path string) wire.Request {
		return edit(create(path, ""), func(o *wire.Op) { o.ACL = acl(wire.PermAll, "auth", "") })
	}
	owner.want(0, closed("/closed"))
	c.want(wire.ErrNoNode, get(wire.OpExists, "/secret", true))
	c.want(0, addWatch("/closed", wire.AddWatchPersistentRecursive))
	owner.want(0, closed("/secret"))
	owner.want(0, create("/closed/open", ""))
	owner.want(0, set("/closed", "", -1))
	if got := c.events(); got != "created /closed/open" {
		t.Fatalf("got %q", got)
	}
	if c.d.m.watches.has(c, "/secret") != 0 {
		t.Fatal("the watch on /secret is still there")
	}
	c.ids = []kernel.Identity{joe} // gained after the registration
	owner.want(0, set("/closed", "", -1))
	if got := c.events(); got != "changed /closed" {
		t.Fatalf("got %q", got)
	}
}

func TestSetWatches(t *testing.T) {
	d := newDriver(t, nil)
	other, c := d.client(joe), d.client()
	for _, p := range []string{"/same", "/set", "/kids", "/edge"} {
		other.want(0, create(p, ""))
	}
	other.want(0, edit(create("/hidden", ""), func(o *wire.Op) { o.ACL = acl(wire.PermAll, "auth", "") }))
	other.want(0, set("/edge", "", -1)) // exactly at the zxid that the client has seen: not reported
	seen := int64(d.next) - 1
	other.want(0, set("/set", "", -1))
	other.want(0, set("/hidden", "", -1))
	other.want(0, create("/kids/x", ""))
	other.want(0, del("/kids/x", -1))
	other.want(0, create("/came", ""))
	r := wire.Request{
		Op: wire.Op{Code: wire.OpSetWatches2}, RelativeZxid: seen,
		DataWatches:       []string{"/same", "/set", "/gone", "/edge", "/hidden"},
		ExistWatches:      []string{"/came", "/absent"},
		ChildWatches:      []string{"/same", "/kids", "/gone"},
		PersistentWatches: []string{"/set"}, RecursiveWatches: []string{"/none"},
	}
	req := c.request(r)
	d.m.Read([]*kernel.Request{req})
	sent := c.take()
	last := sent[len(sent)-1]
	if last.event != 0 || last.err != 0 || last.zxid != d.next-1 {
		t.Fatalf("the reply is not last: %+v", sent)
	}
	for _, s := range sent[:len(sent)-1] {
		if s.zxid != -1 {
			t.Errorf("an event about the past has zxid %s", s.zxid)
		}
	}
	c.sent = sent[:len(sent)-1]
	if got, want := c.events(), "changed /set, deleted /gone, created /came, children /kids, deleted /gone"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	for path, want := range map[string]modes{"/same": watchData | watchChild, "/set": watchPersistent, "/gone": 0, "/edge": watchData, "/hidden": 0, "/came": 0, "/absent": watchData, "/kids": 0, "/none": watchRecursive} {
		if got := d.m.watches.has(c, path); got != want {
			t.Errorf("%s: armed %b, want %b", path, got, want)
		}
	}
}

func TestCheckAndRemoveWatches(t *testing.T) {
	all := modes(watchData | watchChild | watchPersistent | watchRecursive)
	for typ, want := range map[wire.WatcherType]modes{
		wire.WatcherData: watchData, wire.WatcherChildren: watchChild, wire.WatcherPersistent: watchPersistent, wire.WatcherPersistentRecursive: watchRecursive, wire.WatcherAny: all,
	} {
		d := newDriver(t, nil)
		c := d.client()
		c.want(wire.ErrNoWatcher, watchOp(wire.OpCheckWatches, "/", typ))
		c.want(0, get(wire.OpGetData, "/", true))
		c.want(0, get(wire.OpGetChildren, "/", true))
		c.want(0, addWatch("/", wire.AddWatchPersistent))
		c.want(0, addWatch("/", wire.AddWatchPersistentRecursive))
		c.want(wire.ErrNoWatcher, watchOp(wire.OpRemoveWatches, "/zookeeper", typ))
		c.want(0, watchOp(wire.OpCheckWatches, "/", typ))
		c.want(0, watchOp(wire.OpRemoveWatches, "/", typ))
		if got := d.m.watches.has(c, "/"); got != all&^want {
			t.Errorf("type %d leaves %b of %b", typ, got, all)
		}
		c.want(wire.ErrNoWatcher, watchOp(wire.OpRemoveWatches, "/", typ))
		d.m.Sessions().Detach(c)
		d.noWatches()
	}
}

func TestWatchLimit(t *testing.T) {
	d := newDriver(t, map[string]string{"maxWatches": "2"})
	c, other := d.client(), d.client()
	c.want(wire.ErrNoNode, get(wire.OpExists, "/1", true))
	c.want(0, addWatch("/2", wire.AddWatchPersistent))
	c.want(wire.ErrNoNode, get(wire.OpExists, "/1", true))
	c.want(wire.ErrBadArguments, get(wire.OpGetData, "/", true))
	c.want(0, watchOp(wire.OpRemoveWatches, "/2", wire.WatcherAny))
	c.want(wire.ErrBadArguments, addWatch("/"+strings.Repeat("long", 100), wire.AddWatchPersistent))
	c.want(0, addWatch("/2", wire.AddWatchPersistent))
	c.want(wire.ErrBadArguments, addWatch("/3", wire.AddWatchPersistent))
	c.want(0, get(wire.OpGetData, "/", false))
	other.want(0, get(wire.OpGetData, "/", true))
}

// TestCrowd has many connections watch many paths, and leave in another order than they came.
func TestCrowd(t *testing.T) {
	d := newDriver(t, nil)
	var all []*conn
	for range 140 {
		all = append(all, d.client())
	}
	for i, c := range all {
		for p := range 20 {
			c.do(get(wire.OpExists, fmt.Sprintf("/%d", p), true))
			if i%3 == 0 {
				c.want(0, addWatch(fmt.Sprintf("/%d", p), wire.AddWatchPersistentRecursive))
			}
		}
	}
	all[0].want(0, create("/7", ""))
	for i, c := range all {
		if got := c.events(); got != "created /7" {
			t.Fatalf("connection %d: %q", i, got)
		}
	}
	all[0].want(0, set("/7", "", -1))
	for i, c := range all {
		want := ""
		if i%3 == 0 {
			want = "changed /7"
		}
		if got := c.events(); got != want {
			t.Fatalf("connection %d: %q, want %q", i, got, want)
		}
	}
	conns, paths, pairs := d.m.WatchSummary()
	if conns != 140 || paths != 20 || pairs != 140*20-93 {
		t.Fatalf("%d connections, %d paths, %d pairs", conns, paths, pairs)
	}
	n := 0
	d.m.Watches(func(string, kernel.SessionID) bool { n++; return true })
	if n != pairs {
		t.Fatalf("yielded %d pairs of %d", n, pairs)
	}
	for i := range all {
		d.m.Sessions().Detach(all[(i*3)%len(all)])
	}
	d.noWatches()
}
