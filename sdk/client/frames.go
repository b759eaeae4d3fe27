package client

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// fifo is a queue of calls on a slice that is compacted now and then.
type fifo struct {
	list []*call
	head int
}

func (q *fifo) len() int     { return len(q.list) - q.head }
func (q *fifo) push(c *call) { q.list = append(q.list, c) }

func (q *fifo) pop() *call {
	if q.head == len(q.list) {
		return nil
	}
	c := q.list[q.head]
	q.list[q.head] = nil
	q.head++
	if q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	} else if q.head > 1024 && q.head*2 > len(q.list) {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	return c
}

// takeFirst removes the first call of a kind.
func (q *fifo) takeFirst(op wire.OpCode) *call {
	for i := q.head; i < len(q.list); i++ {
		if c := q.list[i]; c.op == op {
			copy(q.list[q.head+1:i+1], q.list[q.head:i])
			q.list[q.head] = c
			return q.pop()
		}
	}
	return nil
}

// frameReader cuts a connection into frames.
type frameReader struct {
	nc      net.Conn
	br      *bufio.Reader
	max     int
	timeout time.Duration // of silence; 0: the deadline is the caller's
	last    time.Time     // when something was last waited for and came
	head    [4]byte       // here, so that it is allocated once
	buf     []byte
}

// next returns the payload of the next frame, valid until the next call unless give is called.
func (r *frameReader) next() ([]byte, error) {
	wait := r.timeout > 0 && r.br.Buffered() == 0
	if wait {
		r.last = time.Now()
		_ = r.nc.SetReadDeadline(r.last.Add(r.timeout))
	}
	if _, err := io.ReadFull(r.br, r.head[:]); err != nil {
		return nil, err
	}
	n := int(int32(binary.BigEndian.Uint32(r.head[:])))
	if n < 0 || n > r.max {
		return nil, fmt.Errorf("%w: %d bytes", ErrReplyTooLarge, n)
	}
	if r.timeout > 0 && r.br.Buffered() < n {
		r.last = time.Now()
		_ = r.nc.SetReadDeadline(r.last.Add(r.timeout + time.Duration(n)*time.Microsecond)) // a large reply may take its time
	}
	if cap(r.buf) < n || cap(r.buf) > 64<<10 && n < 4<<10 {
		r.buf = make([]byte, n)
	}
	r.buf = r.buf[:n]
	_, err := io.ReadFull(r.br, r.buf)
	return r.buf, err
}

// give leaves the last frame to the caller.
func (r *frameReader) give() { r.buf = nil }
