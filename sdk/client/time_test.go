package client

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// The tests in this file are about time: it is virtual, so a busy machine changes nothing.

// pipes is a listener in memory.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2181} }

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.accepted <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, errors.New("refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inVirtualTime runs a test with a server and a client whose connections are pipes.
func inVirtualTime(t *testing.T, o Options, run func(t *testing.T, f *fake, c *Client)) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
		f := newFakeOn(t, func(ln net.Listener) net.Listener { ln.Close(); return p })
		o.Dial = p.dial
		run(t, f, dialFake(t, f.addr(), o))
	})
}

// Without any server the client gives its session up by itself, four thirds of the time-out after it last heard of one.
func TestLostByItself(t *testing.T) {
	inVirtualTime(t, Options{SessionTimeout: 3 * time.Second}, func(t *testing.T, f *fake, c *Client) {
		states, begin := c.States(), time.Now()
		f.ln.Close()
		f.dropAll()
		awaitState(t, states, Lost)
		if took := time.Since(begin); took <= 4*time.Second || took > 6*time.Second {
			t.Errorf("lost after %v", took)
		}
	})
}

// Pings keep an idle connection for as long as anybody likes, one every third of the time-out.
func TestPingsKeepTheConnection(t *testing.T) {
	inVirtualTime(t, Options{SessionTimeout: 3 * time.Second}, func(t *testing.T, f *fake, c *Client) {
		states := c.States()
		awaitState(t, states, Connected)
		time.Sleep(time.Hour)
		if n := f.count(wire.OpPing); n < 3000 || n > 4000 {
			t.Errorf("%d pings in an hour", n)
		}
		select {
		case <-states.Changed():
			t.Errorf("%+v", c.State())
		default:
		}
	})
}

// A server that accepts and says nothing is left after two thirds of the time-out.
func TestSilentServer(t *testing.T) {
	inVirtualTime(t, Options{SessionTimeout: 3 * time.Second}, func(t *testing.T, f *fake, c *Client) {
		states := c.States()
		awaitState(t, states, Connected)
		f.hooks(func(*fakeConn, wire.RequestHeader, *wire.Request) verdict { return swallow }, nil)
		begin := time.Now()
		awaitState(t, states, Suspended)
		if took := time.Since(begin); took < 1900*time.Millisecond || took > 2500*time.Millisecond {
			t.Errorf("left after %v", took)
		}
	})
}

// Who reads the states late reads all of them.
func TestNoStateIsMissed(t *testing.T) {
	inVirtualTime(t, Options{}, func(t *testing.T, f *fake, c *Client) {
		late, now := c.States(), c.States()
		var seen []StateChange
		await := func(want State) {
			t.Helper()
			for {
				s, err := now.Next(testContext(t))
				if err != nil {
					t.Fatal(err)
				}
				if seen = append(seen, s); s.State == want {
					return
				}
			}
		}
		await(Connected)
		for i := range 20 {
			if i%5 == 4 {
				f.expire()
				await(Lost)
			} else {
				f.dropAll()
				await(Suspended)
			}
			await(Connected)
		}
		if len(seen) < 41 {
			t.Errorf("%d states", len(seen))
		}
		for i, want := range seen {
			select {
			case <-late.Changed():
			default:
				t.Fatalf("state %d is not there", i)
			}
			if got, err := late.Next(testContext(t)); err != nil || got != want {
				t.Fatalf("state %d: %+v %v, want %+v", i, got, err, want)
			}
		}
	})
}

// A server that has been busy with a write for longer than the time-out answers pings meanwhile, ahead of the write.
func TestPingReplyOvertakes(t *testing.T) {
	inVirtualTime(t, Options{SessionTimeout: 3 * time.Second}, func(t *testing.T, f *fake, c *Client) {
		states := c.States()
		awaitState(t, states, Connected)
		reply := make(chan func(), 1)
		f.hooks(func(fc *fakeConn, h wire.RequestHeader, _ *wire.Request) verdict {
			if h.Op != wire.OpSetData {
				return goOn
			}
			reply <- func() {
				rh := wire.ReplyHeader{Xid: h.Xid, Zxid: 1}
				resp := wire.Response{Result: wire.Result{Code: wire.OpSetData, Stat: wire.Stat{Version: 7}}}
				fc.send(resp.AppendTo(rh.AppendTo(nil)))
			}
			return swallowUnapplied
		}, nil)
		go func() {
			late := <-reply
			time.Sleep(time.Minute)
			late()
		}()
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		if stat, err := c.Set(ctx, "/", nil, AnyVersion); err != nil || stat.Version != 7 {
			t.Errorf("%+v %v", stat, err)
		}
		select {
		case <-states.Changed():
			t.Errorf("%+v", c.State())
		default:
		}
	})
}
