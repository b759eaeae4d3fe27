package client

import (
	"errors"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/sdk/wire"
)

func TestAuth(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	c := dialFake(t, f.addr(), Options{Auth: []Auth{{"digest", []byte("a:b")}}})
	if err := c.AddAuth(ctx, "digest", []byte("c:d")); err != nil {
		t.Fatal(err)
	}
	states := c.States()
	f.dropAll()
	awaitState(t, states, Suspended)
	awaitState(t, states, Connected)
	if err := c.Sync(ctx, "/"); err != nil {
		t.Fatal(err)
	}
	if n := f.count(wire.OpAuth); n != 4 {
		t.Errorf("%d auth requests, want 2 per connection", n)
	}
	f.hooks(func(_ *fakeConn, h wire.RequestHeader, _ *wire.Request) verdict {
		if h.Op == wire.OpAuth {
			return failAuth
		}
		return goOn
	}, nil)
	if err := c.AddAuth(ctx, "bad", nil); !errors.Is(err, wire.ErrAuthFailed) {
		t.Error(err)
	}
	awaitState(t, states, AuthFailed)
	if err := c.Sync(ctx, "/"); !errors.Is(err, wire.ErrAuthFailed) {
		t.Error(err)
	}
}

func TestSASLDigest(t *testing.T) {
	// The example of RFC 2831, 4, with the quality of protection and the algorithm of the same exchange.
	s := &SASLDigest{User: "chris", Password: "secret"}
	response, expect, err := s.respond(`realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8`, "OA6MHXh6VqTrRk")
	if err != nil || !strings.Contains(response, `realm="elwood.innosoft.com"`) || len(expect) != len("rspauth=")+32 {
		t.Fatal(response, expect, err)
	}
	if f := saslFields(`a="x,\"y",b=2, c="3"`); f["a"] != `x,"y` || f["b"] != "2" || f["c"] != "3" {
		t.Error(f)
	}
	if _, _, err := s.respond("garbage", "x"); err == nil {
		t.Error("garbage accepted")
	}
}
