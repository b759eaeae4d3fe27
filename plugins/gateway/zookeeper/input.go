package zookeeper

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

// readSize is the size of a pooled read buffer: room for a burst of some hundred small requests.
const readSize = 16 << 10

// tlsReadSize is the size of the buffer that a TLS connection keeps: it has buffers of its own below.
const tlsReadSize = 4 << 10

// leftover is the longest part of a frame that is moved out of a pooled buffer while its connection waits for more.
const leftover = 1 << 10

var readPool = sync.Pool{New: func() any { return new([readSize]byte) }}

// The errors of a frame's length.
var (
	errFrameLength = errors.New("frame length out of bounds")
	errMalformed   = errors.New("malformed frame")
	errBudget      = errors.New("the server's memory for requests is used up")
)

// input cuts what a socket yields into frames. It belongs to the connection's reader.
//
// While it waits it holds no more than what it has received of an unfinished frame: on a plain TCP connection the pooled buffer goes back before the goroutine parks.
type input struct {
	conn   net.Conn
	raw    syscall.RawConn // nil: conn is read as it is (TLS), the buffer stays
	budget *budget

	buf        []byte // pooled if cap is readSize
	start, end int    // buf[start:end] was received and not consumed
	skip       int    // bytes of a refused frame that are still to be thrown away
	turn       int    // frames since the socket was last found empty
	charged    int    // bytes of buf on the budget

	n    int // result of the last raw read
	err  error
	poll func(fd uintptr) bool // readReady, bound once
}

func (in *input) init(conn net.Conn, raw syscall.RawConn, b *budget) {
	*in = input{conn: conn, raw: raw, budget: b}
	in.poll = in.readReady
}

// preload puts bytes that were read already in front.
func (in *input) preload(b []byte) {
	if len(b) > 0 {
		in.take()
		in.end = copy(in.buf, b)
	}
}

// frame returns the next whole frame. It is valid until the next fill. ok is false when more bytes are needed.
// A length over max but not absurd gives oversized with as much of the payload as needed for a request header; the rest is thrown away by later fills.
func (in *input) frame(max, discard int) (payload []byte, oversized, ok bool, err error) {
	have := in.buf[in.start:in.end]
	if len(have) < 4 {
		return nil, false, false, nil
	}
	n := int(int32(binary.BigEndian.Uint32(have)))
	switch {
	case n < 0 || (n > max && n > discard):
		return nil, false, false, errFrameLength
	case n > max:
		if len(have) < 4+requestHeaderSize {
			return nil, false, false, nil
		}
		payload = have[4 : 4+requestHeaderSize]
		in.start += 4 + requestHeaderSize
		in.skip = n - requestHeaderSize
		in.dropSkipped()
		return payload, true, true, nil
	case len(have) < 4+n:
		return nil, false, false, nil
	}
	in.start += 4 + n
	return have[4 : 4+n], false, true, nil
}

const requestHeaderSize = 8

func (in *input) dropSkipped() {
	n := min(in.skip, in.end-in.start)
	in.start += n
	in.skip -= n
}

// fill waits for bytes and appends at least one to what is there.
func (in *input) fill() error {
	for {
		if err := in.room(); err != nil {
			return err
		}
		n, err := in.read()
		in.end += n
		in.dropSkipped()
		if n > 0 && in.skip == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (in *input) read() (int, error) {
	if in.raw == nil {
		if in.buf == nil {
			in.buf = make([]byte, tlsReadSize)
		}
		return in.conn.Read(in.buf[in.end:])
	}
	in.n, in.err = 0, nil
	if err := in.raw.Read(in.poll); err != nil {
		return 0, err
	}
	if in.n == 0 && in.err == nil {
		return 0, io.EOF
	}
	return in.n, in.err
}

// room moves what is left to the front and makes the buffer larger when a frame does not fit: to twice what has been received of it, so that a client pays for memory with bytes.
func (in *input) room() error {
	if in.buf == nil {
		return nil
	}
	if in.start > 0 {
		copy(in.buf, in.buf[in.start:in.end])
		in.end -= in.start
		in.start = 0
	}
	if cap(in.buf) > readSize && in.end < readSize/2 {
		in.shrink()
	}
	if in.end < len(in.buf) {
		return nil
	}
	want := max(2*len(in.buf), readSize)
	if in.end >= 4 {
		if n := 4 + int(binary.BigEndian.Uint32(in.buf)); n > in.end && n < want {
			want = max(n, readSize+1)
		}
	}
	if !in.budget.take(want) {
		return errBudget
	}
	bigger := make([]byte, want)
	copy(bigger, in.buf[:in.end])
	in.put()
	in.buf, in.charged = bigger, want
	return nil
}

// shrink goes back from a large buffer to a pooled one.
func (in *input) shrink() {
	small := readPool.Get().(*[readSize]byte)
	copy(small[:], in.buf[:in.end])
	in.put()
	in.buf = small[:]
}

func (in *input) take() {
	small := readPool.Get().(*[readSize]byte)
	in.buf = small[:]
}

// put gives the buffer away.
func (in *input) put() {
	if cap(in.buf) == readSize {
		readPool.Put((*[readSize]byte)(in.buf[:readSize]))
	}
	in.buf = nil
	if in.charged > 0 {
		in.budget.give(in.charged)
		in.charged = 0
	}
}

// park gives the buffer away before the goroutine waits, except for the part of a frame that is in it.
func (in *input) park() {
	switch {
	case in.end == 0:
		in.put()
	case in.end <= leftover && len(in.buf) >= readSize:
		part := append(make([]byte, 0, in.end), in.buf[:in.end]...)
		in.put()
		in.buf = part
	}
}

// unpark makes sure that there is room for a burst after the leftover.
func (in *input) unpark() {
	if in.buf == nil {
		in.take()
		return
	}
	if len(in.buf) < readSize {
		part := in.buf
		in.take()
		copy(in.buf, part)
	}
}

// release ends the input.
func (in *input) release() {
	in.put()
	in.start, in.end = 0, 0
}
