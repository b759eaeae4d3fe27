package znode

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestACLLists is spec client-protocol, 9.3: what a list becomes when it is stored.
func TestACLLists(t *testing.T) {
	d := newDriver(t, nil)
	c := d.client(joe, kernel.Identity{Scheme: "digest", ID: "ann:hash"}, kernel.Identity{Scheme: "ip", ID: "10.0.0.1"})
	entry := func(perms wire.Perms, scheme, id string) wire.ACL {
		return wire.ACL{Perms: perms, ID: wire.ID{Scheme: scheme, ID: id}}
	}
	for i, x := range []struct{ in, want []wire.ACL }{
		{wire.OpenACL, wire.OpenACL},
		{[]wire.ACL{entry(1, "world", "anyone"), entry(1, "world", "anyone"), entry(2, "world", "anyone")}, []wire.ACL{entry(1, "world", "anyone"), entry(2, "world", "anyone")}},
		{[]wire.ACL{entry(3, "auth", "whatever")}, []wire.ACL{entry(3, "digest", "joe:hash"), entry(3, "digest", "ann:hash")}},
		{[]wire.ACL{entry(1, "digest", "joe:hash"), entry(1, "auth", "")}, []wire.ACL{entry(1, "digest", "joe:hash"), entry(1, "digest", "joe:hash"), entry(1, "digest", "ann:hash")}},
		{[]wire.ACL{entry(0, "ip", "10.0.0.1"), entry(64|1, "digest", "x")}, []wire.ACL{entry(0, "ip", "10.0.0.1"), entry(65, "digest", "x")}},
		{[]wire.ACL{entry(1, "", "")}, nil},
		{[]wire.ACL{entry(1, "ip", "a/b")}, nil},
		{[]wire.ACL{entry(1, "digest", "")}, nil},
	} {
		list, code := d.m.grantable(x.in, c.ids)
		if x.want == nil {
			if code != wire.ErrInvalidACL {
				t.Errorf("%d: %v", i, code)
			}
			continue
		}
		if code != 0 || fmt.Sprint(list.entries) != fmt.Sprint(x.want) {
			t.Errorf("%d: %v %v, want %v", i, code, list.entries, x.want)
		}
	}
}

// TestACLTable has lists come and go: none stays behind, and a number is not given out twice at a time.
func TestACLTable(t *testing.T) {
	d := newDriver(t, nil)
	c := d.client(joe, kernel.Identity{Scheme: "super"})
	list := func(i int) []wire.ACL { return acl(31, "digest", fmt.Sprintf("user-%d:x", i)) }
	for i := range 50 {
		c.want(0, edit(create(fmt.Sprintf("/n%d", i), ""), func(o *wire.Op) { o.ACL = list(i % 10) }))
	}
	used := func() (n int) {
		for _, l := range d.m.acls.lists {
			if l != nil {
				n++
			}
		}
		return n
	}
	if used() != 2+10 { // the open one, that of the configuration node
		t.Fatalf("%d lists, want 12", used())
	}
	d.verify()
	for i := range 50 {
		if i%2 == 0 {
			c.want(0, del(fmt.Sprintf("/n%d", i), -1))
		} else {
			c.want(0, wire.Request{Op: wire.Op{Code: wire.OpSetACL, Path: fmt.Sprintf("/n%d", i), ACL: list(100 + i%3), Version: -1}})
		}
	}
	if used() != 2+3 {
		t.Fatalf("%d lists, want 5", used())
	}
	d.verify()
	d.restart(false)
	d.verify()
	if used() != 2+3 {
		t.Fatalf("%d lists after a restart, want 5", used())
	}
}

func TestSkipACL(t *testing.T) {
	d := newDriver(t, map[string]string{"skipACL": "yes"})
	c := d.client()
	c.want(0, edit(create("/a", ""), func(o *wire.Op) { o.ACL = acl(31, "digest", "nobody:x") }))
	c.want(0, set("/a", "x", -1))
	c.want(0, set("/zookeeper/config", "x", -1))
	c.want(wire.ErrInvalidACL, edit(create("/b", ""), func(o *wire.Op) { o.ACL = nil }))
}

// TestDigestSwitch turns the digest off and on again over data that was written without.
func TestDigestSwitch(t *testing.T) {
	d := newDriver(t, map[string]string{"digest": "false"})
	d.client().want(0, create("/a", ""))
	d.verify()
	d.opts = nil
	d.restart(false)
	c := d.client()
	c.want(0, create("/a/b", ""))
	c.want(0, set("/a", "x", -1))
	if d.m.set.digest || d.m.mismatches != 0 {
		t.Fatalf("the digest is kept over nodes that have none; %d mismatches", d.m.mismatches)
	}
	d.verify()
	var b bytes.Buffer
	zxid, err := snapshotTo(d.m, &b)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.m.Restore(&b, zxid); err != nil || !d.m.set.digest || d.m.counts.digest == 0 {
		t.Fatalf("restored: %v, digest %x", err, d.m.counts.digest)
	}
	d.verify()
}
