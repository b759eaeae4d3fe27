package znode

import "github.com/zooid-project/zooid/sdk/wire"

// prepareMulti makes one transaction of several operations, or of their failure (spec client-protocol, 8). An error is returned only when the request is refused as a whole.
func (m *Machine) prepareMulti(p *preparing, ops []wire.Op, t *wire.Txn) wire.ErrorCode {
	p.note = nil // its parts make more than one node
	for i := range ops {
		if !multiAllows(&ops[i]) {
			return wire.ErrMarshallingError
		}
	}
	if code := m.sessions.mayWrite(p.req, false); code != wire.ErrOK {
		return code
	}
	*t = wire.Txn{Type: wire.OpMulti, Ops: make([]wire.Txn, len(ops))}
	digest := m.spec.attempt()
	for i := range ops {
		code := m.prepareSub(p, &ops[i], &t.Ops[i])
		if code == wire.ErrOK {
			continue
		}
		m.spec.rollback(digest)
		t.Ops[i] = wire.Txn{Type: wire.OpError, Err: code}
		for j := i + 1; j < len(ops); j++ {
			t.Ops[j] = wire.Txn{Type: wire.OpError, Err: wire.ErrRuntimeInconsistency}
		}
		return wire.ErrOK
	}
	m.spec.commit()
	return wire.ErrOK
}

// multiAllows says whether an operation may stand in a multi at all: the kinds are checked on decoding, flags and lists here.
func multiAllows(o *wire.Op) bool {
	switch o.Code {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer:
		return o.Mode.Valid() && !o.Mode.IsTTL() && o.ACL != nil
	case wire.OpCreateTTL:
		return o.Mode.Valid() && o.ACL != nil
	case wire.OpDelete, wire.OpSetData, wire.OpCheck:
		return true
	}
	return false
}

func (m *Machine) prepareSub(p *preparing, o *wire.Op, t *wire.Txn) wire.ErrorCode {
	if !o.Code.IsCreate() {
		return m.prepareOp(p, o, t)
	}
	as := plainCreate(o)
	switch {
	case as != o.Code:
	case o.Code == wire.OpCreateTTL && !m.set.extended:
		return wire.ErrUnimplemented
	case o.Code == wire.OpCreateTTL && (o.TTL < 1 || o.TTL > wire.MaxTTL):
		return wire.ErrBadArguments
	case o.Code == wire.OpCreate && o.Mode == wire.Container:
		as = wire.OpCreateContainer
	}
	if o.Mode.IsEphemeral() {
		if code := m.sessions.mayWrite(p.req, true); code != wire.ErrOK {
			return code
		}
	}
	return m.prepareNode(p, o, as, t)
}
