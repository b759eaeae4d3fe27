package peer

import (
	"encoding/binary"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
)

// Touch is a session and its time-out: one item of a PING's answer, or the question of REVALIDATE.
//
//	i64 session | i32 time-out in milliseconds
type Touch struct {
	Session kernel.SessionID
	Timeout time.Duration // whole milliseconds
}

// TouchSize is the length of an encoded Touch.
const TouchSize = 8 + 4

// AppendTo appends the encoding. Time-outs that the wire cannot hold are cut.
func (t Touch) AppendTo(dst []byte) []byte {
	ms := min(max(t.Timeout.Milliseconds(), 0), 1<<31-1)
	return jute.AppendInt32(jute.AppendInt64(dst, int64(t.Session)), int32(ms))
}

func decodeTouch(b []byte) Touch {
	ms := int32(binary.BigEndian.Uint32(b[8:]))
	return Touch{Session: kernel.SessionID(binary.BigEndian.Uint64(b)), Timeout: time.Duration(ms) * time.Millisecond}
}

// NoTouches is the answer to PING of a learner whose sessions were all silent: empty, not null, since ZooKeeper's leaders drop a learner that sends null.
var NoTouches = []byte{}

// Touches calls yield for each item of a PING's answer. An answer that is null or holds a broken item is an error, and yield is never called.
func Touches(payload []byte, yield func(Touch)) error {
	if payload == nil || len(payload)%TouchSize != 0 {
		return malformed("answer to PING: %d bytes, null %v", len(payload), payload == nil)
	}
	for ; len(payload) > 0; payload = payload[TouchSize:] {
		yield(decodeTouch(payload))
	}
	return nil
}

// DecodeRevalidate reads the question of REVALIDATE.
func DecodeRevalidate(payload []byte) (Touch, error) {
	if len(payload) != TouchSize {
		return Touch{}, malformed("REVALIDATE: %d bytes", len(payload))
	}
	return decodeTouch(payload), nil
}

// Revalidated is the answer of REVALIDATE.
//
//	i64 session | bool valid
type Revalidated struct {
	Session kernel.SessionID
	Valid   bool
}

// RevalidatedSize is the length of an encoded Revalidated.
const RevalidatedSize = 8 + 1

// AppendTo appends the encoding.
func (r Revalidated) AppendTo(dst []byte) []byte {
	return jute.AppendBool(jute.AppendInt64(dst, int64(r.Session)), r.Valid)
}

// DecodeRevalidated reads it.
func DecodeRevalidated(payload []byte) (Revalidated, error) {
	if len(payload) != RevalidatedSize {
		return Revalidated{}, malformed("answer of REVALIDATE: %d bytes", len(payload))
	}
	return Revalidated{Session: kernel.SessionID(binary.BigEndian.Uint64(payload)), Valid: payload[8] != 0}, nil
}
