package protocoltest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// Patience bounds every wait for the server.
const Patience = 30 * time.Second

// Raw is a client that sends and receives single frames.
type Raw struct {
	T       testing.TB
	Conn    net.Conn
	Session wire.ConnectResponse
	xid     int32
}

// Frame is a reply or an event.
type Frame struct {
	wire.ReplyHeader
	Body []byte
}

// Dial connects without a handshake.
func Dial(t testing.TB, addr string) *Raw {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &Raw{T: t, Conn: conn}
}

// Connect opens a new session as most clients do, with the readOnly byte.
func Connect(t testing.TB, addr string) *Raw {
	t.Helper()
	return ConnectFor(t, addr, 10000)
}

// ConnectFor is Connect with a time-out. A Raw pings only when it is told to: what takes long on a busy machine needs a long session.
func ConnectFor(t testing.TB, addr string, timeoutMs int32) *Raw {
	t.Helper()
	r := Dial(t, addr)
	r.SendConnect(wire.ConnectRequest{TimeoutMs: timeoutMs, Password: make([]byte, 16), HasReadOnly: true})
	r.Session = r.ReceiveConnect(true)
	if r.Session.SessionID == 0 || r.Session.TimeoutMs == 0 {
		t.Fatalf("the session was refused: %+v", r.Session)
	}
	return r
}

// Send writes bytes as they are.
func (r *Raw) Send(b []byte) {
	r.T.Helper()
	r.Conn.SetWriteDeadline(time.Now().Add(Patience))
	if _, err := r.Conn.Write(b); err != nil {
		r.T.Fatalf("write: %v", err)
	}
}

// FrameOf puts a length before a payload.
func FrameOf(payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

// SendConnect sends the first frame.
func (r *Raw) SendConnect(c wire.ConnectRequest) {
	r.T.Helper()
	r.Send(FrameOf(c.AppendTo(nil)))
}

// ReceivePayload reads one frame's payload.
func (r *Raw) ReceivePayload() []byte {
	r.T.Helper()
	p, err := r.receive()
	if err != nil {
		r.T.Fatalf("read: %v", err)
	}
	return p
}

func (r *Raw) receive() ([]byte, error) {
	r.Conn.SetReadDeadline(time.Now().Add(Patience))
	var length [4]byte
	if _, err := io.ReadFull(r.Conn, length[:]); err != nil {
		return nil, err
	}
	p := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err := io.ReadFull(r.Conn, p)
	return p, err
}

// ReceiveConnect reads the response to the handshake and checks its exact length (spec client-protocol, 2).
func (r *Raw) ReceiveConnect(readOnlyByte bool) wire.ConnectResponse {
	r.T.Helper()
	p := r.ReceivePayload()
	want := 36
	if readOnlyByte {
		want = 37
	}
	if len(p) != want {
		r.T.Fatalf("connect response of %d bytes, want %d", len(p), want)
	}
	var c wire.ConnectResponse
	d := jute.NewDecoder(p)
	c.Decode(&d)
	if d.Err() != nil {
		r.T.Fatal(d.Err())
	}
	return c
}

// Encode makes the frame of a request.
func Encode(xid int32, op wire.OpCode, body []byte) []byte {
	h := wire.RequestHeader{Xid: xid, Op: op}
	return FrameOf(append(h.AppendTo(nil), body...))
}

// Request makes the frame of a typed request.
func Request(xid int32, req wire.Request) []byte {
	return Encode(xid, req.Code, req.AppendTo(nil))
}

// Receive reads a reply or an event.
func (r *Raw) Receive() Frame {
	r.T.Helper()
	return parse(r.T, r.ReceivePayload())
}

func parse(t testing.TB, p []byte) Frame {
	t.Helper()
	var f Frame
	d := jute.NewDecoder(p)
	f.ReplyHeader.Decode(&d)
	if d.Err() != nil {
		t.Fatalf("reply of %d bytes: %v", len(p), d.Err())
	}
	f.Body = d.Rest()
	return f
}

// Expect reads a frame and checks its xid and error; on an error there is no body (spec client-protocol, 3.1).
func (r *Raw) Expect(xid int32, code wire.ErrorCode) Frame {
	r.T.Helper()
	f := r.Receive()
	if f.Xid != xid || f.Err != code {
		r.T.Fatalf("got xid %d and %v, want xid %d and %v", f.Xid, f.Err, xid, code)
	}
	if code != wire.ErrOK && len(f.Body) > 0 {
		r.T.Fatalf("a body of %d bytes on %v", len(f.Body), code)
	}
	return f
}

// Call sends a request and waits for its reply; events that come before it are an error.
func (r *Raw) Call(req wire.Request) Frame {
	r.T.Helper()
	r.xid++
	r.Send(Request(r.xid, req))
	f := r.Receive()
	if f.Xid != r.xid {
		r.T.Fatalf("got xid %d, want %d", f.Xid, r.xid)
	}
	return f
}

// Do is Call for requests that must succeed.
func (r *Raw) Do(req wire.Request) wire.Response {
	r.T.Helper()
	f := r.Call(req)
	if f.Err != wire.ErrOK {
		r.T.Fatalf("%v: %v", req.Code, f.Err)
	}
	var resp wire.Response
	if err := wire.DecodeResponse(req.Code, f.Body, &resp); err != nil {
		r.T.Fatal(err)
	}
	// Clients compare the length of a frame with what they parsed (spec client-protocol, 13, ClickHouse): nothing may be left over.
	if again := resp.AppendTo(nil); !bytes.Equal(again, f.Body) {
		r.T.Fatalf("%v: a body of %d bytes of which %d mean something", req.Code, len(f.Body), len(again))
	}
	return resp
}

// Event reads a watch event.
func (r *Raw) Event() (wire.WatcherEvent, int64) {
	r.T.Helper()
	f := r.Receive()
	if f.Xid != wire.XidWatchEvent || f.Err != 0 {
		r.T.Fatalf("got xid %d err %v, want an event", f.Xid, f.Err)
	}
	var e wire.WatcherEvent
	d := jute.NewDecoder(f.Body)
	e.Decode(&d)
	if d.Err() != nil || d.Remaining() > 0 {
		r.T.Fatalf("event body of %d bytes: %v", len(f.Body), d.Err())
	}
	return e, f.Zxid
}

// ExpectClosed checks that the server ends the connection without another frame.
func (r *Raw) ExpectClosed() {
	r.T.Helper()
	p, err := r.receive()
	switch {
	case err == nil:
		r.T.Fatalf("got a frame of %d bytes, want the end of the connection", len(p))
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.T.Fatal("the connection stays open, want its end")
	case !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.ErrUnexpectedEOF):
		r.T.Fatalf("read: %v", err)
	}
}

// Ping checks that the connection is served: a ping is answered, whatever its xid, with xid -2.
func (r *Raw) Ping() {
	r.T.Helper()
	r.Send(Encode(-2, wire.OpPing, nil))
	r.Expect(-2, wire.ErrOK)
}
