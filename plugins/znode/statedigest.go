package znode

import (
	"cmp"
	"context"
	"hash/fnv"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// The state digest is what servers of Zooid compare: beside what ZooKeeper's digest of the tree covers it covers ACLs, and sessions with their time-outs. It is a sum of shares modulo 2^64, so that a change
// costs what it changes; each share is mixed, so that two faults do not cancel each other out. A node's share follows from what stands with the node, its hash, and from the list that the number of its ACL
// stands for: no data is read again. What lies below /zookeeper has none, as in ZooKeeper's digest: usage of quotas and the configuration are written by each server for itself.
//
// While ZooKeeper's digest is off there is none.

// stateShare is a node's share.
func (m *Machine) stateShare(path string, n *tree.Node) uint64 {
	return shareOf(path, n, m.acls.get(n.ACL).hash)
}

func shareOf(path string, n *tree.Node, acl uint64) uint64 {
	if !countsInDigest(path) {
		return 0
	}
	what := uint64(n.Hash)<<32 | uint64(uint32(len(path)))<<1 // the hash does not know where the path ends
	if n.Data != nil {
		what |= 1
	}
	return mixed(what, acl)
}

// sessionShare is that of a session that every server knows.
func sessionShare(id int64, timeoutMs int32) uint64 {
	return mixed(^uint64(id), uint64(uint32(timeoutMs)))
}

// mixed spreads two words over one, so that each bit of the result depends on all of them.
func mixed(a, b uint64) uint64 { return stirred(a*0x9e3779b97f4a7c15 + b) }

// stirred is a number that belongs to x alone, each bit of which depends on all of x.
func stirred(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hashOfACL is the part of a list in the shares of its nodes.
func hashOfACL(entries []wire.ACL) uint64 {
	h := fnv.New64a()
	var b []byte
	for i := range entries {
		b = entries[i].AppendTo(b[:0])
		_, _ = h.Write(b) // it reports no error
	}
	return h.Sum64()
}

// statesKept is how many positions back the state digest is known: what others say of this state is about a moment ago.
const statesKept = 8192

var _ kernel.Digester = (*Machine)(nil)

// StateDigest implements kernel.Digester.
func (m *Machine) StateDigest() (at kernel.Zxid, digest uint64, ok bool) {
	m.tree.RLock()
	defer m.tree.RUnlock()
	return kernel.Zxid(m.tree.Position()), m.counts.state, m.stateKnown()
}

// StateDigestAt implements kernel.Digester.
func (m *Machine) StateDigestAt(z kernel.Zxid) (digest uint64, ok bool) {
	m.tree.RLock()
	defer m.tree.RUnlock()
	if digest, ok = m.states.at(int64(z)); int64(z) == m.tree.Position() {
		digest, ok = m.counts.state, true
	}
	return digest, ok && m.stateKnown()
}

// stateKnown: not while the state may hold parts of what is applied next, and not before what an older version has left was counted. Either side of the visibility lock is held.
func (m *Machine) stateKnown() bool { return m.counts.stateKnown && m.set.digest && !m.fuzzy.Load() }

// recordState notes the digest at the present position. The visibility lock is held.
func (m *Machine) recordState() {
	if m.counts.stateKnown {
		m.states.add(m.tree.Position(), m.counts.state, statesKept)
	}
}

// fillSlice is how many ephemeral nodes get their shares under one hold of the visibility lock.
const fillSlice = 100

// learnState finds out the digest of a state that an older version has left. What apply adds and takes off meanwhile is right all the time, only where it began is not known: so a picture of the store is
// counted beside apply, and what it gives more than what was noted with it is added.
func (m *Machine) learnState() {
	if m.counts.stateKnown || !m.set.digest {
		return
	}
	m.beside(func() {
		if err := m.countState(m.tree.View); err != nil && m.background.Err() == nil {
			m.env.Logger.Error("the digest of the state could not be computed; it is tried again at the next start", "err", err)
		}
	})
}

// countState adds the digest of a picture of the store less what was noted with that. Ephemeral nodes get their shares on the way.
func (m *Machine) countState(take func(context.Context) (*tree.View, error)) error {
	view, err := take(m.background)
	if err != nil {
		return err
	}
	defer view.Close()
	missing := uint64(0)
	if err := scanRecords(view.ScanSide, sideCounts, 1, func(_ string, d *jute.Decoder) {
		noted, _ := decodeCounts(d)
		missing -= noted.state
	}); err != nil {
		return err
	}
	gone, err := departedIn(view)
	if err != nil {
		return err
	}
	lists := map[uint32]uint64{openIndex: openACL.hash}
	if err := scanRecords(view.ScanSide, sideACL, 5, func(key string, d *jute.Decoder) {
		d.Int64()
		lists[aclIndex(key)] = hashOfACL(wire.DecodeACLs(d, nil))
	}); err != nil {
		return err
	}
	if err := scanRecords(view.ScanSide, sideSession, 9, func(key string, d *jute.Decoder) { missing += sessionShare(sessionOf(key), d.Int32()) }); err != nil {
		return err
	}
	var found []owning
	err = view.Walk(wire.RootPath, func(path string, n *tree.Node) bool {
		if gone[n.Owner] {
			return m.background.Err() == nil
		}
		share := shareOf(path, n, lists[n.ACL])
		missing += share
		if m.ephemeral(n) {
			found = append(found, owning{n.Owner, path, share})
		}
		if len(found) == fillSlice {
			m.fill(found)
			found = found[:0]
		}
		return m.background.Err() == nil
	})
	if err = cmp.Or(err, m.background.Err()); err != nil {
		return err
	}
	m.fill(found)
	m.tree.Lock()
	defer m.tree.Unlock()
	if m.counts.stateKnown { // restored meanwhile
		return nil
	}
	m.counts.state += missing
	m.counts.stateKnown = true
	m.recordState()
	m.settle()
	return nil
}

// owning is an ephemeral node and its share.
type owning struct {
	session int64
	path    string
	state   uint64
}

// fill notes the shares of ephemeral nodes that have not changed since this process began: who changes one notes it himself.
func (m *Machine) fill(found []owning) {
	m.tree.Lock()
	defer m.tree.Unlock()
	for _, f := range found {
		if s, ok := m.ephemerals.share(f.session, f.path); ok && s.state == 0 {
			s.state = f.state
			m.ephemerals.set(f.session, f.path, s)
			m.tree.SetSide(ephemeralKey(f.session, f.path), s.encode())
		}
	}
}
