package znode

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
	"github.com/zooid-project/zooid/stores/memnodes"
)

// TestManyEphemerals ends a session whose nodes are taken out beside apply: nobody sees any of them afterwards, whatever happens meanwhile.
func TestManyEphemerals(t *testing.T) {
	d := newDriver(t, nil)
	c, other := d.client(), d.client()
	const n = 3000
	for _, p := range []string{"/a", "/b"} {
		other.want(0, create(p, ""))
		other.want(0, create(p+"/stays", ""))
	}
	for i := 0; i < n; i += 500 {
		var reqs []*kernel.Request
		for j := range 500 {
			reqs = append(reqs, c.request(createMode(fmt.Sprintf("/%c/e-%d", "ab"[(i+j)%2], i+j), wire.Ephemeral)))
		}
		d.apply(d.prepare(reqs...))
	}
	c.take()
	c.want(0, set("/a/e-0", "data", -1))
	other.want(0, get(wire.OpGetData, "/a/e-4", true))
	other.want(0, get(wire.OpGetChildren, "/b", true))
	d.verify()
	count := int32(d.m.counts.nodes)

	// In one batch: the end of the session, and what follows it there; in flight before it a create, a delete and a change.
	z := d.next + 3
	d.apply(d.prepare(
		c.request(createMode("/a/late", wire.Ephemeral)), other.request(del("/a/e-2", -1)), other.request(set("/b/e-1", "more", -1)),
		c.request(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}}),
		other.request(create("/a/e-0", "mine")), other.request(del("/b/e-3", -1)), other.request(createMode("/a/late", wire.Ephemeral)),
		other.request(set("/a/e-4", "", -1)),
	))
	var errs []wire.ErrorCode
	events := 0
	for _, s := range other.take() {
		if s.event != 0 {
			events++
		} else {
			errs = append(errs, s.err)
		}
	}
	if want := []wire.ErrorCode{0, 0, 0, wire.ErrNoNode, 0, wire.ErrNoNode}; fmt.Sprint(errs) != fmt.Sprint(want) || events != 2 {
		t.Fatalf("answers %v, want %v; %d events, want 2", errs, want, events)
	}
	check := func() {
		t.Helper()
		for path, want := range map[string]string{"/a": "[e-0 late stays]", "/b": "[stays]"} {
			r := other.want(0, get(wire.OpGetChildren2, path, false))
			if fmt.Sprint(r.Children) != want || int(r.Stat.NumChildren) != len(r.Children) || r.Stat.Pzxid < int64(z) {
				t.Fatalf("%s: %d children %.60v, want %s; %+v", path, len(r.Children), r.Children, want, r.Stat)
			}
			if r := other.want(0, get(wire.OpGetAllChildrenNumber, path, false)); int(r.Count) != len(want[1:])/5 && r.Count > 3 {
				t.Fatalf("%s has %d descendants", path, r.Count)
			}
		}
		other.want(wire.ErrNoNode, get(wire.OpExists, "/a/e-100", false))
		if r := other.want(0, get(wire.OpGetAllChildrenNumber, "/", false)); r.Count != count-n+2-1 {
			t.Fatalf("%d nodes below the root, want %d", r.Count, count-n+2-1)
		}
	}
	check()
	// A snapshot of now, with nodes still standing, holds none of them.
	var b bytes.Buffer
	zxid, err := snapshotTo(d.m, &b)
	if err != nil {
		t.Fatal(err)
	}
	check()
	d.restart(true) // goes on taking out where it was
	d.m.Sessions().Established(other.session, 1e10, other)
	check()
	d.verify()
	check()
	d.close()
	d.env.Nodes = memnodes.New()
	d.open()
	if err := d.m.Restore(&b, zxid); err != nil {
		t.Fatal(err)
	}
	d.verify()
	d.m.Sessions().Established(other.session, 1e10, other)
	check()
}

// A session that is being ended for its time-out is ended by its client too: the second transaction changes nothing more, whoever applies it.
func TestASessionThatIsEndedTwice(t *testing.T) {
	d := newDriver(t, nil)
	c, other := d.client(), d.client()
	other.want(0, create("/a", ""))
	c.want(0, createMode("/a/mine", wire.Ephemeral))
	txns := d.prepare(
		&kernel.Request{Session: c.session, Op: int32(wire.OpCloseSession)},
		c.request(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}}),
	)
	for i := range txns {
		txns[i].Note = nil // as a replica sees it
	}
	var second wire.Entry
	if err := wire.DecodeEntry(txns[1].Data, &second); err != nil {
		t.Fatal(err)
	}
	if len(second.Txn.Paths) > 0 {
		t.Errorf("the second end lists %v, which the first one has taken", second.Txn.Paths)
	}
	d.apply(txns)
	if r := other.want(0, get(wire.OpGetChildren2, "/a", false)); r.Stat.Pzxid != int64(txns[0].Zxid) {
		t.Errorf("/a changed at %#x, its child went at %#x", r.Stat.Pzxid, int64(txns[0].Zxid))
	}
	if d.m.mismatches != 0 {
		t.Error("the digest in the log is not the tree's")
	}
	d.verify()
}

// TestManyEphemeralsTellAndCount looks at what others hear and see of so many nodes that go at once: events for every node to those who watch persistently, usage taken off the right quota roots.
func TestManyEphemeralsTellAndCount(t *testing.T) {
	for _, ownRoot := range []bool{false, true} {
		d := newDriver(t, nil)
		c, once, always, deep := d.client(), d.client(), d.client(), d.client()
		for _, p := range []string{"/q", "/q/in", "/free"} {
			c.want(0, create(p, ""))
		}
		c.quota("/q", "count=-1,bytes=-1")
		const n = 2 * departMin
		for i := range n {
			c.want(0, wire.Request{Op: wire.Op{Code: wire.OpCreate, Path: fmt.Sprintf("/%s/e-%04d", []string{"q/in", "free"}[i%2], i), Data: []byte("123"), Mode: wire.Ephemeral, ACL: wire.OpenACL}})
		}
		c.usage("/q", fmt.Sprintf("count=%d,bytes=%d", 2+n/2, 3*n/2))
		if ownRoot { // a node of the session is a root of its own
			c.quota("/q/in/e-0010", "count=-1,bytes=-1")
			c.usage("/q/in/e-0010", "count=1,bytes=3")
		}
		once.want(0, get(wire.OpGetChildren, "/free", true))
		once.want(0, get(wire.OpGetData, "/q/in/e-0008", true))
		always.want(0, addWatch("/free", wire.AddWatchPersistent))
		if ownRoot { // a recursive watch makes every node count
			deep.want(0, addWatch("/q", wire.AddWatchPersistentRecursive))
		}
		for _, conn := range []*conn{once, always, deep} {
			conn.take()
		}
		c.want(0, wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})
		for _, want := range []struct {
			conn  *conn
			count int
		}{{once, 2}, {always, n / 2}, {deep, map[bool]int{true: n / 2}[ownRoot]}} {
			events := 0
			for _, s := range want.conn.take() {
				if s.event != 0 {
					events++
				}
			}
			if events != want.count {
				t.Errorf("%d events, want %d (a root of its own: %v)", events, want.count, ownRoot)
			}
		}
		used := "count=2,bytes=0"
		if ownRoot { // its share belongs to its own root, which was counted twice before: once in each
			used = "count=3,bytes=3"
			once.usage("/q/in/e-0010", "count=0,bytes=0")
		}
		once.usage("/q", used)
		d.verify()
	}
}
