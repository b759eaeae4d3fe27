package znode

import (
	"bytes"
	"fmt"
	"math/rand"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// fuzzySnapshot writes the state as an Apache server does: sessions and ACLs at the beginning, then node after node, each as it is when its turn comes, with a list of children from the moment in
// which its parent was written. Between any two of them, step may change everything.
func fuzzySnapshot(d *driver, step func()) []byte {
	m := d.m
	b := jute.AppendInt32(nil, int32(len(m.sessions.byID)))
	for id, x := range m.sessions.byID {
		b = jute.AppendInt32(jute.AppendInt64(b, int64(id)), int32(x.stored.Milliseconds()))
	}
	step()
	keys := map[string]int64{}
	key := func(l *aclList) int64 {
		text := string(wire.AppendACLs(nil, l.entries))
		if keys[text] == 0 {
			keys[text] = int64(len(keys) + 1)
		}
		return keys[text]
	}
	n := 0
	var lists []byte
	m.tree.RLock()
	for i, l := range m.acls.lists {
		if i != int(openIndex) && l != nil {
			lists = wire.AppendACLs(jute.AppendInt64(lists, key(l)), l.entries)
			n++
		}
	}
	m.tree.RUnlock()
	b = append(jute.AppendInt32(b, int32(n)), lists...)
	for waiting := []string{"/"}; len(waiting) > 0; {
		path := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		step()
		m.tree.Lock()
		node := m.at(path)
		if node == nil {
			m.tree.Unlock()
			continue
		}
		copied := *node
		if copied.ACL != openIndex {
			copied.ACL = uint32(key(m.acls.get(node.ACL)))
		}
		name := path
		if path == "/" {
			name = ""
		}
		b = appendSnapshotNode(b, name, &copied)
		copied.ACL = node.ACL
		m.put(path, node, &copied) // in memory, where listings begin
		l := m.children(path)
		if err := l.Each(func(name string) bool {
			waiting = append(waiting, join(path, name))
			return true
		}); err != nil {
			d.t.Fatal(err)
		}
		l.Close()
		m.tree.Unlock()
	}
	return jute.AppendString(b, "/")
}

// TestFuzzySnapshot restores snapshots that were written while the tree changed, and applies what was committed since they were begun: parts of it are in the state already. In the end the servers
// are equal, and the digest counts again.
func TestFuzzySnapshot(t *testing.T) {
	ahead := 0
	for seed := int64(1); seed <= 30; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewSource(seed))
			d := newDriver(t, nil)
			clients := []*conn{d.client(), d.client(joe), d.client()}
			round := func() {
				i := rng.Intn(len(clients))
				if rng.Intn(8) == 0 {
					d.apply(d.prepare(clients[i].request(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})))
					clients[i] = d.client(joe)
				}
				var reqs []*kernel.Request
				for range 1 + rng.Intn(4) {
					reqs = append(reqs, clients[i].request(randomWrite(rng)))
				}
				d.apply(d.prepare(reqs...))
			}
			for range 60 {
				round()
			}
			begun := d.m.Position()
			snapshot := fuzzySnapshot(d, func() {
				for rng.Intn(6) > 0 {
					round()
				}
			})
			for range 3 {
				round()
			}

			e := newServer(t, 2, nil, "memory", func([]byte) {})
			e.m.Peers().Follow(nil)
			if err := e.m.Restore(bytes.NewReader(snapshot), begun); err != nil {
				t.Fatal(err)
			}
			for _, c := range d.log {
				if c.Zxid > begun {
					if e.m.Apply([]kernel.Committed{c}); e.m.fuzzy.Load() {
						ahead++
					}
				}
			}
			e.m.Peers().Follow(e.ask)
			if got, want := dump(e), dump(d); got != want {
				t.Fatalf("got\n%s\nwant\n%s", got, want)
			}
			e.verify()
			last := d.log[len(d.log)-1]
			clients[0].ids = []kernel.Identity{{Scheme: "super"}} // whatever became of the root's ACL
			d.apply(d.prepare(clients[0].request(create("/last", ""))))
			e.m.counts.digest++
			e.m.Apply(d.log[len(d.log)-1:])
			if e.m.mismatches != 1 {
				t.Fatalf("after %s a digest that differs is not reported", last.Zxid)
			}
		})
	}
	if ahead < 100 {
		t.Errorf("only %d transactions met a state that was ahead of them: the test says nothing", ahead)
	}
}

// TestFuzzyTransactions are the rules of spec peer-wire-and-disk, 7.3, one by one, where a random history rarely comes.
func TestFuzzyTransactions(t *testing.T) {
	d := newDriver(t, nil)
	c := d.client()
	zxid := int64(1 << 40)
	apply := func(x wire.Txn) {
		zxid++
		e := wire.Entry{Header: wire.TxnHeader{ClientID: int64(c.session), Zxid: zxid, Time: 5, Type: x.Type}, Txn: x}
		d.m.Apply([]kernel.Committed{{Zxid: kernel.Zxid(zxid), Data: e.AppendTo(nil)}})
	}
	d.apply(d.prepare(c.request(create("/p", "")), c.request(create("/p/a", "old")), c.request(create("/p/a/b", "")), c.request(create("/p/a/b/c", "")), c.request(createMode("/p/a/b/e", wire.Ephemeral))))

	// A create of what is there brings the ACL and the parent's counter up and leaves the rest.
	apply(wire.Txn{Type: wire.OpCreate, Path: "/p/a", Data: []byte("new"), ACL: wire.ReadACL, ParentCVersion: 7})
	a, p := d.m.at("/p/a"), d.m.at("/p")
	if string(a.Data) != "old" || d.m.acls.get(a.ACL).open != wire.PermRead || p.Creates != 7 || p.Pzxid != zxid || p.NumChildren != 1 {
		t.Fatalf("%+v of %+v", a, p)
	}
	apply(wire.Txn{Type: wire.OpCreate2, Path: "/p/a", ACL: wire.OpenACL, ParentCVersion: 9})
	if p = d.m.at("/p"); p.Creates != 7 || p.Pzxid != zxid-1 {
		t.Fatalf("create2 of a node that is there: %+v", p)
	}
	// The old form counts on.
	v0 := append(jute.AppendBuffer(jute.AppendString((&wire.TxnHeader{ClientID: 9, Zxid: zxid + 1, Time: 6, Type: wire.OpCreate}).AppendTo(nil), "/p/v0"), []byte("x")), wire.AppendACLs(nil, wire.OpenACL)...)
	zxid++
	d.m.Apply([]kernel.Committed{{Zxid: kernel.Zxid(zxid), Data: jute.AppendBool(v0, true)}})
	if n, p := d.m.at("/p/v0"), d.m.at("/p"); n == nil || n.Owner != 9 || p.Creates != 8 || p.Pzxid != zxid {
		t.Fatalf("%+v of %+v", n, p)
	}
	// closeSession of before 3.6 has no list: whatever is the session's goes.
	zxid++
	d.m.Apply([]kernel.Committed{{Zxid: kernel.Zxid(zxid), Data: (&wire.TxnHeader{ClientID: 9, Zxid: zxid, Time: 6, Type: wire.OpCloseSession}).AppendTo(nil)}})
	if p := d.m.at("/p"); d.m.at("/p/v0") != nil || p.Pzxid != zxid || p.NumChildren != 1 {
		t.Fatalf("%+v", p)
	}
	// A deletion of what is not there is seen at its parent.
	apply(wire.Txn{Type: wire.OpDelete, Path: "/p/none"})
	if p := d.m.at("/p"); p.Pzxid != zxid || p.NumChildren != 1 || p.Creates != 8 {
		t.Fatalf("%+v", p)
	}
	// What a snapshot is ahead with goes with its parent, from memory and from the store, and is made anew.
	if err := d.m.Flush(d.m.background); err != nil {
		t.Fatal(err)
	}
	apply(wire.Txn{Type: wire.OpDelete, Path: "/p/a"})
	for _, path := range []string{"/p/a", "/p/a/b", "/p/a/b/c", "/p/a/b/e"} {
		if d.m.at(path) != nil {
			t.Errorf("%s is there", path)
		}
	}
	d.m.mismatches = 0
	d.verify()
	apply(wire.Txn{Type: wire.OpCreate, Path: "/p/a", ACL: wire.OpenACL, ParentCVersion: 9})
	apply(wire.Txn{Type: wire.OpCreate, Path: "/p/a/b", ACL: wire.OpenACL, ParentCVersion: 1})
	if n := d.m.at("/p/a"); n.NumChildren != 1 || d.m.at("/p/a/b/c") != nil {
		t.Fatalf("%+v", n)
	}
	d.verify()
	// Without a parent there is nothing to do, and an error changes nothing but the position.
	before := d.m.counts
	apply(wire.Txn{Type: wire.OpCreate, Path: "/none/a", ACL: wire.OpenACL, ParentCVersion: 9})
	apply(wire.Txn{Type: wire.OpDelete, Path: "/none/a"})
	apply(wire.Txn{Type: wire.OpSetData, Path: "/none", Version: 3})
	apply(wire.Txn{Type: wire.OpSetACL, Path: "/none", Version: 3})
	apply(wire.Txn{Type: wire.OpError, Err: wire.ErrNoNode})
	apply(wire.Txn{Type: wire.OpMulti, Ops: []wire.Txn{{Type: wire.OpDelete, Path: "/p/a/b"}, {Type: wire.OpError, Err: wire.ErrNoNode}}})
	if d.m.counts != before || d.m.Position() != kernel.Zxid(zxid) {
		t.Fatalf("%+v at %s", d.m.counts, d.m.Position())
	}
}

// TestDanglingACL: a snapshot may name a list that it does not hold. Until the log repairs that, nobody gets in.
func TestDanglingACL(t *testing.T) {
	d := newDriver(t, nil)
	c := d.client()
	d.apply(d.prepare(c.request(create("/a", "")), c.request(create("/b", ""))))
	var b []byte
	b = jute.AppendInt32(jute.AppendInt32(b, 0), 0)
	for _, path := range []string{"", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/a", "/b"} {
		n := treeNode{Data: []byte{}, Owner: 0}
		if path == "/a" || path == "/b" {
			n.ACL = 5
		}
		if path == "/b" { // ... and belongs to a session that the snapshot does not hold either
			n.Owner = 4711
		}
		b = appendSnapshotNode(b, path, &n)
	}
	if err := d.m.Restore(bytes.NewReader(jute.AppendString(b, "/")), 9); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/a", "/b"} {
		if l := d.m.acls.get(d.m.at(path).ACL); l.open != 0 || d.m.permits(l, wire.PermRead, []kernel.Identity{joe}) {
			t.Fatalf("%s is open: %+v", path, l)
		}
	}
	d.m.Lead(true)
	if d.m.ephemerals.count(4711) != 1 {
		t.Fatal("the node of an unknown session has gone")
	}
	for i, x := range []wire.Txn{{Type: wire.OpSetACL, Path: "/a", ACL: acl(1, "ip", "10"), Version: 1}, {Type: wire.OpCloseSession, Paths: []string{}}} {
		e := wire.Entry{Header: wire.TxnHeader{ClientID: 4711, Zxid: int64(10 + i), Type: x.Type}, Txn: x}
		d.m.Apply([]kernel.Committed{{Zxid: kernel.Zxid(10 + i), Data: e.AppendTo(nil)}})
	}
	if l := d.m.acls.get(d.m.at("/a").ACL); len(l.entries) != 1 || l.entries[0].ID.Scheme != "ip" || d.m.at("/b") != nil {
		t.Fatalf("/a has %+v, /b is there: %v", l, d.m.at("/b") != nil)
	}
	d.verify()
}
