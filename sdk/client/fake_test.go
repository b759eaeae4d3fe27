package client

import (
	"bufio"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// fake is a server for tests: sessions, a small tree and watches, just enough of the protocol to talk to. Hooks let a test lose replies, refuse, or answer by itself.
type fake struct {
	t  *testing.T
	ln net.Listener

	mu                     sync.Mutex
	conns                  map[*fakeConn]bool
	sessions               map[int64]bool
	nextID                 int64
	zxid                   int64
	nodes                  map[string]*fakeNode
	opened                 int // handshakes that gave a session
	log                    []wire.OpCode
	lists                  []wire.Request // setWatches seen
	readOnly               bool
	saslUser, saslPassword string
	refuse                 bool // new connections are closed at once

	// before sees each request before it takes effect, after each reply before it is sent. dropConn breaks the connection instead.
	before, after func(fc *fakeConn, h wire.RequestHeader, r *wire.Request) verdict
}

type verdict int

const (
	goOn verdict = iota
	dropConn
	swallow          // applied, no reply, and the connection stays
	swallowUnapplied // neither applied nor answered
	failAuth
)

type fakeNode struct {
	data []byte
	stat wire.Stat
	seq  int
}

type fakeConn struct {
	f       *fake
	nc      net.Conn
	session int64
	wmu     sync.Mutex
	watches [watchKinds]map[string]bool
}

func newFake(t *testing.T) *fake {
	t.Helper()
	return newFakeOn(t, func(ln net.Listener) net.Listener { return ln })
}

func newFakeOn(t *testing.T, wrap func(net.Listener) net.Listener) *fake {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln = wrap(ln)
	f := &fake{t: t, ln: ln, conns: map[*fakeConn]bool{}, sessions: map[int64]bool{}, nextID: 0x100, nodes: map[string]*fakeNode{"/": {}, "/zookeeper": {}}}
	done := make(chan struct{})
	var wg sync.WaitGroup
	go func() {
		defer close(done)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			fc := &fakeConn{f: f, nc: nc}
			for i := range fc.watches {
				fc.watches[i] = map[string]bool{}
			}
			f.mu.Lock()
			if f.refuse {
				f.mu.Unlock()
				nc.Close()
				continue
			}
			f.conns[fc] = true
			f.mu.Unlock()
			wg.Add(1)
			go func() { defer wg.Done(); fc.serve() }()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		f.dropAll()
		<-done
		f.dropAll()
		wg.Wait()
	})
	return f
}

func (f *fake) addr() string { return f.ln.Addr().String() }

func (f *fake) dropAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for fc := range f.conns {
		fc.nc.Close()
	}
}

// expire forgets all sessions and their ephemeral nodes.
func (f *fake) expire() {
	f.mu.Lock()
	f.sessions = map[int64]bool{}
	for p, n := range f.nodes {
		if n.stat.EphemeralOwner != 0 {
			delete(f.nodes, p)
		}
	}
	f.mu.Unlock()
	f.dropAll()
}

func (f *fake) hooks(before, after func(*fakeConn, wire.RequestHeader, *wire.Request) verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

func (f *fake) count(op wire.OpCode) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range f.log {
		if o == op {
			n++
		}
	}
	return n
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

func (fc *fakeConn) send(payload []byte) {
	fc.wmu.Lock()
	defer fc.wmu.Unlock()
	frame, start := wire.StartFrame(nil)
	frame = append(frame, payload...)
	wire.FinishFrame(frame, start)
	_, _ = fc.nc.Write(frame)
}

func (fc *fakeConn) serve() {
	f := fc.f
	defer func() {
		f.mu.Lock()
		delete(f.conns, fc)
		f.mu.Unlock()
		fc.nc.Close()
	}()
	br := bufio.NewReader(fc.nc)
	if head, err := br.Peek(4); err == nil && string(head) == "isro" {
		f.mu.Lock()
		answer := "rw"
		if f.readOnly {
			answer = "ro"
		}
		f.mu.Unlock()
		_, _ = io.WriteString(fc.nc, answer)
		return
	}
	b, err := readFrame(br)
	if err != nil {
		return
	}
	var q wire.ConnectRequest
	d := jute.NewDecoder(b)
	q.Decode(&d)
	f.mu.Lock()
	resp := wire.ConnectResponse{TimeoutMs: q.TimeoutMs, HasReadOnly: q.HasReadOnly, ReadOnly: f.readOnly}
	if f.readOnly && !q.ReadOnly {
		f.mu.Unlock()
		return
	}
	switch {
	case q.SessionID == 0:
		f.nextID++
		fc.session = f.nextID
		f.sessions[fc.session] = true
		f.opened++
	case f.sessions[q.SessionID] && wire.CheckSessionPassword(q.SessionID, q.Password):
		fc.session = q.SessionID
	default:
		resp = wire.ConnectResponse{HasReadOnly: q.HasReadOnly}
	}
	f.mu.Unlock()
	if fc.session != 0 {
		resp.SessionID, resp.Password = fc.session, wire.SessionPassword(fc.session)
	}
	fc.send(resp.AppendTo(nil))
	for fc.session != 0 {
		b, err := readFrame(br)
		if err != nil {
			return
		}
		var h wire.RequestHeader
		d := jute.NewDecoder(b)
		h.Decode(&d)
		var r wire.Request
		if err := wire.DecodeRequest(h.Op, d.Rest(), &r); err != nil {
			f.t.Errorf("undecodable request: %v", err)
			return
		}
		f.mu.Lock()
		f.log = append(f.log, h.Op)
		before, after := f.before, f.after
		f.mu.Unlock()
		v := goOn
		if before != nil {
			v = before(fc, h, &r)
		}
		if v == dropConn {
			return
		}
		if v == swallowUnapplied {
			continue
		}
		if h.Op == wire.OpSASL {
			if !fc.sasl(h, r.Auth) {
				return
			}
			continue
		}
		var resp wire.Response
		resp.Code = h.Op
		f.mu.Lock()
		code := wire.ErrAuthFailed
		if v != failAuth {
			code = f.apply(fc, &r, &resp)
		}
		rh := wire.ReplyHeader{Xid: h.Xid, Zxid: f.zxid, Err: code}
		f.mu.Unlock()
		if after != nil && v == goOn {
			v = after(fc, h, &r)
		}
		if v == dropConn {
			return
		}
		if v == swallow {
			continue
		}
		payload := rh.AppendTo(nil)
		if code == wire.ErrOK {
			payload = resp.AppendTo(payload)
		}
		fc.send(payload)
		if h.Op == wire.OpCloseSession || v == failAuth {
			return
		}
	}
}

const patience = 10 * time.Second

// sasl is the server's side of DIGEST-MD5 and reports whether the connection goes on.
func (fc *fakeConn) sasl(h wire.RequestHeader, token []byte) bool {
	reply := func(code wire.ErrorCode, token []byte) {
		rh := wire.ReplyHeader{Xid: h.Xid, Err: code}
		fc.send(jute.AppendBuffer(rh.AppendTo(nil), token))
	}
	if len(token) == 0 {
		reply(wire.ErrOK, []byte(`realm="zk-sasl-md5",nonce="n0nce",charset=utf-8,algorithm=md5-sess`))
		return true
	}
	q := saslFields(string(token))
	fc.f.mu.Lock()
	user, password := fc.f.saslUser, fc.f.saslPassword
	fc.f.mu.Unlock()
	h1 := md5.Sum([]byte(user + ":" + q["realm"] + ":" + password))
	a1 := md5.Sum(append(h1[:], ":"+q["nonce"]+":"+q["cnonce"]...))
	proof := func(a2 string) string {
		h2 := md5.Sum([]byte(a2))
		return fmt.Sprintf("%x", md5.Sum(fmt.Appendf(nil, "%x:%s:%s:%s:%s:%x", a1, q["nonce"], q["nc"], q["cnonce"], q["qop"], h2)))
	}
	if q["username"] != user || q["digest-uri"] != "zookeeper/zk-sasl-md5" || q["response"] != proof("AUTHENTICATE:"+q["digest-uri"]) {
		reply(wire.ErrAuthFailed, nil)
		return false
	}
	reply(wire.ErrOK, []byte("rspauth="+proof(":"+q["digest-uri"])))
	return true
}
