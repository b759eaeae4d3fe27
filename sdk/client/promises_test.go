package client

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// Every call ends with its context, whatever the server does. The methods are found by their signature, so that one added later is tested too.
func TestEveryCallEndsWithItsContext(t *testing.T) {
	f := newFake(t)
	c := dialFake(t, f.addr(), Options{})
	f.hooks(func(*fakeConn, wire.RequestHeader, *wire.Request) verdict { return swallowUnapplied }, nil)
	arguments := map[reflect.Type]any{
		reflect.TypeFor[string](): "/a", reflect.TypeFor[[]byte](): []byte("x"), reflect.TypeFor[int32](): AnyVersion, reflect.TypeFor[int64](): int64(1), reflect.TypeFor[[]wire.ACL](): wire.OpenACL,
		reflect.TypeFor[CreateOptions](): CreateOptions{}, reflect.TypeFor[wire.AddWatchMode](): wire.AddWatchPersistent, reflect.TypeFor[wire.Op](): CheckOp("/a", AnyVersion), reflect.TypeFor[int](): 1,
	}
	called := 0
	for m := range reflect.TypeFor[*Client]().Methods() {
		if m.Type.NumIn() < 2 || m.Type.In(1) != reflect.TypeFor[context.Context]() || m.Name == "Close" { // which TestClose and TestNoServer end
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
			defer cancel()
			in := []reflect.Value{reflect.ValueOf(c), reflect.ValueOf(ctx)}
			for i := 2; i < m.Type.NumIn(); i++ {
				kind := m.Type.In(i)
				if m.Type.IsVariadic() && i == m.Type.NumIn()-1 {
					kind = kind.Elem()
				}
				value, known := arguments[kind]
				if !known {
					t.Fatalf("what is a %v?", kind)
				}
				if m.Name == "MultiRead" {
					value = GetOp("/a")
				}
				in = append(in, reflect.ValueOf(value))
			}
			out := m.Func.Call(in)
			err, _ := out[len(out)-1].Interface().(error)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
		})
		called++
	}
	if called < 20 {
		t.Errorf("only %d methods were found", called)
	}
}

// Clients with one connect string spread over its servers.
func TestHostsAreShuffled(t *testing.T) {
	const connect = "a,b,c,d,e,f,g,h"
	first := map[string]int{}
	for range 400 {
		servers, _, err := parseConnect(connect)
		if err != nil {
			t.Fatal(err)
		}
		first[servers[0].host]++
	}
	for host := range strings.SplitSeq(connect, ",") {
		if n := first[host]; n < 10 || n > 150 { // 50 are expected; either is missed by chance less than once in a billion runs
			t.Errorf("%s was first %d times of 400", host, n)
		}
	}
}

// Retry.Writes repeats writes of unknown outcome, Retry.Attempts ends it.
func TestRetryPolicy(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	var drops atomic.Int32
	f.hooks(nil, func(_ *fakeConn, h wire.RequestHeader, _ *wire.Request) verdict {
		if (h.Op == wire.OpSetData || h.Op == wire.OpGetData) && drops.Add(-1) >= 0 {
			return dropConn
		}
		return goOn
	})
	c := dialFake(t, f.addr(), Options{Retry: Retry{Writes: true}})
	drops.Store(2)
	if stat, err := c.Set(ctx, "/", nil, AnyVersion); err != nil || stat.Version != 3 {
		t.Errorf("version %d after three sets, %v", stat.Version, err)
	}
	c = dialFake(t, f.addr(), Options{Retry: Retry{Attempts: 2}})
	drops.Store(100)
	before := f.count(wire.OpGetData)
	if _, _, err := c.Get(ctx, "/"); !errors.Is(err, wire.ErrConnectionLoss) {
		t.Error(err)
	}
	if n := f.count(wire.OpGetData) - before; n != 2 {
		t.Errorf("%d tries, want 2", n)
	}
}

// What a create does not say comes from the options, for the parents that it makes too.
func TestDefaultACL(t *testing.T) {
	connect := realServer(t)
	ctx := testContext(t)
	c := dialFake(t, connect, Options{DefaultACL: wire.CreatorAllACL, Auth: []Auth{{"digest", []byte("u:p")}}})
	if _, err := c.Create(ctx, "/parent/child", nil, CreateOptions{Parents: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(ctx, "/open", nil, CreateOptions{ACL: wire.OpenACL}); err != nil {
		t.Fatal(err)
	}
	mine := []wire.ACL{{Perms: wire.PermAll, ID: wire.ID{Scheme: "digest", ID: wire.DigestID([]byte("u:p"))}}}
	for path, want := range map[string][]wire.ACL{"/parent": mine, "/parent/child": mine, "/open": wire.OpenACL} {
		if got, _, err := c.GetACL(ctx, path); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v", path, got, err)
		}
	}
	if err := c.DeleteAll(ctx, "/parent"); err != nil { // realServer's own client could not
		t.Error(err)
	}
}

// Operations that a lone server answers with a refusal.
func TestRealRefusals(t *testing.T) {
	c := dialFake(t, realServer(t), Options{})
	ctx := testContext(t)
	if _, _, err := c.Reconfig(ctx, "server.2=127.0.0.1:2888:3888;2181", "", "", -1); !errors.Is(err, wire.ErrReconfigDisabled) {
		t.Error(err)
	}
	for i, mode := range []wire.CreateMode{wire.PersistentTTL, wire.PersistentSequentialTTL} {
		if _, err := c.Create(ctx, fmt.Sprint("/n", i), nil, CreateOptions{Mode: mode}); !errors.Is(err, wire.ErrUnimplemented) && !errors.Is(err, wire.ErrBadArguments) {
			t.Errorf("no time to live at all: %v", err)
		}
	}
	if err := c.Delete(ctx, "/missing", AnyVersion); !errors.Is(err, wire.ErrNoNode) {
		t.Error(err)
	}
	if _, err := c.SetACL(ctx, "/", nil, AnyVersion); !errors.Is(err, wire.ErrInvalidACL) {
		t.Error(err)
	}
}
