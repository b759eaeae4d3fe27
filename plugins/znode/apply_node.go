package znode

import (
	"bytes"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/wire"
)

// The functions here change the tree by the rules of spec peer-wire-and-disk, 7.3: what a transaction says is absolute, and what does not fit (a missing parent, a node that exists) is passed over, so
// that history can be applied over a state that holds parts of it already. The visibility lock is held.

// at is a node by its path, nil when there is none.
func (m *Machine) at(path string) *tree.Node {
	n := m.tree.Must(path)
	if m.hidden(n) {
		return nil
	}
	return n
}

// put stores a new version of a node; old is nil for a new one. Both hold their ACLs.
func (m *Machine) put(path string, old, n *tree.Node) {
	if old != nil {
		n.ID = old.ID
		m.counts.digest -= uint64(old.Hash)
		m.counts.state -= m.stateShare(path, old)
		m.counts.bytes += int64(len(n.Data)) - int64(len(old.Data))
	} else {
		m.counts.nodes++
		m.counts.bytes += int64(len(path) + len(n.Data))
	}
	state := m.stateShare(path, n)
	m.counts.digest += uint64(n.Hash)
	m.counts.state += state
	m.tree.Put(path, n)
	if n.Owner == 0 {
		return
	}
	if m.ephemeral(n) {
		s := share{n.Hash, uint32(len(path) + len(n.Data)), state}
		m.ephemerals.set(n.Owner, path, s)
		m.tree.SetSide(ephemeralKey(n.Owner, path), s.encode())
	} else {
		m.noteAged(path, n)
	}
}

// owned returns data that the tree may keep.
func (m *Machine) owned(data []byte) []byte {
	if m.applying.copied {
		return data
	}
	return bytes.Clone(data)
}

func (m *Machine) applyCreate(t *wire.Txn) wire.Stat {
	a := &m.applying
	if !treePath(t.Path) || t.Path == wire.RootPath {
		return wire.Stat{}
	}
	parentPath := parentOf(t.Path)
	parent := m.at(parentPath)
	if parent == nil {
		return wire.Stat{}
	}
	creates := t.ParentCVersion
	if creates == -1 { // not recorded by old servers
		creates = parent.Creates + 1
	}
	if !a.copied { // what was prepared here is known not to be there
		if n := m.at(t.Path); n != nil {
			return m.createdBefore(t, n, parentPath, parent, creates)
		}
	}
	m.giveWay(t.Path)
	n, after := a.node, a.parent
	if n == nil {
		n = newNode(t, a.zxid, a.time, a.session)
		n.Data = m.owned(n.Data)
		n.Hash = m.applyHash.share(t.Path, n)
		after = withChild(parent, creates, a.zxid)
		after.Hash = m.applyHash.restat(parentPath, parent, after)
	}
	n.ACL, after.ACL = m.acls.hold(t.ACL), parent.ACL // prepare does not know the numbers of lists that are on their way
	m.put(t.Path, nil, n)
	m.put(parentPath, parent, after)
	m.quotas.changed(a.zxid, t.Path, 1, int64(len(n.Data)))
	m.quotaNode(t.Path, n.Data, true)
	if m.watches.any() {
		m.watches.fire(m, a.zxid, t.Path, wire.EventNodeCreated, m.acls.get(n.ACL))
		m.watches.fire(m, a.zxid, parentPath, wire.EventNodeChildrenChanged, m.acls.get(parent.ACL))
	}
	return m.statOf(n)
}

// createdBefore is a create whose node is there already: only its ACL and the parent's counter are brought up.
func (m *Machine) createdBefore(t *wire.Txn, n *tree.Node, parentPath string, parent *tree.Node, creates int32) wire.Stat {
	m.replaceACL(t.Path, n, t.ACL, n.Aversion)
	if t.Type == wire.OpCreate && creates > parent.Creates {
		after := *parent
		after.Creates, after.Pzxid = creates, m.applying.zxid
		after.Hash = m.applyHash.restat(parentPath, parent, &after)
		m.put(parentPath, parent, &after)
	}
	return m.statOf(n)
}

func (m *Machine) applyDelete(path string) {
	a := &m.applying
	if !treePath(path) || path == wire.RootPath {
		return
	}
	parentPath := parentOf(path)
	parent := m.at(parentPath)
	if parent == nil {
		return
	}
	n := m.at(path)
	if n == nil {
		if a.zxid > parent.Pzxid {
			m.putWithout(parentPath, parent, 0)
		}
		return
	}
	if n.NumChildren > 0 {
		m.clearBelow(path, n)
		n = m.at(path)
	}
	m.removeNode(path, n)
	m.putWithout(parentPath, parent, 1)
	if m.watches.any() {
		m.watches.fire(m, a.zxid, path, wire.EventNodeDeleted, m.acls.get(n.ACL))
		m.watches.fire(m, a.zxid, parentPath, wire.EventNodeChildrenChanged, m.acls.get(parent.ACL))
	}
	m.acls.release(n.ACL)
}

// clearBelow removes what stands below a node that goes. It had no children when it was deleted, so these were made later: a snapshot was ahead of the log that is applied over it, which will make
// them again.
func (m *Machine) clearBelow(path string, n *tree.Node) {
	again := *n
	m.put(path, n, &again) // brings it into memory, where listings begin
	l := m.children(path)
	var names []string
	err := l.Each(func(name string) bool {
		names = append(names, name)
		return true
	})
	l.Close()
	if err != nil {
		panic(&kernel.CorruptError{File: kernel.InNodeStore, After: kernel.Zxid(m.tree.Position()), Err: fmt.Errorf("children of %s: %w", path, err)})
	}
	for _, name := range names {
		m.applyDelete(join(path, name))
	}
}

func (m *Machine) putWithout(path string, parent *tree.Node, gone int32) {
	after := withoutChildren(parent, gone, m.applying.zxid)
	after.Hash = m.applyHash.restat(path, parent, after)
	m.put(path, parent, after)
}

// removeNode takes a node out of the tree and of everything that is kept about it. Its hold on the ACL stays.
func (m *Machine) removeNode(path string, n *tree.Node) {
	m.counts.nodes--
	m.counts.bytes -= int64(len(path) + len(n.Data))
	m.counts.digest -= uint64(n.Hash)
	m.counts.state -= m.stateShare(path, n)
	m.tree.Delete(path)
	if m.ephemeral(n) {
		m.ephemerals.remove(n.Owner, path)
		m.tree.DeleteSide(ephemeralKey(n.Owner, path))
	} else if n.Owner < 0 {
		m.cleaner.forget(path)
		m.tree.DeleteSide(agedKey(path))
	}
	m.quotas.changed(m.applying.zxid, path, -1, -int64(len(n.Data)))
	m.quotaNodeDeleted(path)
}

func (m *Machine) applySetData(t *wire.Txn) wire.Stat {
	a := &m.applying
	if !treePath(t.Path) {
		return wire.Stat{}
	}
	old := m.at(t.Path)
	if old == nil {
		return wire.Stat{}
	}
	n := a.node
	if n == nil {
		n = withData(old, m.owned(t.Data), t.Version, a.zxid, a.time)
		n.Hash = m.applyHash.share(t.Path, n)
	}
	n.ACL = old.ACL
	m.put(t.Path, old, n)
	m.quotas.changed(a.zxid, t.Path, 0, int64(len(n.Data))-int64(len(old.Data)))
	m.quotaNode(t.Path, n.Data, false)
	if m.watches.any() {
		m.watches.fire(m, a.zxid, t.Path, wire.EventNodeDataChanged, m.acls.get(n.ACL))
	}
	return m.statOf(n)
}

func (m *Machine) applySetACL(t *wire.Txn) wire.Stat {
	if !treePath(t.Path) {
		return wire.Stat{}
	}
	old := m.at(t.Path)
	if old == nil {
		return wire.Stat{}
	}
	return m.statOf(m.replaceACL(t.Path, old, t.ACL, t.Version))
}

func (m *Machine) replaceACL(path string, old *tree.Node, list []wire.ACL, version int32) *tree.Node {
	n := *old
	n.ACL = m.acls.hold(list)
	n.Aversion = version
	n.Hash = m.applyHash.restat(path, old, &n)
	m.put(path, old, &n)
	m.acls.release(old.ACL)
	return &n
}
