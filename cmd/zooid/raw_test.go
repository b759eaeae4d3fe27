package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// rawClient speaks the client protocol one request at a time, and hides nothing: what the kill test checks must not be repaired by a client library.
type rawClient struct {
	conn     net.Conn
	in       *bufio.Reader
	xid      int32
	session  int64
	password []byte
	timeout  time.Duration
	lastZxid int64
	events   []wire.WatcherEvent
}

// refusedError means that the server answered the handshake with the all-zero response: the session is gone for good.
type refusedError struct{}

func (refusedError) Error() string { return "session refused" }

// dialRaw opens a connection and a session; session 0 asks for a new one.
func dialRaw(addr string, session int64, password []byte, timeout time.Duration) (*rawClient, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	c := &rawClient{conn: conn, in: bufio.NewReader(conn)}
	if err := c.connect(session, password, timeout); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *rawClient) connect(session int64, password []byte, timeout time.Duration) error {
	if password == nil {
		password = make([]byte, wire.PasswordSize)
	}
	r := wire.ConnectRequest{TimeoutMs: int32(timeout.Milliseconds()), SessionID: session, Password: password, HasReadOnly: true}
	frame, start := wire.StartFrame(nil)
	frame = r.AppendTo(frame)
	wire.FinishFrame(frame, start)
	if _, err := c.conn.Write(frame); err != nil {
		return err
	}
	body, err := c.frame()
	if err != nil {
		return err
	}
	var answer wire.ConnectResponse
	d := jute.NewDecoder(body)
	answer.Decode(&d)
	if d.Err() != nil {
		return d.Err()
	}
	if answer.SessionID == 0 || answer.TimeoutMs == 0 {
		return refusedError{}
	}
	c.session, c.password, c.timeout = answer.SessionID, answer.Password[:], time.Duration(answer.TimeoutMs)*time.Millisecond
	return nil
}

func (c *rawClient) close() { _ = c.conn.Close() }

func (c *rawClient) frame() ([]byte, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	var length [4]byte
	if _, err := io.ReadFull(c.in, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > 64<<20 {
		return nil, fmt.Errorf("a frame of %d bytes", n)
	}
	body := make([]byte, n)
	_, err := io.ReadFull(c.in, body)
	return body, err
}

// do sends one request and returns its reply. An error is a lost connection; what the server refused is in the code.
func (c *rawClient) do(req *wire.Request) (wire.Response, wire.ReplyHeader, error) {
	c.xid++
	frame, start := wire.StartFrame(nil)
	h := wire.RequestHeader{Xid: c.xid, Op: req.Code}
	frame = req.AppendTo(h.AppendTo(frame))
	wire.FinishFrame(frame, start)
	if _, err := c.conn.Write(frame); err != nil {
		return wire.Response{}, wire.ReplyHeader{}, err
	}
	for {
		body, err := c.frame()
		if err != nil {
			return wire.Response{}, wire.ReplyHeader{}, err
		}
		d := jute.NewDecoder(body)
		var reply wire.ReplyHeader
		reply.Decode(&d)
		if d.Err() != nil {
			return wire.Response{}, reply, d.Err()
		}
		if reply.Xid == wire.XidWatchEvent {
			var e wire.WatcherEvent
			e.Decode(&d)
			c.events = append(c.events, e)
			continue
		}
		if reply.Xid != c.xid {
			return wire.Response{}, reply, fmt.Errorf("reply %d to request %d", reply.Xid, c.xid)
		}
		if reply.Zxid < c.lastZxid {
			return wire.Response{}, reply, fmt.Errorf("the zxid fell from 0x%x to 0x%x", c.lastZxid, reply.Zxid)
		}
		c.lastZxid = reply.Zxid
		var r wire.Response
		if reply.Err == wire.ErrOK {
			err = wire.DecodeResponse(req.Code, body[wire.ReplyHeaderSize:], &r)
		}
		return r, reply, err
	}
}

var openACL = []wire.ACL{{Perms: wire.PermAll, ID: wire.ID{Scheme: "world", ID: "anyone"}}}

func createRequest(path string, data []byte, mode wire.CreateMode) *wire.Request {
	return &wire.Request{Op: wire.Op{Code: wire.OpCreate, Path: path, Data: data, ACL: openACL, Mode: mode}}
}

func setRequest(path string, data []byte, version int32) *wire.Request {
	return &wire.Request{Op: wire.Op{Code: wire.OpSetData, Path: path, Data: data, Version: version}}
}

func getRequest(path string) *wire.Request {
	return &wire.Request{Op: wire.Op{Code: wire.OpGetData, Path: path}}
}

func deleteRequest(path string) *wire.Request {
	return &wire.Request{Op: wire.Op{Code: wire.OpDelete, Path: path, Version: -1}}
}
