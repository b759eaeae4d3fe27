package wire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/zooid-project/zooid/sdk/jute"
)

var testTxns = []Txn{
	{Type: OpCreate, Path: "/a", Data: []byte("x"), ACL: testACL, Ephemeral: true, ParentCVersion: 4},
	{Type: OpCreate2, Path: "/a", Data: nil, ACL: testACL, ParentCVersion: 4},
	{Type: OpCreateContainer, Path: "/a", Data: []byte{}, ACL: testACL, ParentCVersion: 4},
	{Type: OpCreateTTL, Path: "/a", ACL: testACL, ParentCVersion: 4, TTL: 1000},
	{Type: OpDelete, Path: "/a"},
	{Type: OpDeleteContainer, Path: "/a"},
	{Type: OpSetData, Path: "/a", Data: []byte("v"), Version: 2},
	{Type: OpReconfig, Path: ConfigPath, Data: []byte("version=0"), Version: -1},
	{Type: OpSetACL, Path: "/a", ACL: testACL, Version: 2},
	{Type: OpMulti, Ops: []Txn{{Type: OpCheck, Path: "/a", Version: 2}, {Type: OpCreate, Path: "/b", Data: []byte("y"), ACL: testACL, ParentCVersion: 1}, {Type: OpDelete, Path: "/c"}}},
	{Type: OpMulti, Ops: []Txn{{Type: OpDelete, Path: "/a"}, {Type: OpError, Err: ErrNoNode}, {Type: OpError, Err: ErrRuntimeInconsistency}}},
	{Type: OpMulti},
	{Type: OpCreateSession, TimeoutMs: 30000},
	{Type: OpCloseSession, Paths: []string{"/e1", "/e2"}},
	{Type: OpCloseSession, Paths: []string{}},
	{Type: OpCloseSession, Paths: []string{"/abc"}}, // 12 bytes, as a digest has
	{Type: OpCloseSession, NoBody: true},
	{Type: OpError, Err: ErrBadVersion},
	{Type: OpMulti, Ops: []Txn{{Type: OpError, Data: (&Txn{Type: OpSetData, Path: "/a", Data: []byte("never")}).AppendTo(nil)}, {Type: OpError, Err: ErrBadVersion}}},
}

func TestEntryRoundTrip(t *testing.T) {
	for _, txn := range testTxns {
		for _, digest := range []bool{false, true} {
			want := Entry{Header: TxnHeader{ClientID: 7, Cxid: 8, Zxid: 0x400000001, Time: 9, Type: txn.Type}, Txn: txn}
			if digest {
				want.HasDigest, want.DigestVersion, want.Digest = true, DigestVersion, 0x1122334455667788
			}
			var got Entry
			if err := DecodeEntry(want.AppendTo(nil), &got); err != nil {
				t.Errorf("%v digest=%v: %v", txn.Type, digest, err)
			} else if !reflect.DeepEqual(got, want) {
				t.Errorf("%v digest=%v: %+v, want %+v", txn.Type, digest, got, want)
			}
		}
	}
}

func TestFailedMulti(t *testing.T) {
	if testTxns[9].Failed() || !testTxns[10].Failed() {
		t.Error("Failed")
	}
	// Sub-operations two and three as spec peer-wire-and-disk, 11 shows them.
	b := testTxns[10].AppendTo(nil)
	if want := unhex(t, "ffffffff 00000004 ffffff9b ffffffff 00000004 fffffffe"); !bytes.HasSuffix(b, want) {
		t.Errorf("% x", b)
	}
}

func TestOldCreate(t *testing.T) {
	txn := Txn{Type: OpCreate, Path: "/a", Data: []byte("x"), ACL: testACL, Ephemeral: true, ParentCVersion: 9}
	body := txn.AppendTo(nil)
	h := TxnHeader{Type: OpCreate}
	var e Entry
	if err := DecodeEntry(append(h.AppendTo(nil), body[:len(body)-4]...), &e); err != nil || e.Txn.ParentCVersion != -1 || !e.Txn.Ephemeral || e.Txn.Path != "/a" {
		t.Errorf("%+v %v", e, err)
	}
}

// A digest of zero after a closeSession without a list looks like a list of two empty paths.
func TestCloseSessionZeroDigest(t *testing.T) {
	want := Entry{Header: TxnHeader{Type: OpCloseSession}, Txn: Txn{Type: OpCloseSession, NoBody: true}, HasDigest: true, DigestVersion: DigestVersion}
	var got Entry
	if err := DecodeEntry(want.AppendTo(nil), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
}

func TestMalformedEntries(t *testing.T) {
	entry := func(txn Txn, tail int) []byte {
		e := Entry{Header: TxnHeader{Type: txn.Type}, Txn: txn}
		return append(e.AppendTo(nil), make([]byte, tail)...)
	}
	nested := Txn{Type: OpMulti, Ops: []Txn{{Type: OpMulti}}}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"header cut":        {make([]byte, TxnHeaderSize-1), jute.ErrShort},
		"one byte too many": {entry(testTxns[4], 1), ErrTxn},
		"11 bytes too many": {entry(testTxns[4], 11), ErrTxn},
		"13 bytes too many": {entry(testTxns[0], 13), ErrTxn},
		"multi in a multi":  {entry(nested, 0), ErrTxn},
		"unknown type":      {entry(Txn{Type: 99}, 0), ErrTxn},
		"ping":              {entry(Txn{Type: OpPing}, 0), ErrTxn},
		"error cut":         {entry(Txn{Type: OpMulti, Ops: []Txn{{Type: OpError, Data: make([]byte, 3)}}}, 0), jute.ErrShort},
		"body cut":          {entry(testTxns[6], 0)[:TxnHeaderSize+5], jute.ErrShort},
	} {
		var e Entry
		if err := DecodeEntry(c.b, &e); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
