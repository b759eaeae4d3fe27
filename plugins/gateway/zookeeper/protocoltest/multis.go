package protocoltest

import (
	"bytes"
	"testing"

	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

func multi(ops ...wire.Op) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpMulti}, Ops: ops}
}

func multiResults(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "multi")
	results := r.Do(multi(
		createAs(wire.OpCreate, p+"/a", wire.Persistent).Op, createAs(wire.OpCreate2, p+"/b", wire.Persistent).Op, createAs(wire.OpCreateContainer, p+"/c", wire.Container).Op,
		set(p+"/a", nil).Op, wire.Op{Code: wire.OpCheck, Path: p + "/a", Version: 1}, remove(p+"/a").Op, createAs(wire.OpCreate, p+"/d", wire.Container).Op,
	)).Results
	want := []wire.OpCode{wire.OpCreate, wire.OpCreate2, wire.OpCreate2, wire.OpSetData, wire.OpCheck, wire.OpDelete, wire.OpCreate2}
	for i := range want {
		if i >= len(results) || results[i].Code != want[i] || results[i].Err != 0 {
			t.Fatalf("result %d: %+v", i, results)
		}
	}
	r.removeAll(p)
}

func multiFailure(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "multifailure")
	f := r.Call(multi(create(p+"/a", nil).Op, wire.Op{Code: wire.OpSetData, Path: p, Version: 77}, create(p+"/b", nil).Op))
	want := []byte{}
	for _, code := range []wire.ErrorCode{0, wire.ErrBadVersion, wire.ErrRuntimeInconsistency} {
		want = jute.AppendInt32(want, -1)
		want = append(want, 0)
		want = jute.AppendInt32(want, int32(code))
		want = jute.AppendInt32(want, int32(code))
	}
	want = append(want, 0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff)
	if f.Err != 0 || !bytes.Equal(f.Body, want) {
		t.Errorf("%v\n%x\nwant\n%x", f.Err, f.Body, want)
	}
	r.fails(get(p+"/a"), wire.ErrNoNode)
	r.removeAll(p)
}

func multiEmpty(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	before := r.Call(get("/")).Zxid
	f := r.Call(multi())
	if f.Err != 0 || !bytes.Equal(f.Body, []byte{0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff}) || f.Zxid <= before {
		t.Errorf("%v %x zxid %#x after %#x", f.Err, f.Body, f.Zxid, before)
	}
}

func multiForeign(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	for _, op := range []wire.Op{get("/").Op, {Code: wire.OpDeleteContainer, Path: "/x"}, {Code: wire.OpSetACL, Path: "/", ACL: wire.OpenACL}, {Code: wire.OpExists, Path: "/"}} {
		r.fails(multi(create(path("foreign"), nil).Op, op), wire.ErrMarshallingError)
	}
	r.fails(multi(createAs(wire.OpCreate, path("foreign"), 9).Op), wire.ErrMarshallingError)
	r.fails(get(path("foreign")), wire.ErrNoNode)
}

func multiOneZxid(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "onezxid")
	f := r.Call(multi(create(p+"/a", nil).Op, create(p+"/a/b", nil).Op, set(p, nil).Op))
	for _, n := range []string{"/a", "/a/b"} {
		if s := r.Do(read(wire.OpExists, p+n, false)).Stat; s.Czxid != f.Zxid {
			t.Errorf("%s: czxid %#x, reply %#x", n, s.Czxid, f.Zxid)
		}
	}
	r.removeAll(p)
}

func multiRead(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "multiread")
	resp := r.Do(wire.Request{Op: wire.Op{Code: wire.OpMultiRead}, Ops: []wire.Op{get(p).Op, get(p + "/none").Op, read(wire.OpGetChildren, p, false).Op}})
	if len(resp.Results) != 3 || string(resp.Results[0].Data) != "x" || resp.Results[1].Err != wire.ErrNoNode || resp.Results[2].Code != wire.OpGetChildren {
		t.Errorf("%+v", resp.Results)
	}
	r.removeAll(p)
}
