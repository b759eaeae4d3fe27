package znode

import (
	"errors"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/sdk/wire"
)

// The configuration of the ensemble stands in a node, where clients read and watch it (spec client-semantics, 6). A change is a transaction that writes the node and, in the broadcast, puts the
// configuration in force. What is in force without a transaction every server writes into its own tree: the node counts in no digest.

// Configure implements kernel.StateMachine.
func (m *Machine) Configure(e kernel.Ensemble) {
	m.ensemble = e
	m.tree.Lock()
	defer m.tree.Unlock()
	m.writeConfig(e)
	m.settle()
}

// writeConfig brings the node up to a configuration, unless it is there already or a transaction brings it. The visibility lock is held.
func (m *Machine) writeConfig(e kernel.Ensemble) {
	old := m.at(wire.ConfigPath)
	if old == nil || string(old.Data) == e.Text {
		return
	}
	if e.Version.Counter() != 0 && int64(e.Version) > m.tree.Position() {
		return // the version is its transaction's zxid, which will be applied
	}
	n := withData(old, []byte(e.Text), -1, int64(e.Version), old.Mtime) // ZooKeeper's servers note the time, each its own
	n.Hash = m.applyHash.share(wire.ConfigPath, n)
	m.put(wire.ConfigPath, old, n)
	if m.watches.any() {
		m.watches.fire(m, int64(e.Version), wire.ConfigPath, wire.EventNodeDataChanged, m.acls.get(n.ACL))
	}
}

// prepareReconfig makes a transaction of a change of the configuration. The order of the checks is that of spec client-protocol, 4.2.
func (m *Machine) prepareReconfig(p *preparing, w *wire.Request, t *wire.Txn) wire.ErrorCode {
	if !m.set.reconfig {
		return wire.ErrReconfigDisabled
	}
	if code := m.sessions.mayWrite(p.req, false); code != wire.ErrOK {
		return code
	}
	if p.mayChange == nil {
		return wire.ErrUnimplemented
	}
	if m.spec.changing != 0 {
		return wire.ErrReconfigInProgress
	}
	next, invalid := config.Reconfigure(m.ensemble, w.Joining, w.Leaving, w.NewMembers, kernel.Zxid(p.zxid))
	var verdict error
	if invalid == nil {
		verdict = p.mayChange(next)
	}
	switch {
	case errors.Is(verdict, kernel.ErrChanging):
		return wire.ErrReconfigInProgress
	case w.ConfigID != -1 && w.ConfigID != int64(m.ensemble.Version):
		return wire.ErrBadVersion
	case invalid != nil:
		m.env.Logger.Warn("refused a change of the configuration", "session", p.req.Session.String(), "err", invalid)
		return wire.ErrBadArguments
	case len(next.Voters) < m.set.fewestVoters:
		return wire.ErrBadArguments
	case verdict != nil:
		return wire.ErrNewConfigNoQuorum
	}
	n, acl := m.expect(wire.ConfigPath)
	if n == nil {
		return wire.ErrNoNode
	}
	if !m.permits(acl, wire.PermWrite, p.identities) {
		return wire.ErrNoAuth
	}
	*t = wire.Txn{Type: wire.OpReconfig, Path: wire.ConfigPath, Data: []byte(next.Text), Version: -1}
	after := withData(n, t.Data, t.Version, p.zxid, p.time)
	after.Hash = m.prepHash.share(wire.ConfigPath, after)
	m.spec.put(p.zxid, wire.ConfigPath, after, acl)
	m.spec.changing = p.zxid
	return wire.ErrOK
}
