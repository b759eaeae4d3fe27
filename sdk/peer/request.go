package peer

import (
	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
)

// Forwarded is the payload of REQUEST: what a client of a learner asks (spec peer-wire-and-disk, 3.3). The client's identities are the packet's.
//
//	i64 session | i32 cxid | i32 op | body, to the end
type Forwarded struct {
	Session kernel.SessionID
	Cxid    int32
	Op      int32
	Body    []byte // the request's record as the client sent it, without its header; never nil after decoding, aliases the payload
}

// AppendTo appends the encoding.
func (f *Forwarded) AppendTo(dst []byte) []byte {
	dst = jute.AppendInt64(dst, int64(f.Session))
	dst = jute.AppendInt32(dst, f.Cxid)
	dst = jute.AppendInt32(dst, f.Op)
	return append(dst, f.Body...)
}

// DecodeForwarded reads the payload of REQUEST. What the body holds is the state machine's to decode.
func DecodeForwarded(payload []byte) (Forwarded, error) {
	d := jute.NewDecoder(payload)
	f := Forwarded{Session: kernel.SessionID(d.Int64()), Cxid: d.Int32(), Op: d.Int32()}
	if d.Err() != nil {
		return Forwarded{}, malformed("REQUEST: %d bytes", len(payload))
	}
	f.Body = d.Rest()
	return f, nil
}
