package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/sdk/jute"
)

// TxnHeader starts every transaction in the log and between servers (spec peer-wire-and-disk, 4).
type TxnHeader struct {
	ClientID int64 // the session
	Cxid     int32 // the xid of the client's request
	Zxid     int64
	Time     int64 // milliseconds since 1970, the leader's clock when it prepared the request
	Type     OpCode
}

// TxnHeaderSize is the length of an encoded TxnHeader in bytes.
const TxnHeaderSize = 32

// AppendTo appends the encoding.
func (h *TxnHeader) AppendTo(dst []byte) []byte {
	dst = jute.AppendInt64(dst, h.ClientID)
	dst = jute.AppendInt32(dst, h.Cxid)
	dst = jute.AppendInt64(dst, h.Zxid)
	dst = jute.AppendInt64(dst, h.Time)
	return jute.AppendInt32(dst, int32(h.Type))
}

// Decode reads the record.
func (h *TxnHeader) Decode(d *jute.Decoder) {
	h.ClientID = d.Int64()
	h.Cxid = d.Int32()
	h.Zxid = d.Int64()
	h.Time = d.Int64()
	h.Type = OpCode(d.Int32())
}

// Txn is the body of any transaction. All versions are absolute results, never increments. Which fields count depends on Type (spec peer-wire-and-disk, 4):
//
//	create, create2     Path Data ACL Ephemeral ParentCVersion
//	createContainer     Path Data ACL ParentCVersion
//	createTTL           Path Data ACL ParentCVersion TTL
//	delete, deleteContainer   Path
//	setData, reconfig   Path Data Version
//	setACL              Path ACL Version
//	check               Path Version (inside multi only)
//	multi               Ops
//	createSession       TimeoutMs
//	closeSession        Paths, or NoBody
//	error               Err; inside a multi perhaps Data: the body of an operation that did not happen because a later one failed, from ZooKeeper's leaders, which mark it so in memory
type Txn struct {
	Type           OpCode
	Path           string
	Data           []byte // nil is null; aliases the input after decoding
	ACL            []ACL
	Ephemeral      bool
	ParentCVersion int32 // the parent's child counter after this create; -1: not recorded (old form), count one up
	Version        int32
	TTL            int64 // milliseconds
	TimeoutMs      int32
	Paths          []string // the ephemeral nodes that go with the session
	NoBody         bool     // closeSession written without its list: the session's nodes are those that the tree knows
	Err            ErrorCode
	Ops            []Txn // the parts of a multi; never multis themselves
}

// Failed reports whether a multi holds a part of type error. Then nothing of it is applied.
func (t *Txn) Failed() bool {
	for i := range t.Ops {
		if t.Ops[i].Type == OpError {
			return true
		}
	}
	return false
}

// AppendTo appends the body, without header or digest.
func (t *Txn) AppendTo(dst []byte) []byte {
	switch t.Type {
	case OpCreate, OpCreate2:
		dst = t.appendNode(dst)
		dst = jute.AppendBool(dst, t.Ephemeral)
		return jute.AppendInt32(dst, t.ParentCVersion)
	case OpCreateContainer:
		return jute.AppendInt32(t.appendNode(dst), t.ParentCVersion)
	case OpCreateTTL:
		return jute.AppendInt64(jute.AppendInt32(t.appendNode(dst), t.ParentCVersion), t.TTL)
	case OpDelete, OpDeleteContainer:
		return jute.AppendString(dst, t.Path)
	case OpSetData, OpReconfig:
		dst = jute.AppendString(dst, t.Path)
		dst = jute.AppendBuffer(dst, t.Data)
		return jute.AppendInt32(dst, t.Version)
	case OpSetACL:
		dst = jute.AppendString(dst, t.Path)
		dst = AppendACLs(dst, t.ACL)
		return jute.AppendInt32(dst, t.Version)
	case OpCheck:
		return jute.AppendInt32(jute.AppendString(dst, t.Path), t.Version)
	case OpMulti:
		dst = jute.AppendVectorLen(dst, len(t.Ops))
		for i := range t.Ops {
			dst = jute.AppendInt32(dst, int32(t.Ops[i].Type))
			start := len(dst)
			dst = t.Ops[i].AppendTo(append(dst, 0, 0, 0, 0))
			binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
		}
		return dst
	case OpCreateSession:
		return jute.AppendInt32(dst, t.TimeoutMs)
	case OpCloseSession:
		if t.NoBody {
			return dst
		}
		if t.Paths == nil {
			return jute.AppendVectorLen(dst, 0)
		}
		return jute.AppendStrings(dst, t.Paths)
	case OpError:
		if t.Data != nil {
			return append(dst, t.Data...)
		}
		return jute.AppendInt32(dst, int32(t.Err))
	}
	return dst
}

func (t *Txn) appendNode(dst []byte) []byte {
	dst = jute.AppendString(dst, t.Path)
	dst = jute.AppendBuffer(dst, t.Data)
	return AppendACLs(dst, t.ACL)
}

// Decode reads the body that belongs to t.Type, in its present form. It stops at the body's end; what may follow it is Entry's business.
func (t *Txn) Decode(d *jute.Decoder) {
	switch t.Type {
	case OpCreate, OpCreate2:
		t.decodeNode(d)
		t.Ephemeral = d.Bool()
		t.ParentCVersion = d.Int32()
	case OpCreateContainer:
		t.decodeNode(d)
		t.ParentCVersion = d.Int32()
	case OpCreateTTL:
		t.decodeNode(d)
		t.ParentCVersion = d.Int32()
		t.TTL = d.Int64()
	case OpDelete, OpDeleteContainer:
		t.Path = d.String()
	case OpSetData, OpReconfig:
		t.Path = d.String()
		t.Data = d.Buffer()
		t.Version = d.Int32()
	case OpSetACL:
		t.Path = d.String()
		t.ACL = DecodeACLs(d, nil)
		t.Version = d.Int32()
	case OpCheck:
		t.Path = d.String()
		t.Version = d.Int32()
	case OpMulti:
		t.Ops = decodeTxns(d)
	case OpCreateSession:
		t.TimeoutMs = d.Int32()
	case OpCloseSession:
		t.Paths = d.Strings(nil)
	case OpError:
		t.Err = ErrorCode(d.Int32())
	default:
		d.Fail(fmt.Errorf("%w: unknown type %d", ErrTxn, int32(t.Type)))
	}
}

func (t *Txn) decodeNode(d *jute.Decoder) {
	t.Path = d.String()
	t.Data = d.Buffer()
	t.ACL = DecodeACLs(d, nil)
}

func decodeTxns(d *jute.Decoder) []Txn {
	n, _ := d.Vector(8)
	var list []Txn
	for range n {
		t := Txn{Type: OpCode(d.Int32())}
		body := d.Buffer()
		if d.Err() != nil {
			return nil
		}
		if t.Type == OpMulti {
			d.Fail(fmt.Errorf("%w: a multi inside a multi", ErrTxn))
			return nil
		}
		if t.Type == OpError && len(body) > 4 {
			t.Data = body
		} else if err := t.decodeExactly(body); err != nil {
			d.Fail(err)
			return nil
		}
		list = append(list, t)
	}
	return list
}

// ErrTxn is wrapped by the errors about a transaction whose bytes make no sense (rather than end early).
var ErrTxn = errors.New("wire: malformed transaction")

// decodeExactly decodes b as the body of t.Type with nothing left over; forms that older servers wrote are recognised by the length.
func (t *Txn) decodeExactly(b []byte) error {
	typ := t.Type
	if typ == OpCloseSession && len(b) == 0 { // the old form without a list
		*t = Txn{Type: typ, NoBody: true}
		return nil
	}
	d := jute.NewDecoder(b)
	t.Decode(&d)
	if d.Err() == nil && d.Remaining() == 0 {
		return nil
	}
	if typ == OpCreate { // the old form ends before parentCVersion
		v0 := Txn{Type: typ, ParentCVersion: -1}
		d0 := jute.NewDecoder(b)
		v0.decodeNode(&d0)
		v0.Ephemeral = d0.Bool()
		if d0.Err() == nil && d0.Remaining() == 0 {
			*t = v0
			return nil
		}
	}
	if err := d.Err(); err != nil {
		return fmt.Errorf("wire: %v transaction: %w", typ, err)
	}
	return fmt.Errorf("%w: %d bytes too many after a %v", ErrTxn, d.Remaining(), typ)
}

// DigestVersion is the version of tree digest that servers since 3.6 write.
const DigestVersion int32 = 2

const txnDigestSize = 12

// Entry is a whole transaction as the log and PROPOSAL and INFORM packets carry it: header, body, and a digest of the tree after it if the writer added one.
type Entry struct {
	Header        TxnHeader
	Txn           Txn // Type is Header.Type
	HasDigest     bool
	DigestVersion int32
	Digest        int64
}

// AppendTo appends the encoding. The body's type is Header.Type.
func (e *Entry) AppendTo(dst []byte) []byte {
	e.Txn.Type = e.Header.Type
	dst = e.Txn.AppendTo(e.Header.AppendTo(dst))
	if e.HasDigest {
		dst = jute.AppendInt32(dst, e.DigestVersion)
		dst = jute.AppendInt64(dst, e.Digest)
	}
	return dst
}

// DecodeEntry decodes b, which is exactly one entry, into e. Whether a digest is there shows only in the length: after the body 0 bytes mean none and 12 mean one; anything else is an error
// (spec peer-wire-and-disk, 4). Data aliases b; strings are copies.
func DecodeEntry(b []byte, e *Entry) error {
	*e = Entry{}
	d := jute.NewDecoder(b)
	e.Header.Decode(&d)
	if err := d.Err(); err != nil {
		return fmt.Errorf("wire: transaction header: %w", err)
	}
	body := d.Rest()
	typ := e.Header.Type
	e.Txn.Type = typ
	if typ == OpCloseSession && closedWithoutList(body) {
		e.Txn.NoBody = true
		d = jute.NewDecoder(body)
	} else {
		e.Txn.Decode(&d)
	}
	if d.Err() == nil && d.Remaining() == txnDigestSize {
		e.HasDigest = true
		e.DigestVersion = d.Int32()
		e.Digest = d.Int64()
	}
	if d.Err() == nil && d.Remaining() == 0 {
		return nil
	}
	// Neither form fits: an old form, or an error to report.
	*e = Entry{Header: e.Header, Txn: Txn{Type: typ}}
	if err := e.Txn.decodeExactly(body); err != nil {
		return fmt.Errorf("zxid 0x%x: %w", uint64(e.Header.Zxid), err)
	}
	return nil
}

// closedWithoutList reports whether a closeSession has no list of paths: nothing follows the header, or a digest alone. Twelve bytes that start with the digest's version cannot be a list, because
// a list of two would hold two empty paths.
func closedWithoutList(body []byte) bool {
	return len(body) == 0 || (len(body) == txnDigestSize && int32(binary.BigEndian.Uint32(body)) == DigestVersion)
}
