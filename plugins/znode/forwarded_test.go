package znode

import (
	"bytes"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// entryOf decodes the transaction that a lone request makes.
func (e *ensemble) entryOf(r *kernel.Request) wire.Entry {
	e.t.Helper()
	at := e.leader.next
	if err := e.leader.m.Resolve(r); err != nil {
		e.t.Fatal(err)
	}
	txns := e.leader.prepare(r)
	e.leader.apply(txns)
	for id, d := range e.servers {
		if id != 1 {
			d.apply([]kernel.Committed{{Zxid: txns[0].Zxid, Data: txns[0].Data}})
		}
	}
	var entry wire.Entry
	if err := wire.DecodeEntry(txns[0].Data, &entry); err != nil {
		e.t.Fatal(err)
	}
	if txns[0].Zxid != at || entry.Header.Zxid != int64(at) || entry.Header.ClientID != int64(r.Session) || entry.Header.Cxid != r.Cxid {
		e.t.Fatalf("transaction %+v of request %+v", entry.Header, r)
	}
	return entry
}

// TestForwardedRequests: what comes from another server is understood as a whole before anything is made of it; what is not takes a zxid of its own, as an error.
func TestForwardedRequests(t *testing.T) {
	e := newEnsemble(t, map[string]string{"extendedTypesEnabled": "true"}, 1)
	c := e.client(2)
	body := func(w wire.Request) []byte { return w.AppendTo(nil) }
	whole := body(create("/a", "data"))
	for _, test := range []struct {
		name    string
		session kernel.SessionID
		op      wire.OpCode
		body    []byte
		want    wire.ErrorCode
	}{
		{"half a create", c.session, wire.OpCreate, whole[:len(whole)-3], wire.ErrMarshallingError},
		{"a length that is not there", c.session, wire.OpSetData, []byte{0x7f, 0xff, 0xff, 0xff, '/'}, wire.ErrMarshallingError},
		{"nothing", c.session, wire.OpMulti, nil, wire.ErrMarshallingError},
		{"a multi of reads", c.session, wire.OpMulti, body(wire.Request{Op: wire.Op{Code: wire.OpMultiRead}, Ops: []wire.Op{{Code: wire.OpGetData, Path: "/"}}}), wire.ErrMarshallingError},
		{"a session without a time-out", 2<<56 | 7, wire.OpCreateSession, []byte{0, 0}, wire.ErrMarshallingError},
		{"an unknown operation", c.session, 9999, whole, wire.ErrUnimplemented},
		{"a read", c.session, wire.OpGetData, body(get(wire.OpGetData, "/", false)), wire.ErrUnimplemented},
		{"check outside a multi", c.session, wire.OpCheck, body(wire.Request{Op: wire.Op{Code: wire.OpCheck, Path: "/", Version: -1}}), wire.ErrUnimplemented},
		{"the cleaner's operation", 0, wire.OpDeleteContainer, body(wire.Request{Op: wire.Op{Code: wire.OpDeleteContainer, Path: "/a"}}), wire.ErrUnimplemented},
		{"no session", 0, wire.OpCreate, whole, wire.ErrSessionExpired},
		{"a session that nobody knows", 2<<56 | 12345, wire.OpCreate, whole, wire.ErrSessionExpired},
		{"session 0", 0, wire.OpCreateSession, jute.AppendInt32(nil, 10000), wire.ErrBadArguments},
		{"a session that looks like a container", -1 << 63, wire.OpCreateSession, jute.AppendInt32(nil, 10000), wire.ErrBadArguments},
		{"a session that looks like a time to live", kernel.SessionID(wire.TTLOwner(5)), wire.OpCreateSession, jute.AppendInt32(nil, 10000), wire.ErrBadArguments},
	} {
		entry := e.entryOf(&kernel.Request{Session: test.session, Cxid: 9, Op: int32(test.op), Body: test.body, From: 2})
		if entry.Txn.Type != wire.OpError || entry.Txn.Err != test.want {
			t.Errorf("%s: %v %v, want %v", test.name, entry.Txn.Type, entry.Txn.Err, test.want)
		}
	}
	if entry := e.entryOf(&kernel.Request{Session: c.session, Cxid: 10, Op: int32(wire.OpCreate), Body: whole, From: 3}); entry.Txn.Err != wire.ErrSessionMoved {
		t.Errorf("through another server than its owner: %v", entry.Txn.Err)
	}

	// The rights are those of the identities that the other server has verified.
	secret := body(edit(create("/secret", ""), func(o *wire.Op) { o.ACL = acl(31, "auth", "") }))
	e.entryOf(&kernel.Request{Session: c.session, Op: int32(wire.OpCreate), Body: secret, From: 2, Identities: []kernel.Identity{joe}})
	write := body(set("/secret", "x", -1))
	for _, test := range []struct {
		ids  []kernel.Identity
		want wire.ErrorCode
	}{{nil, wire.ErrNoAuth}, {[]kernel.Identity{joe}, wire.ErrOK}} {
		if entry := e.entryOf(&kernel.Request{Session: c.session, Op: int32(wire.OpSetData), Body: write, From: 2, Identities: test.ids}); entry.Txn.Err != test.want {
			t.Errorf("as %v: %v, want %v", test.ids, entry.Txn.Err, test.want)
		}
	}
	e.same()
}

// TestResolveForwarded: what a request of another server touches is brought into memory like anybody's, and prepare does not decode it again.
func TestResolveForwarded(t *testing.T) {
	e := newEnsemble(t, map[string]string{"cache": "1"}, 1)
	c := e.client(2)
	e.run(c.request(create("/a", "")), c.request(create("/a/b", "")))
	c.take()
	if err := e.leader.m.Flush(e.leader.m.background); err != nil {
		t.Fatal(err)
	}
	r := forwarded(2, c.request(set("/a/b", "x", -1)))
	if err := e.leader.m.Resolve(r); err != nil {
		t.Fatal(err)
	}
	w, _ := r.Decoded.(*wire.Request)
	if w == nil || w.Path != "/a/b" {
		t.Fatalf("decoded as %+v", r.Decoded)
	}
	e.leader.apply(e.leader.prepare(r))
	if r.Pin != nil || string(e.leader.m.at("/a/b").Data) != "x" {
		t.Fatal("not applied, or still pinned")
	}
	bad := &kernel.Request{Session: c.session, Op: int32(wire.OpCreate), From: 2}
	if err := e.leader.m.Resolve(bad); err != nil || bad.Decoded != nil {
		t.Fatalf("%v, %v", err, bad.Decoded)
	}
}

// FuzzForwarded gives prepare requests as another server may send them: each makes one transaction that every server can apply.
func FuzzForwarded(f *testing.F) {
	for _, w := range []wire.Request{
		create("/a", "x"), createMode("/e", wire.EphemeralSequential), set("/", "x", -1), del("/zookeeper", -1), multi(create("/a", ""), del("/a", -1), createMode("/a", wire.Ephemeral)),
		{Op: wire.Op{Code: wire.OpCreateSession}, TimeoutMs: -1}, {Op: wire.Op{Code: wire.OpCloseSession}}, {Op: wire.Op{Code: wire.OpReconfig}, Joining: "server.4=x"},
		{Op: wire.Op{Code: wire.OpSetACL, Path: "/", ACL: wire.OpenACL}}, {Op: wire.Op{Code: wire.OpCreateTTL, Path: "/t", ACL: wire.OpenACL, Mode: wire.PersistentTTL, TTL: 1}},
	} {
		f.Add(int32(w.Code), true, w.AppendTo(nil))
	}
	f.Add(int32(wire.OpDeleteContainer), false, []byte("\x00\x00\x00\x02/a"))
	f.Fuzz(func(t *testing.T, op int32, known bool, body []byte) {
		e := newEnsemble(t, map[string]string{"extendedTypesEnabled": "true"}, 1)
		c := e.client(2)
		r := &kernel.Request{Session: 2<<56 | 4711, Cxid: 3, Op: op, Body: body, From: 2}
		if known {
			r.Session = c.session
		}
		e.entryOf(r)
		e.same()
	})
}

// TestInspect is what a protocol learns of transactions.
func TestInspect(t *testing.T) {
	d := newDriver(t, nil)
	c := d.client()
	txns := d.prepare(c.request(create("/a", "")))
	if info, err := d.m.Inspect(txns[0].Data); err != nil || info.Session != c.session || info.Cxid != c.xid || info.Config != nil {
		t.Fatalf("%+v, %v", info, err)
	}
	config := func(path string, data []byte) []byte {
		e := wire.Entry{Header: wire.TxnHeader{ClientID: 5, Cxid: 6, Zxid: 1 << 32, Type: wire.OpReconfig}, Txn: wire.Txn{Path: path, Data: data, Version: -1}, HasDigest: true, DigestVersion: 2}
		return e.AppendTo(nil)
	}
	good := config(wire.ConfigPath, []byte("server.1=a:1:2\nversion=1"))
	if info, err := d.m.Inspect(good); err != nil || info.Session != 5 || info.Cxid != 6 || string(info.Config) != "server.1=a:1:2\nversion=1" {
		t.Fatalf("%+v, %v", info, err)
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "half a header": good[:31], "half a change": good[:40], "a byte too many": append(good[:len(good):len(good)], 0),
		"another node": config("/a", []byte("x")), "no text": config(wire.ConfigPath, nil), "an empty text": config(wire.ConfigPath, []byte{}),
	} {
		if info, err := d.m.Inspect(data); err == nil {
			t.Errorf("%s: %+v", name, info)
		}
	}
}

// FuzzInspect: what it says of the configuration is what apply would store.
func FuzzInspect(f *testing.F) {
	d := newDriver(f, nil)
	for _, t := range []wire.Txn{{Type: wire.OpReconfig, Path: wire.ConfigPath, Data: []byte("version=1"), Version: -1}, {Type: wire.OpCreate, Path: "/a", ACL: wire.OpenACL}} {
		e := wire.Entry{Header: wire.TxnHeader{ClientID: 5, Zxid: 1 << 32, Type: t.Type}, Txn: t}
		f.Add(e.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := d.m.Inspect(b)
		var e wire.Entry
		whole := wire.DecodeEntry(b, &e) == nil
		switch {
		case err != nil && whole && e.Header.Type != wire.OpReconfig:
			t.Fatal(err)
		case err == nil && info.Config != nil && (!whole || e.Txn.Path != wire.ConfigPath || string(e.Txn.Data) != string(info.Config)):
			t.Fatalf("%q of %+v", info.Config, e)
		}
	})
}

// TestWhatIsForwarded: a learner gives its leader what every leader understands alike, and of what makes no sense something that every leader refuses.
func TestWhatIsForwarded(t *testing.T) {
	e := newEnsemble(t, map[string]string{"extendedTypesEnabled": "true"}, 1)
	p := e.servers[2].m.Peers()
	as := func(w wire.Request, code wire.OpCode) wire.Request {
		return edit(w, func(o *wire.Op) { o.Code = code })
	}
	body := func(w wire.Request) []byte { return w.AppendTo(nil) }
	stats := quotaPath("/a", wire.QuotaStatsNode)
	null := set(stats, "", -1)
	null.Data = nil
	session := wire.Request{Op: wire.Op{Code: wire.OpCreateSession}, TimeoutMs: 1000}
	for _, w := range []wire.Request{
		create("/a", "x"), as(create("/a", "x"), wire.OpCreate2), createMode("/c", wire.Container), edit(as(createMode("/t", wire.PersistentTTL), wire.OpCreateTTL), func(o *wire.Op) { o.TTL = 5 }), del("/a", 3),
		set("/a", "", -1), set(stats, "count=1,bytes=2", -1), set(quotaPath("/a", wire.QuotaLimitsNode), "garbage", -1), create(quotaPath("/a", wire.QuotaStatsNode), "count=0,bytes=0"), multi(),
		multi(create("/a", "x"), set("/a", "y", 0), del("/a", -1)), session, {Op: wire.Op{Code: wire.OpCloseSession}},
	} {
		for _, decoded := range []any{nil, &w} {
			req := &kernel.Request{Op: int32(w.Code), Body: body(w), Decoded: decoded}
			if got := p.Forwarded(req); got != req {
				t.Errorf("%v %s goes to the leader as %v %q", w.Code, w.Path, wire.OpCode(got.Op), got.Body)
			}
		}
	}

	for name, req := range map[string]*kernel.Request{
		"half a create":                    {Op: int32(wire.OpCreate), Body: []byte{0, 0, 0, 9, '/'}},
		"the cleaner's operation":          {Op: int32(wire.OpDeleteContainer), Body: []byte{0, 0, 0, 2, '/', 'a'}},
		"a read":                           {Op: int32(wire.OpGetData), Body: body(get(wire.OpGetData, "/", false))},
		"an unknown operation":             {Op: 9999},
		"a multi of nothing known":         {Op: int32(wire.OpMulti), Body: []byte{0, 0, 0, 20}},
		"a time to live without its mode":  {Op: int32(wire.OpCreateTTL), Body: body(as(create("/t", ""), wire.OpCreateTTL))},
		"a quota for the root of the tree": {Op: int32(wire.OpCreate), Body: body(create("/zookeeper/quota/zookeeper_limits", "count=1,bytes=1"))},
		"statistics that are none":         {Op: int32(wire.OpSetData), Body: body(set(stats, "count=many", -1))},
		"no statistics":                    {Op: int32(wire.OpSetData), Body: body(null)},
		"a multi with such":                {Op: int32(wire.OpMulti), Body: body(multi(create("/a", ""), create(stats, "x")))},
	} {
		req.Session, req.Cxid, req.From = 5, 7, 3
		before := bytes.Clone(req.Body)
		got := p.Forwarded(req)
		var w wire.Request
		if err := wire.DecodeRequest(wire.OpCode(got.Op), got.Body, &w); err != nil || got.Op != int32(wire.OpCreate) || w.Path != "" || got.Session != 5 || got.Cxid != 7 {
			t.Errorf("%s goes to the leader as %+v (%v)", name, got, err)
		}
		if !bytes.Equal(req.Body, before) {
			t.Errorf("%s was changed", name)
		}
	}
	// A leader of Zooid answers that with BADARGUMENTS, as ZooKeeper's do.
	c := e.client(2)
	if entry := e.entryOf(p.Forwarded(&kernel.Request{Session: c.session, Cxid: 1, Op: 9999, From: 2})); entry.Txn.Err != wire.ErrBadArguments {
		t.Errorf("refused with %v", entry.Txn.Err)
	}

	// In a multi there is one create for all nodes without a kind of their own.
	w := multi(as(create("/a", "x"), wire.OpCreate2), edit(as(create("/b", ""), wire.OpCreateTTL), func(o *wire.Op) { o.TTL = -1 }), set("/a", "y", 0))
	got := p.Forwarded(&kernel.Request{Op: int32(wire.OpMulti), Body: body(w)})
	want := multi(create("/a", "x"), create("/b", ""), set("/a", "y", 0))
	if got.Op != int32(wire.OpMulti) || !bytes.Equal(got.Body, body(want)) {
		t.Errorf("forwarded %q", got.Body)
	}
}
