package znode

import (
	"errors"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// With eagerACL a write without the right to it is refused by Resolve, and what Resolve lets pass is judged by prepare as ever (spec client-protocol, 4.0 step 8).
func TestEagerACL(t *testing.T) {
	joe, ann := kernel.Identity{Scheme: "digest", ID: "joe:x"}, kernel.Identity{Scheme: "digest", ID: "ann:x"}
	joes := []wire.ACL{{Perms: wire.PermAll, ID: wire.ID{Scheme: "digest", ID: "joe:x"}}, {Perms: wire.PermRead, ID: wire.WorldAnyone}}
	node := func(op wire.OpCode, path string, acl []wire.ACL) wire.Request {
		return wire.Request{Op: wire.Op{Code: op, Path: path, ACL: acl, Version: -1}}
	}
	for _, on := range []string{"true", "false"} {
		d := newDriver(t, map[string]string{"eagerACL": on})
		owner, stranger := d.client(joe), d.client(ann)
		owner.want(0, node(wire.OpCreate, "/a", joes))
		owner.want(0, node(wire.OpCreate, "/a/b", wire.OpenACL))
		for _, c := range []struct {
			what string
			req  wire.Request
			code wire.ErrorCode // of the refusal, 0: none
		}{
			{"create below", node(wire.OpCreate, "/a/c", wire.OpenACL), wire.ErrNoAuth},
			{"create2 below", node(wire.OpCreate2, "/a/c", wire.OpenACL), wire.ErrNoAuth},
			{"create with a list that is none", node(wire.OpCreate, "/a/c", []wire.ACL{{Perms: 1, ID: wire.ID{Scheme: "no"}}}), wire.ErrInvalidACL},
			{"delete below", node(wire.OpDelete, "/a/b", nil), wire.ErrNoAuth},
			{"set", node(wire.OpSetData, "/a", nil), wire.ErrNoAuth},
			{"setACL", node(wire.OpSetACL, "/a", wire.OpenACL), wire.ErrNoAuth},
			{"setACL with a list that is none", node(wire.OpSetACL, "/", []wire.ACL{{Perms: 1, ID: wire.ID{Scheme: "no"}}}), wire.ErrInvalidACL},
			{"createContainer is not looked at", node(wire.OpCreateContainer, "/a/c", wire.OpenACL), 0},
			{"a multi is not looked at", multi(node(wire.OpSetData, "/a", nil)), 0},
			{"a missing node is for prepare", node(wire.OpSetData, "/none", nil), 0},
			{"a missing parent is for prepare", node(wire.OpCreate, "/none/c", wire.OpenACL), 0},
			{"no path at all is for prepare", node(wire.OpSetData, "x", nil), 0},
			{"set of a node that is open", node(wire.OpSetData, "/a/b", nil), 0},
		} {
			if c.req.Code == wire.OpCreateContainer {
				c.req.Mode = wire.Container
			}
			req := stranger.request(c.req)
			err := d.m.Resolve(req)
			d.m.Release(req)
			var refusal *kernel.Refusal
			got := wire.ErrOK
			if errors.As(err, &refusal) {
				got = wire.ErrorCode(refusal.Code)
			} else if err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			if on == "false" && got != 0 || on == "true" && got != c.code {
				t.Errorf("eager=%s, %s: %v, want %v", on, c.what, got, c.code)
			}
			if err := d.m.Resolve(owner.request(c.req)); err != nil && c.code != wire.ErrInvalidACL {
				t.Errorf("%s by the owner: %v", c.what, err)
			}
		}
		stranger.want(wire.ErrNoAuth, node(wire.OpSetData, "/a", nil)) // prepare says the same
	}
}
