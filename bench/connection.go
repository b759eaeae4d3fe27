package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"

	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// connection is one session on one TCP connection. One goroutine uses it.
type connection struct {
	net        net.Conn
	in         []byte
	start, end int // of what was read and not yet used
	out        []byte
	xid        int32
	timeout    time.Duration
}

// readBuffer holds the replies of a few hundred requests.
const readBuffer = 64 << 10

// dial opens a session. It fails if that takes longer than timeout. in is the connection's first read buffer; it grows as replies need it.
func dial(ctx context.Context, server string, timeout time.Duration, in []byte) (*connection, error) {
	dialer := net.Dialer{Timeout: timeout, KeepAlive: -1} // four system calls less for each session
	socket, err := dialer.DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	c := &connection{net: socket, in: in, timeout: timeout}
	if err := c.handshake(); err != nil {
		socket.Close()
		return nil, fmt.Errorf("%s: opening a session: %w", server, err)
	}
	return c, nil
}

func (c *connection) handshake() error {
	var start int
	c.out, start = wire.StartFrame(c.out[:0])
	request := wire.ConnectRequest{TimeoutMs: int32(c.timeout / time.Millisecond), Password: make([]byte, wire.PasswordSize), HasReadOnly: true}
	c.out = request.AppendTo(c.out)
	wire.FinishFrame(c.out, start)
	if err := c.flush(); err != nil {
		return err
	}
	body, err := c.readFrame()
	if err != nil {
		return err
	}
	decoder := jute.NewDecoder(body)
	var response wire.ConnectResponse
	response.Decode(&decoder)
	if err := decoder.Err(); err != nil {
		return err
	}
	if response.TimeoutMs <= 0 {
		return errors.New("the server refused it")
	}
	return nil
}

func (c *connection) close() { c.net.Close() }

// after returns the xid that follows, which stays positive: negative ones mean something else (spec client-protocol, 3.2).
func after(xid int32) int32 {
	if xid == math.MaxInt32 {
		return 1
	}
	return xid + 1
}

// flush writes what has gathered in out.
func (c *connection) flush() error {
	if err := c.net.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	_, err := c.net.Write(c.out)
	c.out = c.out[:0]
	return err
}

// fill reads once, whatever is there, after making room for at least one whole frame.
func (c *connection) fill() error {
	if c.start == c.end {
		c.start, c.end = 0, 0
	}
	if need := c.frameSize(); c.start > 0 && (c.end == len(c.in) || c.start+need > len(c.in)) {
		copy(c.in, c.in[c.start:c.end])
		c.start, c.end = 0, c.end-c.start
	}
	if need := c.frameSize(); need > len(c.in) {
		if need > maxReply {
			return fmt.Errorf("a reply of %d bytes", need)
		}
		in := make([]byte, need)
		c.end = copy(in, c.in[c.start:c.end])
		c.in, c.start = in, 0
	}
	n, err := c.net.Read(c.in[c.end:])
	c.end += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// maxReply bounds what a broken server can make this client allocate. The listing of a parent of many millions of nodes fits.
const maxReply = 1 << 30

// frameSize is the size of the first frame in the buffer, its length field included, if that much is known; otherwise 4.
func (c *connection) frameSize() int {
	if c.end-c.start < 4 {
		return 4
	}
	return 4 + int(binary.BigEndian.Uint32(c.in[c.start:]))
}

// takeFrame returns the body of the first frame in the buffer, valid until the next fill; nil if it is not all there.
func (c *connection) takeFrame() []byte {
	size := c.frameSize()
	if size < 5 || c.end-c.start < size {
		return nil
	}
	body := c.in[c.start+4 : c.start+size]
	c.start += size
	return body
}

func (c *connection) readFrame() ([]byte, error) {
	for {
		if body := c.takeFrame(); body != nil {
			return body, nil
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// call sends one request and waits for its reply. It is for preparing and cleaning up. The result aliases the connection's buffer.
func (c *connection) call(op wire.Op) (wire.Response, error) {
	f := newFrame(op, false)
	xid := after(c.xid)
	c.xid = xid
	c.out = f.appendTo(c.out[:0], xid, 0)
	if err := c.flush(); err != nil {
		return wire.Response{}, err
	}
	for {
		body, err := c.readFrame()
		if err != nil {
			return wire.Response{}, err
		}
		if len(body) < wire.ReplyHeaderSize || replyXid(body) != xid {
			continue
		}
		if code := replyError(body); code != wire.ErrOK {
			return wire.Response{}, code
		}
		var r wire.Response
		err = wire.DecodeResponse(op.Code, body[wire.ReplyHeaderSize:], &r)
		return r, err
	}
}

// endSession closes the session properly, so that the server has nothing left to expire.
func (c *connection) endSession() error {
	_, err := c.call(wire.Op{Code: wire.OpCloseSession})
	return err
}

func replyXid(body []byte) int32 { return int32(binary.BigEndian.Uint32(body)) }

func replyError(body []byte) wire.ErrorCode {
	return wire.ErrorCode(int32(binary.BigEndian.Uint32(body[12:])))
}

// meter is told about every reply; it may end the load.
type meter interface {
	// sending is asked before a request is made; false ends the sending.
	sending(now time.Duration) bool
	// replies gets the replies of one read: when they came, when their requests were sent, and how many were errors.
	replies(now time.Duration, sent []time.Duration, errors int)
}

// load keeps a window of requests under way until the workload or the meter ends it, then waits for the last replies. Replies come in the order of requests (spec client-protocol, 3.3).
// An error leaves lost requests without a reply. now is the time since the run began.
func (c *connection) load(w *workload, window int, m meter, now func() time.Duration) (lost int, err error) {
	sent := make([]time.Duration, window) // a ring: when the requests under way were sent, oldest at first
	done := make([]time.Duration, 0, window)
	first, underWay := 0, 0
	expect := after(c.xid)
	at, more := now(), true
	c.out = c.out[:0]
	renewed := at - c.timeout
	for {
		for more && underWay < window {
			if !m.sending(at) {
				more = false
				break
			}
			if c.out, more = w.appendNext(c.out, after(c.xid)); !more {
				break
			}
			c.xid = after(c.xid)
			sent[(first+underWay)%window] = at
			underWay++
		}
		if underWay == 0 {
			return 0, nil
		}
		if at-renewed > c.timeout/8 {
			if err := c.net.SetDeadline(time.Now().Add(c.timeout)); err != nil {
				return underWay, err
			}
			renewed = at
		}
		if len(c.out) > 0 {
			if _, err := c.net.Write(c.out); err != nil {
				return underWay, err
			}
			c.out = c.out[:0]
		}
		if err := c.fill(); err != nil {
			return underWay, err
		}
		at = now()
		done = done[:0]
		failed := 0
		for body := c.takeFrame(); body != nil; body = c.takeFrame() {
			if len(body) < wire.ReplyHeaderSize {
				return underWay, fmt.Errorf("a reply of %d bytes", len(body))
			}
			xid := replyXid(body)
			if xid < 0 {
				continue
			}
			if xid != expect || underWay == 0 {
				return underWay, fmt.Errorf("reply to request %d, want %d", xid, expect)
			}
			expect = after(expect)
			if replyError(body) != wire.ErrOK {
				failed++
			}
			done = append(done, sent[first])
			if first++; first == window {
				first = 0
			}
			underWay--
		}
		if len(done) > 0 {
			m.replies(at, done, failed)
		}
	}
}
