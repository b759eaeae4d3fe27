package znode

import (
	"slices"
	"strings"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// What a learner gives its leader, which may be of another kind and version, is understood here as a whole first (spec peer-wire-and-disk, 3.3).

// Forwarded implements kernel.PeerSessions.
func (s *sessions) Forwarded(req *kernel.Request) *kernel.Request {
	w, _ := req.Decoded.(*wire.Request)
	if w == nil {
		w = new(wire.Request)
		op := wire.OpCode(req.Op)
		if !op.IsWrite() || op == wire.OpDeleteContainer || wire.DecodeRequest(op, req.Body, w) != nil {
			return instead(req, refused)
		}
	}
	if w.Code != wire.OpMulti {
		if !takable(&w.Op) {
			return instead(req, refused)
		}
		return req
	}
	var ops []wire.Op // written anew
	for i := range w.Ops {
		o := w.Ops[i]
		if !multiAllows(&o) {
			return instead(req, refused)
		}
		if as := plainCreate(&o); as != o.Code {
			if ops == nil {
				ops = append(ops, w.Ops...)
			}
			ops[i].Code = as
			o = ops[i]
		}
		if !takable(&o) {
			return instead(req, refused)
		}
	}
	if ops == nil {
		return req
	}
	return instead(req, wire.Request{Op: w.Op, Ops: ops})
}

// refused is a request that every leader answers with BADARGUMENTS.
var refused = wire.Request{Op: wire.Op{Code: wire.OpCreate, ACL: wire.OpenACL}}

// refusedHere tells whether a client of this server has asked for a multi of operations that no multi may hold: whatever the leader was given in its place, the answer is that of every server.
func refusedHere(req *kernel.Request) bool {
	w, _ := req.Decoded.(*wire.Request)
	return w != nil && w.Code == wire.OpMulti && slices.ContainsFunc(w.Ops, func(o wire.Op) bool { return !multiAllows(&o) })
}

// instead is another request in the place of req, for the leader only.
func instead(req *kernel.Request, w wire.Request) *kernel.Request {
	other := *req
	other.Op, other.Body = int32(w.Code), w.AppendTo(nil)
	return &other
}

// plainCreate is the kind of a create inside a multi: there is one for all nodes that have no kind of their own, and that is what goes to the leader and into the log. ZooKeeper's servers before
// 3.8.6 and 3.9.0 know no other (ZOOKEEPER-4026).
func plainCreate(o *wire.Op) wire.OpCode {
	if o.Code == wire.OpCreate2 || o.Code == wire.OpCreateTTL && !o.Mode.IsTTL() {
		return wire.OpCreate
	}
	return o.Code
}

// takable tells whether every server of an ensemble can take an operation, whatever becomes of it: its kind and mode fit, and it may write what it wants to.
func takable(o *wire.Op) bool {
	switch {
	case o.Code.IsCreate():
		return (o.Code != wire.OpCreateTTL || o.Mode.IsTTL()) && !o.NullPath && writable(o)
	case o.Code == wire.OpSetData:
		return writable(o)
	}
	return true
}

// writable tells whether a create or a set leaves quotas as servers expect them, which read them with every change below a quota's root: the root of the tree has none, and statistics can be read.
// A limit that cannot be read is none.
func writable(o *wire.Op) bool {
	if !strings.HasPrefix(o.Path, wire.QuotaPath) {
		return true
	}
	if o.Code.IsCreate() && (o.Path == quotaPath("", wire.QuotaLimitsNode) || o.Path == quotaPath("", wire.QuotaStatsNode)) {
		return false
	}
	if _, name := quotaRoot(o.Path); name != wire.QuotaStatsNode {
		return true
	}
	_, ok := wire.ParseQuota(o.Data)
	return ok && o.Data != nil
}
