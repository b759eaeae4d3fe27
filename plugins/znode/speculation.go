package znode

import (
	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/wire"
)

// speculation is the layer of outstanding changes over the applied tree: for each path that a prepared and not yet applied transaction touches, the node as it will be. The loop alone uses it.
type speculation struct {
	changes    map[string]change
	queue      []touch // in zxid order, from head on: which entries of changes go when their transaction is applied
	head       int
	ephemerals map[int64]map[string]struct{} // by session: its nodes with an outstanding change
	departed   []departing                   // sessions that have no nodes any more
	changing   int64                         // zxid of a change of the configuration in the batch; 0: none. The broadcast knows of those that were proposed
	digest     uint64                        // of the tree after everything prepared
	multi      bool                          // one is under way: what it changes can be taken back
	undo       []undone
	undoOwned  []undoneOwned
}

// change is a node after the last prepared transaction that touched it; node nil: deleted. The node's index into the ACL table does not count, acl does.
type change struct {
	zxid int64
	node *tree.Node
	acl  *aclList
}

type touch struct {
	zxid int64
	path string
}

// undone is what a failed multi puts back.
type undone struct {
	path   string
	before change
	had    bool
	queued bool // a touch was appended
}

type undoneOwned struct {
	session int64
	path    string
	had     bool
}

func (s *speculation) reset() {
	*s = speculation{changes: map[string]change{}, ephemerals: map[int64]map[string]struct{}{}}
}

// begin drops what has been applied up to position. The visibility lock is held, so the tree shows exactly that.
func (s *speculation) begin(position int64, digest uint64) {
	for s.head < len(s.queue) && s.queue[s.head].zxid <= position {
		t := s.queue[s.head]
		s.queue[s.head] = touch{}
		s.head++
		if c, ok := s.changes[t.path]; ok && c.zxid <= position {
			delete(s.changes, t.path)
			if c.node != nil && c.node.Owner != 0 {
				s.owns(c.node.Owner, t.path, false)
			}
		}
	}
	for len(s.departed) > 0 && s.departed[0].zxid <= position {
		s.departed = s.departed[1:]
	}
	switch {
	case s.head == len(s.queue):
		s.queue, s.head = s.queue[:0], 0
		s.digest = digest
		clear(s.ephemerals)
	case s.head > 1024 && s.head > len(s.queue)/2:
		s.queue = s.queue[:copy(s.queue, s.queue[s.head:])]
		s.head = 0
	}
}

// expect is the node at path after everything prepared so far, nil when there is none.
func (m *Machine) expect(path string) (*tree.Node, *aclList) {
	c, ok := m.spec.changes[path]
	if !ok {
		if !treePath(path) {
			return nil, nil
		}
		if c.node = m.at(path); c.node != nil {
			c.acl = m.acls.get(c.node.ACL)
		}
	}
	if len(m.spec.departed) > 0 && c.node != nil && c.node.Owner != 0 && m.spec.leaves(c.node.Owner) {
		return nil, nil
	}
	return c.node, c.acl
}

// expectTaken says whether there is a node at path after everything prepared so far, for a path where most likely there is none.
func (m *Machine) expectTaken(path string) bool {
	if _, changed := m.spec.changes[path]; !changed {
		if _, s := m.tree.GetNew(path); s == tree.Absent {
			return false
		}
	}
	n, _ := m.expect(path)
	return n != nil
}

func (s *speculation) put(zxid int64, path string, n *tree.Node, acl *aclList) {
	before, had := s.changes[path]
	queued := !had || before.zxid != zxid
	if s.multi {
		s.undo = append(s.undo, undone{path, before, had, queued})
	}
	s.changes[path] = change{zxid, n, acl}
	if queued {
		s.queue = append(s.queue, touch{zxid, path})
	}
}

// owns notes whether an outstanding change leaves a session with a node.
func (s *speculation) owns(session int64, path string, yes bool) {
	set := s.ephemerals[session]
	_, had := set[path]
	if had == yes {
		return
	}
	if s.multi {
		s.undoOwned = append(s.undoOwned, undoneOwned{session, path, had})
	}
	if !yes {
		if delete(set, path); len(set) == 0 {
			delete(s.ephemerals, session)
		}
		return
	}
	if set == nil {
		set = map[string]struct{}{}
		s.ephemerals[session] = set
	}
	set[path] = struct{}{}
}

// attempt begins a multi: until commit or rollback, changes can be taken back. It returns what rollback needs.
func (s *speculation) attempt() (digest uint64) {
	s.multi = true
	return s.digest
}

func (s *speculation) commit() {
	s.multi = false
	clear(s.undo)
	clear(s.undoOwned)
	s.undo, s.undoOwned = s.undo[:0], s.undoOwned[:0]
}

func (s *speculation) rollback(digest uint64) {
	s.digest = digest
	for i := len(s.undo) - 1; i >= 0; i-- {
		u := &s.undo[i]
		if u.had {
			s.changes[u.path] = u.before
		} else {
			delete(s.changes, u.path)
		}
		if u.queued {
			s.queue[len(s.queue)-1] = touch{}
			s.queue = s.queue[:len(s.queue)-1]
		}
	}
	s.multi = false
	for i := len(s.undoOwned) - 1; i >= 0; i-- {
		u := s.undoOwned[i]
		s.owns(u.session, u.path, u.had)
	}
	s.commit()
}

// expectCreated notes a new node and its parent's new version, which it returns.
func (m *Machine) expectCreated(z int64, path string, n *tree.Node, acl *aclList, parentPath string, parent *tree.Node, parentACL *aclList, parentCreates int32) *tree.Node {
	s := &m.spec
	n.Hash = m.prepHash.share(path, n)
	after := withChild(parent, parentCreates, z)
	after.Hash = m.prepHash.restat(parentPath, parent, after)
	s.digest += uint64(n.Hash) + uint64(after.Hash) - uint64(parent.Hash)
	s.put(z, parentPath, after, parentACL)
	s.put(z, path, n, acl)
	if m.ephemeral(n) {
		s.owns(n.Owner, path, true)
	}
	return after
}

// expectDeleted notes that a node goes, and its parent's new version.
func (m *Machine) expectDeleted(z int64, path string, n *tree.Node, parentPath string, parent *tree.Node, parentACL *aclList) {
	m.expectGone(z, path, n)
	m.expectFewer(z, parentPath, parent, parentACL, 1)
}

func (m *Machine) expectGone(z int64, path string, n *tree.Node) {
	s := &m.spec
	s.digest -= uint64(n.Hash)
	s.put(z, path, nil, nil)
	if m.ephemeral(n) {
		s.owns(n.Owner, path, false)
	}
}

func (m *Machine) expectFewer(z int64, path string, parent *tree.Node, acl *aclList, gone int32) {
	after := withoutChildren(parent, gone, z)
	after.Hash = m.prepHash.restat(path, parent, after)
	m.spec.digest += uint64(after.Hash) - uint64(parent.Hash)
	m.spec.put(z, path, after, acl)
}

func (m *Machine) ephemeral(n *tree.Node) bool {
	if n.Owner == 0 {
		return false
	}
	kind, _ := wire.KindOfOwner(n.Owner, m.set.extended)
	return kind == wire.OwnerEphemeral
}

// withChild is a parent after a create. The counter and pzxid move together or not at all (spec peer-wire-and-disk, 7.3), so that a counter at its end stays there.
func withChild(parent *tree.Node, creates int32, z int64) *tree.Node {
	n := *parent
	if creates > n.Creates {
		n.Creates, n.Pzxid = creates, z
	}
	n.NumChildren++
	return &n
}

// withoutChildren is a parent after gone of its children were deleted.
func withoutChildren(parent *tree.Node, gone int32, z int64) *tree.Node {
	n := *parent
	n.Pzxid = max(n.Pzxid, z)
	n.NumChildren -= gone
	return &n
}
