package wire

import (
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/sdk/jute"
)

// Op is one operation on a path: alone it is the whole body of a request, in a multi it is a part. Which fields count depends on Code (spec client-protocol, 4.1 and 8):
//
//	create, create2, createContainer   Path Data ACL Mode
//	createTTL                          Path Data ACL Mode TTL
//	delete, check                      Path Version
//	deleteContainer                    Path
//	exists, getData, getChildren(2)    Path Watch
//	setData                            Path Data Version
//	getACL, sync, getEphemerals, getAllChildrenNumber   Path
//	setACL                             Path ACL Version
type Op struct {
	Code     OpCode
	Path     string
	NullPath bool   // the path was null on the wire, not ""; a server answers MARSHALLINGERROR except to sync and getEphemerals
	Data     []byte // nil is null data, distinct from empty
	ACL      []ACL  // nil is the null list, distinct from empty
	Mode     CreateMode
	TTL      int64 // milliseconds
	Version  int32 // -1: any
	Watch    bool
}

// Request is the body of any request. Besides what Op says for its code, these fields count:
//
//	multi, multiRead        Ops
//	reconfig                Joining Leaving NewMembers ConfigID
//	checkWatches, removeWatches   Path WatcherType
//	addWatch                Path AddWatchMode
//	auth                    Scheme Auth (AuthType is 0 and ignored)
//	sasl                    Auth (the token)
//	setWatches              RelativeZxid DataWatches ExistWatches ChildWatches
//	setWatches2             as setWatches, and PersistentWatches RecursiveWatches
//	createSession           TimeoutMs (between servers only)
//	listSessions            SessionID (list those above it as unsigned numbers) Limit
//	endSession              SessionID
//	ping, closeSession, whoAmI    none
type Request struct {
	Op
	Ops []Op

	Joining, Leaving, NewMembers string // reconfig; "" and null are the same, null is sent
	ConfigID                     int64

	WatcherType  WatcherType
	AddWatchMode AddWatchMode

	AuthType int32
	Scheme   string
	Auth     []byte

	RelativeZxid                            int64
	DataWatches, ExistWatches, ChildWatches []string
	PersistentWatches, RecursiveWatches     []string

	TimeoutMs int32

	SessionID int64
	Limit     int32
}

// ErrBody is wrapped by the errors of DecodeRequest that are about the content of a body rather than its length. Every error of DecodeRequest is answered MARSHALLINGERROR, except that an
// auth or sasl request closes the connection (spec client-protocol, 1.1).
var ErrBody = errors.New("wire: malformed request body")

// DecodeRequest decodes the whole body of a request of kind op (what follows the RequestHeader) into r. Bytes left over are ignored, as ZooKeeper does.
//
// r is meant to be used again for request after request: the capacity of its slices is kept. Data and Auth (also in Ops) alias body. ACL, Ops and the watch lists belong to r and are overwritten
// by the next call; their strings, like all strings, are the caller's to keep. An op that has no known body is an error: check OpCode.Known first.
func DecodeRequest(op OpCode, body []byte, r *Request) error {
	*r = Request{
		Op: Op{Code: op, ACL: r.ACL[:0]}, Ops: r.Ops[:0],
		DataWatches: r.DataWatches[:0], ExistWatches: r.ExistWatches[:0], ChildWatches: r.ChildWatches[:0],
		PersistentWatches: r.PersistentWatches[:0], RecursiveWatches: r.RecursiveWatches[:0],
	}
	d := jute.NewDecoder(body)
	r.Decode(&d)
	if err := d.Err(); err != nil {
		return fmt.Errorf("wire: %v request: %w", op, err)
	}
	return nil
}

// Decode reads the body that belongs to r.Code. It writes only the fields of that code and uses the capacity of slices again; DecodeRequest also clears the others.
func (r *Request) Decode(d *jute.Decoder) {
	switch r.Code {
	case OpPing, OpCloseSession, OpWhoAmI:
	case OpMulti:
		r.Ops = decodeOps(d, r.Ops, multiOp)
	case OpMultiRead:
		r.Ops = decodeOps(d, r.Ops, multiReadOp)
	case OpReconfig:
		r.Joining = d.String()
		r.Leaving = d.String()
		r.NewMembers = d.String()
		r.ConfigID = d.Int64()
	case OpCheckWatches, OpRemoveWatches:
		r.Path, r.NullPath = d.NullableString()
		r.WatcherType = WatcherType(d.Int32())
	case OpAddWatch:
		r.Path, r.NullPath = d.NullableString()
		r.AddWatchMode = AddWatchMode(d.Int32())
	case OpAuth:
		r.AuthType = d.Int32()
		r.Scheme = commonString(d.Buffer())
		r.Auth = d.Buffer()
	case OpSASL:
		r.Auth = d.Buffer()
	case OpSetWatches, OpSetWatches2:
		r.RelativeZxid = d.Int64()
		r.DataWatches = decodeWatches(d, r.DataWatches)
		r.ExistWatches = decodeWatches(d, r.ExistWatches)
		r.ChildWatches = decodeWatches(d, r.ChildWatches)
		if r.Code == OpSetWatches2 {
			r.PersistentWatches = decodeWatches(d, r.PersistentWatches)
			r.RecursiveWatches = decodeWatches(d, r.RecursiveWatches)
		}
	case OpCreateSession:
		r.TimeoutMs = d.Int32()
	case OpListSessions:
		r.SessionID = d.Int64()
		r.Limit = d.Int32()
	case OpEndSession:
		r.SessionID = d.Int64()
	default:
		r.Op.Decode(d)
	}
}

// AppendTo appends the body that belongs to r.Code. An op without a known body appends nothing.
func (r *Request) AppendTo(dst []byte) []byte {
	switch r.Code {
	case OpPing, OpCloseSession, OpWhoAmI:
		return dst
	case OpMulti, OpMultiRead:
		for i := range r.Ops {
			h := multiHeader{code: r.Ops[i].Code, err: -1}
			dst = r.Ops[i].AppendTo(h.appendTo(dst))
		}
		return multiEnd.appendTo(dst)
	case OpReconfig:
		for _, s := range [...]string{r.Joining, r.Leaving, r.NewMembers} {
			dst = jute.AppendNullableString(dst, s, s == "")
		}
		return jute.AppendInt64(dst, r.ConfigID)
	case OpCheckWatches, OpRemoveWatches:
		return jute.AppendInt32(jute.AppendNullableString(dst, r.Path, r.NullPath), int32(r.WatcherType))
	case OpAddWatch:
		return jute.AppendInt32(jute.AppendNullableString(dst, r.Path, r.NullPath), int32(r.AddWatchMode))
	case OpAuth:
		dst = jute.AppendInt32(dst, r.AuthType)
		dst = jute.AppendString(dst, r.Scheme)
		return jute.AppendBuffer(dst, r.Auth)
	case OpSASL:
		return jute.AppendBuffer(dst, r.Auth)
	case OpSetWatches, OpSetWatches2:
		dst = jute.AppendInt64(dst, r.RelativeZxid)
		dst = appendWatches(dst, r.DataWatches)
		dst = appendWatches(dst, r.ExistWatches)
		dst = appendWatches(dst, r.ChildWatches)
		if r.Code == OpSetWatches2 {
			dst = appendWatches(dst, r.PersistentWatches)
			dst = appendWatches(dst, r.RecursiveWatches)
		}
		return dst
	case OpCreateSession:
		return jute.AppendInt32(dst, r.TimeoutMs)
	case OpListSessions:
		return jute.AppendInt32(jute.AppendInt64(dst, r.SessionID), r.Limit)
	case OpEndSession:
		return jute.AppendInt64(dst, r.SessionID)
	}
	return r.Op.AppendTo(dst)
}

// Decode reads the record that belongs to o.Code.
func (o *Op) Decode(d *jute.Decoder) {
	o.Path, o.NullPath = d.NullableString()
	switch o.Code {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		o.Data = d.Buffer()
		o.ACL = DecodeACLs(d, o.ACL)
		o.Mode = CreateMode(d.Int32())
		if o.Code == OpCreateTTL {
			o.TTL = d.Int64()
		}
	case OpDelete, OpCheck:
		o.Version = d.Int32()
	case OpExists, OpGetData, OpGetChildren, OpGetChildren2:
		o.Watch = d.Bool()
	case OpSetData:
		o.Data = d.Buffer()
		o.Version = d.Int32()
	case OpSetACL:
		o.ACL = DecodeACLs(d, o.ACL)
		o.Version = d.Int32()
	case OpGetACL, OpSync, OpGetEphemerals, OpGetAllChildrenNumber, OpDeleteContainer:
	default:
		d.Fail(fmt.Errorf("%w: %v has none that is known", ErrBody, o.Code))
	}
}

// AppendTo appends the record that belongs to o.Code.
func (o *Op) AppendTo(dst []byte) []byte {
	dst = jute.AppendNullableString(dst, o.Path, o.NullPath)
	switch o.Code {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		dst = jute.AppendBuffer(dst, o.Data)
		dst = AppendACLs(dst, o.ACL)
		dst = jute.AppendInt32(dst, int32(o.Mode))
		if o.Code == OpCreateTTL {
			dst = jute.AppendInt64(dst, o.TTL)
		}
	case OpDelete, OpCheck:
		dst = jute.AppendInt32(dst, o.Version)
	case OpExists, OpGetData, OpGetChildren, OpGetChildren2:
		dst = jute.AppendBool(dst, o.Watch)
	case OpSetData:
		dst = jute.AppendBuffer(dst, o.Data)
		dst = jute.AppendInt32(dst, o.Version)
	case OpSetACL:
		dst = AppendACLs(dst, o.ACL)
		dst = jute.AppendInt32(dst, o.Version)
	}
	return dst
}

// multiHeader precedes each operation and each result of a multi; one with done set ends the list (spec client-protocol, 8).
type multiHeader struct {
	code OpCode
	done bool
	err  ErrorCode
}

const multiHeaderSize = 9

var multiEnd = multiHeader{code: OpError, done: true, err: -1}

func (h multiHeader) appendTo(dst []byte) []byte {
	dst = jute.AppendInt32(dst, int32(h.code))
	dst = jute.AppendBool(dst, h.done)
	return jute.AppendInt32(dst, int32(h.err))
}

func (h *multiHeader) decode(d *jute.Decoder) {
	h.code = OpCode(d.Int32())
	h.done = d.Bool()
	h.err = ErrorCode(d.Int32())
}

func multiOp(o OpCode) bool {
	return o.IsCreate() || o == OpDelete || o == OpSetData || o == OpCheck
}

func multiReadOp(o OpCode) bool { return o == OpGetData || o == OpGetChildren }

// decodeOps reads the operations of a multi into dst[:0]. An operation that this kind of multi does not take is an error for the whole (spec client-protocol, 8).
func decodeOps(d *jute.Decoder, dst []Op, allowed func(OpCode) bool) []Op {
	dst = dst[:0]
	for {
		var h multiHeader
		h.decode(d)
		if d.Err() != nil || h.done {
			return dst
		}
		if !allowed(h.code) {
			d.Fail(fmt.Errorf("%w: %v is not allowed here", ErrBody, h.code))
			return dst
		}
		if len(dst) < cap(dst) {
			dst = dst[:len(dst)+1]
		} else {
			dst = append(dst, Op{})
		}
		o := &dst[len(dst)-1]
		*o = Op{Code: h.code, ACL: o.ACL[:0]}
		o.Decode(d)
	}
}

// decodeWatches reads one list of setWatches; a null list is an error there (spec client-protocol, 7.6).
func decodeWatches(d *jute.Decoder, dst []string) []string {
	list := d.Strings(dst)
	if list == nil {
		d.Fail(fmt.Errorf("%w: null watch list", ErrBody))
	}
	return list
}

func appendWatches(dst []byte, list []string) []byte {
	if list == nil {
		return jute.AppendVectorLen(dst, 0)
	}
	return jute.AppendStrings(dst, list)
}
