package wire

import (
	"encoding/binary"

	"github.com/zooid-project/zooid/sdk/jute"
)

// Xids with a meaning by convention (spec client-protocol, 3.2). A server only sets XidWatchEvent by itself and always answers pings with XidPing.
const (
	XidWatchEvent int32 = -1
	XidPing       int32 = -2
	XidAuth       int32 = -4
	XidSetWatches int32 = -8
)

// DefaultMaxFrame is the default of jute.maxbuffer: the longest request payload in bytes, the length field not counted. Equal is allowed.
const DefaultMaxFrame = 0xfffff

// StartFrame appends room for a frame's length and returns dst with the position to hand to FinishFrame.
func StartFrame(dst []byte) (out []byte, start int) {
	return append(dst, 0, 0, 0, 0), len(dst)
}

// FinishFrame writes the length of what was appended since StartFrame returned start.
func FinishFrame(dst []byte, start int) {
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
}

// RequestHeader starts every request frame but the first (spec client-protocol, 3.1).
type RequestHeader struct {
	Xid int32
	Op  OpCode
}

// RequestHeaderSize is the length of an encoded RequestHeader in bytes.
const RequestHeaderSize = 8

// AppendTo appends the encoding.
func (h *RequestHeader) AppendTo(dst []byte) []byte {
	return jute.AppendInt32(jute.AppendInt32(dst, h.Xid), int32(h.Op))
}

// Decode reads the record.
func (h *RequestHeader) Decode(d *jute.Decoder) {
	h.Xid = d.Int32()
	h.Op = OpCode(d.Int32())
}

// ReplyHeader starts every frame from a server but the first. With Err other than ErrOK no body follows (spec client-protocol, 3.1).
type ReplyHeader struct {
	Xid  int32
	Zxid int64
	Err  ErrorCode
}

// ReplyHeaderSize is the length of an encoded ReplyHeader in bytes.
const ReplyHeaderSize = 16

// AppendTo appends the encoding.
func (h *ReplyHeader) AppendTo(dst []byte) []byte {
	dst = jute.AppendInt32(dst, h.Xid)
	dst = jute.AppendInt64(dst, h.Zxid)
	return jute.AppendInt32(dst, int32(h.Err))
}

// Decode reads the record.
func (h *ReplyHeader) Decode(d *jute.Decoder) {
	h.Xid = d.Int32()
	h.Zxid = d.Int64()
	h.Err = ErrorCode(d.Int32())
}

// ConnectRequest is the first frame from a client; no header precedes it (spec client-protocol, 2).
type ConnectRequest struct {
	ProtocolVersion int32
	LastZxidSeen    int64
	TimeoutMs       int32
	SessionID       int64
	Password        []byte // aliases the input after Decode
	ReadOnly        bool
	HasReadOnly     bool // the optional last byte is there; the response must then have it too, and only then
}

// AppendTo appends the encoding.
func (r *ConnectRequest) AppendTo(dst []byte) []byte {
	dst = jute.AppendInt32(dst, r.ProtocolVersion)
	dst = jute.AppendInt64(dst, r.LastZxidSeen)
	dst = jute.AppendInt32(dst, r.TimeoutMs)
	dst = jute.AppendInt64(dst, r.SessionID)
	dst = jute.AppendBuffer(dst, r.Password)
	if r.HasReadOnly {
		dst = jute.AppendBool(dst, r.ReadOnly)
	}
	return dst
}

// Decode reads the record up to its end or the readOnly byte.
func (r *ConnectRequest) Decode(d *jute.Decoder) {
	r.ProtocolVersion = d.Int32()
	r.LastZxidSeen = d.Int64()
	r.TimeoutMs = d.Int32()
	r.SessionID = d.Int64()
	r.Password = d.Buffer()
	r.HasReadOnly = d.Err() == nil && d.Remaining() > 0
	r.ReadOnly = r.HasReadOnly && d.Bool()
}

// ConnectResponse is the first frame from a server. TimeoutMs 0 and SessionID 0 mean refused: password wrong or session expired (spec client-protocol, 2).
type ConnectResponse struct {
	ProtocolVersion int32
	TimeoutMs       int32
	SessionID       int64
	Password        [PasswordSize]byte
	ReadOnly        bool
	HasReadOnly     bool // set it exactly if the request had the byte: clients read responses of a fixed length
}

// AppendTo appends the encoding.
func (r *ConnectResponse) AppendTo(dst []byte) []byte {
	dst = jute.AppendInt32(dst, r.ProtocolVersion)
	dst = jute.AppendInt32(dst, r.TimeoutMs)
	dst = jute.AppendInt64(dst, r.SessionID)
	dst = jute.AppendBuffer(dst, r.Password[:])
	if r.HasReadOnly {
		dst = jute.AppendBool(dst, r.ReadOnly)
	}
	return dst
}

// Decode reads the record up to its end or the readOnly byte. A password of another length than PasswordSize is cut or filled with zeroes.
func (r *ConnectResponse) Decode(d *jute.Decoder) {
	r.ProtocolVersion = d.Int32()
	r.TimeoutMs = d.Int32()
	r.SessionID = d.Int64()
	r.Password = [PasswordSize]byte{}
	copy(r.Password[:], d.Buffer())
	r.HasReadOnly = d.Err() == nil && d.Remaining() > 0
	r.ReadOnly = r.HasReadOnly && d.Bool()
}

// WatcherEvent is the body of a watch event frame (spec client-protocol, 7.5).
type WatcherEvent struct {
	Type  EventType
	State KeeperState
	Path  string
}

// AppendTo appends the encoding of the body alone.
func (e *WatcherEvent) AppendTo(dst []byte) []byte {
	dst = jute.AppendInt32(dst, int32(e.Type))
	dst = jute.AppendInt32(dst, int32(e.State))
	return jute.AppendString(dst, e.Path)
}

// Decode reads the body.
func (e *WatcherEvent) Decode(d *jute.Decoder) {
	e.Type = EventType(d.Int32())
	e.State = KeeperState(d.Int32())
	e.Path = d.String()
}

// AppendFrame appends the whole frame as a server sends it: length, reply header with XidWatchEvent and the zxid of the change (-1 for an event made by setWatches), body.
func (e *WatcherEvent) AppendFrame(dst []byte, zxid int64) []byte {
	dst, start := StartFrame(dst)
	h := ReplyHeader{Xid: XidWatchEvent, Zxid: zxid}
	dst = e.AppendTo(h.AppendTo(dst))
	FinishFrame(dst, start)
	return dst
}
