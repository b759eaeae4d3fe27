package protocoltest

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/sdk/wire"
)

func authFromNext(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "authnext")
	r.Do(auth("digest", []byte("joe:secret")))
	r.Do(wire.Request{Op: wire.Op{Code: wire.OpCreate, Path: p + "/a", ACL: wire.CreatorAllACL}})
	other := Connect(t, target.Addr)
	other.fails(get(p+"/a"), wire.ErrNoAuth)
	b := Request(1, get(p+"/a"))
	b = append(b, Request(-4, auth("digest", []byte("joe:secret")))...)
	other.Send(append(b, Request(2, get(p+"/a"))...))
	other.Expect(1, wire.ErrNoAuth)
	other.Expect(-4, wire.ErrOK)
	other.Expect(2, wire.ErrOK)
	r.removeAll(p)
}

func whoAmI(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	r.Do(auth("digest", []byte("joe:secret")))
	clients := r.Do(wire.Request{Op: wire.Op{Code: wire.OpWhoAmI}}).Clients
	if !slices.Contains(clients, wire.ClientInfo{Scheme: "digest", User: "joe"}) || !slices.ContainsFunc(clients, func(c wire.ClientInfo) bool { return c.Scheme == "ip" }) {
		t.Errorf("%+v", clients)
	}
}

// authNullID: kazoo sends empty ids as null.
func authNullID(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := tree(r, "authnull")
	r.Do(auth("digest", []byte("user:password")))
	req := createAs(wire.OpCreate, p+"/a", wire.Persistent)
	req.ACL = []wire.ACL{{Perms: wire.PermAll, ID: wire.ID{Scheme: "auth"}}}
	body := req.AppendTo(nil)
	// ... perms, "auth", "" and flags: the empty string becomes null.
	at := len(body) - 8
	if !bytes.Equal(body[at:at+4], []byte{0, 0, 0, 0}) {
		t.Fatalf("unexpected layout %x", body)
	}
	copy(body[at:], []byte{0xff, 0xff, 0xff, 0xff})
	r.Send(Encode(77, wire.OpCreate, body))
	r.Expect(77, wire.ErrOK)
	acl := r.Do(wire.Request{Op: wire.Op{Code: wire.OpGetACL, Path: p + "/a"}}).ACL
	if len(acl) != 1 || acl[0].ID != (wire.ID{Scheme: "digest", ID: "user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY="}) {
		t.Errorf("%+v", acl)
	}
	r.removeAll(p)
}

func ipIdentity(t *testing.T, target Target) {
	if !strings.HasPrefix(target.Addr, "127.") {
		return // only the loopback address is known to be IPv4
	}
	r := Connect(t, target.Addr)
	p := tree(r, "ip")
	req := createAs(wire.OpCreate, p+"/a", wire.Persistent)
	req.ACL = []wire.ACL{{Perms: wire.PermAll, ID: wire.ID{Scheme: "ip", ID: "127.0.0.0/8"}}}
	r.Do(req)
	r.Do(get(p + "/a"))
	r.removeAll(p)
}
