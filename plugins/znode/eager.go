package znode

import (
	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/wire"
)

// eager says whether a request would be refused for its rights as the applied tree is now (enableEagerACLCheck; spec client-protocol, 4.0 step 8). What it reads has been resolved.
// Everything else that can be wrong with a request is left to prepare.
func (m *Machine) eager(req *kernel.Request, o *wire.Op) error {
	path, want := o.Path, wire.Perms(0)
	switch o.Code {
	case wire.OpCreate, wire.OpCreate2:
		path, want = parentOf(o.Path), wire.PermCreate
	case wire.OpDelete:
		path, want = parentOf(o.Path), wire.PermDelete
	case wire.OpSetData:
		want = wire.PermWrite
	case wire.OpSetACL:
		want = wire.PermAdmin
	}
	if want == 0 || !treePath(o.Path) || !treePath(path) {
		return nil
	}
	if o.Code != wire.OpDelete && o.Code != wire.OpSetData {
		if _, code := m.grantable(o.ACL, req.Identities); code != wire.ErrOK {
			return &kernel.Refusal{Code: int32(code)}
		}
	}
	m.tree.RLock()
	defer m.tree.RUnlock()
	n, state := m.look(path)
	if state == tree.Cold || n == nil || m.permits(m.acls.get(n.ACL), want, req.Identities) {
		return nil
	}
	return &kernel.Refusal{Code: int32(wire.ErrNoAuth)}
}
