package protocoltest

import (
	"testing"

	"github.com/zooid-project/zooid/sdk/wire"
)

func connectSizes(t *testing.T, target Target) {
	for _, readOnly := range []bool{false, true} {
		r := Dial(t, target.Addr)
		c := wire.ConnectRequest{TimeoutMs: 10000, Password: make([]byte, 16), HasReadOnly: readOnly}
		want := 44
		if readOnly {
			want = 45
		}
		if n := len(c.AppendTo(nil)); n != want {
			t.Fatalf("the request has %d bytes", n)
		}
		r.SendConnect(c)
		if got := r.ReceiveConnect(readOnly); got.ProtocolVersion != 0 || got.SessionID == 0 || got.ReadOnly {
			t.Fatalf("%+v", got)
		}
		r.Ping()
	}
}

func connectTrailing(t *testing.T, target Target) {
	r := Dial(t, target.Addr)
	c := wire.ConnectRequest{TimeoutMs: 10000, Password: make([]byte, 16), HasReadOnly: true}
	r.Send(FrameOf(append(c.AppendTo(nil), "and more"...)))
	r.ReceiveConnect(true)
	r.Ping()
}

func connectShort(t *testing.T, target Target) {
	r := Dial(t, target.Addr)
	r.Send(FrameOf(make([]byte, 20)))
	r.ExpectClosed()
}

func connectNullPassword(t *testing.T, target Target) {
	r := Dial(t, target.Addr)
	r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000})
	r.ReceiveConnect(false)
	r.Ping()
}

func connectTimeout(t *testing.T, target Target) {
	for asked, want := range map[int32]int32{-5: target.MinTimeoutMs, 0: target.MinTimeoutMs, 1: target.MinTimeoutMs, 1 << 30: target.MaxTimeoutMs, target.MinTimeoutMs + 1: target.MinTimeoutMs + 1} {
		r := Dial(t, target.Addr)
		r.SendConnect(wire.ConnectRequest{TimeoutMs: asked, Password: make([]byte, 16)})
		if got := r.ReceiveConnect(false).TimeoutMs; got != want {
			t.Errorf("asked for %d ms, got %d, want %d", asked, got, want)
		}
	}
}

func connectLaterZxid(t *testing.T, target Target) {
	r := Dial(t, target.Addr)
	r.SendConnect(wire.ConnectRequest{LastZxidSeen: 1<<62 - 1, TimeoutMs: 10000, Password: make([]byte, 16)})
	r.ExpectClosed()
}

func (r *Raw) reconnect(target Target, password [16]byte) *Raw {
	r.T.Helper()
	again := Dial(r.T, target.Addr)
	again.SendConnect(wire.ConnectRequest{TimeoutMs: 12000, SessionID: r.Session.SessionID, Password: password[:], HasReadOnly: true})
	again.Session = again.ReceiveConnect(true)
	return again
}

func reconnect(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	r.Conn.Close()
	again := r.reconnect(target, r.Session.Password)
	if again.Session.SessionID != r.Session.SessionID || again.Session.Password != r.Session.Password || again.Session.TimeoutMs != min(12000, target.MaxTimeoutMs) {
		t.Fatalf("%+v, was %+v", again.Session, r.Session)
	}
	again.Ping()
}

func wrongPassword(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	again := r.reconnect(target, [16]byte{1, 2, 3})
	if s := again.Session; s.SessionID != 0 || s.TimeoutMs != 0 || s.Password != [16]byte{} {
		t.Fatalf("not refused: %+v", s)
	}
	again.ExpectClosed()
	r.Ping()
}

func unknownSession(t *testing.T, target Target) {
	const id = 0x0100000000000001
	r := Dial(t, target.Addr)
	password := wire.SessionPassword(id)
	r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000, SessionID: id, Password: password[:]})
	if s := r.ReceiveConnect(false); s.SessionID != 0 || s.TimeoutMs != 0 || s.Password != [16]byte{} {
		t.Fatalf("not refused: %+v", s)
	}
	r.ExpectClosed()
}

func connectTwice(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	again := r.reconnect(target, r.Session.Password)
	again.Ping()
	r.ExpectClosed()
	again.Ping()
}

func pipelinedConnect(t *testing.T, target Target) {
	r := Dial(t, target.Addr)
	c := wire.ConnectRequest{TimeoutMs: 10000, Password: make([]byte, 16)}
	b := append(FrameOf(c.AppendTo(nil)), Request(1, get("/"))...)
	r.Send(append(b, Request(2, get("/"))...))
	r.ReceiveConnect(false)
	r.Expect(1, wire.ErrOK)
	r.Expect(2, wire.ErrOK)
}

func sessionIDs(t *testing.T, target Target) {
	seen := map[int64]bool{}
	for range 5 {
		r := Connect(t, target.Addr)
		if seen[r.Session.SessionID] {
			t.Fatalf("session %#x twice", r.Session.SessionID)
		}
		seen[r.Session.SessionID] = true
		if r.Session.Password != wire.SessionPassword(r.Session.SessionID) {
			t.Fatalf("password of %#x is %x", r.Session.SessionID, r.Session.Password)
		}
	}
}
