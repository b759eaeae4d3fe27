package znode

import (
	"fmt"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

var joe = kernel.Identity{Scheme: "digest", ID: "joe:hash"}

func acl(perms wire.Perms, scheme, id string) []wire.ACL {
	return []wire.ACL{{Perms: perms, ID: wire.ID{Scheme: scheme, ID: id}}}
}

func edit(r wire.Request, change func(*wire.Op)) wire.Request {
	change(&r.Op)
	return r
}

// TestPrecedence gives each operation requests that fail several checks at once: the first in the order of spec client-protocol, 4.2 and 4.3, is the answer.
func TestPrecedence(t *testing.T) {
	noACL := func(o *wire.Op) { o.ACL = []wire.ACL{} }
	mode := func(m wire.CreateMode) func(*wire.Op) { return func(o *wire.Op) { o.Mode = m } }
	null := func(o *wire.Op) { o.Path, o.NullPath = "", true }
	setACL := func(path string, list []wire.ACL, version int32) wire.Request {
		return wire.Request{Op: wire.Op{Code: wire.OpSetACL, Path: path, ACL: list, Version: version}}
	}
	as := func(op wire.OpCode, r wire.Request) wire.Request { r.Code = op; return r }
	cases := []struct {
		name string
		req  wire.Request
		want wire.ErrorCode
	}{
		{"create: flags before everything", edit(create("", ""), mode(7)), wire.ErrBadArguments},
		{"create: TTL disabled", edit(create("", ""), mode(wire.PersistentTTL)), wire.ErrUnimplemented},
		{"createTTL without TTL flags", edit(as(wire.OpCreateTTL, create("/new", "")), func(o *wire.Op) { o.TTL = -1 }), wire.ErrBadArguments},
		{"create: null path", edit(create("", ""), null), wire.ErrMarshallingError},
		{"create: empty path", create("", ""), wire.ErrBadArguments},
		{"create: no slash, bad list", edit(create("x", ""), noACL), wire.ErrBadArguments},
		{"create: NUL", create("/a\x00b", ""), wire.ErrBadArguments},
		{"create: bad list before missing parent", edit(create("/none/x", ""), noACL), wire.ErrInvalidACL},
		{"create: unknown scheme", edit(create("/new", ""), func(o *wire.Op) { o.ACL = acl(31, "kerberos", "x") }), wire.ErrInvalidACL},
		{"create: world but not anyone", edit(create("/new", ""), func(o *wire.Op) { o.ACL = acl(31, "world", "x") }), wire.ErrInvalidACL},
		{"create: auth without identity", edit(create("/new", ""), func(o *wire.Op) { o.ACL = acl(31, "auth", "") }), wire.ErrInvalidACL},
		{"create: super in a list", edit(create("/new", ""), func(o *wire.Op) { o.ACL = acl(31, "super", "x") }), wire.ErrInvalidACL},
		{"create: relative", create("x/y", ""), wire.ErrNoNode},
		{"create: parent missing, path invalid", create("/none/../x", ""), wire.ErrNoNode},
		{"create: empty component", create("/a//b", ""), wire.ErrNoNode},
		{"create: no CREATE, path invalid", create("/readonly/.", ""), wire.ErrNoAuth},
		{"create: trailing slash", create("/a/", ""), wire.ErrBadArguments},
		{"create: parent missing with trailing slash", create("/zz/", ""), wire.ErrNoNode},
		{"create: dot", create("/a/.", ""), wire.ErrBadArguments},
		{"create: private use", create("/a/\ue000", ""), wire.ErrBadArguments},
		{"create: exists", create("/a", ""), wire.ErrNodeExists},
		{"create: root", create("/", ""), wire.ErrNodeExists},
		{"create: below an ephemeral", create("/e/x", ""), wire.ErrNoChildrenForEphemerals},
		{"create: sequential below an ephemeral", edit(create("/e/x", ""), mode(wire.PersistentSequential)), wire.ErrNoChildrenForEphemerals},
		{"delete: null path", edit(del("", -1), null), wire.ErrMarshallingError},
		{"delete: no slash", del("x", -1), wire.ErrBadArguments},
		{"delete: root", del("/", -1), wire.ErrBadArguments},
		{"delete: built-in", del("/zookeeper/config", -1), wire.ErrBadArguments},
		{"delete: parent missing", del("/none/x", -1), wire.ErrNoNode},
		{"delete: no DELETE before missing node", del("/readonly/none", -1), wire.ErrNoAuth},
		{"delete: no DELETE before version", del("/readonly/child", 9), wire.ErrNoAuth},
		{"delete: missing", del("/none", 9), wire.ErrNoNode},
		{"delete: version before children", del("/a", 9), wire.ErrBadVersion},
		{"delete: children", del("/a", 0), wire.ErrNotEmpty},
		{"delete: version of an unreadable node", del("/secret", 9), wire.ErrBadVersion},
		{"setData: null path", edit(set("", "", -1), null), wire.ErrMarshallingError},
		{"setData: path", set("/a/", "", -1), wire.ErrBadArguments},
		{"setData: missing", set("/none", "", 9), wire.ErrNoNode},
		{"setData: no WRITE before version", set("/readonly", "", 9), wire.ErrNoAuth},
		{"setData: version", set("/a", "", 9), wire.ErrBadVersion},
		{"setData: config", set("/zookeeper/config", "x", -1), wire.ErrNoAuth},
		{"setACL: path before list", setACL("/a/", nil, -1), wire.ErrBadArguments},
		{"setACL: list before missing", setACL("/none", []wire.ACL{}, -1), wire.ErrInvalidACL},
		{"setACL: missing", setACL("/none", wire.OpenACL, 9), wire.ErrNoNode},
		{"setACL: no ADMIN before version", setACL("/readonly", wire.OpenACL, 9), wire.ErrNoAuth},
		{"setACL: version", setACL("/a", wire.OpenACL, 9), wire.ErrBadVersion},
		{"deleteContainer from a client", wire.Request{Op: wire.Op{Code: wire.OpDeleteContainer, Path: "/a/empty"}}, wire.ErrUnimplemented},
		{"reconfig", wire.Request{Op: wire.Op{Code: wire.OpReconfig}}, wire.ErrReconfigDisabled},
		{"exists: NUL", get(wire.OpExists, "/\x00", false), wire.ErrBadArguments},
		{"exists: not readable", get(wire.OpExists, "/secret", false), wire.ErrNoAuth},
		{"exists: missing", get(wire.OpExists, "/none", false), wire.ErrNoNode},
		{"exists: odd path", get(wire.OpExists, "a", false), wire.ErrNoNode},
		{"getData: trailing slash", get(wire.OpGetData, "/a/", false), wire.ErrNoNode},
		{"getData: null path", edit(get(wire.OpGetData, "", false), null), wire.ErrMarshallingError},
		{"getData: empty path is the root", get(wire.OpGetData, "", false), wire.ErrOK},
		{"getData: not readable", get(wire.OpGetData, "/secret", false), wire.ErrNoAuth},
		{"getChildren: not readable", get(wire.OpGetChildren, "/secret", false), wire.ErrNoAuth},
		{"getACL: neither READ nor ADMIN", get(wire.OpGetACL, "/secret", false), wire.ErrNoAuth},
		{"getACL: READ is enough", get(wire.OpGetACL, "/readonly", false), wire.ErrOK},
		{"getAllChildrenNumber: missing", get(wire.OpGetAllChildrenNumber, "/none", false), wire.ErrNoNode},
		{"checkWatches: type", wire.Request{Op: wire.Op{Code: wire.OpCheckWatches, Path: "/a"}, WatcherType: 6}, wire.ErrMarshallingError},
		{"checkWatches: none", wire.Request{Op: wire.Op{Code: wire.OpCheckWatches, Path: "/a"}, WatcherType: 3}, wire.ErrNoWatcher},
		{"addWatch: mode", wire.Request{Op: wire.Op{Code: wire.OpAddWatch, Path: "/a"}, AddWatchMode: 2}, wire.ErrMarshallingError},
	}
	d := newDriver(t, nil)
	owner := d.client(joe)
	for _, r := range []wire.Request{
		create("/a", ""), create("/a/empty", ""), createMode("/e", wire.Ephemeral),
		edit(create("/readonly", ""), func(o *wire.Op) {
			o.ACL = append(acl(wire.PermRead, "world", "anyone"), acl(wire.PermAll, "auth", "")...)
		}),
		create("/readonly/child", ""),
		edit(create("/secret", ""), func(o *wire.Op) { o.ACL = acl(wire.PermAll, "auth", "ignored") }),
	} {
		owner.want(0, r)
	}
	c := d.client()
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			at := d.next
			_, s := c.do(x.req)
			if s.err != x.want {
				t.Fatalf("%v %q: %v, want %v", x.req.Code, x.req.Path, s.err, x.want)
			}
			if x.req.Code.IsWrite() && (d.next != at+1 || s.zxid != at) {
				t.Fatalf("a refused write is answered with zxid %s, want that of its error transaction, %s", s.zxid, at)
			}
		})
	}
	d.verify()
}

func TestSequence(t *testing.T) {
	for n, want := range map[int32]string{0: "/x0000000000", 7: "/x0000000007", 1234567890: "/x1234567890", 2147483647: "/x2147483647", 999999999: "/x0999999999", -1: "/x-000000001", -2147483648: "/x-2147483648"} {
		if got := sequential("/x", n); got != want || got != "/x"+fmt.Sprintf("%010d", n) {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	d := newDriver(t, nil)
	c := d.client()
	c.want(0, create("/q", ""))
	// In flight together, among failures and plain creates, which count as well.
	reqs := []*kernel.Request{}
	for _, r := range []wire.Request{
		createMode("/q/", wire.PersistentSequential), create("/q/plain", ""), create("/q/plain", ""), createMode("/q/n-", wire.EphemeralSequential),
		{Op: wire.Op{Code: wire.OpMulti}, Ops: []wire.Op{createMode("/q/m-", wire.PersistentSequential).Op, createMode("/q/m-", wire.PersistentSequential).Op}},
		del("/q/plain", -1), createMode("/q/n-", wire.PersistentSequential),
	} {
		reqs = append(reqs, c.request(r))
	}
	d.apply(d.prepare(reqs...))
	var got []string
	for i, s := range c.take() {
		var r wire.Response
		if s.err != 0 {
			continue
		}
		if err := wire.DecodeResponse(wire.OpCode(reqs[i].Op), s.body, &r); err != nil {
			t.Fatal(err)
		}
		if r.Path != "" {
			got = append(got, r.Path)
		}
		for _, sub := range r.Results {
			got = append(got, sub.Path)
		}
	}
	if want := "[/q/0000000000 /q/plain /q/n-0000000002 /q/m-0000000003 /q/m-0000000004 /q/n-0000000005]"; fmt.Sprint(got) != want {
		t.Fatalf("got %v, want %v", got, want)
	}
	// The counter stops at its end, and pzxid with it.
	d.m.tree.Lock()
	q := *d.m.at("/q")
	q.Creates = 2147483647
	d.m.put("/q", d.m.at("/q"), &q)
	d.m.tree.Unlock()
	before := c.want(0, get(wire.OpExists, "/q", false)).Stat
	c.want(0, createMode("/q/n-", wire.PersistentSequential))
	c.want(wire.ErrNodeExists, createMode("/q/n-", wire.PersistentSequential))
	if after := c.want(0, get(wire.OpExists, "/q", false)).Stat; after.Pzxid != before.Pzxid || after.NumChildren != before.NumChildren+1 {
		t.Fatalf("after the overflow: %+v, before %+v", after, before)
	}
}

// TestStat follows spec client-protocol, 4.6 and 4.7, field by field.
func TestStat(t *testing.T) {
	d := newDriver(t, nil)
	c := d.client()
	root := c.want(0, get(wire.OpExists, "/", false)).Stat
	if root != (wire.Stat{Cversion: -1, NumChildren: 1}) {
		t.Fatalf("fresh root: %+v", root)
	}
	if s := c.want(0, get(wire.OpExists, "/zookeeper", false)).Stat; s != (wire.Stat{Cversion: -2, NumChildren: 2}) {
		t.Fatalf("fresh /zookeeper: %+v", s)
	}
	if r := c.want(0, get(wire.OpGetAllChildrenNumber, "/", false)); r.Count != 3 {
		t.Fatalf("%d descendants of a fresh root, want 3", r.Count)
	}
	t0 := d.now.UnixMilli()
	z := int64(d.next)
	c.want(0, create("/a", "data"))
	want := wire.Stat{Czxid: z, Mzxid: z, Pzxid: z, Ctime: t0, Mtime: t0, DataLength: 4}
	step := func(what string, w wire.Stat) {
		t.Helper()
		if s := c.want(0, get(wire.OpExists, "/a", false)).Stat; s != w {
			t.Fatalf("after %s:\ngot  %+v\nwant %+v", what, s, w)
		}
	}
	step("create", want)
	if s := c.want(0, get(wire.OpExists, "/", false)).Stat; s.Cversion != 0 || s.Pzxid != z || s.Mzxid != 0 {
		t.Fatalf("the parent: %+v", s)
	}
	d.now = d.now.Add(5)
	want.Pzxid, want.Cversion, want.NumChildren = int64(d.next), 1, 1
	c.want(0, create("/a/b", ""))
	step("create of a child", want)
	want.Pzxid, want.Cversion, want.NumChildren = int64(d.next), 2, 0
	c.want(0, del("/a/b", -1))
	step("delete of a child", want)
	want.Mzxid, want.Mtime, want.Version, want.DataLength = int64(d.next), d.now.UnixMilli(), 1, 0
	if r := c.want(0, edit(set("/a", "", 0), func(o *wire.Op) { o.Data = nil })); r.Stat != want {
		t.Fatalf("setData answers %+v", r.Stat)
	}
	step("setData", want)
	if r := c.want(0, get(wire.OpGetData, "/a", false)); r.Data != nil {
		t.Fatalf("null data came back as %q", r.Data)
	}
	want.Aversion = 1
	c.want(0, wire.Request{Op: wire.Op{Code: wire.OpSetACL, Path: "/a", ACL: wire.OpenACL, Version: 0}})
	step("setACL", want)
	c.want(wire.ErrBadVersion, set("/a", "x", 7))
	step("a refused write", want)
	if r := c.want(0, edit(createMode("/a/e", wire.Ephemeral), func(o *wire.Op) { o.Code = wire.OpCreate2 })); r.Stat.EphemeralOwner != int64(c.session) || r.Path != "/a/e" {
		t.Fatalf("create2: %+v", r)
	}
	r := c.want(0, wire.Request{Op: wire.Op{Code: wire.OpCreateContainer, Path: "/a/c", ACL: wire.OpenACL, Mode: wire.Container}})
	if r.Stat.EphemeralOwner != 0 || d.m.at("/a/c").Owner != wire.ContainerOwner {
		t.Fatalf("container: %+v", r)
	}
	c.want(0, edit(createMode("/a/p", wire.Container), func(*wire.Op) {}))
	if d.m.at("/a/p").Owner != 0 {
		t.Fatal("op 1 with the container flag makes a plain node")
	}
	for v, next := range map[int32]int32{0: 1, -2: 0, -3: -2, 2147483647: -2147483648} {
		if nextVersion(v) != next {
			t.Errorf("the version after %d is %d", v, nextVersion(v))
		}
	}
	d.verify()
}

func TestTTLAndContainers(t *testing.T) {
	d := newDriver(t, map[string]string{"extendedTypesEnabled": "true", "containerCheckInterval": "1000", "containerMaxPerMinute": "600000"})
	c := d.client()
	ttl := func(path string, mode wire.CreateMode, ttl int64) wire.Request {
		return wire.Request{Op: wire.Op{Code: wire.OpCreateTTL, Path: path, ACL: wire.OpenACL, Mode: mode, TTL: ttl}}
	}
	c.want(wire.ErrBadArguments, ttl("/t", wire.PersistentTTL, 0))
	c.want(wire.ErrBadArguments, ttl("/t", wire.PersistentTTL, wire.MaxTTL+1))
	c.want(wire.ErrBadArguments, ttl("/t", wire.Persistent, -1))
	c.want(wire.ErrBadArguments, ttl("/t", wire.Persistent, 5))
	c.want(wire.ErrBadArguments, createMode("/t", wire.PersistentTTL))
	c.want(0, ttl("/t", wire.PersistentTTL, 5000))
	c.want(0, create("/t/child", ""))
	c.want(0, ttl("/fresh", wire.PersistentTTL, 5000))
	c.want(0, wire.Request{Op: wire.Op{Code: wire.OpCreateContainer, Path: "/c", ACL: wire.OpenACL, Mode: wire.Container}})
	c.want(0, wire.Request{Op: wire.Op{Code: wire.OpCreateContainer, Path: "/unused", ACL: wire.OpenACL, Mode: wire.Container}})
	c.want(0, create("/c/x", ""))
	c.want(0, del("/c/x", -1))
	exists := func(path string) bool { return d.m.at(path) != nil }
	tick := func(seconds int) []*kernel.Request {
		var reqs []*kernel.Request
		for range seconds * 2 {
			d.now = d.now.Add(500 * 1e6)
			for _, r := range d.m.Tick(d.now, false) {
				if wire.OpCode(r.Op) == wire.OpDeleteContainer {
					reqs = append(reqs, r)
				}
			}
		}
		return reqs
	}
	reqs := tick(3)
	if len(reqs) == 0 || !exists("/c") {
		t.Fatalf("%d requests after a pass", len(reqs))
	}
	d.apply(d.prepare(reqs...))
	if exists("/c") || !exists("/unused") || !exists("/t") || !exists("/fresh") {
		t.Fatal("only the container whose child is gone was to be deleted")
	}
	c.want(0, set("/fresh", "again", -1)) // its time starts anew
	reqs = tick(4)
	d.apply(d.prepare(reqs...))
	if !exists("/t") || !exists("/fresh") {
		t.Fatal("/t has a child, /fresh was set 4 seconds ago")
	}
	c.want(0, del("/t/child", -1))
	reqs = tick(3)
	// What was due when the cleaner saw it is looked at again: one is set, one is replaced by an ordinary node.
	reqs2 := append([]*kernel.Request{c.request(set("/fresh", "saved", -1)), c.request(del("/t", -1)), c.request(create("/t", ""))}, reqs...)
	d.apply(d.prepare(reqs2...))
	if !exists("/t") || !exists("/fresh") {
		t.Fatal("the cleaner deleted what was no longer due")
	}
	d.restart(true)
	d.client()
	tick(1)
	reqs = tick(8)
	d.apply(d.prepare(reqs...))
	if exists("/fresh") {
		t.Fatal("a TTL node outlives a restart of the server by more than its time")
	}
	d.verify()
}
