package znode

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

func TestMulti(t *testing.T) {
	d := newDriver(t, nil)
	c := d.client()
	c.want(0, create("/a", ""))
	check := func(path string, version int32) wire.Request {
		return wire.Request{Op: wire.Op{Code: wire.OpCheck, Path: path, Version: version}}
	}
	z := d.next
	r := c.want(0, multi(
		create("/a/b", "x"), set("/a/b", "xy", 0), check("/a/b", 1), createMode("/a/s", wire.PersistentSequential), createMode("/box", wire.Container),
		edit(create("/a/c", ""), func(o *wire.Op) { o.Code = wire.OpCreate2 }), del("/a/c", 0)))
	codes := []wire.OpCode{wire.OpCreate, wire.OpSetData, wire.OpCheck, wire.OpCreate, wire.OpCreate2, wire.OpCreate2, wire.OpDelete}
	for i, want := range codes {
		got := r.Results[i].Code
		if want == wire.OpCreate2 && got == wire.OpCreateContainer {
			t.Errorf("result %d: type 19; clients know 15", i)
		} else if got != want {
			t.Errorf("result %d: type %v, want %v", i, got, want)
		}
	}
	if s := r.Results[1].Stat; s.Version != 1 || s.Czxid != int64(z) || s.Mzxid != int64(z) || s.DataLength != 2 {
		t.Errorf("the Stat after the second operation: %+v", s)
	}
	if r.Results[3].Path != "/a/s0000000001" || d.m.at("/box").Owner != wire.ContainerOwner || d.m.at("/a/c") != nil {
		t.Errorf("results %+v", r.Results)
	}

	// All or nothing: errors before, at and after the one that failed.
	before := d.m.counts
	r = c.want(0, multi(create("/x", ""), create("/x/e", ""), set("/a", "changed", -1), check("/a", 7), del("/none", -1)))
	want := []wire.ErrorCode{0, 0, 0, wire.ErrBadVersion, wire.ErrRuntimeInconsistency}
	for i, res := range r.Results {
		if res.Code != wire.OpError || res.Err != want[i] {
			t.Errorf("result %d: %+v, want %v", i, res, want[i])
		}
	}
	if d.m.counts != before || d.m.at("/x") != nil {
		t.Error("a failed multi left something")
	}

	// Speculation is rolled back too: what follows in the same batch sees nothing of it.
	d.apply(d.prepare(
		c.request(multi(create("/y", ""), createMode("/y/e", wire.Ephemeral), del("/none", -1))),
		c.request(createMode("/a/s", wire.PersistentSequential)),
		c.request(create("/y/x", "")),
		c.request(multi(set("/a", "1", -1), del("/none", -1))),
		c.request(set("/a", "2", 0))))
	sent := c.take()
	if sent[1].err != 0 || sent[2].err != wire.ErrNoNode || sent[4].err != 0 || d.m.at("/a/s0000000003") == nil {
		t.Errorf("got %+v", sent)
	}

	// Inside a multi the log knows one create, as servers of ZooKeeper before 3.8.6 do (ZOOKEEPER-4026).
	batch := d.prepare(c.request(multi(edit(create("/a/d", ""), func(o *wire.Op) { o.Code = wire.OpCreate2 }), edit(create("/a/e", ""), func(o *wire.Op) { o.Code = wire.OpCreateTTL }))))
	var entry wire.Entry
	if err := wire.DecodeEntry(batch[0].Data, &entry); err != nil || entry.Txn.Ops[0].Type != wire.OpCreate || entry.Txn.Ops[1].Type != wire.OpCreate {
		t.Errorf("the log says %+v (%v)", entry.Txn.Ops, err)
	}
	d.apply(batch)
	var answered wire.Response
	if err := wire.DecodeResponse(wire.OpMulti, c.take()[0].body, &answered); err != nil || len(answered.Results) != 2 {
		t.Fatalf("%+v, %v", answered, err)
	}
	for i, got := range answered.Results {
		if got.Code != wire.OpCreate2 || got.Stat.Czxid == 0 {
			t.Errorf("result %d: %+v, want create2 with a Stat", i, got)
		}
	}

	if r := c.want(0, multi()); len(r.Results) != 0 {
		t.Error("the empty multi has results")
	}
	for name, op := range map[string]wire.Request{
		"flag":     createMode("/z", 7),
		"TTL flag": createMode("/z", wire.PersistentTTL),
		"no list":  edit(create("/z", ""), func(o *wire.Op) { o.ACL = nil }),
	} {
		req := c.request(multi(create("/z1", "")))
		req.Decoded = &wire.Request{Op: wire.Op{Code: wire.OpMulti}, Ops: []wire.Op{op.Op}}
		d.apply(d.prepare(req))
		if got := c.take(); got[0].err != wire.ErrMarshallingError {
			t.Errorf("%s: %v", name, got[0].err)
		}
	}
	// From another server: bytes alone, which may hold anything.
	d.apply(d.prepare(&kernel.Request{Session: c.session, Op: int32(wire.OpMulti), Body: []byte{0, 0, 0, 20}}))
	d.verify()
	d.restart(true)
	d.verify()
}

func TestMultiRead(t *testing.T) {
	d := newDriver(t, nil)
	owner, c := d.client(joe), d.client()
	owner.want(0, create("/a", "data"))
	owner.want(0, create("/a/b", ""))
	owner.want(0, edit(create("/secret", ""), func(o *wire.Op) { o.ACL = acl(31, "auth", "") }))
	at := d.next
	r := c.want(0, wire.Request{Op: wire.Op{Code: wire.OpMultiRead}, Ops: []wire.Op{
		{Code: wire.OpGetData, Path: "/a", Watch: true}, {Code: wire.OpGetChildren, Path: "/a"}, {Code: wire.OpGetData, Path: "/none"}, {Code: wire.OpGetData, Path: "/secret"},
	}})
	if string(r.Results[0].Data) != "data" || len(r.Results[1].Children) != 1 || r.Results[2].Err != wire.ErrNoNode || r.Results[3].Err != wire.ErrNoAuth {
		t.Fatalf("got %+v", r.Results)
	}
	d.noWatches()
	if d.next != at {
		t.Fatal("a zxid was used")
	}
}

func TestReads(t *testing.T) {
	d := newDriver(t, map[string]string{"maxReply": "2000"})
	c := d.client(joe, kernel.Identity{Scheme: "ip", ID: "10.0.0.1"}, kernel.Identity{Scheme: "super"})
	other := d.client()
	c.want(0, create("/a", ""))
	c.want(0, createMode("/a/e", wire.Ephemeral))
	c.want(0, createMode("/ab", wire.Ephemeral))
	for prefix, want := range map[string]int{"": 2, "/": 2, " ": 2, "/a": 2, "/a/": 1, "/x": 0} {
		if r := c.want(0, get(wire.OpGetEphemerals, prefix, false)); len(r.Children) != want {
			t.Errorf("getEphemerals %q: %v", prefix, r.Children)
		}
	}
	if r := other.want(0, get(wire.OpGetEphemerals, "", false)); len(r.Children) != 0 {
		t.Errorf("another session's: %v", r.Children)
	}
	if r := c.want(0, wire.Request{Op: wire.Op{Code: wire.OpWhoAmI}}); len(r.Clients) != 3 || r.Clients[0].User != "joe" || r.Clients[2].User != "" {
		t.Errorf("whoAmI: %+v", r.Clients)
	}
	if r := c.want(0, get(wire.OpGetAllChildrenNumber, "/a", false)); r.Count != 1 {
		t.Errorf("descendants: %d", r.Count)
	}
	if r := c.want(0, get(wire.OpGetAllChildrenNumber, "", false)); r.Count != 6 {
		t.Errorf("descendants of the root: %d", r.Count)
	}
	c.want(0, edit(create("/acl", ""), func(o *wire.Op) {
		o.ACL = append(acl(wire.PermRead, "world", "anyone"), acl(wire.PermAll, "auth", "")...)
	}))
	if r := c.want(0, get(wire.OpGetACL, "/acl", false)); r.ACL[1].ID != (wire.ID{Scheme: "digest", ID: "joe:hash"}) {
		t.Errorf("with ADMIN: %+v", r.ACL)
	}
	if r := other.want(0, get(wire.OpGetACL, "/acl", false)); r.ACL[1].ID != (wire.ID{Scheme: "digest", ID: "joe:x"}) {
		t.Errorf("without ADMIN: %+v", r.ACL)
	}
	// A listing over the limit is refused; the session goes on. Replies keep their place.
	for range 150 {
		c.want(0, createMode("/a/long-", wire.PersistentSequential))
	}
	c.want(0, edit(create("/big", string(make([]byte, 3000))), func(*wire.Op) {}))
	c.take()
	d.m.Read([]*kernel.Request{c.request(get(wire.OpGetChildren, "/a", false)), c.request(get(wire.OpExists, "/a", false)), c.request(get(wire.OpGetChildren2, "/", false)), c.request(get(wire.OpGetData, "/big", false))})
	got := c.take()
	if len(got) != 4 || got[0].err != wire.ErrBadArguments || got[1].err != 0 || got[2].err != 0 || len(got[2].body) < 80 || got[3].err != wire.ErrBadArguments {
		t.Fatalf("got %d replies: %+v", len(got), got)
	}
}
