package wire

import (
	"fmt"

	"github.com/zooid-project/zooid/sdk/jute"
)

// Result is the body of a reply to one operation, alone or inside a multi. Which fields count depends on Code (spec client-protocol, 4.1 and 8):
//
//	create, sync                                   Path
//	create2, createContainer, createTTL            Path Stat
//	delete, check                                  none
//	exists, setData, setACL                        Stat
//	getData                                        Data Stat
//	getChildren                                    Children
//	getChildren2                                   Children Stat
//	getACL                                         ACL Stat
//	error (only inside a multi)                    Err
type Result struct {
	Code     OpCode
	Err      ErrorCode
	Path     string
	Data     []byte // nil is null data; aliases the input after Decode
	Stat     Stat
	Children []string
	ACL      []ACL
}

// Response is the body of any reply whose header says ErrOK. Besides what Result says for its code, these fields count:
//
//	multi, multiRead        Results
//	reconfig                Data (the configuration) Stat
//	getEphemerals           Children
//	getAllChildrenNumber    Count
//	whoAmI                  Clients
//	sasl                    Token (nil is null)
//	addWatch                an int that is always 0
//	listSessions            Sessions
//	endSession              none
//	ping, auth, closeSession, setWatches(2), checkWatches, removeWatches   none
type Response struct {
	Result
	Results []Result
	Count   int32
	Clients []ClientInfo
	Token   []byte // aliases the input after Decode

	Sessions []SessionRecord
}

// ClientInfo is one identity of a connection as whoAmI shows it.
type ClientInfo struct {
	Scheme string
	User   string
}

// DecodeResponse decodes the body of a reply to a request of kind op (what follows the ReplyHeader) into r, which is overwritten. Data and Token (also in Results) alias body; everything else is the
// caller's to keep.
func DecodeResponse(op OpCode, body []byte, r *Response) error {
	*r = Response{Result: Result{Code: op}}
	d := jute.NewDecoder(body)
	r.Decode(&d)
	if err := d.Err(); err != nil {
		return fmt.Errorf("wire: %v response: %w", op, err)
	}
	return nil
}

// Decode reads the body that belongs to r.Code.
func (r *Response) Decode(d *jute.Decoder) {
	switch r.Code {
	case OpPing, OpAuth, OpCloseSession, OpSetWatches, OpSetWatches2, OpCheckWatches, OpRemoveWatches, OpEndSession:
	case OpListSessions:
		r.Sessions = decodeSessions(d)
	case OpMulti, OpMultiRead:
		r.Results = decodeResults(d)
	case OpReconfig:
		r.Data = d.Buffer()
		r.Stat.Decode(d)
	case OpGetEphemerals:
		r.Children = d.Strings(nil)
	case OpGetAllChildrenNumber:
		r.Count = d.Int32()
	case OpAddWatch:
		r.Err = ErrorCode(d.Int32())
	case OpWhoAmI:
		r.Clients = decodeClients(d)
	case OpSASL:
		r.Token = d.Buffer()
	case OpError:
		d.Fail(fmt.Errorf("%w: error is no reply of its own", ErrBody))
	default:
		r.Result.Decode(d)
	}
}

// AppendTo appends the body that belongs to r.Code.
func (r *Response) AppendTo(dst []byte) []byte {
	switch r.Code {
	case OpMulti, OpMultiRead:
		for i := range r.Results {
			res := &r.Results[i]
			h := multiHeader{code: res.Code, err: ErrOK}
			if res.Code == OpError {
				h.err = res.Err
			}
			dst = res.AppendTo(h.appendTo(dst))
		}
		return multiEnd.appendTo(dst)
	case OpReconfig:
		return r.Stat.AppendTo(jute.AppendBuffer(dst, r.Data))
	case OpGetEphemerals:
		return jute.AppendStrings(dst, r.Children)
	case OpGetAllChildrenNumber:
		return jute.AppendInt32(dst, r.Count)
	case OpAddWatch:
		return jute.AppendInt32(dst, int32(r.Err))
	case OpWhoAmI:
		return appendClients(dst, r.Clients)
	case OpSASL:
		return jute.AppendBuffer(dst, r.Token)
	case OpListSessions:
		return appendSessions(dst, r.Sessions)
	case OpEndSession:
		return dst
	case OpError:
		return dst
	}
	return r.Result.AppendTo(dst)
}

// Decode reads the record that belongs to r.Code.
func (r *Result) Decode(d *jute.Decoder) {
	switch r.Code {
	case OpDelete, OpCheck:
	case OpCreate, OpSync:
		r.Path = d.String()
	case OpCreate2, OpCreateContainer, OpCreateTTL:
		r.Path = d.String()
		r.Stat.Decode(d)
	case OpExists, OpSetData, OpSetACL:
		r.Stat.Decode(d)
	case OpGetData:
		r.Data = d.Buffer()
		r.Stat.Decode(d)
	case OpGetChildren:
		r.Children = d.Strings(nil)
	case OpGetChildren2:
		r.Children = d.Strings(nil)
		r.Stat.Decode(d)
	case OpGetACL:
		r.ACL = DecodeACLs(d, nil)
		r.Stat.Decode(d)
	case OpError:
		r.Err = ErrorCode(d.Int32())
	default:
		d.Fail(fmt.Errorf("%w: no result of %v is known", ErrBody, r.Code))
	}
}

// AppendTo appends the record that belongs to r.Code.
func (r *Result) AppendTo(dst []byte) []byte {
	switch r.Code {
	case OpCreate, OpSync:
		return jute.AppendString(dst, r.Path)
	case OpCreate2, OpCreateContainer, OpCreateTTL:
		return r.Stat.AppendTo(jute.AppendString(dst, r.Path))
	case OpExists, OpSetData, OpSetACL:
		return r.Stat.AppendTo(dst)
	case OpGetData:
		return r.Stat.AppendTo(jute.AppendBuffer(dst, r.Data))
	case OpGetChildren:
		return jute.AppendStrings(dst, r.Children)
	case OpGetChildren2:
		return r.Stat.AppendTo(jute.AppendStrings(dst, r.Children))
	case OpGetACL:
		return r.Stat.AppendTo(AppendACLs(dst, r.ACL))
	case OpError:
		return jute.AppendInt32(dst, int32(r.Err))
	}
	return dst
}

func decodeResults(d *jute.Decoder) []Result {
	var list []Result
	for {
		var h multiHeader
		h.decode(d)
		if d.Err() != nil || h.done {
			return list
		}
		if list == nil {
			// A first guess that costs at most some ten times the bytes left.
			list = make([]Result, 0, min(8, 1+d.Remaining()/multiHeaderSize))
		}
		list = append(list, Result{Code: h.code, Err: h.err})
		list[len(list)-1].Decode(d)
	}
}

func decodeClients(d *jute.Decoder) []ClientInfo {
	n, null := d.Vector(8)
	if null || d.Err() != nil {
		return nil
	}
	list := make([]ClientInfo, n)
	for i := range list {
		list[i].Scheme = d.String()
		list[i].User = d.String()
	}
	return list
}

func appendClients(dst []byte, list []ClientInfo) []byte {
	if list == nil {
		return jute.AppendVectorLen(dst, -1)
	}
	dst = jute.AppendVectorLen(dst, len(list))
	for i := range list {
		dst = jute.AppendString(dst, list[i].Scheme)
		dst = jute.AppendString(dst, list[i].User)
	}
	return dst
}
