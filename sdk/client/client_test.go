package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func dialFake(t *testing.T, connect string, o Options) *Client {
	t.Helper()
	c, err := Dial(testContext(t), connect, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.Close(ctx) // tests that care check it
	})
	return c
}

// await reads states until want.
func awaitState(t *testing.T, s *StateStream, want State) StateChange {
	t.Helper()
	for {
		ch, err := s.Next(testContext(t))
		if err != nil {
			t.Fatalf("waiting for %v: %v", want, err)
		}
		if ch.State == want {
			return ch
		}
	}
}

func TestParseConnect(t *testing.T) {
	for _, c := range []struct {
		in, chroot string
		servers    []string
		bad        bool
	}{
		{"h", "", []string{"h:2181"}, false},
		{" a:1 ,b:2,,/app/x", "/app/x", []string{"a:1", "b:2"}, false},
		{"[::1]:2182,[fe80::1],::2", "", []string{"[::1]:2182", "[::2]:2181", "[fe80::1]:2181"}, false},
		{"h/", "", []string{"h:2181"}, false},
		{"", "", nil, true}, {"/app", "", nil, true}, {"h/a//b", "", nil, true}, {"h:", "", nil, true}, {"h/a/", "", nil, true},
	} {
		servers, chroot, err := parseConnect(c.in)
		if (err != nil) != c.bad {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		var got []string
		for _, s := range servers {
			got = append(got, s.String())
		}
		slices.Sort(got)
		if !slices.Equal(got, c.servers) || (!c.bad && chroot != c.chroot) {
			t.Errorf("%q: %v %q", c.in, got, chroot)
		}
	}
}

// Many goroutines share the connection, and the asynchronous form keeps order.
func TestPipelining(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	c := dialFake(t, f.addr(), Options{})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			p := fmt.Sprintf("/n%d", i)
			if _, err := c.Create(ctx, p, []byte(p), CreateOptions{}); err != nil {
				t.Error(err)
			}
			if data, _, err := c.Get(ctx, p); err != nil || string(data) != p {
				t.Error(string(data), err)
			}
		})
	}
	wg.Wait()
	const n = 2000
	var last atomic.Int32
	last.Store(-1)
	done := make(chan struct{})
	for i := range n {
		c.Go(&wire.Request{Op: SetOp("/n0", []byte("v"), AnyVersion)}, func(r Reply) {
			if r.Err != nil {
				t.Error(r.Err)
			} else if r.Response.Stat.Version != last.Add(1)+1 {
				t.Errorf("out of order: %d", r.Response.Stat.Version)
			}
			if i == n-1 {
				close(done)
			}
		})
	}
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatal("no end")
	}
}

func TestTooManyInFlight(t *testing.T) {
	f := newFake(t)
	c := dialFake(t, f.addr(), Options{MaxInFlight: 3})
	f.hooks(func(_ *fakeConn, h wire.RequestHeader, _ *wire.Request) verdict {
		if h.Op == wire.OpGetData {
			return swallow
		}
		return goOn
	}, nil)
	var full atomic.Int32
	for range 5 {
		c.Go(&wire.Request{Op: GetOp("/")}, func(r Reply) {
			if errors.Is(r.Err, ErrTooManyInFlight) {
				full.Add(1)
			}
		})
	}
	if full.Load() != 2 {
		t.Errorf("%d of 5 refused, want 2", full.Load())
	}
}

func TestContextEndsCall(t *testing.T) {
	f := newFake(t)
	c := dialFake(t, f.addr(), Options{})
	f.hooks(func(_ *fakeConn, h wire.RequestHeader, _ *wire.Request) verdict {
		if h.Op == wire.OpSetData {
			return swallow
		}
		return goOn
	}, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := c.Set(ctx, "/", nil, AnyVersion)
	var e *Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) || !e.Sent {
		t.Fatal(err)
	}
}

// A lost connection: reads are repeated, writes whose fate is unknown are not, and the session goes on.
func TestReconnect(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	c := dialFake(t, f.addr(), Options{})
	states := c.States()
	awaitState(t, states, Connected)
	id := c.SessionID()

	var dropped atomic.Bool
	f.hooks(nil, func(_ *fakeConn, h wire.RequestHeader, _ *wire.Request) verdict {
		if h.Op == wire.OpGetData && !dropped.Swap(true) {
			return dropConn
		}
		if h.Op == wire.OpSetData {
			return dropConn
		}
		return goOn
	})
	if _, _, err := c.Get(ctx, "/"); err != nil {
		t.Fatal("the read was not repeated:", err)
	}
	if f.count(wire.OpGetData) != 2 {
		t.Errorf("%d reads", f.count(wire.OpGetData))
	}
	_, err := c.Set(ctx, "/", []byte("1"), AnyVersion)
	var e *Error
	if !errors.Is(err, wire.ErrConnectionLoss) || !errors.As(err, &e) || !e.Sent {
		t.Fatal(err)
	}
	if f.count(wire.OpSetData) != 1 {
		t.Error("a write of unknown fate was repeated")
	}
	for range 2 {
		if ch := awaitState(t, states, Suspended); ch.Err == nil {
			t.Error("no reason given")
		}
		awaitState(t, states, Connected)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.SessionID() != id || f.opened != 1 {
		t.Error("the session did not survive")
	}
}

func TestServerChange(t *testing.T) {
	a, b := newFake(t), newFake(t)
	c := dialFake(t, a.addr()+","+b.addr(), Options{})
	id := c.SessionID()
	states := c.States()
	first := awaitState(t, states, Connected).Server
	for _, f := range []*fake{a, b} {
		if f.addr() == first {
			f.ln.Close()
		} else { // one ensemble
			f.mu.Lock()
			f.sessions[id] = true
			f.mu.Unlock()
		}
	}
	for _, f := range []*fake{a, b} {
		if f.addr() == first {
			f.dropAll()
		}
	}
	if ch := awaitState(t, states, Suspended); ch.SessionID != id {
		t.Error(ch)
	}
	if ch := awaitState(t, states, Connected); ch.SessionID != id || ch.Server == first {
		t.Errorf("%+v, first %s", ch, first)
	}
}

func TestSessionLost(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	c := dialFake(t, f.addr(), Options{})
	states := c.States()
	session := c.SessionContext()
	id := c.SessionID()
	f.expire()
	if ch := awaitState(t, states, Lost); ch.SessionID != id || !errors.Is(ch.Err, wire.ErrSessionExpired) {
		t.Errorf("%+v", ch)
	}
	select {
	case <-session.Done():
	case <-ctx.Done():
		t.Fatal("the session's context goes on")
	}
	if !errors.Is(context.Cause(session), wire.ErrSessionExpired) {
		t.Error(context.Cause(session))
	}
	if ch := awaitState(t, states, Connected); ch.SessionID == id || ch.SessionID == 0 {
		t.Errorf("%+v", ch)
	}
	if c.SessionContext().Err() != nil {
		t.Error("the new session has an old context")
	}
}

func TestStayLost(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	c := dialFake(t, f.addr(), Options{StayLost: true})
	w, err := c.Watch(ctx, "/", wire.AddWatchPersistent)
	if err != nil {
		t.Fatal(err)
	}
	states := c.States()
	f.expire()
	awaitState(t, states, Lost)
	awaitState(t, states, Closed)
	if _, _, err := c.Get(ctx, "/"); !errors.Is(err, wire.ErrSessionExpired) {
		t.Error(err)
	}
	if _, err := w.Next(ctx); !errors.Is(err, wire.ErrSessionExpired) {
		t.Error(err)
	}
}

func TestClose(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	c := dialFake(t, f.addr(), Options{})
	w, err := c.Watch(ctx, "/", wire.AddWatchPersistent)
	if err != nil {
		t.Fatal(err)
	}
	session := c.SessionContext()
	states := c.States()
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	left := len(f.sessions)
	f.mu.Unlock()
	if left != 0 {
		t.Error("the session was left open")
	}
	if _, _, err := c.Get(ctx, "/"); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := w.Next(ctx); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if !errors.Is(context.Cause(session), ErrClosed) {
		t.Error(context.Cause(session))
	}
	var seen []State
	for {
		ch, err := states.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, ch.State)
		if ch.State == Closed {
			break
		}
	}
	if !slices.Equal(seen, []State{Connected, Closed}) {
		t.Error(seen)
	}
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
}

// Calls and Close end although no server ever answers.
func TestNoServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	c, err := New(addr, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = c.Set(ctx, "/", nil, 0)
	var e *Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) || e.Sent {
		t.Error(err)
	}
	c.Go(&wire.Request{Op: GetOp("/")}, func(r Reply) { err = r.Err })
	if !errors.Is(err, ErrNotConnected) {
		t.Error(err)
	}
	if err := c.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestReadOnly(t *testing.T) {
	ro, rw := newFake(t), newFake(t)
	ro.mu.Lock()
	ro.readOnly = true
	ro.mu.Unlock()
	rw.mu.Lock()
	rw.refuse = true
	rw.mu.Unlock()
	c := dialFake(t, ro.addr()+","+rw.addr(), Options{ReadOnly: true})
	states := c.States()
	at := awaitState(t, states, ReadOnly)
	rw.mu.Lock()
	rw.refuse, rw.nextID = false, 0x900
	rw.mu.Unlock()
	ch := awaitState(t, states, Connected)
	if ch.SessionID == at.SessionID || ch.Server != rw.addr() {
		t.Errorf("%+v after %+v", ch, at)
	}
}
