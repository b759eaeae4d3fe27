package znode

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

type treeNode = tree.Node

var newDecoder = jute.NewDecoder

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFirstSteps(t *testing.T) {
	d := newDriver(t, nil)
	c := d.client()
	c.want(0, create("/a", "one"))
	r := c.want(0, get(wire.OpGetData, "/a", false))
	if string(r.Data) != "one" || r.Stat.Version != 0 || r.Stat.NumChildren != 0 {
		t.Fatalf("got %+v", r)
	}
	c.want(0, set("/a", "two", 0))
	c.want(wire.ErrBadVersion, set("/a", "three", 0))
	c.want(0, createMode("/a/e", wire.EphemeralSequential))
	r = c.want(0, get(wire.OpGetChildren2, "/a", false))
	if len(r.Children) != 1 || r.Children[0] != "e0000000000" || r.Stat.Cversion != 1 {
		t.Fatalf("got %+v", r)
	}
	c.want(wire.ErrNotEmpty, del("/a", -1))
	d.verify()
	d.restart(true)
	d.verify()
	d.restart(false)
	d.verify()
	other := d.client()
	if r := other.want(0, get(wire.OpGetChildren, "/a", false)); len(r.Children) != 1 {
		t.Fatalf("after a restart: %+v", r.Children)
	}
	other.want(0, wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})
	if !other.closed {
		t.Fatal("the connection stays open after closeSession")
	}
}
