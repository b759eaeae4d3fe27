package znode

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestSnapshotLayout reads a small snapshot by hand, by spec peer-wire-and-disk, 6.3 to 6.5.
func TestSnapshotLayout(t *testing.T) {
	d := newDriver(t, nil)
	c := d.client(joe)
	c.want(0, edit(create("/a", "x"), func(o *wire.Op) { o.ACL = acl(31, "auth", "") }))
	var b bytes.Buffer
	if _, err := snapshotTo(d.m, &b); err != nil {
		t.Fatal(err)
	}
	r := jute.NewDecoder(b.Bytes())
	if n, id, timeout := r.Int32(), r.Int64(), r.Int32(); n != 1 || id != int64(c.session) || timeout != 10000 {
		t.Fatalf("sessions: %d, %x %d", n, id, timeout)
	}
	lists := map[int64][]wire.ACL{}
	for range r.Int32() {
		key := r.Int64()
		lists[key] = wire.DecodeACLs(&r, nil)
	}
	var paths []string
	for {
		path := r.String()
		if path == "/" || r.Err() != nil {
			break
		}
		paths = append(paths, path)
		data, key := r.Buffer(), r.Int64()
		var s wire.StatPersisted
		s.Decode(&r)
		switch path {
		case "/a":
			if string(data) != "x" || len(lists[key]) != 1 || lists[key][0].ID.ID != "joe:hash" || s.Czxid != int64(d.next)-1 {
				t.Errorf("/a: %q, ACL %v, %+v", data, lists[key], s)
			}
		case "/zookeeper/config":
			if len(lists[key]) != 1 || lists[key][0].Perms != wire.PermRead || s.Aversion != -1 {
				t.Errorf("config: %v %+v", lists[key], s)
			}
		default:
			if key != -1 {
				t.Errorf("%q: ACL key %d", path, key)
			}
		}
	}
	if r.Err() != nil || r.Remaining() != 0 || len(paths) != 5 || paths[0] != "" {
		t.Fatalf("paths %q, %d bytes left, %v", paths, r.Remaining(), r.Err())
	}
}

// TestRestoreRefuses cuts a snapshot at every byte: nothing of it may count.
func TestRestoreRefuses(t *testing.T) {
	d := newDriver(t, nil)
	c := d.client()
	c.want(0, create("/a", "x"))
	c.want(0, createMode("/e", wire.Ephemeral))
	var b bytes.Buffer
	if _, err := snapshotTo(d.m, &b); err != nil {
		t.Fatal(err)
	}
	for n := range b.Len() {
		if err := d.m.Restore(bytes.NewReader(b.Bytes()[:n]), 77); err == nil {
			t.Fatalf("the first %d of %d bytes were taken for a snapshot", n, b.Len())
		}
		if d.m.Position() != 0 || d.m.counts.nodes != 4 || len(d.m.sessions.byID) != 0 || d.m.ephemerals.total != 0 {
			t.Fatalf("%d bytes left a part: position %s, %+v", n, d.m.Position(), d.m.counts)
		}
	}
	if err := d.m.Restore(bytes.NewReader(append(b.Bytes(), 0)), 77); err == nil || d.m.Position() != 0 {
		t.Fatalf("a byte behind the end: %v", err)
	}
	whole := &ended{r: iotest.OneByteReader(&b)}
	if err := d.m.Restore(whole, 77); err != nil || d.m.Position() != 77 || d.m.counts.nodes != 6 {
		t.Fatalf("%v; position %s, %+v", err, d.m.Position(), d.m.counts)
	}
	if !whole.is { // the transport waits for that: what follows on the connection is its own again
		t.Fatal("Restore has not read to the end")
	}
	d.verify()
}

// ended tells whether its reader has met the end.
type ended struct {
	r  io.Reader
	is bool
}

func (e *ended) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.is = e.is || err == io.EOF
	return n, err
}

// FuzzApply gives apply the bytes of a transaction as another server may have written it. What cannot be decoded is reported as damage; everything else is applied, whatever it names.
func FuzzApply(f *testing.F) {
	entry := func(typ wire.OpCode, t wire.Txn) []byte {
		e := wire.Entry{Header: wire.TxnHeader{ClientID: 5, Zxid: 1 << 32, Time: 9, Type: typ}, Txn: t}
		return e.AppendTo(nil)
	}
	for _, t := range []wire.Txn{
		{Type: wire.OpCreate, Path: "/a", ACL: wire.OpenACL, Data: []byte("x"), ParentCVersion: 1},
		{Type: wire.OpCreate, Path: "", ACL: wire.OpenACL}, {Type: wire.OpCreate, Path: "/", Ephemeral: true}, {Type: wire.OpCreate, Path: "a//b"}, {Type: wire.OpCreate2, Path: "/zookeeper", ACL: wire.ReadACL},
		{Type: wire.OpCreateTTL, Path: "/t", TTL: -1, ACL: wire.OpenACL}, {Type: wire.OpCreateContainer, Path: "/c", ACL: wire.OpenACL},
		{Type: wire.OpCreate, Path: "/zookeeper/quota/zookeeper_limits", ACL: wire.OpenACL}, {Type: wire.OpDelete, Path: "/"}, {Type: wire.OpDelete, Path: "/zookeeper/zookeeper_limits"},
		{Type: wire.OpSetData, Path: "/zookeeper/config", Data: nil, Version: -1}, {Type: wire.OpSetACL, Path: "/", ACL: nil},
		{Type: wire.OpCloseSession, Paths: []string{"/", "/zookeeper", "/none", ""}}, {Type: wire.OpCloseSession, NoBody: true}, {Type: wire.OpCreateSession, TimeoutMs: -1}, {Type: wire.OpError, Err: -101},
		{Type: wire.OpMulti, Ops: []wire.Txn{{Type: wire.OpDelete, Path: "/zookeeper"}, {Type: wire.OpError}}},
	} {
		f.Add(entry(t.Type, t))
	}
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDriver(t, nil)
		c := d.client()
		c.want(0, create("/e", "x"))
		defer func() {
			if r := recover(); r != nil {
				if _, ok := r.(*kernel.CorruptError); !ok {
					panic(r)
				}
			}
		}()
		d.m.Apply([]kernel.Committed{{Zxid: d.next, Data: b}})
		if d.m.Position() != d.next {
			t.Fatal("not applied")
		}
		d.m.mismatches = 0 // what was made up has no right digest
		d.verify()
	})
}

// FuzzRestore gives Restore any bytes.
func FuzzRestore(f *testing.F) {
	d := newDriver(f, nil)
	d.client().want(0, create("/a", "x"))
	var b bytes.Buffer
	if _, err := snapshotTo(d.m, &b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, '/'})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDriver(t, nil)
		if d.m.Restore(bytes.NewReader(b), 9) == nil {
			d.verify()
		}
	})
}

func TestUnCRC(t *testing.T) {
	h := hasher{enabled: true}
	old := &treeNode{Data: make([]byte, 5000), Czxid: 7}
	old.Hash = h.share("/big", old)
	n := *old
	n.Creates, n.Pzxid = 9, 11
	if got, want := h.restat("/big", old, &n), h.share("/big", &n); got != want {
		t.Fatalf("%x, want %x", got, want)
	}
	if h.share("/zookeeper/x", old) != 0 || h.share("/zookeeperx", old) == 0 || h.share("/zookeeper", old) == 0 {
		t.Fatal("the wrong nodes count")
	}
}
