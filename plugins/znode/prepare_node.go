package znode

import (
	"bytes"
	"strconv"

	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/wire"
)

// Every function here makes one kind of transaction. The order of the checks is that of spec client-protocol, 4.2: the first that fails is the answer.

// prepareCreate is a create outside a multi: flags and session first.
func (m *Machine) prepareCreate(p *preparing, o *wire.Op, t *wire.Txn) wire.ErrorCode {
	switch {
	case !o.Mode.Valid():
		return wire.ErrBadArguments
	case o.Mode.IsTTL() && !m.set.extended:
		return wire.ErrUnimplemented
	case o.Mode.IsTTL() != (o.Code == wire.OpCreateTTL):
		return wire.ErrBadArguments
	case o.Mode.IsTTL() && (o.TTL < 1 || o.TTL > wire.MaxTTL):
		return wire.ErrBadArguments
	}
	if code := m.sessions.mayWrite(p.req, o.Mode.IsEphemeral()); code != wire.ErrOK {
		return code
	}
	return m.prepareNode(p, o, o.Code, t)
}

// prepareNode is a create whose flags and session are fine. as is the kind of transaction.
func (m *Machine) prepareNode(p *preparing, o *wire.Op, as wire.OpCode, t *wire.Txn) wire.ErrorCode {
	if o.NullPath {
		return wire.ErrMarshallingError
	}
	if wire.CheckCreatePath(o.Path) != nil || !writable(o) {
		return wire.ErrBadArguments
	}
	acl, code := m.grantable(o.ACL, p.identities)
	if code != wire.ErrOK {
		return code
	}
	parentPath := parentOf(o.Path)
	if o.Path[0] != '/' {
		return wire.ErrNoNode // a parent without a leading slash is nowhere
	}
	parent, parentACL := m.expect(parentPath)
	if parent == nil {
		return wire.ErrNoNode
	}
	if !m.permits(parentACL, wire.PermCreate, p.identities) {
		return wire.ErrNoAuth
	}
	path := o.Path
	if o.Mode.IsSequential() {
		path = sequential(path, parent.Creates)
	}
	if wire.ValidatePath(path) != nil {
		return wire.ErrBadArguments
	}
	if m.expectTaken(path) {
		return wire.ErrNodeExists
	}
	if m.ephemeral(parent) {
		return wire.ErrNoChildrenForEphemerals
	}
	if m.set.enforceQuota && m.overQuota(path, 1, int64(len(o.Data))) {
		return wire.ErrQuotaExceeded
	}
	*t = wire.Txn{Type: as, Path: path, Data: bytes.Clone(o.Data), ACL: acl.entries, ParentCVersion: parent.Creates + 1}
	switch as {
	case wire.OpCreate, wire.OpCreate2:
		t.Ephemeral = o.Mode.IsEphemeral()
	case wire.OpCreateTTL:
		t.TTL = o.TTL
	}
	n := newNode(t, p.zxid, p.time, p.session)
	after := m.expectCreated(p.zxid, path, n, acl, parentPath, parent, parentACL, t.ParentCVersion)
	if p.note != nil {
		p.note.node, p.note.parent = n, after
	}
	return wire.ErrOK
}

// newNode is the node that a create makes.
func newNode(t *wire.Txn, zxid, time, session int64) *tree.Node {
	n := &tree.Node{Czxid: zxid, Mzxid: zxid, Pzxid: zxid, Ctime: time, Mtime: time, Data: t.Data}
	switch t.Type {
	case wire.OpCreateContainer:
		n.Owner = wire.ContainerOwner
	case wire.OpCreateTTL:
		if t.TTL >= 1 && t.TTL <= wire.MaxTTL { // anything else in a foreign log is a plain node
			n.Owner = wire.TTLOwner(t.TTL)
		}
	default:
		if t.Ephemeral {
			n.Owner = session
		}
	}
	return n
}

// sequential appends the parent's counter: ten places, the sign among them (spec client-protocol, 4.7).
func sequential(path string, n int32) string {
	buf := make([]byte, 0, len(path)+11)
	buf = append(buf, path...)
	width := 10
	u := uint64(n)
	if n < 0 {
		buf = append(buf, '-')
		width--
		u = uint64(-int64(n))
	}
	for limit, digits := uint64(10), 1; digits < width; limit, digits = limit*10, digits+1 {
		if u < limit {
			for range width - digits {
				buf = append(buf, '0')
			}
			break
		}
	}
	return string(strconv.AppendUint(buf, u, 10))
}

func (m *Machine) prepareDelete(p *preparing, o *wire.Op, t *wire.Txn) wire.ErrorCode {
	if wire.CheckDeletePath(o.Path) != nil {
		return wire.ErrBadArguments
	}
	if o.Path[0] != '/' {
		return wire.ErrNoNode
	}
	parentPath := parentOf(o.Path)
	parent, parentACL := m.expect(parentPath)
	if parent == nil {
		return wire.ErrNoNode
	}
	if !m.permits(parentACL, wire.PermDelete, p.identities) {
		return wire.ErrNoAuth
	}
	n, _ := m.expect(o.Path)
	if n == nil {
		return wire.ErrNoNode
	}
	if o.Version != -1 && o.Version != n.Version {
		return wire.ErrBadVersion
	}
	if n.NumChildren > 0 {
		return wire.ErrNotEmpty
	}
	*t = wire.Txn{Type: wire.OpDelete, Path: o.Path}
	m.expectDeleted(p.zxid, o.Path, n, parentPath, parent, parentACL)
	return wire.ErrOK
}

// prepareClean deletes a container or TTL node for the cleaner: no session, no ACL, but the node must still be what the cleaner saw (spec client-semantics, 5).
func (m *Machine) prepareClean(p *preparing, o *wire.Op, t *wire.Txn) wire.ErrorCode {
	if wire.CheckDeletePath(o.Path) != nil {
		return wire.ErrBadArguments
	}
	n, _ := m.expect(o.Path)
	if n == nil {
		return wire.ErrNoNode
	}
	if n.NumChildren > 0 {
		return wire.ErrNotEmpty
	}
	if !m.set.cleanable(n, p.time) {
		return wire.ErrBadVersion
	}
	parentPath := parentOf(o.Path)
	parent, parentACL := m.expect(parentPath)
	if parent == nil {
		return wire.ErrNoNode
	}
	*t = wire.Txn{Type: wire.OpDeleteContainer, Path: o.Path}
	m.expectDeleted(p.zxid, o.Path, n, parentPath, parent, parentACL)
	return wire.ErrOK
}

func (m *Machine) prepareSetData(p *preparing, o *wire.Op, t *wire.Txn) wire.ErrorCode {
	if wire.ValidatePath(o.Path) != nil || !writable(o) {
		return wire.ErrBadArguments
	}
	n, acl := m.expect(o.Path)
	if n == nil {
		return wire.ErrNoNode
	}
	if !m.permits(acl, wire.PermWrite, p.identities) {
		return wire.ErrNoAuth
	}
	if m.set.enforceQuota && m.overQuota(o.Path, 0, int64(len(o.Data))-int64(len(n.Data))) {
		return wire.ErrQuotaExceeded
	}
	if o.Version != -1 && o.Version != n.Version {
		return wire.ErrBadVersion
	}
	*t = wire.Txn{Type: wire.OpSetData, Path: o.Path, Data: bytes.Clone(o.Data), Version: nextVersion(n.Version)}
	after := withData(n, t.Data, t.Version, p.zxid, p.time)
	after.Hash = m.prepHash.share(o.Path, after)
	m.spec.digest += uint64(after.Hash) - uint64(n.Hash)
	m.spec.put(p.zxid, o.Path, after, acl)
	if p.note != nil {
		p.note.node = after
	}
	return wire.ErrOK
}

func withData(n *tree.Node, data []byte, version int32, zxid, time int64) *tree.Node {
	after := *n
	after.Data, after.Version, after.Mzxid, after.Mtime = data, version, zxid, time
	return &after
}

func (m *Machine) prepareSetACL(p *preparing, o *wire.Op, t *wire.Txn) wire.ErrorCode {
	if wire.ValidatePath(o.Path) != nil {
		return wire.ErrBadArguments
	}
	list, code := m.grantable(o.ACL, p.identities)
	if code != wire.ErrOK {
		return code
	}
	n, acl := m.expect(o.Path)
	if n == nil {
		return wire.ErrNoNode
	}
	if !m.permits(acl, wire.PermAdmin, p.identities) {
		return wire.ErrNoAuth
	}
	if o.Version != -1 && o.Version != n.Aversion {
		return wire.ErrBadVersion
	}
	*t = wire.Txn{Type: wire.OpSetACL, Path: o.Path, ACL: list.entries, Version: nextVersion(n.Aversion)}
	after := *n
	after.Aversion = t.Version
	after.Hash = m.prepHash.restat(o.Path, n, &after)
	m.spec.digest += uint64(after.Hash) - uint64(n.Hash)
	m.spec.put(p.zxid, o.Path, &after, list)
	return wire.ErrOK
}

func (m *Machine) prepareCheck(p *preparing, o *wire.Op, t *wire.Txn) wire.ErrorCode {
	if wire.ValidatePath(o.Path) != nil {
		return wire.ErrBadArguments
	}
	n, acl := m.expect(o.Path)
	if n == nil {
		return wire.ErrNoNode
	}
	if !m.permits(acl, wire.PermRead, p.identities) {
		return wire.ErrNoAuth
	}
	if o.Version != -1 && o.Version != n.Version {
		return wire.ErrBadVersion
	}
	*t = wire.Txn{Type: wire.OpCheck, Path: o.Path, Version: o.Version}
	return wire.ErrOK
}
