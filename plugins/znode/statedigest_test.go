package znode

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestStateDigestCovers changes one thing after the other.
func TestStateDigestCovers(t *testing.T) {
	h := hasher{enabled: true}
	share := func(path string, n tree.Node, acl []wire.ACL) uint64 {
		n.Hash = h.share(path, &n)
		return shareOf(path, &n, hashOfACL(acl))
	}
	base := tree.Node{Czxid: 1, Mzxid: 2, Pzxid: 3, Ctime: 4, Mtime: 5, Version: 6, Creates: 7, Aversion: 8, Owner: 9, Data: []byte{}}
	list := append(acl(3, "digest", "joe"), acl(1, "ip", "1")...)
	want := share("/a", base, list)
	if want != share("/a", base, append([]wire.ACL{}, list...)) {
		t.Fatal("not the same twice")
	}
	// Not of the replicated state: what a server counts and numbers for itself. The hash is made of the rest.
	own := map[string]bool{"ID": true, "parent": true, "NumChildren": true, "ACL": true, "Hash": true}
	for i := range reflect.TypeFor[tree.Node]().NumField() {
		field := reflect.TypeFor[tree.Node]().Field(i)
		n := base
		switch f := reflect.ValueOf(&n).Elem().Field(i); {
		case own[field.Name]:
			continue
		case field.Name == "Data":
			n.Data = []byte("x")
		default:
			f.SetInt(f.Int() + 1)
		}
		if share("/a", n, list) == want {
			t.Errorf("a change of %s is not seen", field.Name)
		}
	}
	null := base
	null.Data = nil
	ttl := base
	ttl.Owner = wire.TTLOwner(9)
	longer := base
	longer.Data = []byte("bc")
	shorter := base
	shorter.Data = []byte("c")
	for what, differ := range map[string]bool{
		"null and empty data":          share("/a", null, list) != want,
		"the kind of a node":           share("/a", ttl, list) != want,
		"where the path ends":          share("/a", longer, list) != share("/ab", shorter, list),
		"the path":                     share("/b", base, list) != want,
		"the ACL":                      share("/a", base, list[:1]) != want,
		"the order of the ACL":         share("/a", base, append(acl(1, "ip", "1"), list[0])) != want,
		"permissions":                  share("/a", base, append(acl(7, "digest", "joe"), list[1])) != want,
		"a scheme and its id":          share("/a", base, acl(3, "ab", "c")) != share("/a", base, acl(3, "a", "bc")),
		"a session":                    sessionShare(1, 5000) != sessionShare(2, 5000),
		"its time-out":                 sessionShare(1, 5000) != sessionShare(1, 6000),
		"below /zookeeper is no share": share("/zookeeper/config", base, list) == 0,
	} {
		if !differ {
			t.Error(what)
		}
	}
}

// TestStateDigestOfChanges: what transactions do to ACLs and sessions shows, and goes away with what they made.
func TestStateDigestOfChanges(t *testing.T) {
	for _, store := range []string{"memory", "pebble"} {
		t.Run(store, func(t *testing.T) {
			d := newDriverOn(t, nil, store)
			state := func() uint64 {
				t.Helper()
				d.verify()
				_, digest, ok := d.m.StateDigest()
				if !ok {
					t.Fatal("not known")
				}
				return digest
			}
			before := state()
			c := d.client(joe)
			with := state()
			if with == before {
				t.Error("a session does not count")
			}
			c.want(0, create("/a", ""))
			one := state()
			c.want(0, wire.Request{Op: wire.Op{Code: wire.OpSetACL, Path: "/a", ACL: acl(31, "digest", joe.ID), Version: -1}})
			if state() == one {
				t.Error("an ACL does not count")
			}
			mirrored := newServer(t, 2, nil, store, func([]byte) {})
			mirrored.m.Apply(d.log)
			z, want, _ := d.m.StateDigest()
			if at, got, ok := mirrored.m.StateDigest(); at != z || got != want || !ok {
				t.Errorf("applied from the log it is %x at %s, not %x at %s", got, at, want, z)
			}
			for _, c := range d.log { // as of every moment, and on the other server just so
				here, ok := d.m.StateDigestAt(c.Zxid)
				there, also := mirrored.m.StateDigestAt(c.Zxid)
				if here != there || !ok || !also {
					t.Errorf("at %s it was %x and %x", c.Zxid, here, there)
				}
			}
			if _, ok := d.m.StateDigestAt(z + 1); ok {
				t.Error("known before it is there")
			}
		})
	}
}

// TestStateDigestIsKept keeps only so many positions, the last.
func TestStateDigestIsKept(t *testing.T) {
	var d digests
	for z := int64(1); z <= 25; z++ {
		d.add(z, uint64(z)*7, 10)
	}
	for z := int64(0); z <= 26; z++ {
		digest, ok := d.at(z)
		if ok != (z > 15 && z <= 25) || ok && digest != uint64(z)*7 {
			t.Errorf("at %d: %d, %t", z, digest, ok)
		}
	}
}

// forgetState makes a store what a version without a state digest would have left.
func (d *driver) forgetState() {
	d.t.Helper()
	d.m.running.Wait()
	d.m.tree.Lock()
	err := d.m.tree.ScanSide("", func(key string, value []byte) bool {
		switch {
		case strings.HasPrefix(key, sideEphemeral):
			d.m.tree.SetSide(key, append([]byte(nil), value[:8]...))
		case key == sideCounts:
			d.m.tree.SetSide(key, append([]byte(nil), value[:25]...))
		}
		return true
	})
	d.m.tree.Unlock()
	if err != nil {
		d.t.Fatal(err)
	}
	d.close()
	d.open()
}

// TestStateDigestOfOlderStores: it is not known at first, then it is, whatever has happened meanwhile, the end of sessions with many nodes or few among that.
func TestStateDigestOfOlderStores(t *testing.T) {
	for _, store := range []string{"memory", "pebble"} {
		t.Run(store, func(t *testing.T) {
			d := newDriverOn(t, map[string]string{"background": "false"}, store)
			many, few, stays := d.client(), d.client(), d.client(joe)
			stays.want(0, create("/p", ""))
			stays.want(0, wire.Request{Op: wire.Op{Code: wire.OpCreate, Path: "/p/guarded", ACL: acl(31, "digest", joe.ID)}})
			for i := range departMin + 10 {
				many.want(0, createMode(fmt.Sprintf("/p/many-%d", i), wire.Ephemeral))
			}
			for i := range 3 {
				few.want(0, createMode(fmt.Sprintf("/p/few-%d", i), wire.Ephemeral))
				stays.want(0, createMode(fmt.Sprintf("/p/stays-%d", i), wire.Ephemeral))
			}
			if err := d.m.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			d.forgetState()
			if _, _, ok := d.m.StateDigest(); ok {
				t.Fatal("known, though nobody has counted")
			}
			for _, c := range []*conn{many, few, stays} {
				d.m.Sessions().Established(c.session, 1e10, c)
			}
			stays.want(0, set("/p/many-7", "x", -1))
			stays.want(0, set("/p/stays-1", "x", -1))
			stays.want(0, create("/q", "new"))
			if err := d.m.countState(func(ctx context.Context) (*tree.View, error) {
				view, err := d.m.tree.View(ctx)
				many.want(0, wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})
				few.want(0, wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})
				stays.want(0, set("/p/stays-0", "y", -1))
				return view, err
			}); err != nil {
				t.Fatal(err)
			}
			if _, _, ok := d.m.StateDigest(); !ok {
				t.Fatal("not known, though it was counted")
			}
			for d.m.reaping { // the nodes of the session that has gone
				d.m.Tick(d.now, false)
			}
			d.verify()
			if s, ok := d.m.ephemerals.share(int64(stays.session), "/p/stays-2"); !ok || s.state == 0 {
				t.Errorf("%+v", s)
			}
			z, want, _ := d.m.StateDigest()
			mirrored := newServer(t, 2, nil, store, func([]byte) {})
			mirrored.m.Apply(d.log)
			if at, got, _ := mirrored.m.StateDigest(); at != z || got != want {
				t.Errorf("it is %x at %s, and %x where all of it was applied", want, z, got)
			}
			d.restart(false)
			if _, got, ok := d.m.StateDigest(); !ok || got != want {
				t.Errorf("after a restart it is %x, not %x", got, want)
			}
		})
	}
}

// TestOlderVersionsReadWhatIsNew: what stands behind what an older version knows, it passes over.
func TestOlderVersionsReadWhatIsNew(t *testing.T) {
	d := jute.NewDecoder(share{1, 2, 3}.encode())
	if hash, size := d.Int32(), d.Int32(); hash != 1 || size != 2 || d.Err() != nil {
		t.Error(hash, size, d.Err())
	}
}

// TestNoStateDigestWithoutTheOther: with digest.enabled=false nodes have no hashes.
func TestNoStateDigestWithoutTheOther(t *testing.T) {
	d := newDriver(t, map[string]string{"digest": "false"})
	d.client().want(0, create("/a", ""))
	if _, _, ok := d.m.StateDigest(); ok {
		t.Error("known")
	}
	if _, ok := d.m.StateDigestAt(kernel.MakeZxid(1, 1)); ok {
		t.Error("known as of a moment ago")
	}
}
