package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/sdk/jute"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "·", "", "\n", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The handshake of spec client-protocol, 2.
func TestConnectGolden(t *testing.T) {
	request := unhex(t, "00000000 0000000000000000 00002710 0000000000000000 00000010 00000000000000000000000000000000 01")
	var r ConnectRequest
	d := jute.NewDecoder(request)
	r.Decode(&d)
	if d.Err() != nil || r.TimeoutMs != 10000 || !r.ReadOnly || !r.HasReadOnly || len(r.Password) != 16 {
		t.Errorf("%+v %v", r, d.Err())
	}
	if got := r.AppendTo(nil); !bytes.Equal(got, request) {
		t.Errorf("% x", got)
	}

	response := ConnectResponse{TimeoutMs: 10000, SessionID: 0x0100005bda330000, Password: SessionPassword(0x0100005bda330000), ReadOnly: true, HasReadOnly: true}
	want := unhex(t, "00000000 00002710 0100005bda330000 00000010 8f2c6cd170a4803d856fc3223942a61d 01")
	if got := response.AppendTo(nil); !bytes.Equal(got, want) {
		t.Errorf("% x", got)
	}
	var back ConnectResponse
	d = jute.NewDecoder(want)
	if back.Decode(&d); back != response {
		t.Errorf("%+v", back)
	}
}

// Clients rely on the sizes: 45 or 44 bytes asked, 37 or 36 answered.
func TestConnectWithoutReadOnly(t *testing.T) {
	r := ConnectRequest{Password: make([]byte, 16)}
	b := r.AppendTo(nil)
	if len(b) != 44 {
		t.Fatal(len(b))
	}
	d := jute.NewDecoder(b)
	if r.Decode(&d); r.HasReadOnly || d.Err() != nil {
		t.Errorf("%+v %v", r, d.Err())
	}
	if b := (&ConnectResponse{}).AppendTo(nil); len(b) != 36 {
		t.Error(len(b))
	}
	if b := (&ConnectResponse{HasReadOnly: true}).AppendTo(nil); len(b) != 37 {
		t.Error(len(b))
	}
}

func TestWatchEventGolden(t *testing.T) {
	e := WatcherEvent{Type: EventNodeCreated, State: StateSyncConnected, Path: "/w/own"}
	want := unhex(t, "00000022 ffffffff 000000000000008c 00000000 00000001 00000003 00000006 2f772f6f776e")
	if got := e.AppendFrame(nil, 0x8c); !bytes.Equal(got, want) {
		t.Errorf("% x", got)
	}
}

func TestFailedMultiGolden(t *testing.T) {
	want := unhex(t, `ffffffff 00 00000000 00000000 · ffffffff 00 ffffff99 ffffff99 · ffffffff 00 fffffffe fffffffe · ffffffff 01 ffffffff`)
	r := Response{Result: Result{Code: OpMulti}, Results: []Result{
		{Code: OpError}, {Code: OpError, Err: ErrBadVersion}, {Code: OpError, Err: ErrRuntimeInconsistency},
	}}
	if got := r.AppendTo(nil); !bytes.Equal(got, want) {
		t.Errorf("% x", got)
	}
	var back Response
	if err := DecodeResponse(OpMulti, want, &back); err != nil || len(back.Results) != 3 || back.Results[1].Err != ErrBadVersion {
		t.Errorf("%+v %v", back, err)
	}
}

func TestSessionPassword(t *testing.T) {
	for id, want := range map[int64]string{
		0x01622c3d82430027: "3b8ce0d41f34bc889ca76869786498e9",
		0x0100005bda330000: "8f2c6cd170a4803d856fc3223942a61d",
		0x0000000000000001: "054cc74a37327db215e702e20c73f005",
		0x0100000000000001: "054cc74a37327db215e702e20c73f005",
	} {
		p := SessionPassword(id)
		if hex.EncodeToString(p[:]) != want {
			t.Errorf("%x: %x, want %s", id, p, want)
		}
		if !CheckSessionPassword(id, p[:]) || CheckSessionPassword(id, p[:15]) || CheckSessionPassword(id+1, p[:]) || CheckSessionPassword(id, nil) {
			t.Errorf("%x: check", id)
		}
	}
	if p := SessionPassword(0); CheckSessionPassword(0, p[:]) {
		t.Error("session 0 has a password")
	}
}

func TestDigestID(t *testing.T) {
	for auth, want := range map[string]string{
		"user:password": "user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY=",
		"super:test":    "super:D/InIHSb7yEEbrWz8b9l71RjZJU=",
	} {
		if got := DigestID([]byte(auth)); got != want {
			t.Errorf("%s: %s", auth, got)
		}
	}
	if got := DigestID([]byte("nocolon")); !strings.HasPrefix(got, "nocolon:") {
		t.Error(got)
	}
}

func TestOwner(t *testing.T) {
	if got := uint64(TTLOwner(3_600_000)); got != 0xff0000000036ee80 {
		t.Errorf("%x", got)
	}
	for _, c := range []struct {
		owner    int64
		extended bool
		kind     OwnerKind
		ttl      int64
		shown    int64
	}{
		{0, true, OwnerPersistent, 0, 0},
		{ContainerOwner, false, OwnerContainer, 0, 0},
		{TTLOwner(5), true, OwnerTTL, 5, 0},
		{TTLOwner(MaxTTL), true, OwnerTTL, MaxTTL, 0},
		{TTLOwner(5), false, OwnerEphemeral, 0, TTLOwner(5)},
		{0x0100005bda330000, true, OwnerEphemeral, 0, 0x0100005bda330000},
		{-1, true, OwnerEphemeral, 0, -1}, // feature bits set: no known type
	} {
		kind, ttl := KindOfOwner(c.owner, c.extended)
		if kind != c.kind || ttl != c.ttl || ShownOwner(c.owner, c.extended) != c.shown {
			t.Errorf("%x: %v %d %x", uint64(c.owner), kind, ttl, ShownOwner(c.owner, c.extended))
		}
	}
}

// Spec client-protocol, 6.
func TestValidatePath(t *testing.T) {
	good := []string{"/", "/a", "/a/b", "/a/...", "/.b", "/a..b", "/a b", "/\\", "/ü", "/\uf900", "/\uffef", "/" + strings.Repeat("x", 300)}
	bad := []string{"", "a", "/a/", "//", "/a//b", "/a/./b", "/..", "/.", "/a/..", "/a\x00", "/\x1f", "/\x7f", "/\u0080", "/\u009f", "/\ue000", "/\uf8ff", "/\ufff0", "/\uffff", "/\U0001f600", "/\xff", "/\xed\xa0\x80"}
	for _, p := range good {
		if err := ValidatePath(p); err != nil {
			t.Error(err)
		}
	}
	for _, p := range bad {
		err := ValidatePath(p)
		var pe *PathError
		if !errors.Is(err, ErrBadArguments) || !errors.As(err, &pe) || pe.Path != p {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestWeakPathChecks(t *testing.T) {
	for _, c := range []struct {
		path        string
		create, del bool
		parent      string
	}{
		{"x/y", true, true, "x"}, {"x", false, false, ""}, {"", false, false, ""}, {"/a\x00", false, false, ""}, {"/", true, false, ""},
		{"/zookeeper", true, false, ""}, {"/zookeeper/quota", true, false, "/zookeeper"}, {"/zookeeper/config", true, false, "/zookeeper"},
		{"/zz/", true, true, "/zz"}, {"/a", true, true, ""}, {"/a/b/c", true, true, "/a/b"},
	} {
		if err := CheckCreatePath(c.path); (err == nil) != c.create {
			t.Errorf("create %q: %v", c.path, err)
		}
		if err := CheckDeletePath(c.path); (err == nil) != c.del {
			t.Errorf("delete %q: %v", c.path, err)
		}
		if got := ParentPath(c.path); got != c.parent {
			t.Errorf("parent of %q: %q", c.path, got)
		}
	}
}

func TestErrorCode(t *testing.T) {
	err := fmt.Errorf("get /a: %w", ErrNoNode)
	if !errors.Is(err, ErrNoNode) || errors.Is(err, ErrNoAuth) {
		t.Error("errors.Is")
	}
	if ErrOK.Err() != nil || ErrNoNode.Err() != ErrNoNode || ErrNoNode.Name() != "NONODE" || ErrorCode(-999).Known() {
		t.Error("code methods")
	}
	if got := ErrorCode(-999).Error(); got != "error code -999" {
		t.Error(got)
	}
}

// Java and node throw on an error code that they do not know, so none may be invented (spec client-protocol, 5.1 and 13).
func TestNoErrorCodeIsInvented(t *testing.T) {
	known := []ErrorCode{0, -1, -2, -3, -4, -5, -6, -7, -8, -12, -13, -14, -100, -101, -102, -103, -108, -110, -111, -112, -113, -114, -115, -118, -119, -120, -121, -122, -123, -124, -125, -127}
	for code := ErrorCode(-1000); code <= 1000; code++ {
		if code.Known() != slices.Contains(known, code) {
			t.Errorf("%d: %v", int32(code), code)
		}
	}
}

func TestOpNames(t *testing.T) {
	for op, want := range map[OpCode]string{OpCreate2: "CREA", OpGetChildren2: "GETC", OpGetAllChildrenNumber: "GETACN", OpSetWatches2: "STW2", OpAuth: "NA", 77: "NA"} {
		if got := op.LastOpName(); got != want {
			t.Errorf("%v: %s", op, got)
		}
	}
	if OpCode(77).String() != "op 77" || OpCode(77).Known() || OpCheck.Known() || !OpWhoAmI.Known() || OpSync.IsWrite() || !OpCloseSession.IsWrite() {
		t.Error("op methods")
	}
	if (PermRead|PermAdmin).String() != "ra" || PermAll.String() != "cdrwa" {
		t.Error("perms")
	}
}

func TestQuota(t *testing.T) {
	none := Quota{Count: -1, Bytes: -1, HardCount: -1, HardBytes: -1}
	for _, c := range []struct {
		text   string
		want   Quota
		ok     bool
		render string
	}{
		{"count=5,bytes=10", Quota{Count: 5, Bytes: 10, HardCount: -1, HardBytes: -1}, true, "count=5,bytes=10"},
		{"count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=4", Quota{Count: -1, Bytes: -1, HardCount: 4, HardBytes: 20, Long: true}, true, "count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=4"},
		{"count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=10", Quota{Count: 5, Bytes: -1, HardCount: 10, HardBytes: -1, Long: true}, true, "count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=10"},
		{"", none, true, "count=-1,bytes=-1"},
		{"count=,bytes=", none, true, "count=-1,bytes=-1"},
		{";;count=3,,;bytes=4;", Quota{Count: 3, Bytes: 4, HardCount: -1, HardBytes: -1}, true, "count=3,bytes=4"},
		{"garbage", none, false, "count=-1,bytes=-1"},
		{"count=x,bytes=7", Quota{Count: -1, Bytes: 7, HardCount: -1, HardBytes: -1}, false, "count=-1,bytes=7"},
		{"count=99999999999999999999,bytes=1", Quota{Count: -1, Bytes: 1, HardCount: -1, HardBytes: -1}, false, "count=-1,bytes=1"},
		{"count=1,bytes=2=;zeta=3;alpha=4", Quota{Count: 1, Bytes: 2, HardCount: -1, HardBytes: -1, Other: []QuotaEntry{{"zeta", 3}, {"alpha", 4}}}, true, "count=1,bytes=2=;alpha=4;zeta=3"},
	} {
		got, ok := ParseQuota([]byte(c.text))
		if fmt.Sprint(got) != fmt.Sprint(c.want) || ok != c.ok || got.Long != c.want.Long {
			t.Errorf("%q: %+v %v", c.text, got, ok)
		}
		if s := got.String(); s != c.render {
			t.Errorf("%q renders as %q", c.text, s)
		}
	}
}
