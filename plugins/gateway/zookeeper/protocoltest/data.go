package protocoltest

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/sdk/wire"
)

// What several clients depend on (spec client-protocol, 13), and what else of the protocol only shows with data.
var dataChecks = []Check{
	{"reply/null and empty data stay different", nullAndEmpty},
	{"reply/equal creates are not idempotent", notIdempotent},
	{"reply/zxid of a write is that of its transaction", zxidOfWrite},
	{"reply/refused writes take a zxid", refusedTakesZxid},

	{"watch/event frame", eventFrame},
	{"watch/exists on a missing node registers", existsMissing},
	{"watch/getData and getChildren register on success only", registerOnSuccess},
	{"watch/one-shot", oneShot},
	{"watch/create fires data, then child of the parent", createFires},
	{"watch/delete tells a connection once", deleteFires},
	{"watch/own ephemerals before the close reply", ownEphemerals},
	{"watch/persistent and recursive", persistentWatches},
	{"watch/removing a fired watch is -121", removeFired},
	{"watch/setWatches answers with events before its reply", setWatches},
	{"watch/setWatches2 registers persistent watches", setWatches2},
	{"watch/setWatches with a null list is -5", setWatchesNull},

	{"session/reconnect keeps ephemerals, loses watches and identities", reconnectState},
	{"session/close removes ephemerals in one transaction", closeEphemerals},
	{"session/getEphemerals", getEphemerals},

	{"multi/results", multiResults},
	{"multi/failure", multiFailure},
	{"multi/empty", multiEmpty},
	{"multi/reads and other operations are refused whole", multiForeign},
	{"multi/is one transaction", multiOneZxid},
	{"multiRead", multiRead},

	{"auth/identities hold from the next frame on", authFromNext},
	{"auth/whoAmI", whoAmI},
	{"auth/null id of the scheme auth", authNullID},
	{"auth/IPv4 address is plain", ipIdentity},

	{"curator/zookeeper config", zookeeperConfig},
	{"curator/stat of a parent", parentStat},
	{"curator/sequential names", sequentialNames},
	{"curator/container answers with a stat", containerAnswer},
	{"kafka/broker registration", kafkaRegistration},
	{"clickhouse/feature nodes are missing", clickhouseFeatures},
	{"clickhouse/close with the largest xid", clickhouseClose},
	{"c/setWatches with xid -8", cSetWatches},
	{"node/first request has xid 0", nodeFirstXid},
	{"mntr", mntrKeys},
}

// tree makes an empty subtree for one check.
func tree(r *Raw, name string) string {
	p := path(name)
	r.removeAll(p)
	r.Do(create(p, []byte("x")))
	return p
}

func (r *Raw) removeAll(p string) {
	r.T.Helper()
	f := r.Call(wire.Request{Op: wire.Op{Code: wire.OpGetChildren, Path: p}})
	if f.Err != wire.ErrOK {
		return
	}
	var children wire.Response
	if err := wire.DecodeResponse(wire.OpGetChildren, f.Body, &children); err != nil {
		r.T.Fatal(err)
	}
	for _, c := range children.Children {
		r.removeAll(p + "/" + c)
	}
	r.Do(remove(p))
}

func read(code wire.OpCode, p string, watch bool) wire.Request {
	return wire.Request{Op: wire.Op{Code: code, Path: p, Watch: watch}}
}

func createAs(code wire.OpCode, p string, mode wire.CreateMode) wire.Request {
	return wire.Request{Op: wire.Op{Code: code, Path: p, Mode: mode, ACL: wire.OpenACL}}
}

func (r *Raw) fails(req wire.Request, code wire.ErrorCode) Frame {
	r.T.Helper()
	f := r.Call(req)
	if f.Err != code || len(f.Body) > 0 {
		r.T.Fatalf("%v %q: %v and %d bytes, want %v", req.Code, req.Path, f.Err, len(f.Body), code)
	}
	return f
}

func nullAndEmpty(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "null")
	r.Do(create(p+"/null", nil))
	r.Do(create(p+"/empty", []byte{}))
	if d := r.Do(get(p + "/null")); d.Data != nil || d.Stat.DataLength != 0 {
		t.Errorf("null data came back as %v", d.Data)
	}
	if d := r.Do(get(p + "/empty")); d.Data == nil || len(d.Data) != 0 {
		t.Errorf("empty data came back as %v", d.Data)
	}
	r.Do(set(p+"/empty", nil))
	if d := r.Do(get(p + "/empty")); d.Data != nil {
		t.Error("null data set came back as empty")
	}
	if d := r.Do(get("/zookeeper/quota")); d.Data == nil {
		t.Error("/zookeeper/quota has null data, want empty")
	}
	r.removeAll(p)
}

func notIdempotent(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "twice")
	r.Send(Request(5, create(p+"/a", nil)))
	r.Send(Request(5, create(p+"/a", nil)))
	r.Expect(5, wire.ErrOK)
	r.Expect(5, wire.ErrNodeExists)
	r.removeAll(p)
}

func zxidOfWrite(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "zxid")
	z := r.Call(set(p, []byte("y"))).Zxid
	if s := r.Do(read(wire.OpExists, p, false)).Stat; s.Mzxid != z {
		t.Errorf("mzxid %#x, reply %#x", s.Mzxid, z)
	}
	r.removeAll(p)
}

func refusedTakesZxid(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "refused")
	z := r.Call(set(p, nil)).Zxid
	if f := r.fails(create(p, nil), wire.ErrNodeExists); f.Zxid <= z {
		t.Errorf("refused with zxid %#x after %#x", f.Zxid, z)
	}
	r.removeAll(p)
}

func reconnectState(t *testing.T, target Target) {
	r, other := Connect(t, target.Addr), Connect(t, target.Addr)
	p := tree(other, "reconnect")
	r.Do(auth("digest", []byte("joe:secret")))
	r.Do(createAs(wire.OpCreate, p+"/e", wire.Ephemeral))
	r.Do(read(wire.OpGetData, p, true))
	r.Conn.Close()
	again := r.reconnect(target, r.Session.Password)
	if s := again.Do(read(wire.OpExists, p+"/e", false)).Stat; s.EphemeralOwner != r.Session.SessionID {
		t.Errorf("owner %#x of session %#x", s.EphemeralOwner, r.Session.SessionID)
	}
	other.Do(set(p, nil))
	again.Ping() // no event
	for _, c := range again.Do(wire.Request{Op: wire.Op{Code: wire.OpWhoAmI}}).Clients {
		if c.Scheme == "digest" {
			t.Error("the identity survived the connection")
		}
	}
	other.removeAll(p)
}

func closeEphemerals(t *testing.T, target Target) {
	r, other := Connect(t, target.Addr), Connect(t, target.Addr)
	p := tree(other, "closing")
	for _, name := range []string{"/a", "/b", "/c"} {
		r.Do(createAs(wire.OpCreate, p+name, wire.Ephemeral))
	}
	r.Send(Encode(100, wire.OpCloseSession, nil))
	z := r.Expect(100, wire.ErrOK).Zxid
	if s := other.Do(read(wire.OpExists, p, false)).Stat; s.NumChildren != 0 || s.Pzxid != z || s.Cversion != 6 {
		t.Errorf("%d children, pzxid %#x, cversion %d; the close was %#x", s.NumChildren, s.Pzxid, s.Cversion, z)
	}
	other.removeAll(p)
}

func getEphemerals(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "ephemerals")
	r.Do(createAs(wire.OpCreate, p+"/e1", wire.Ephemeral))
	r.Do(createAs(wire.OpCreate, p+"/e2", wire.Ephemeral))
	r.Do(createAs(wire.OpCreate, p+"/p", wire.Persistent))
	for prefix, want := range map[string]int{"/": 2, p: 2, p + "/e1": 1, "/elsewhere": 0} {
		if got := r.Do(wire.Request{Op: wire.Op{Code: wire.OpGetEphemerals, Path: prefix}}).Children; len(got) != want {
			t.Errorf("below %s: %v", prefix, got)
		}
	}
	r.removeAll(p)
}

func zookeeperConfig(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	r.Do(read(wire.OpGetData, "/zookeeper/config", true))
	r.fails(set("/zookeeper/config", nil), wire.ErrNoAuth)
}

func parentStat(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "parent")
	stat := func() wire.Stat { return r.Do(read(wire.OpExists, p, false)).Stat }
	last := stat()
	for i := range 4 {
		name := p + "/" + string(rune('a'+i))
		for _, step := range []struct {
			req      wire.Request
			children int32
		}{{create(name, nil), 1}, {remove(name), 0}} {
			z := r.Call(step.req).Zxid
			s := stat()
			if s.Cversion != last.Cversion+1 || s.NumChildren != step.children || s.Pzxid != z || s.Version != 0 || s.Mzxid != last.Mzxid || s.EphemeralOwner != 0 {
				t.Fatalf("%v: %+v after %+v, zxid %#x", step.req.Code, s, last, z)
			}
			last = s
		}
	}
	r.removeAll(p)
}

func sequentialNames(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "sequential")
	last := ""
	for i := range 12 {
		mode := wire.PersistentSequential
		if i%2 == 1 {
			mode = wire.EphemeralSequential
		}
		name := r.Do(createAs(wire.OpCreate, p+"/lock-", mode)).Path
		if !regexp.MustCompile(`/lock-[0-9]{10}$`).MatchString(name) || name <= last {
			t.Fatalf("%q after %q", name, last)
		}
		last = name
	}
	// A protected create is found again by its prefix.
	const guid = "_c_ad9cbd86-9f0c-4b0c-9d2b-1d1c0b2b7a5f-"
	r.Do(createAs(wire.OpCreate, p+"/"+guid+"lock-", wire.EphemeralSequential))
	names := r.Do(read(wire.OpGetChildren, p, false)).Children
	if !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, guid) }) {
		t.Errorf("%v", names)
	}
	r.removeAll(p)
}

func containerAnswer(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "container")
	resp := r.Do(createAs(wire.OpCreateContainer, p+"/c", wire.Container))
	if resp.Path != p+"/c" || resp.Stat.Czxid == 0 || resp.Stat.EphemeralOwner != 0 {
		t.Errorf("%+v", resp)
	}
	r.removeAll(p)
}

func kafkaRegistration(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "kafka")
	f := r.Call(multi(createAs(wire.OpCreate, p+"/1", wire.Ephemeral).Op, wire.Op{Code: wire.OpSetData, Path: p + "/1", Data: []byte("{}"), Version: 0}))
	var resp wire.Response
	if err := wire.DecodeResponse(wire.OpMulti, f.Body, &resp); err != nil || len(resp.Results) != 2 {
		t.Fatalf("%v %+v", err, resp)
	}
	s := resp.Results[1].Stat
	if s.Czxid != f.Zxid || s.EphemeralOwner != r.Session.SessionID || s.Version != 1 {
		t.Errorf("%+v, zxid %#x, session %#x", s, f.Zxid, r.Session.SessionID)
	}
	r.removeAll(p)
}

func clickhouseFeatures(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	r.fails(get("/keeper/api_version"), wire.ErrNoNode)
	r.fails(get("/keeper/feature_flags"), wire.ErrNoNode)
}

func clickhouseClose(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	r.Send(Encode(1<<31-1, wire.OpCloseSession, nil))
	r.Expect(1<<31-1, wire.ErrOK)
	r.ExpectClosed()
}

func cSetWatches(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	var many []string
	for i := range 5000 {
		many = append(many, "/protocoltest-none/"+strings.Repeat("x", 100)+string(rune('a'+i%26)))
	}
	r.Send(Request(wire.XidSetWatches, wire.Request{Op: wire.Op{Code: wire.OpSetWatches}, RelativeZxid: 1, ExistWatches: many}))
	r.Expect(wire.XidSetWatches, wire.ErrOK)
}

func nodeFirstXid(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	r.Send(append(Request(0, get("/")), Request(1, get("/"))...))
	r.Expect(0, wire.ErrOK)
	r.Expect(1, wire.ErrOK)
}
