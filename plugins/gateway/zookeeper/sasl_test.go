package zookeeper

import (
	"errors"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// fakeSASL proves joe in two steps.
type fakeSASL struct{ fakeAuth }

func (fakeSASL) NewExchange(kernel.Peer) kernel.Exchange { return &fakeExchange{} }

type fakeExchange struct{ steps int }

func (e *fakeExchange) Next(token []byte) ([]byte, []kernel.Identity, bool, error) {
	e.steps++
	switch {
	case e.steps == 1 && len(token) == 0:
		return []byte("challenge"), nil, false, nil
	case e.steps == 2 && string(token) == "right":
		return []byte("rspauth"), []kernel.Identity{{Scheme: "sasl", ID: "joe"}}, true, nil
	}
	return nil, nil, false, errors.New("refused")
}

func token(b []byte) wire.Request { return wire.Request{Op: wire.Op{Code: wire.OpSASL}, Auth: b} }

func saslToken(t *testing.T, f protocoltest.Frame) []byte {
	t.Helper()
	d := jute.NewDecoder(f.Body)
	b := d.Buffer()
	if d.Err() != nil || d.Remaining() > 0 || f.Zxid != 0 {
		t.Fatalf("body %x, zxid %d", f.Body, f.Zxid)
	}
	return b
}

func TestSASL(t *testing.T) {
	null := []byte{0xff, 0xff, 0xff, 0xff}
	start := func(t *testing.T, given map[string]string) *protocoltest.Raw {
		n := newFakeNode(t)
		n.auth["sasl"] = fakeSASL{}
		return protocoltest.Connect(t, clientAddr(startGateway(t, n, given)))
	}
	t.Run("success, and a second exchange fails", func(t *testing.T) {
		r := start(t, map[string]string{"requireSASL": "true"})
		if b := saslToken(t, r.Call(token([]byte{}))); string(b) != "challenge" {
			t.Fatalf("%q", b)
		}
		if b := saslToken(t, r.Call(token([]byte("right")))); string(b) != "rspauth" {
			t.Fatalf("%q", b)
		}
		r.Do(getData("/", false))
		if f := r.Call(token([]byte{})); f.Err != wire.ErrSessionClosedRequireSASLAuth || string(f.Body) != string(null) {
			t.Fatalf("%v %x", f.Err, f.Body)
		}
		r.ExpectClosed()
	})
	for name, c := range map[string]struct {
		given map[string]string
		code  wire.ErrorCode
		stays bool
	}{
		"failure":           {nil, wire.ErrAuthFailed, false},
		"failure, enforced": {map[string]string{"requireSASL": "true"}, wire.ErrSessionClosedRequireSASLAuth, false},
		"failure, allowed":  {map[string]string{"allowSASLFailed": "true"}, wire.ErrOK, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, c.given)
			r.Call(token([]byte{}))
			if f := r.Call(token([]byte("wrong"))); f.Err != c.code || string(f.Body) != string(null) {
				t.Fatalf("%v %x", f.Err, f.Body)
			}
			if c.stays {
				r.Do(getData("/", false))
			} else {
				r.ExpectClosed()
			}
		})
	}
	t.Run("not configured", func(t *testing.T) {
		r := protocoltest.Connect(t, clientAddr(startGateway(t, newFakeNode(t), nil)))
		if f := r.Call(token([]byte{})); f.Err != wire.ErrOK || string(f.Body) != string(null) {
			t.Fatalf("%v %x", f.Err, f.Body)
		}
		r.Ping()
	}) // Java takes every reply for a token until it is done: an event of a session that has just come back would end its connection.
	t.Run("nothing between the tokens", func(t *testing.T) {
		n := newFakeNode(t)
		n.auth["sasl"] = fakeSASL{}
		addr := clientAddr(startGateway(t, n, nil))
		before, other := protocoltest.Connect(t, addr), protocoltest.Connect(t, addr)
		before.Do(getData("/", true))
		before.Conn.Close()
		r := protocoltest.Dial(t, addr)
		r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000, SessionID: before.Session.SessionID, Password: before.Session.Password[:], HasReadOnly: true})
		if s := r.ReceiveConnect(true); s.SessionID != before.Session.SessionID {
			t.Fatalf("%+v", s)
		}
		other.Do(setData("/", 'x'))
		if b := saslToken(t, r.Call(token([]byte{}))); string(b) != "challenge" {
			t.Fatalf("%q", b)
		}
		other.Do(setData("/", 'y'))
		r.Send(append(protocoltest.Request(8, token([]byte("right"))), protocoltest.Request(9, getData("/", false))...))
		if b := saslToken(t, r.Expect(8, wire.ErrOK)); string(b) != "rspauth" {
			t.Fatalf("%q", b)
		}
		r.Expect(9, wire.ErrOK)
	})
}
