package protocoltest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

var connectionChecks = []Check{
	// Framing (spec client-protocol, 1.1).
	{"frame/negative length closes", func(t *testing.T, target Target) { closes(t, target, []byte{0xff, 0xff, 0xff, 0xff}) }},
	{"frame/absurd length closes", func(t *testing.T, target Target) { closes(t, target, []byte("GET / HTTP/1.1\r\n\r\n")) }},
	{"frame/length 0 closes", func(t *testing.T, target Target) { closes(t, target, []byte{0, 0, 0, 0}) }},
	{"frame/payload shorter than a header closes", func(t *testing.T, target Target) { closes(t, target, FrameOf(make([]byte, 7))) }},
	{"frame/a word after the handshake is a length", func(t *testing.T, target Target) { closes(t, target, []byte("ruok")) }},
	{"frame/byte by byte", byteByByte},
	{"frame/bytes left over are ignored", leftOver},
	{"frame/maximal frame is taken", maximalFrame},
	{"frame/too long is answered and the session stays", tooLong},
	{"frame/undecodable body is answered -5", undecodable},
	{"frame/undecodable auth closes", func(t *testing.T, target Target) { closes(t, target, Encode(1, wire.OpAuth, []byte{1})) }},
	{"frame/undecodable sasl closes", func(t *testing.T, target Target) { closes(t, target, Encode(1, wire.OpSASL, []byte{1})) }},

	// Handshake (2).
	{"connect/sizes", connectSizes},
	{"connect/bytes after readOnly are ignored", connectTrailing},
	{"connect/too short closes", connectShort},
	{"connect/null password for a new session", connectNullPassword},
	{"connect/time-out is clamped", connectTimeout},
	{"connect/later zxid closes silently", connectLaterZxid},
	{"connect/reconnect", reconnect},
	{"connect/wrong password is refused and the old connection stays", wrongPassword},
	{"connect/unknown session is refused", unknownSession},
	{"connect/same session again closes the older connection", connectTwice},
	{"connect/requests before the response are served after it", pipelinedConnect},
	{"connect/session ids are distinct and passwords derived", sessionIDs},

	// Requests and replies (3).
	{"reply/xids are echoed", xids},
	{"reply/ping is -2 whatever was sent", pingXid},
	{"reply/in order of requests", inOrder},
	{"reply/reads see the state between two writes", readsBetween},
	{"reply/zxids never fall", zxidsRise},
	{"reply/error has no body", errorNoBody},
	{"op/unknown is -6 and stays", unknownOp},
	{"op/check alone is -6", checkAlone},
	{"op/internal ones are -6 and close", internalOps},
	{"op/closeSession answers and ends", closeSession},
	{"op/requests behind closeSession are dropped", behindClose},
	{"op/sync returns the path", syncPath},

	// Authentication (9.2).
	{"auth/accepted: header only, zxid 0", authAccepted},
	{"auth/any xid is echoed", authXid},
	{"auth/in order", authInOrder},
	{"auth/unknown scheme is -115 and closes", func(t *testing.T, target Target) { authRefused(t, target, "nonsense", []byte("x")) }},
	{"auth/world is -115 and closes", func(t *testing.T, target Target) { authRefused(t, target, "world", []byte("anyone")) }},
	{"auth/auth is -115 and closes", func(t *testing.T, target Target) { authRefused(t, target, "auth", nil) }},
	{"auth/super is -115 and closes", func(t *testing.T, target Target) { authRefused(t, target, "super", []byte("x")) }},
	{"auth/sasl is -115 and closes", func(t *testing.T, target Target) { authRefused(t, target, "sasl", []byte("x")) }},
	{"auth/null data is -115 and closes", func(t *testing.T, target Target) { authRefused(t, target, "digest", nil) }},
	{"auth/identities are bounded", authBounded},
	{"sasl/null token closes", func(t *testing.T, target Target) {
		closes(t, target, Encode(1, wire.OpSASL, jute.AppendBuffer(nil, nil)))
	}},

	// Words.
	{"word/ruok", func(t *testing.T, target Target) { wordIs(t, target, "ruok", "imok") }},
	{"word/isro", func(t *testing.T, target Target) { wordIs(t, target, "isro", "rw") }},
	{"word/srvr", wordSrvr},
}

func path(name string) string {
	return "/protocoltest-" + strings.NewReplacer("/", "-", " ", "-").Replace(name)
}

func create(p string, data []byte) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpCreate, Path: p, Data: data, ACL: wire.OpenACL}}
}

func remove(p string) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpDelete, Path: p, Version: -1}}
}

func set(p string, data []byte) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpSetData, Path: p, Data: data, Version: -1}}
}

func get(p string) wire.Request { return wire.Request{Op: wire.Op{Code: wire.OpGetData, Path: p}} }

// fresh makes sure that a node does not exist.
func fresh(r *Raw, name string) string {
	p := path(name)
	r.Call(remove(p))
	return p
}

// closes sends bytes on a served connection and expects its silent end.
func closes(t *testing.T, target Target, b []byte) {
	r := Connect(t, target.Addr)
	r.Send(b)
	r.ExpectClosed()
}

func byteByByte(t *testing.T, target Target) {
	r := Dial(t, target.Addr)
	c := wire.ConnectRequest{TimeoutMs: 10000, Password: make([]byte, 16), HasReadOnly: true}
	for _, b := range FrameOf(c.AppendTo(nil)) {
		r.Send([]byte{b})
	}
	r.ReceiveConnect(true)
	for _, b := range Request(5, get("/")) {
		r.Send([]byte{b})
	}
	r.Expect(5, wire.ErrOK)
}

func leftOver(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	req := get("/")
	r.Send(Encode(5, wire.OpGetData, append(req.AppendTo(nil), "more"...)))
	r.Expect(5, wire.ErrOK)
	r.Ping()
}

func maximalFrame(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := fresh(r, "maximal")
	req := create(p, nil)
	overhead := len(req.AppendTo(nil)) + wire.RequestHeaderSize
	data := make([]byte, target.MaxFrame-overhead)
	r.Do(create(p, data))
	if got := r.Do(get(p)); len(got.Data) != len(data) {
		t.Fatalf("%d bytes came back of %d", len(got.Data), len(data))
	}
	r.Do(remove(p))
}

func tooLong(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := fresh(r, "toolong")
	req := create(p, nil)
	overhead := len(req.AppendTo(nil)) + wire.RequestHeaderSize
	r.Send(Request(8, create(p, make([]byte, target.MaxFrame-overhead+1))))
	r.Send(Request(9, get("/")))
	r.Expect(8, wire.ErrBadArguments)
	r.Expect(9, wire.ErrOK)
	if f := r.Call(get(p)); f.Err != wire.ErrNoNode {
		t.Fatalf("the refused request took effect: %v", f.Err)
	}
}

func undecodable(t *testing.T, target Target) {
	// Sessions of checks before this one may still be closed and expire, which takes zxids, too: one round among several must have had none.
	const rounds = 20
	var before, after int64
	for range rounds {
		if before, after = undecodableRound(t, target); before == after {
			return
		}
	}
	t.Fatalf("undecodable requests took zxids: %#x, then %#x", before, after)
}

// undecodableRound sends requests that cannot be decoded and returns the last zxid before and after them.
func undecodableRound(t *testing.T, target Target) (before, after int64) {
	r := Connect(t, target.Addr)
	before = r.Call(get("/")).Zxid
	for i, c := range []struct {
		op   wire.OpCode
		body []byte
	}{
		{wire.OpCreate, nil}, {wire.OpSetData, []byte{0, 0, 0, 9, 1}}, {wire.OpDelete, []byte{0xff, 0, 0, 0}}, {wire.OpMulti, []byte{1}}, {wire.OpGetData, []byte{0, 0}},
		{wire.OpSetACL, []byte{0, 0, 0, 2, '/', 'a', 0x7f, 0xff, 0xff, 0xff}}, {wire.OpSetWatches, make([]byte, 7)}, {wire.OpSync, []byte{0, 0, 0, 1}}, {wire.OpCreateTTL, []byte{0, 0, 0, 0}},
		{wire.OpReconfig, []byte{1}}, {wire.OpAddWatch, nil}, {wire.OpCreateContainer, []byte{0, 0, 0, 1}},
	} {
		r.Send(Encode(int32(i+1), c.op, c.body))
		r.Expect(int32(i+1), wire.ErrMarshallingError)
	}
	return before, r.Call(get("/")).Zxid
}

func xids(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	for _, xid := range []int32{0, 1, -3, -4, -8, -1, 1<<31 - 1, -1 << 31, 5, 5} {
		r.Send(Request(xid, get("/")))
		r.Expect(xid, wire.ErrOK)
	}
}

func pingXid(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	for _, xid := range []int32{-2, 0, 77} {
		r.Send(Encode(xid, wire.OpPing, []byte("whatever")))
		r.Expect(-2, wire.ErrOK)
	}
}

func inOrder(t *testing.T, target Target) {
	r := ConnectFor(t, target.Addr, target.MaxTimeoutMs)
	p := fresh(r, "order")
	r.Do(create(p, nil))
	const n = 300
	var b []byte
	for i := range n {
		xid := int32(5*i + 100)
		b = append(b, Request(xid, set(p, []byte{byte(i), byte(i >> 8)}))...)
		b = append(b, Request(xid+1, get(p))...)
		b = append(b, Encode(xid+2, 999, nil)...)
		b = append(b, Request(xid+3, wire.Request{Op: wire.Op{Code: wire.OpSync, Path: p}})...)
		b = append(b, Encode(xid+4, wire.OpSetData, nil)...)
	}
	go func() {
		r.Conn.SetWriteDeadline(time.Now().Add(Patience))
		r.Conn.Write(b)
	}()
	for i := range n {
		xid := int32(5*i + 100)
		r.Expect(xid, wire.ErrOK)
		var got wire.Response
		if err := wire.DecodeResponse(wire.OpGetData, r.Expect(xid+1, wire.ErrOK).Body, &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Data) != 2 || got.Data[0] != byte(i) || got.Data[1] != byte(i>>8) {
			t.Fatalf("read %d does not see the write before it, or sees a later one: %v", i, got.Data)
		}
		r.Expect(xid+2, wire.ErrUnimplemented)
		r.Expect(xid+3, wire.ErrOK)
		r.Expect(xid+4, wire.ErrMarshallingError)
	}
	r.Do(remove(p))
}

// readsBetween pipelines writes with reads in between on several connections, each with a node of its own: every read sees the write before it and not the one behind.
func readsBetween(t *testing.T, target Target) {
	const connections, n = 8, 200
	var all []*Raw
	var paths []string
	for i := range connections {
		r := ConnectFor(t, target.Addr, target.MaxTimeoutMs)
		paths = append(paths, fresh(r, fmt.Sprint("between-", i)))
		all = append(all, r)
	}
	exists := func(p string) wire.Request { return wire.Request{Op: wire.Op{Code: wire.OpExists, Path: p}} }
	for i, r := range all {
		p := paths[i]
		xid := int32(100)
		var b []byte
		send := func(req wire.Request) {
			b = append(b, Request(xid, req)...)
			xid++
		}
		for v := range n {
			send(get(p))
			send(create(p, []byte{byte(v)}))
			send(get(p))
			send(set(p, []byte{byte(v), 1}))
			for range v % 5 {
				send(get(p))
			}
			send(exists(p))
			send(remove(p))
			send(exists(p))
		}
		go func() {
			r.Conn.SetWriteDeadline(time.Now().Add(Patience))
			r.Conn.Write(b)
		}()
	}
	for _, r := range all {
		xid := int32(100)
		last := int64(0)
		next := func(code wire.ErrorCode) []byte {
			f := r.Expect(xid, code)
			if f.Zxid < last {
				t.Fatalf("request %d: zxid %#x after %#x", xid, f.Zxid, last)
			}
			last = f.Zxid
			xid++
			return f.Body
		}
		reads := func(want ...byte) {
			var got wire.Response
			if err := wire.DecodeResponse(wire.OpGetData, next(wire.ErrOK), &got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Data, want) {
				t.Fatalf("read %d sees %v, want %v", xid-1, got.Data, want)
			}
		}
		for v := range n {
			next(wire.ErrNoNode)
			next(wire.ErrOK)
			reads(byte(v))
			next(wire.ErrOK)
			for range v % 5 {
				reads(byte(v), 1)
			}
			next(wire.ErrOK)
			next(wire.ErrOK)
			next(wire.ErrNoNode)
		}
	}
}

func zxidsRise(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := fresh(r, "zxids")
	last := int64(0)
	for i, req := range []wire.Request{create(p, nil), get(p), set(p, nil), {Op: wire.Op{Code: wire.OpSync, Path: p}}, create(p, nil), get(p), remove(p), remove(p), get("/")} {
		f := r.Call(req)
		if f.Zxid < last {
			t.Fatalf("request %d (%v): zxid %#x after %#x", i, req.Code, f.Zxid, last)
		}
		if req.Code.IsWrite() && f.Zxid == last {
			t.Fatalf("request %d (%v) took no zxid", i, req.Code)
		}
		last = f.Zxid
	}
}

func errorNoBody(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := fresh(r, "nobody")
	for i, req := range []wire.Request{get(p), set(p, nil), remove(p), {Op: wire.Op{Code: wire.OpExists, Path: p}}} {
		r.Send(Request(int32(i), req))
		r.Expect(int32(i), wire.ErrNoNode)
	}
}

func unknownOp(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	for i, op := range []wire.OpCode{10, 23, 71, 99, 108, 500, 1 << 30, -2, -12} {
		r.Send(Encode(int32(i+1), op, []byte("body")))
		if f := r.Expect(int32(i+1), wire.ErrUnimplemented); f.Zxid != -1 {
			t.Errorf("op %d: zxid %d, want -1", op, f.Zxid)
		}
	}
	r.Ping()
}

func checkAlone(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	r.Send(Request(3, wire.Request{Op: wire.Op{Code: wire.OpCheck, Path: "/", Version: -1}}))
	r.Expect(3, wire.ErrUnimplemented)
	r.Ping()
}

func internalOps(t *testing.T, target Target) {
	for _, op := range []wire.OpCode{wire.OpNotification, wire.OpError, wire.OpCreateSession, wire.OpDeleteContainer} {
		r := Connect(t, target.Addr)
		r.Send(Encode(4, op, jute.AppendString(nil, "/")))
		r.Expect(4, wire.ErrUnimplemented)
		r.ExpectClosed()
	}
}

func closeSession(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	before := r.Call(get("/")).Zxid
	r.Send(Encode(9, wire.OpCloseSession, nil))
	if f := r.Expect(9, wire.ErrOK); f.Zxid <= before {
		t.Errorf("zxid %#x after %#x", f.Zxid, before)
	}
	answered := time.Now()
	r.ExpectClosed()
	if took := time.Since(answered); took > 5*time.Second { // clients wait for it; long before an idle connection would end
		t.Errorf("the connection was closed %v after the answer", took)
	}
	again := r.reconnect(target, r.Session.Password)
	if again.Session.SessionID != 0 {
		t.Fatal("a closed session came back")
	}
}

func behindClose(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	other := Connect(t, target.Addr)
	p := fresh(other, "behindclose")
	r.Send(append(Encode(9, wire.OpCloseSession, nil), Request(10, create(p, nil))...))
	r.Expect(9, wire.ErrOK)
	r.ExpectClosed()
	if f := other.Call(get(p)); f.Err != wire.ErrNoNode {
		t.Fatalf("what came behind closeSession took effect: %v", f.Err)
	}
}

func syncPath(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	for _, req := range []wire.Request{
		{Op: wire.Op{Code: wire.OpSync, Path: "/not/there"}}, {Op: wire.Op{Code: wire.OpSync, Path: ""}}, {Op: wire.Op{Code: wire.OpSync, NullPath: true}},
	} {
		f := r.Call(req)
		if want := req.AppendTo(nil); f.Err != 0 || string(f.Body) != string(want) {
			t.Errorf("sync of %q: %v, body %x, want %x", req.Path, f.Err, f.Body, want)
		}
	}
}

func auth(scheme string, data []byte) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpAuth}, Scheme: scheme, Auth: data}
}

func authAccepted(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	r.Send(Request(-4, auth("digest", []byte("joe:secret"))))
	if f := r.Expect(-4, wire.ErrOK); f.Zxid != 0 || len(f.Body) > 0 {
		t.Fatalf("zxid %d, body of %d bytes", f.Zxid, len(f.Body))
	}
	r.Ping()
}

func authXid(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	for _, xid := range []int32{1, 0, 55} {
		r.Send(Request(xid, auth("digest", []byte("joe:secret"))))
		r.Expect(xid, wire.ErrOK)
	}
}

// authInOrder: kazoo takes the head of its queue for the answer to an auth (spec client-protocol, 13).
func authInOrder(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	p := fresh(r, "authorder")
	var b []byte
	for i := range 5 {
		b = append(b, Request(int32(10+i), create(p+fmt.Sprint(i), nil))...)
	}
	b = append(b, Request(20, get("/"))...)
	b = append(b, Request(-4, auth("digest", []byte("joe:secret")))...)
	b = append(b, Request(21, get("/"))...)
	r.Send(b)
	for i := range 5 {
		if f := r.Receive(); f.Xid != int32(10+i) {
			t.Fatalf("xid %d, want %d", f.Xid, 10+i)
		}
	}
	for _, xid := range []int32{20, -4, 21} {
		r.Expect(xid, wire.ErrOK)
	}
	for i := range 5 {
		r.Call(remove(p + fmt.Sprint(i)))
	}
}

func authRefused(t *testing.T, target Target, scheme string, data []byte) {
	r := Connect(t, target.Addr)
	r.Send(Request(-4, auth(scheme, data)))
	r.Expect(-4, wire.ErrAuthFailed)
	r.ExpectClosed()
}

func authBounded(t *testing.T, target Target) {
	r := Connect(t, target.Addr)
	for i := range 10000 {
		r.Send(Request(-4, auth("digest", []byte(fmt.Sprintf("user%d:secret", i)))))
		if f := r.Receive(); f.Err == wire.ErrAuthFailed {
			r.ExpectClosed()
			return
		}
	}
	t.Fatal("10,000 identities were taken")
}
