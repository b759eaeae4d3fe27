package protocoltest

import (
	"bytes"
	"testing"

	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

func (r *Raw) expectEvent(kind wire.EventType, p string) int64 {
	r.T.Helper()
	e, zxid := r.Event()
	if e.Type != kind || e.Path != p || e.State != wire.StateSyncConnected {
		r.T.Fatalf("event %v %q state %d, want %v %q", e.Type, e.Path, e.State, kind, p)
	}
	return zxid
}

// eventFrame checks every byte (spec client-protocol, 7.5).
func eventFrame(t *testing.T, target Target) {
	r, other := Connect(t, target.Addr), Connect(t, target.Addr)
	p := tree(r, "frame")
	r.Do(read(wire.OpGetData, p, true))
	z := other.Call(set(p, nil)).Zxid
	got := r.ReceivePayload()
	want := jute.AppendInt32(nil, -1)
	want = jute.AppendInt64(want, z)
	want = jute.AppendInt32(want, 0)
	want = jute.AppendInt32(want, 3)
	want = jute.AppendInt32(want, 3)
	want = jute.AppendString(want, p)
	if !bytes.Equal(got, want) {
		t.Errorf("%x\nwant %x", got, want)
	}
	r.removeAll(p)
}

func existsMissing(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "exists")
	r.fails(read(wire.OpExists, p+"/a", true), wire.ErrNoNode)
	r.Send(Request(100, create(p+"/a", nil)))
	r.expectEvent(wire.EventNodeCreated, p+"/a")
	r.Expect(100, wire.ErrOK)
	r.removeAll(p)
}

func registerOnSuccess(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "success")
	r.fails(read(wire.OpGetData, p+"/a", true), wire.ErrNoNode)
	r.fails(read(wire.OpGetChildren, p+"/a", true), wire.ErrNoNode)
	r.Do(create(p+"/a", nil)) // Do takes no event
	r.Ping()
	r.removeAll(p)
}

func oneShot(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "oneshot")
	r.Do(read(wire.OpGetData, p, true))
	r.Do(read(wire.OpExists, p, true)) // the same table: still one event
	r.Send(Request(100, set(p, nil)))
	r.expectEvent(wire.EventNodeDataChanged, p)
	r.Expect(100, wire.ErrOK)
	r.Do(set(p, nil))
	r.removeAll(p)
}

func createFires(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "createfires")
	r.Do(read(wire.OpGetChildren, p, true))
	r.fails(read(wire.OpExists, p+"/a", true), wire.ErrNoNode)
	r.Send(Request(100, create(p+"/a", nil)))
	z1 := r.expectEvent(wire.EventNodeCreated, p+"/a")
	z2 := r.expectEvent(wire.EventNodeChildrenChanged, p)
	if f := r.Expect(100, wire.ErrOK); z1 != f.Zxid || z2 != f.Zxid {
		t.Errorf("events of %#x and %#x, the transaction is %#x", z1, z2, f.Zxid)
	}
	r.removeAll(p)
}

func deleteFires(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "deletefires")
	r.Do(create(p+"/a", nil))
	r.Do(read(wire.OpGetData, p+"/a", true))
	r.Do(read(wire.OpGetChildren, p+"/a", true))
	r.Do(read(wire.OpGetChildren, p, true))
	r.Send(Request(100, remove(p+"/a")))
	r.expectEvent(wire.EventNodeDeleted, p+"/a")
	r.expectEvent(wire.EventNodeChildrenChanged, p)
	r.Expect(100, wire.ErrOK)
	r.removeAll(p)
}

func ownEphemerals(t *testing.T, target Target) {
	r, other := Connect(t, target.Addr), Connect(t, target.Addr)
	p := tree(other, "own")
	r.Do(createAs(wire.OpCreate, p+"/e", wire.Ephemeral))
	r.Do(read(wire.OpExists, p+"/e", true))
	r.Send(Encode(100, wire.OpCloseSession, nil))
	r.expectEvent(wire.EventNodeDeleted, p+"/e")
	r.Expect(100, wire.ErrOK)
	r.ExpectClosed()
	other.removeAll(p)
}

func addWatch(p string, mode wire.AddWatchMode) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpAddWatch, Path: p}, AddWatchMode: mode}
}

func persistentWatches(t *testing.T, target Target) {
	r, w := Connect(t, target.Addr), Connect(t, target.Addr)
	p := tree(w, "persistent")
	if f := r.Call(addWatch(p, wire.AddWatchPersistent)); f.Err != 0 || !bytes.Equal(f.Body, []byte{0, 0, 0, 0}) {
		t.Fatalf("%v %x", f.Err, f.Body)
	}
	for range 3 {
		w.Do(set(p, nil))
		r.expectEvent(wire.EventNodeDataChanged, p)
	}
	w.Do(create(p+"/a", nil))
	r.expectEvent(wire.EventNodeChildrenChanged, p)
	r.Do(addWatch(p, wire.AddWatchPersistentRecursive))
	w.Do(create(p+"/a/b", nil))
	r.expectEvent(wire.EventNodeCreated, p+"/a/b")
	w.Do(remove(p + "/a/b"))
	r.expectEvent(wire.EventNodeDeleted, p+"/a/b")
	r.fails(addWatch(p, 2), wire.ErrMarshallingError)
	r.Ping()
	w.removeAll(p)
}

func removeFired(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "removefired")
	removeWatches := wire.Request{Op: wire.Op{Code: wire.OpRemoveWatches, Path: p}, WatcherType: wire.WatcherData}
	check := wire.Request{Op: wire.Op{Code: wire.OpCheckWatches, Path: p}, WatcherType: wire.WatcherData}
	r.Do(read(wire.OpGetData, p, true))
	r.Do(check)
	r.Send(Request(100, set(p, nil)))
	r.expectEvent(wire.EventNodeDataChanged, p)
	r.Expect(100, wire.ErrOK)
	r.fails(check, wire.ErrNoWatcher)
	r.fails(removeWatches, wire.ErrNoWatcher)
	r.Do(read(wire.OpGetData, p, true))
	r.Do(removeWatches)
	r.Do(set(p, nil))
	r.removeAll(p)
}

func setWatches(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "setwatches")
	for _, c := range []string{"changed", "same", "there"} {
		r.Do(create(p+"/"+c, nil))
	}
	z := r.Call(read(wire.OpExists, p, false)).Zxid
	r.Do(set(p+"/changed", nil))
	r.Send(Request(100, wire.Request{
		Op: wire.Op{Code: wire.OpSetWatches}, RelativeZxid: z,
		DataWatches:  []string{p + "/changed", p + "/same", p + "/gone"},
		ExistWatches: []string{p + "/there", p + "/later"},
		ChildWatches: []string{p + "/nowhere", p},
	}))
	for _, want := range []struct {
		kind wire.EventType
		name string
	}{{wire.EventNodeDataChanged, "/changed"}, {wire.EventNodeDeleted, "/gone"}, {wire.EventNodeCreated, "/there"}, {wire.EventNodeDeleted, "/nowhere"}} {
		if zxid := r.expectEvent(want.kind, p+want.name); zxid != -1 {
			t.Errorf("%s: zxid %d, want -1", want.name, zxid)
		}
	}
	r.Expect(100, wire.ErrOK)
	// What was not answered with an event is armed.
	for name, kind := range map[string]wire.EventType{"/same": wire.EventNodeDataChanged} {
		r.Send(Request(101, set(p+name, nil)))
		r.expectEvent(kind, p+name)
		r.Expect(101, wire.ErrOK)
	}
	r.Send(Request(102, create(p+"/later", nil)))
	r.expectEvent(wire.EventNodeCreated, p+"/later")
	r.expectEvent(wire.EventNodeChildrenChanged, p)
	r.Expect(102, wire.ErrOK)
	r.removeAll(p)
}

func setWatches2(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "setwatches2")
	r.Do(wire.Request{Op: wire.Op{Code: wire.OpSetWatches2}, RelativeZxid: 1, PersistentWatches: []string{p}, RecursiveWatches: []string{p + "/r"}})
	r.Send(Request(100, create(p+"/r", nil)))
	r.expectEvent(wire.EventNodeCreated, p+"/r")
	r.expectEvent(wire.EventNodeChildrenChanged, p)
	r.Expect(100, wire.ErrOK)
	other := Connect(t, target.Addr)
	other.removeAll(p)
}

func setWatchesNull(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	body := jute.AppendInt64(nil, 1)
	for range 3 {
		body = jute.AppendInt32(body, -1)
	}
	r.Send(Encode(1, wire.OpSetWatches, body))
	r.Expect(1, wire.ErrMarshallingError)
}
