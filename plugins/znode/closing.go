package znode

import (
	"runtime"
	"slices"
	"sync"

	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/wire"
)

// A session with very many ephemeral nodes ends in two steps. In its transaction the nodes become invisible all at once: their owner is put on the list of the departed, their parents and the tree's figures
// get their final values, watches fire. Then a goroutine takes the nodes out of the tree, some at a time, while everything else goes on. Until it is done a look-up treats a node of a departed
// owner as absent, and a listing leaves its name out. The list is kept beside the nodes, so that a restart goes on with it.

// departure is a session that has ended and whose nodes still stand in the tree. paths and place are never changed again: listings use them without a lock.
type departure struct {
	session int64
	*owned
	next int // of the paths to take out

	mu     sync.Mutex
	reborn map[string]int64 // paths that have a new node since, with its czxid
}

// hides says whether a name that the tree has at zxid is that of a departed node.
func (d *departure) hides(path string, zxid int64) bool {
	if d.find(path) < 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	since, again := d.reborn[path]
	return !again || since > zxid
}

// giveWay makes room for a new node at path. The visibility lock is held.
func (m *Machine) giveWay(path string) {
	for _, d := range m.departed {
		if d.find(path) < 0 {
			continue
		}
		m.takeOut(d.session, path)
		d.mu.Lock()
		if d.reborn == nil {
			d.reborn = map[string]int64{}
		}
		if _, again := d.reborn[path]; !again {
			d.reborn[path] = m.applying.zxid
		}
		d.mu.Unlock()
	}
}

// departMin is the number of nodes from which on a session ends in two steps.
const departMin = 1000

// reapSlice is how many nodes are taken out under one hold of the visibility lock.
const reapSlice = 100

// hidden says whether a node belongs to a session that has ended.
func (m *Machine) hidden(n *tree.Node) bool {
	if len(m.departed) == 0 || n == nil || n.Owner == 0 {
		return false
	}
	for _, d := range m.departed {
		if d.session == n.Owner {
			return true
		}
	}
	return false
}

// depart makes all nodes of the session under way invisible. The visibility lock is held.
func (m *Machine) depart(session int64) {
	o := m.ephemerals.take(session)
	m.counts.state -= o.state
	if o.bare > 0 {
		m.departBare(o)
	}
	for i := range o.sums {
		u := &o.sums[i]
		m.counts.nodes -= int64(u.nodes)
		m.counts.bytes -= u.bytes
		m.counts.digest -= u.hash
	}
	m.departFromQuotas(o)
	m.tellOfDeparture(o)
	for i, path := range o.parents.paths {
		if parent := m.at(path); parent != nil {
			m.putWithout(path, parent, o.sums[i].nodes)
		}
	}
	m.departed = append(m.departed[:len(m.departed):len(m.departed)], &departure{session: session, owned: o})
	m.tree.SetSide(departedKey(session), nil)
	m.reap()
}

// departBare takes the shares of those nodes off the state digest that nobody has noted yet.
func (m *Machine) departBare(o *owned) {
	for i, path := range o.paths {
		if o.shares[i].state != 0 {
			continue
		}
		if n := m.at(path); n != nil {
			m.counts.state -= m.stateShare(path, n)
		}
	}
}

// departFromQuotas takes the nodes off the usage of the quota roots. Nodes with the same parent have the same root, unless one of them is a root itself.
func (m *Machine) departFromQuotas(o *owned) {
	zxid := m.applying.zxid
	for root := range m.quotas.byRoot {
		if o.find(root) < 0 {
			continue
		}
		for i, path := range o.paths {
			m.quotas.changed(zxid, path, -1, int64(len(path))-int64(o.shares[i].size))
		}
		return
	}
	for i, path := range o.parents.paths {
		m.quotas.changed(zxid, path, -int64(o.sums[i].nodes), -o.sums[i].data)
	}
}

// tellOfDeparture fires the watches of nodes that go, and of their parents, in the order of the nodes. Parents that nobody watches any more are not looked at again.
func (m *Machine) tellOfDeparture(o *owned) {
	if !m.watches.any() {
		return
	}
	zxid := m.applying.zxid
	loud := map[string]bool{} // parents with watches
	for _, parent := range o.parents.paths {
		if m.watches.at(parent) {
			loud[parent] = true
		}
	}
	watched := m.watches.among(o.paths, o.find)
	for i := 0; i < len(o.paths); i++ {
		if len(loud) == 0 { // straight to the next that is watched itself
			if len(watched) == 0 {
				return
			}
			i = watched[0]
		}
		path := o.paths[i]
		if len(watched) > 0 && watched[0] == i {
			watched = watched[1:]
			if n := m.at(path); n != nil {
				m.watches.fire(m, zxid, path, wire.EventNodeDeleted, m.acls.get(n.ACL))
			}
		}
		parent := parentOf(path)
		if !loud[parent] {
			continue
		}
		if n := m.at(parent); n != nil {
			m.watches.fire(m, zxid, parent, wire.EventNodeChildrenChanged, m.acls.get(n.ACL))
		}
		if !m.watches.at(parent) {
			delete(loud, parent)
		}
	}
}

// reap starts the goroutine that takes the nodes of the departed out, unless it runs. The visibility lock is held.
func (m *Machine) reap() {
	if m.reaping || len(m.departed) == 0 {
		return
	}
	m.reaping = true
	m.beside(func() {
		for m.background.Err() == nil && m.reapSome() {
			runtime.Gosched()
		}
	})
}

func (m *Machine) reapSome() bool {
	m.tree.Lock()
	defer m.tree.Unlock()
	if len(m.departed) == 0 {
		m.reaping = false
		return false
	}
	d := m.departed[0]
	for end := min(d.next+reapSlice, len(d.paths)); d.next < end; d.next++ {
		m.takeOut(d.session, d.paths[d.next])
	}
	if d.next == len(d.paths) {
		m.departed = append([]*departure(nil), m.departed[1:]...)
		m.tree.DeleteSide(departedKey(d.session))
	}
	m.settle()
	return true
}

// takeOut removes one node of a departed session, unless another has taken its place. Everything but the tree itself knows already.
func (m *Machine) takeOut(session int64, path string) {
	m.tree.DeleteSide(ephemeralKey(session, path))
	n := m.tree.Must(path)
	if n == nil || n.Owner != session {
		return
	}
	m.tree.Delete(path)
	m.acls.release(n.ACL)
}

// children is a stable picture of a node's children as of now. Either side of the visibility lock is held. Nil when the node is not in memory.
func (m *Machine) children(path string) *listing {
	l := m.tree.Children(path)
	if l == nil {
		return nil
	}
	return &listing{Listing: l, path: path, zxid: m.tree.Position(), without: m.departed}
}

// listing is a tree's listing without the nodes of the departed.
type listing struct {
	*tree.Listing
	path    string
	zxid    int64
	without []*departure
}

// Each yields the names in order until yield says false.
func (l *listing) Each(yield func(name string) bool) error {
	if len(l.without) == 0 {
		return l.Listing.Each(yield)
	}
	return l.Listing.Each(func(name string) bool {
		path := join(l.path, name)
		for _, d := range l.without {
			if d.hides(path, l.zxid) {
				return true
			}
		}
		return yield(name)
	})
}

// departedIn lists the sessions that had departed in a picture of the store.
func departedIn(view *tree.View) (map[int64]bool, error) {
	gone := map[int64]bool{}
	err := view.ScanSide(sideDeparted, func(key string, _ []byte) bool {
		gone[sessionOf(key)] = true
		return true
	})
	return gone, err
}

// expectClosed is the speculative form of depart: the session's nodes in the tree are gone as soon as its owner is on the list.
func (m *Machine) expectClosed(z, session int64) (paths []string) {
	s := &m.spec
	if s.leaves(session) { // it ends twice: by its time-out and by its client
		return nil
	}
	var parents []string
	var fewer []int32
	if o := m.ephemerals.bySession[session]; o != nil {
		parents = o.parents.paths
		fewer = make([]int32, len(parents))
		for i := range o.sums {
			fewer[i] = o.sums[i].nodes
			s.digest -= o.sums[i].hash
		}
		paths = make([]string, 0, len(o.paths))
		from := 0
		for _, i := range s.among(o) {
			path := o.paths[i]
			s.digest += uint64(o.shares[i].hash)
			if n := s.changes[path].node; n != nil && n.Owner == session {
				s.digest -= uint64(n.Hash)
				continue
			}
			fewer[o.parents.find(parentOf(path))]--
			paths = append(paths, o.paths[from:i]...)
			from = i + 1
		}
		paths = append(paths, o.paths[from:]...)
	}
	created := pathSet{}
	var more []int32
	for _, path := range m.createdBy(session) {
		n, _ := m.expect(path)
		if n == nil || n.Owner != session {
			continue
		}
		s.digest -= uint64(n.Hash)
		paths = append(paths, path)
		i := created.find(parentOf(path))
		if i < 0 {
			i = created.add(parentOf(path))
			more = append(more, 0)
		}
		more[i]++
	}
	s.departed = append(s.departed, departing{session, z})
	take := func(parents []string, fewer []int32) {
		for i, path := range parents {
			if parent, acl := m.expect(path); parent != nil && fewer[i] > 0 {
				m.expectFewer(z, path, parent, acl, fewer[i])
			}
		}
	}
	take(parents, fewer)
	take(created.paths, more)
	return paths
}

// among lists the places of those nodes of o that have an outstanding change, in order.
func (s *speculation) among(o *owned) (places []int) {
	if len(o.paths) < len(s.changes) {
		for i, path := range o.paths {
			if _, ok := s.changes[path]; ok {
				places = append(places, i)
			}
		}
		return places
	}
	for path := range s.changes {
		if i := o.find(path); i >= 0 {
			places = append(places, i)
		}
	}
	slices.Sort(places)
	return places
}

// departing is a session whose closeSession is prepared.
type departing struct{ session, zxid int64 }

// leaves says whether a session's closeSession is prepared and not applied.
func (s *speculation) leaves(session int64) bool {
	for i := range s.departed {
		if s.departed[i].session == session {
			return true
		}
	}
	return false
}
