package peer

import (
	"bufio"
	"encoding/binary"
	"io"

	"github.com/zooid-project/zooid/kernel"
)

const (
	// MaxIdentities is how many identities a packet may carry. A client has a handful.
	MaxIdentities = 1 << 12
	// MaxIdentity is how long a scheme or an id may be in bytes: that of a client's whole request.
	MaxIdentity = 1 << 20
	// trusted is how much is allocated because a length says so, before the bytes are there.
	trusted = 64 << 10
)

// Reader reads packets or notifications from a connection. It is for one goroutine.
type Reader struct {
	r     *bufio.Reader
	limit int
}

// NewReader reads from r. A payload longer than limit bytes is malformed.
func NewReader(r *bufio.Reader, limit int) *Reader { return &Reader{r: r, limit: limit} }

// Limit changes what a payload may have.
func (r *Reader) Limit(limit int) { r.limit = limit }

// Buffered is the stream behind what was read last, for SnapshotReader.
func (r *Reader) Buffered() *bufio.Reader { return r.r }

// Packet reads the next packet (see AppendPacket). Its bytes are the caller's. io.EOF: the connection ended between two packets.
func (r *Reader) Packet() (kernel.Message, error) {
	head, err := r.r.Peek(4 + 8 + 4)
	if err != nil {
		if len(head) > 0 && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return kernel.Message{}, err
	}
	m := kernel.Message{Type: int32(binary.BigEndian.Uint32(head)), Zxid: kernel.Zxid(binary.BigEndian.Uint64(head[4:]))}
	n := int32(binary.BigEndian.Uint32(head[12:]))
	if _, err := r.r.Discard(len(head)); err != nil {
		return kernel.Message{}, err
	}
	if m.Payload, err = r.buffer(n, r.limit); err != nil {
		return kernel.Message{}, err
	}
	count, err := r.int32()
	if err != nil || count == -1 {
		return m, err
	}
	if count < 0 || count > MaxIdentities {
		return kernel.Message{}, malformed("packet: %d identities", count)
	}
	m.Identities = make([]kernel.Identity, 0, min(count, 4))
	left := r.limit
	for range count {
		var i kernel.Identity
		if i.Scheme, err = r.text(&left); err != nil {
			return kernel.Message{}, err
		}
		if i.ID, err = r.text(&left); err != nil {
			return kernel.Message{}, err
		}
		m.Identities = append(m.Identities, i)
	}
	return m, nil
}

// Notification reads the next notification's bytes: i32 length, then as many. They are the caller's.
func (r *Reader) Notification() ([]byte, error) {
	head, err := r.r.Peek(4)
	if err != nil {
		if len(head) > 0 && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	n := int32(binary.BigEndian.Uint32(head))
	if _, err := r.r.Discard(4); err != nil {
		return nil, err
	}
	if n <= 0 || n > MaxNotification {
		return nil, malformed("notification: length %d", n)
	}
	return r.buffer(n, MaxNotification)
}

// text reads a string; all of a packet together may have left bytes.
func (r *Reader) text(left *int) (string, error) {
	n, err := r.int32()
	if err != nil {
		return "", err
	}
	b, err := r.buffer(n, min(*left, MaxIdentity))
	*left -= len(b)
	return string(b), err
}

func (r *Reader) int32() (int32, error) {
	b, err := r.r.Peek(4)
	if err != nil {
		return 0, unexpected(err)
	}
	v := int32(binary.BigEndian.Uint32(b))
	_, err = r.r.Discard(4)
	return v, err
}

// buffer reads n bytes, nil for -1. What a length claims is believed as far as bytes come: memory grows with them.
func (r *Reader) buffer(n int32, limit int) ([]byte, error) {
	if n == -1 {
		return nil, nil
	}
	if n < 0 || int64(n) > int64(limit) {
		return nil, malformed("packet: a value of %d bytes, at most %d are allowed", n, limit)
	}
	size := int(n)
	b := make([]byte, min(size, trusted))
	for got := 0; ; {
		if _, err := io.ReadFull(r.r, b[got:]); err != nil {
			return nil, unexpected(err)
		}
		if got = len(b); got == size {
			return b, nil
		}
		more := make([]byte, min(size, 4*got))
		copy(more, b)
		b = more
	}
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
