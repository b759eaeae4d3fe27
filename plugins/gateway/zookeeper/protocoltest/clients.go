package protocoltest

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// What single clients do, frame by frame (spec client-protocol, 13). What several depend on is checked where its operation is.
var clientChecks = []Check{
	{"all/nothing comes unasked", nothingUnasked},
	{"java/what a reconnect sends at once is answered in order", javaReconnect},
	{"java/create without stat of a TTL node", javaTTL},
	{"curator/protected create outlives the connection", curatorProtected},
	{"curator/mzxid rises with every set", curatorMzxid},
	{"curator/config of a lone server has no client address", curatorConfig},
	{"kazoo/connect, then auth, and nothing between", kazooConnect},
	{"kazoo/reconfig with null fields", kazooReconfig},
	{"kazoo/multi answers with the operations' own types", kazooMulti},
	{"c/credentials, latest first, then watches", cRecovery},
	{"go-zookeeper/watches one request at a time with ordinary xids", goWatches},
	{"clickhouse/willing to read only", clickhouseReadOnly},
}

// nothingUnasked: an ordinary reply with nothing pending ends a C client's process.
func nothingUnasked(t *testing.T, target Target) {
	r, other := Connect(t, target.Addr), Connect(t, target.Addr)
	p := tree(other, "unasked")
	r.Do(read(wire.OpGetData, p, true))
	other.Do(set(p, nil))
	r.expectEvent(wire.EventNodeDataChanged, p)
	for range 20 {
		other.Do(set(p, nil))
		other.Do(create(p+"/a", nil))
		other.Do(remove(p + "/a"))
	}
	other.Do(wire.Request{Op: wire.Op{Code: wire.OpSync, Path: "/"}})
	r.Ping() // its answer is the next frame
	other.removeAll(p)
}

// javaReconnect: after the answer to connect come credentials, two batches of watches and what had queued, all at once.
func javaReconnect(t *testing.T, target Target) {
	r, other := Connect(t, target.Addr), Connect(t, target.Addr)
	p := tree(other, "javareconnect")
	z := r.Call(read(wire.OpExists, p, true)).Zxid
	r.Conn.Close()
	other.Do(set(p, nil))
	again := r.reconnect(target, r.Session.Password)
	b := Request(wire.XidAuth, auth("digest", []byte("joe:secret")))
	b = append(b, Request(wire.XidSetWatches, wire.Request{Op: wire.Op{Code: wire.OpSetWatches}, RelativeZxid: z, DataWatches: []string{p}})...)
	b = append(b, Request(wire.XidSetWatches, wire.Request{Op: wire.Op{Code: wire.OpSetWatches}, RelativeZxid: z, ExistWatches: []string{p + "/a"}})...)
	b = append(b, Request(41, get(p))...)
	b = append(b, Request(42, create(p+"/a", nil))...)
	again.Send(append(b, Request(43, get(p+"/a"))...))
	again.Expect(wire.XidAuth, wire.ErrOK)
	again.expectEvent(wire.EventNodeDataChanged, p)
	again.Expect(wire.XidSetWatches, wire.ErrOK)
	again.Expect(wire.XidSetWatches, wire.ErrOK)
	again.Expect(41, wire.ErrOK)
	again.expectEvent(wire.EventNodeCreated, p+"/a")
	again.Expect(42, wire.ErrOK)
	again.Expect(43, wire.ErrOK)
	other.removeAll(p)
}

// javaTTL: the client parses the path of a (path, Stat) answer, whichever way it asked.
func javaTTL(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "javattl")
	req := wire.Request{Op: wire.Op{Code: wire.OpCreateTTL, Path: p + "/ttl", ACL: wire.OpenACL, Mode: wire.PersistentTTL, TTL: 3600_000}}
	if !target.ExtendedTypes {
		r.fails(req, wire.ErrUnimplemented)
		r.removeAll(p)
		return
	}
	f := r.Call(req)
	want := jute.AppendString(nil, p+"/ttl")
	if f.Err != wire.ErrOK || !bytes.HasPrefix(f.Body, want) || len(f.Body) != len(want)+wire.StatSize {
		t.Errorf("%v, %d bytes: %x", f.Err, len(f.Body), f.Body)
	}
	r.removeAll(p)
}

// curatorProtected: the reply is lost with the connection, and the node is found by its prefix, still this session's.
func curatorProtected(t *testing.T, target Target) {
	const guid = "_c_0b5b1c9f-5b43-4f5a-8f8e-3a5b1f0f4c11-"
	r, other := Connect(t, target.Addr), Connect(t, target.Addr)
	p := tree(other, "curatorprotected")
	r.Send(Request(7, createAs(wire.OpCreate2, p+"/"+guid+"lock-", wire.EphemeralSequential)))
	r.Expect(7, wire.ErrOK) // the server has done it; the client does not look
	r.Conn.Close()
	again := r.reconnect(target, r.Session.Password)
	names := again.Do(read(wire.OpGetChildren, p, false)).Children
	if len(names) != 1 || !strings.HasPrefix(names[0], guid+"lock-") {
		t.Fatalf("%v", names)
	}
	if s := again.Do(read(wire.OpExists, p+"/"+names[0], false)).Stat; s.EphemeralOwner != r.Session.SessionID {
		t.Errorf("owner %#x, session %#x", s.EphemeralOwner, r.Session.SessionID)
	}
	other.removeAll(p)
}

func curatorMzxid(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "curatormzxid")
	last := r.Do(read(wire.OpExists, p, false)).Stat.Mzxid
	for i := range 5 {
		z := r.Do(set(p, []byte("the same"))).Stat.Mzxid
		if got := r.Do(get(p)).Stat.Mzxid; z <= last || got != z {
			t.Fatalf("set %d: mzxid %#x after %#x, read as %#x", i, z, last, got)
		}
		last = z
	}
	r.removeAll(p)
}

// curatorConfig: from a configuration with client addresses Curator makes a new connect string. That of a lone server may not take its address from it.
func curatorConfig(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	for line := range strings.Lines(string(r.Do(get(wire.ConfigPath)).Data)) {
		if strings.HasPrefix(line, "server.") && strings.Contains(line, ";") {
			t.Errorf("%q", line)
		}
	}
}

// kazooConnect: while it connects the very next frame must be the answer, although the session has just had watches and others write.
func kazooConnect(t *testing.T, target Target) {
	r, other := Connect(t, target.Addr), Connect(t, target.Addr)
	p := tree(other, "kazooconnect")
	r.Do(read(wire.OpGetData, p, true))
	r.Do(addWatch(p, wire.AddWatchPersistentRecursive))
	r.Conn.Close()
	again := Dial(t, target.Addr)
	again.SendConnect(wire.ConnectRequest{TimeoutMs: 10000, SessionID: r.Session.SessionID, Password: r.Session.Password[:], HasReadOnly: true})
	other.Do(set(p, nil))
	if s := again.ReceiveConnect(true); s.SessionID != r.Session.SessionID {
		t.Fatalf("%+v", s)
	}
	other.Do(set(p, nil))
	for range 2 {
		again.Send(Request(wire.XidAuth, auth("digest", []byte("joe:secret"))))
		other.Do(set(p, nil))
		if f := again.Expect(wire.XidAuth, wire.ErrOK); f.Zxid != 0 {
			t.Errorf("zxid %#x would be taken for the last one seen", f.Zxid)
		}
	}
	other.removeAll(p)
}

func kazooReconfig(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	body := bytes.Repeat([]byte{0xff}, 12)
	r.Send(Encode(5, wire.OpReconfig, jute.AppendInt64(body, -1)))
	r.Expect(5, wire.ErrReconfigDisabled)
	r.Ping()
}

// kazooMulti: results of types that it does not know end its connection.
func kazooMulti(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "kazoomulti")
	f := r.Call(multi(create(p+"/a", nil).Op, set(p+"/a", []byte("1")).Op, wire.Op{Code: wire.OpCheck, Path: p + "/a", Version: 1}, remove(p+"/a").Op))
	d := jute.NewDecoder(f.Body)
	var types []wire.OpCode
	for {
		kind, done, err := wire.OpCode(d.Int32()), d.Bool(), d.Int32()
		if done {
			if kind != -1 || err != -1 {
				t.Errorf("the end says type %d and error %d", kind, err)
			}
			break
		}
		types = append(types, kind)
		switch kind {
		case wire.OpCreate:
			_ = d.String()
		case wire.OpSetData:
			var s wire.Stat
			s.Decode(&d)
		}
		if d.Err() != nil || err != 0 {
			t.Fatalf("result %d: error %d, %v", len(types), err, d.Err())
		}
	}
	if want := []wire.OpCode{wire.OpCreate, wire.OpSetData, wire.OpCheck, wire.OpDelete}; !slices.Equal(types, want) || d.Remaining() > 0 {
		t.Errorf("%v and %d more bytes, want %v", types, d.Remaining(), want)
	}
	r.removeAll(p)
}

// cRecovery: all credentials, the latest first, then all watches in one request; answers to the watches may come at any time.
func cRecovery(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "crecovery")
	var b []byte
	for _, user := range []string{"latest:x", "first:x"} {
		b = append(b, Request(wire.XidAuth, auth("digest", []byte(user)))...)
	}
	r.Send(append(b, Request(wire.XidSetWatches, wire.Request{Op: wire.Op{Code: wire.OpSetWatches}, RelativeZxid: 1 << 60, ChildWatches: []string{p}})...))
	r.Expect(wire.XidAuth, wire.ErrOK)
	r.Expect(wire.XidAuth, wire.ErrOK)
	r.Expect(wire.XidSetWatches, wire.ErrOK)
	for _, user := range []string{"latest", "first"} {
		if clients := r.Do(wire.Request{Op: wire.Op{Code: wire.OpWhoAmI}}).Clients; !slices.Contains(clients, wire.ClientInfo{Scheme: "digest", User: user}) {
			t.Errorf("%+v", clients)
		}
	}
	r.Send(Request(8, create(p+"/a", nil)))
	r.expectEvent(wire.EventNodeChildrenChanged, p)
	r.Expect(8, wire.ErrOK)
	r.removeAll(p)
}

func goWatches(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "gowatches")
	for i, watches := range []wire.Request{
		{Op: wire.Op{Code: wire.OpSetWatches}, RelativeZxid: 1 << 60, DataWatches: []string{p}},
		{Op: wire.Op{Code: wire.OpSetWatches}, RelativeZxid: 1 << 60, ChildWatches: []string{p}},
		{Op: wire.Op{Code: wire.OpSetWatches2}, RelativeZxid: 1 << 60, PersistentWatches: []string{p}},
	} {
		r.Send(Request(int32(i+1), watches))
		r.Expect(int32(i+1), wire.ErrOK)
	}
	r.Send(Request(4, set(p, nil)))
	r.expectEvent(wire.EventNodeDataChanged, p)
	r.Expect(4, wire.ErrOK)
	r.Send(Encode(5, wire.OpCloseSession, nil))
	r.Expect(5, wire.ErrOK)
	r.ExpectClosed()
	other := Connect(t, target.Addr)
	other.removeAll(p)
}

// clickhouseReadOnly: it always says that it would take a server that can only read; one that serves says that it is none.
func clickhouseReadOnly(t *testing.T, target Target) {
	r := Dial(t, target.Addr)
	r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000, Password: make([]byte, 16), ReadOnly: true, HasReadOnly: true})
	if s := r.ReceiveConnect(true); s.ReadOnly || s.SessionID == 0 {
		t.Fatalf("%+v", s)
	}
	p := tree(r, "clickhouse")
	r.removeAll(p)
}
