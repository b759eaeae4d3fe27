package wire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/zooid-project/zooid/sdk/jute"
)

var testACL = []ACL{{PermAll, WorldAnyone}, {PermRead, ID{"digest", "u:h"}}, {5, ID{"ip", "10.0.0.0/8"}}}

var testStat = Stat{Czxid: 1, Mzxid: 2, Ctime: 3, Mtime: 4, Version: 5, Cversion: -6, Aversion: 7, EphemeralOwner: -8, DataLength: 9, NumChildren: 10, Pzxid: 11}

// One request of each kind; where null and empty differ, both.
var testRequests = []Request{
	{Op: Op{Code: OpCreate, Path: "/a", Data: []byte("x"), ACL: testACL, Mode: EphemeralSequential}},
	{Op: Op{Code: OpCreate2, Path: "/a", Data: nil, ACL: nil}},
	{Op: Op{Code: OpCreateContainer, Path: "/a", Data: []byte{}, ACL: []ACL{}, Mode: Container}},
	{Op: Op{Code: OpCreateTTL, Path: "/a", ACL: OpenACL, Mode: PersistentTTL, TTL: 5000}},
	{Op: Op{Code: OpDelete, Path: "/a", Version: -1}},
	{Op: Op{Code: OpDeleteContainer, Path: "/a"}},
	{Op: Op{Code: OpExists, Path: "/a", Watch: true}},
	{Op: Op{Code: OpGetData, NullPath: true}},
	{Op: Op{Code: OpGetChildren, Path: ""}},
	{Op: Op{Code: OpGetChildren2, Path: "/", Watch: true}},
	{Op: Op{Code: OpSetData, Path: "/a", Data: []byte("v"), Version: 3}},
	{Op: Op{Code: OpGetACL, Path: "/a"}},
	{Op: Op{Code: OpSetACL, Path: "/a", ACL: testACL, Version: 2}},
	{Op: Op{Code: OpSync, NullPath: true}},
	{Op: Op{Code: OpGetEphemerals, Path: "/"}},
	{Op: Op{Code: OpGetAllChildrenNumber, Path: "/"}},
	{Op: Op{Code: OpPing}}, {Op: Op{Code: OpCloseSession}}, {Op: Op{Code: OpWhoAmI}},
	{Op: Op{Code: OpCreateSession}, TimeoutMs: 4000},
	{Op: Op{Code: OpMulti}, Ops: []Op{
		{Code: OpCheck, Path: "/a", Version: 1}, {Code: OpCreate, Path: "/a/b", Data: []byte("x"), ACL: testACL}, {Code: OpDelete, Path: "/c", Version: -1},
		{Code: OpSetData, Path: "/d", Version: 4}, {Code: OpCreate2, Path: "/e", ACL: OpenACL}, {Code: OpCreateContainer, Path: "/f", ACL: OpenACL, Mode: Container},
		{Code: OpCreateTTL, Path: "/g", ACL: OpenACL, Mode: PersistentTTL, TTL: 9},
	}},
	{Op: Op{Code: OpMulti}},
	{Op: Op{Code: OpMultiRead}, Ops: []Op{{Code: OpGetData, Path: "/a"}, {Code: OpGetChildren, Path: "/b", Watch: true}}},
	{Op: Op{Code: OpReconfig}, Joining: "server.4=h:1:2", ConfigID: -1},
	{Op: Op{Code: OpCheckWatches, Path: "/a"}, WatcherType: WatcherData},
	{Op: Op{Code: OpRemoveWatches, Path: "/a"}, WatcherType: WatcherAny},
	{Op: Op{Code: OpAddWatch, Path: "/a"}, AddWatchMode: AddWatchPersistentRecursive},
	{Op: Op{Code: OpAuth}, Scheme: "digest", Auth: []byte("u:p")},
	{Op: Op{Code: OpSASL}, Auth: []byte{}},
	{Op: Op{Code: OpSetWatches}, RelativeZxid: 77, DataWatches: []string{"/a", "/b"}, ExistWatches: []string{}, ChildWatches: []string{"/c"}},
	{Op: Op{Code: OpSetWatches2}, RelativeZxid: 77, DataWatches: []string{}, ExistWatches: []string{}, ChildWatches: []string{}, PersistentWatches: []string{"/p"}, RecursiveWatches: []string{"/r"}},
}

func TestRequestRoundTrip(t *testing.T) {
	var r Request // used again for all of them, as a gateway does
	for range 2 {
		for i := range testRequests {
			want := &testRequests[i]
			b := want.AppendTo(nil)
			if err := DecodeRequest(want.Code, append(b[:len(b):len(b)], 1, 2, 3), &r); err != nil {
				t.Errorf("%v: %v", want.Code, err)
				continue
			}
			if got := r.AppendTo(nil); !bytes.Equal(got, b) {
				t.Errorf("%v: % x came back as % x", want.Code, b, got)
			}
			if r.Path != want.Path || r.NullPath != want.NullPath || (r.Data == nil) != (want.Data == nil) || len(r.Ops) != len(want.Ops) {
				t.Errorf("%v: %+v", want.Code, r)
			}
			if (want.Code == OpCreate2 || want.Code == OpCreateContainer) && (r.ACL == nil) != (want.ACL == nil) {
				t.Errorf("%v: null and empty ACL lists were confused: %#v", want.Code, r.ACL)
			}
			// Every proper prefix of a body lacks something.
			for n := range b {
				if err := DecodeRequest(want.Code, b[:n:n], &r); err == nil {
					t.Errorf("%v: %d of %d bytes were enough", want.Code, n, len(b))
				}
			}
		}
	}
}

func TestMalformedRequests(t *testing.T) {
	var null []byte = jute.AppendVectorLen(jute.AppendInt64(nil, 1), -1)
	read := (&Request{Op: Op{Code: OpMultiRead}, Ops: []Op{{Code: OpGetData, Path: "/a"}}}).AppendTo(nil)
	write := (&Request{Op: Op{Code: OpMulti}, Ops: []Op{{Code: OpDelete, Path: "/a"}}}).AppendTo(nil)
	for _, c := range []struct {
		name string
		op   OpCode
		body []byte
	}{
		{"null watch list", OpSetWatches, null},
		{"read in a multi", OpMulti, read},
		{"write in a multiRead", OpMultiRead, write},
		{"deleteContainer in a multi", OpMulti, multiHeader{code: OpDeleteContainer, err: -1}.appendTo(nil)},
		{"unknown operation", 77, []byte{0, 0, 0, 0}},
		{"error as a request", OpError, []byte{0, 0, 0, 0}},
	} {
		var r Request
		if err := DecodeRequest(c.op, c.body, &r); !errors.Is(err, ErrBody) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

var testResponses = []Response{
	{Result: Result{Code: OpCreate, Path: "/a0000000001"}},
	{Result: Result{Code: OpSync, Path: "/a"}},
	{Result: Result{Code: OpCreate2, Path: "/a", Stat: testStat}},
	{Result: Result{Code: OpCreateContainer, Path: "/a", Stat: testStat}},
	{Result: Result{Code: OpCreateTTL, Path: "/a", Stat: testStat}},
	{Result: Result{Code: OpDelete}}, {Result: Result{Code: OpPing}}, {Result: Result{Code: OpAuth}}, {Result: Result{Code: OpCloseSession}},
	{Result: Result{Code: OpSetWatches2}}, {Result: Result{Code: OpRemoveWatches}},
	{Result: Result{Code: OpExists, Stat: testStat}},
	{Result: Result{Code: OpSetData, Stat: testStat}},
	{Result: Result{Code: OpSetACL, Stat: testStat}},
	{Result: Result{Code: OpGetData, Data: []byte("v"), Stat: testStat}},
	{Result: Result{Code: OpGetData, Stat: testStat}},
	{Result: Result{Code: OpGetData, Data: []byte{}, Stat: testStat}},
	{Result: Result{Code: OpGetChildren, Children: []string{"a", "b"}}},
	{Result: Result{Code: OpGetChildren2, Children: []string{}, Stat: testStat}},
	{Result: Result{Code: OpGetACL, ACL: testACL, Stat: testStat}},
	{Result: Result{Code: OpReconfig, Data: []byte("server.1=..."), Stat: testStat}},
	{Result: Result{Code: OpGetEphemerals, Children: []string{"/e"}}},
	{Result: Result{Code: OpGetAllChildrenNumber}, Count: 3},
	{Result: Result{Code: OpAddWatch}},
	{Result: Result{Code: OpWhoAmI}, Clients: []ClientInfo{{"ip", "127.0.0.1"}, {"super", ""}}},
	{Result: Result{Code: OpSASL}, Token: []byte("rspauth=x")},
	{Result: Result{Code: OpSASL}},
	{Result: Result{Code: OpMulti}, Results: []Result{{Code: OpCreate, Path: "/a"}, {Code: OpCreate2, Path: "/b", Stat: testStat}, {Code: OpDelete}, {Code: OpSetData, Stat: testStat}, {Code: OpCheck}}},
	{Result: Result{Code: OpMulti}},
	{Result: Result{Code: OpMultiRead}, Results: []Result{{Code: OpGetData, Data: []byte("x"), Stat: testStat}, {Code: OpError, Err: ErrNoNode}, {Code: OpGetChildren, Children: []string{"c"}}}},
}

func TestResponseRoundTrip(t *testing.T) {
	for i := range testResponses {
		want := &testResponses[i]
		b := want.AppendTo(nil)
		var got Response
		if err := DecodeResponse(want.Code, b, &got); err != nil {
			t.Errorf("%v: %v", want.Code, err)
		} else if !reflect.DeepEqual(&got, want) {
			t.Errorf("%v: %+v, want %+v", want.Code, got, *want)
		}
		for n := range b {
			if err := DecodeResponse(want.Code, b[:n:n], &got); err == nil {
				t.Errorf("%v: %d of %d bytes were enough", want.Code, n, len(b))
			}
		}
	}
}

func TestFixedSizes(t *testing.T) {
	var s Stat
	var p StatPersisted
	var h TxnHeader
	var q RequestHeader
	var r ReplyHeader
	for name, c := range map[string][2]int{
		"Stat": {len(s.AppendTo(nil)), StatSize}, "StatPersisted": {len(p.AppendTo(nil)), StatPersistedSize}, "TxnHeader": {len(h.AppendTo(nil)), TxnHeaderSize},
		"RequestHeader": {len(q.AppendTo(nil)), RequestHeaderSize}, "ReplyHeader": {len(r.AppendTo(nil)), ReplyHeaderSize},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %d bytes, want %d", name, c[0], c[1])
		}
	}
	want := StatPersisted{1, 2, 3, 4, 5, 6, 7, 8, 9}
	d := jute.NewDecoder(want.AppendTo(nil))
	if p.Decode(&d); p != want || d.Remaining() != 0 {
		t.Errorf("%+v", p)
	}
}
