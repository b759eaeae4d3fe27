package client

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/zooid-project/zooid/sdk/wire"
)

func TestOperations(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	c := dialFake(t, f.addr()+"/app", Options{})

	if _, err := c.Create(ctx, "/a/b", []byte("x"), CreateOptions{}); !errors.Is(err, wire.ErrNoNode) {
		t.Fatal(err)
	}
	if p, err := c.Create(ctx, "/a/b", []byte("x"), CreateOptions{Parents: true}); err != nil || p != "/a/b" {
		t.Fatal(p, err)
	}
	f.mu.Lock()
	made := f.nodes["/app/a/b"] != nil
	f.mu.Unlock()
	if !made {
		t.Fatal("the chroot was not applied")
	}
	data, stat, err := c.Get(ctx, "/a/b")
	if err != nil || string(data) != "x" || stat.Version != 0 {
		t.Fatal(data, stat, err)
	}
	if stat, err = c.Set(ctx, "/a/b", []byte("y"), 0); err != nil || stat.Version != 1 {
		t.Fatal(stat, err)
	}
	_, err = c.Set(ctx, "/a/b", []byte("z"), 0)
	var e *Error
	if !errors.Is(err, wire.ErrBadVersion) || !errors.As(err, &e) || e.Path != "/a/b" || !e.Sent {
		t.Fatalf("%v", err)
	}
	if want := "setData /a/b: the version is not the current one (BADVERSION)"; err.Error() != want {
		t.Errorf("%q", err)
	}
	if names, _, err := c.Children(ctx, "/"); err != nil || !slices.Equal(names, []string{"a"}) {
		t.Fatal(names, err)
	}
	if found, _, err := c.Exists(ctx, "/nope"); found || err != nil {
		t.Fatal(found, err)
	}
	if p, err := c.Create(ctx, "/a/s-", nil, CreateOptions{Mode: wire.EphemeralSequential}); err != nil || p != "/a/s-0000000001" {
		t.Fatal(p, err)
	}
	f.put("/application", "not below the chroot")
	if paths, err := c.Ephemerals(ctx, "/"); err != nil || !slices.Equal(paths, []string{"/a/s-0000000001"}) {
		t.Fatal(paths, err)
	}
	results, err := c.Multi(ctx, CreateOp("/m", nil, wire.Persistent, nil), SetOp("/m", []byte("1"), 0), CheckOp("/m", 1), DeleteOp("/m", AnyVersion))
	if err != nil || len(results) != 4 || results[0].Path != "/m" || results[1].Stat.Version != 1 || results[0].Code != wire.OpCreate { // the kind that all versions of ZooKeeper know inside a multi
		t.Fatal(results, err)
	}
	var me *MultiError
	if _, err = c.Multi(ctx, CheckOp("/a/b", 1), DeleteOp("/nope", AnyVersion), DeleteOp("/a/b", 1)); !errors.As(err, &me) || me.Index != 1 || me.Op.Path != "/nope" || !errors.Is(err, wire.ErrNoNode) ||
		me.Results[2].Err != wire.ErrRuntimeInconsistency {
		t.Fatal(err)
	}
	reads, err := c.MultiRead(ctx, GetOp("/a/b"), GetOp("/nope"), ChildrenOp("/a"))
	if err != nil || len(reads) != 3 || string(reads[0].Data) != "y" || reads[1].Err != wire.ErrNoNode || len(reads[2].Children) != 2 {
		t.Fatalf("%+v %v", reads, err)
	}
	if err := c.Sync(ctx, "/"); err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteAll(ctx, "/"); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.nodes) != 3 { // "/", "/zookeeper", "/application"
		t.Errorf("left: %v", f.nodes)
	}
}

func TestRequestTooLarge(t *testing.T) {
	f := newFake(t)
	c := dialFake(t, f.addr(), Options{MaxFrame: 1000})
	_, err := c.Create(testContext(t), "/big", make([]byte, 1000), CreateOptions{})
	var e *Error
	if !errors.Is(err, ErrRequestTooLarge) || !errors.As(err, &e) || e.Sent || !strings.Contains(err.Error(), "at most 1000") {
		t.Fatal(err)
	}
	if _, _, err := c.Get(testContext(t), "/"); err != nil {
		t.Fatal("the connection did not survive:", err)
	}
}

// The reply of a protected create is lost: there must be one node, and its path must come back.
func TestProtectedCreate(t *testing.T) {
	for _, lose := range []string{"request", "reply"} {
		t.Run(lose, func(t *testing.T) {
			f := newFake(t)
			c := dialFake(t, f.addr(), Options{})
			var dropped atomic.Bool
			hook := func(_ *fakeConn, h wire.RequestHeader, _ *wire.Request) verdict {
				if h.Op == wire.OpCreate2 && !dropped.Swap(true) {
					return dropConn
				}
				return goOn
			}
			if lose == "request" {
				f.hooks(hook, nil)
			} else {
				f.hooks(nil, hook)
			}
			p, err := c.Create(testContext(t), "/lock-", nil, CreateOptions{Mode: wire.EphemeralSequential, Protected: true})
			if err != nil {
				t.Fatal(err)
			}
			names, _, err := c.Children(testContext(t), "/")
			if err != nil || len(names) != 2 || !slices.Contains(names, p[1:]) || !strings.HasPrefix(p, "/_c_") {
				t.Errorf("%s: %v %v", p, names, err)
			}
		})
	}
}
