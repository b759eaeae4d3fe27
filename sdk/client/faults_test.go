package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

func TestThrottledIsRepeated(t *testing.T) {
	f := newFake(t)
	var n atomic.Int32
	f.hooks(func(fc *fakeConn, h wire.RequestHeader, _ *wire.Request) verdict {
		if h.Op == wire.OpSetData && n.Add(1) < 3 {
			rh := wire.ReplyHeader{Xid: h.Xid, Err: wire.ErrThrottledOp}
			fc.send(rh.AppendTo(nil))
			return swallowUnapplied
		}
		return goOn
	}, nil)
	c := dialFake(t, f.addr(), Options{Retry: Retry{MinWait: time.Millisecond}})
	if stat, err := c.Set(testContext(t), "/", nil, AnyVersion); err != nil || stat.Version != 1 || n.Load() != 3 {
		t.Error(stat, err, n.Load())
	}
	n.Store(0)
	c = dialFake(t, f.addr(), Options{Retry: Retry{MinWait: time.Millisecond, Attempts: 2}})
	if _, err := c.Set(testContext(t), "/", nil, AnyVersion); !errors.Is(err, wire.ErrThrottledOp) || n.Load() != 2 {
		t.Error(err, n.Load())
	}
}

// Some servers answer auth before requests that came earlier.
func TestAuthReplyOvertakes(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	c := dialFake(t, f.addr(), Options{})
	held := make(chan func(), 1)
	f.hooks(func(fc *fakeConn, h wire.RequestHeader, _ *wire.Request) verdict {
		if h.Op != wire.OpGetData {
			return goOn
		}
		held <- func() {
			rh := wire.ReplyHeader{Xid: h.Xid, Zxid: 1}
			resp := wire.Response{Result: wire.Result{Code: wire.OpGetData, Data: []byte("late")}}
			fc.send(resp.AppendTo(rh.AppendTo(nil)))
		}
		return swallowUnapplied
	}, nil)
	got := make(chan Reply, 1)
	c.Go(&wire.Request{Op: GetOp("/")}, func(r Reply) { r.Response = nil; got <- r })
	reply := <-held
	if err := c.AddAuth(ctx, "digest", []byte("a:b")); err != nil {
		t.Fatal(err)
	}
	reply()
	if r := <-got; r.Err != nil {
		t.Fatal(r.Err)
	}
}

// Garbage instead of replies breaks the connection, never the client.
func TestGarbageReplies(t *testing.T) {
	for name, garbage := range map[string][]byte{
		"short":      {1, 2, 3},
		"wrong xid":  (&wire.ReplyHeader{Xid: 12345}).AppendTo(nil),
		"unasked":    (&wire.ReplyHeader{Xid: wire.XidAuth}).AppendTo(nil),
		"half event": append((&wire.ReplyHeader{Xid: wire.XidWatchEvent}).AppendTo(nil), 0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			c := dialFake(t, f.addr(), Options{})
			var sent atomic.Bool
			f.hooks(func(fc *fakeConn, h wire.RequestHeader, _ *wire.Request) verdict {
				if h.Op == wire.OpGetData && !sent.Swap(true) {
					fc.send(garbage)
					return swallowUnapplied
				}
				return goOn
			}, nil)
			if _, _, err := c.Get(testContext(t), "/"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestReplyTooLarge(t *testing.T) {
	f := newFake(t)
	c := dialFake(t, f.addr(), Options{MaxReply: 500, Retry: Retry{Attempts: 1}})
	states := c.States()
	f.put("/", strings.Repeat("x", 500))
	if _, _, err := c.Get(testContext(t), "/"); !errors.Is(err, wire.ErrConnectionLoss) {
		t.Error(err)
	}
	if ch := awaitState(t, states, Suspended); !errors.Is(ch.Err, ErrReplyTooLarge) {
		t.Error(ch.Err)
	}
}

// The name is looked up again at each dial.
func TestResolvesAtEachDial(t *testing.T) {
	f := newFake(t)
	_, port, _ := net.SplitHostPort(f.addr())
	var lookups atomic.Int32
	c := dialFake(t, "zk.example:"+port, Options{Resolve: func(_ context.Context, host string) ([]string, error) {
		lookups.Add(1)
		return []string{"127.0.0.1"}, nil
	}})
	states := c.States()
	f.dropAll()
	awaitState(t, states, Suspended)
	awaitState(t, states, Connected)
	if lookups.Load() < 2 {
		t.Error(lookups.Load())
	}
}

func TestTLS(t *testing.T) {
	cert, pool := testCertificate(t)
	f := newFakeOn(t, func(ln net.Listener) net.Listener {
		return tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}})
	})
	c := dialFake(t, f.addr(), Options{TLS: &tls.Config{RootCAs: pool}})
	if err := c.Sync(testContext(t), "/"); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, f.addr(), Options{TLS: &tls.Config{}}); err == nil {
		t.Error("a server with an unknown certificate was accepted")
	}
}

func testCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// SASL against a server side made from the same formula, written down once more.
func TestSASLExchange(t *testing.T) {
	f := newFake(t)
	f.mu.Lock()
	f.saslUser, f.saslPassword = "bob", "bobsecret"
	f.mu.Unlock()
	c := dialFake(t, f.addr(), Options{SASL: &SASLDigest{User: "bob", Password: "bobsecret"}})
	if err := c.Sync(testContext(t), "/"); err != nil {
		t.Error(err)
	}
	if _, err := Dial(testContext(t), f.addr(), Options{SASL: &SASLDigest{User: "bob", Password: "wrong"}}); !errors.Is(err, wire.ErrAuthFailed) {
		t.Error(err)
	}
}

// While connections break at random, every call ends, reads succeed, and no acknowledged write is lost or out of order.
func TestChaos(t *testing.T) {
	f := newFake(t)
	ctx := testContext(t)
	f.put("/n", "")
	c := dialFake(t, f.addr(), Options{})
	w, err := c.Watch(ctx, "/n", wire.AddWatchPersistent)
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int32
	chaos := func(*fakeConn, wire.RequestHeader, *wire.Request) verdict {
		if n.Add(1)%97 == 0 {
			return dropConn
		}
		return goOn
	}
	f.hooks(chaos, chaos)
	var wg sync.WaitGroup
	var acknowledged atomic.Int32
	for range 4 {
		wg.Go(func() {
			for range 150 {
				if _, err := c.Set(ctx, "/n", nil, AnyVersion); err == nil {
					acknowledged.Add(1)
				} else if !errors.Is(err, wire.ErrConnectionLoss) {
					t.Error(err)
				}
				if _, _, err := c.Get(ctx, "/n"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	f.hooks(nil, nil)
	_, stat, err := c.Get(ctx, "/n")
	if err != nil || stat.Version < acknowledged.Load() || stat.Version > 600 {
		t.Errorf("version %d, %d acknowledged, %v", stat.Version, acknowledged.Load(), err)
	}
	events, gaps, last := 0, 0, int64(0)
	for {
		e, ok, err := w.TryNext()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if e.Gap {
			gaps++
			continue
		}
		events++
		if e.Zxid <= last {
			t.Errorf("zxid %d after %d", e.Zxid, last)
		}
		last = e.Zxid
	}
	if gaps == 0 || events == 0 || (gaps == 0 && events != int(stat.Version)) {
		t.Errorf("%d events, %d gaps", events, gaps)
	}
}

// Close leaves no goroutine behind, not even while connecting.
func TestNoGoroutineLeft(t *testing.T) {
	f := newFake(t)
	c := dialFake(t, f.addr(), Options{})
	if err := c.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	c, err := New("127.0.0.1:1", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	// What Close waits for is the last thing that a goroutine does before it ends, not its end.
	left := func() string {
		buf := make([]byte, 1<<20)
		stacks := string(buf[:runtime.Stack(buf, true)])
		for _, name := range []string{".run(", ".write(", ".seekReadWrite("} {
			if strings.Contains(stacks, "(*Client)"+name) {
				return stacks
			}
		}
		return ""
	}
	for end := time.Now().Add(patience); left() != ""; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("a goroutine is left:\n%s", left())
		}
	}
}

// A server that opens sessions only to drop them is not hammered.
func TestReconnectsArePaced(t *testing.T) {
	f := newFake(t)
	c := dialFake(t, f.addr(), Options{})
	f.hooks(func(*fakeConn, wire.RequestHeader, *wire.Request) verdict { return dropConn }, nil)
	begin, ended := time.Now(), make(chan error, 1)
	ctx, cancel := context.WithCancel(testContext(t))
	go func() {
		_, _, err := c.Get(ctx, "/")
		ended <- err
	}()
	const many = 6
	for f.count(wire.OpGetData) < many {
		select {
		case err := <-ended:
			t.Fatalf("after %d attempts: %v", f.count(wire.OpGetData), err)
		case <-time.After(time.Millisecond):
		}
	}
	if took := time.Since(begin); took < 100*time.Millisecond {
		t.Errorf("%d attempts in %v", many, took)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
