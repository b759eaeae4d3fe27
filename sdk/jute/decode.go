package jute

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors that Decoder.Err wraps.
var (
	ErrShort  = errors.New("jute: record ends early")
	ErrLength = errors.New("jute: unreasonable length")
)

// Decoder reads fields from a byte slice. The first error sticks: later calls return zero values and move nothing, so a caller decodes a whole record and asks Err once.
// Bytes left over are the caller's decision (Remaining).
//
// It is a value: `d := jute.NewDecoder(b)` stays on the stack and no method allocates, except String and its kin for the string and Err for its text. Not for concurrent use.
type Decoder struct {
	buf []byte
	off int
	max int
	err error
}

// NewDecoder reads from b, which must not change while strings and buffers are being decoded, nor as long as a buffer taken from it is in use: Buffer aliases b.
// Strings and buffers may be as long as b allows; a limit below that is set by Limit.
func NewDecoder(b []byte) Decoder { return Decoder{buf: b, max: -1} }

// Limit makes strings and buffers longer than n bytes an error (ErrLength), as a server's jute.maxbuffer plus its extra does. Without it only the bytes present limit them.
func (d *Decoder) Limit(n int) { d.max = n }

// Err returns the first error, nil if none. It wraps ErrShort or ErrLength, or is what Fail was given.
func (d *Decoder) Err() error { return d.err }

// Fail latches err as if a field could not be decoded, unless an error is latched already.
func (d *Decoder) Fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// Remaining returns how many bytes have not been read.
func (d *Decoder) Remaining() int { return len(d.buf) - d.off }

// Offset returns how many bytes have been read.
func (d *Decoder) Offset() int { return d.off }

// Rest returns the bytes not read yet, without reading them. They alias the input.
func (d *Decoder) Rest() []byte { return d.buf[d.off:] }

// take returns the next n bytes, nil after an error.
func (d *Decoder) take(n int) []byte {
	if d.err != nil {
		return nil
	}
	if len(d.buf)-d.off < n {
		d.err = ErrShort
		return nil
	}
	b := d.buf[d.off : d.off+n : d.off+n]
	d.off += n
	return b
}

// Bool reads one byte; any value but 0 is true.
func (d *Decoder) Bool() bool {
	b := d.take(1)
	return b != nil && b[0] != 0
}

// Int32 reads 4 bytes.
func (d *Decoder) Int32() int32 {
	b := d.take(4)
	if b == nil {
		return 0
	}
	return int32(binary.BigEndian.Uint32(b))
}

// Int64 reads 8 bytes.
func (d *Decoder) Int64() int64 {
	b := d.take(8)
	if b == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}

// Buffer reads a buffer. It aliases the input and has no spare capacity. Null is nil; a buffer of length 0 is empty, not nil.
func (d *Decoder) Buffer() []byte {
	n := d.Int32()
	if d.err != nil || n == -1 {
		return nil
	}
	if n < 0 || (d.max >= 0 && int(n) > d.max) {
		d.err = fmt.Errorf("%w: %d", ErrLength, n)
		return nil
	}
	return d.take(int(n))
}

// String reads a string; null becomes "". The bytes are taken as they are, UTF-8 or not.
func (d *Decoder) String() string { return string(d.Buffer()) }

// NullableString reads a string; null is true for null.
func (d *Decoder) NullableString() (s string, null bool) {
	b := d.Buffer()
	return string(b), b == nil && d.err == nil
}

// Vector reads the head of a vector whose items take at least minItem bytes each (minItem >= 1). A null vector (-1) gives n = 0, null = true; other negative counts are read as 0, as ZooKeeper does.
// A count that the bytes left cannot hold is an error at once, so n*minItem never exceeds Remaining and n is safe to allocate by.
func (d *Decoder) Vector(minItem int) (n int, null bool) {
	c := int(d.Int32())
	switch {
	case d.err != nil || c == -1:
		return 0, d.err == nil
	case c < 0:
		return 0, false
	case c > d.Remaining()/minItem:
		d.err = fmt.Errorf("%w: vector of %d items in %d bytes", ErrShort, c, d.Remaining())
		return 0, false
	}
	return c, false
}

// Strings reads a vector of strings, appending to dst[:0] so that its capacity is used again. A null vector gives nil; an empty one is not nil.
func (d *Decoder) Strings(dst []string) []string {
	n, null := d.Vector(4)
	if null || d.err != nil {
		return nil
	}
	if cap(dst) < n || dst == nil {
		dst = make([]string, 0, n)
	}
	dst = dst[:0]
	for range n {
		dst = append(dst, d.String())
	}
	return dst
}
