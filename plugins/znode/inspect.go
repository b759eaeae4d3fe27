package znode

import (
	"errors"
	"fmt"
	"sort"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/inspect"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

var _ inspect.Machine = (*Machine)(nil)

// Inspect implements kernel.StateMachine. Of nearly all transactions it reads the header alone; what is wrong with their bodies apply finds out.
func (m *Machine) Inspect(data []byte) (kernel.TxnInfo, error) {
	d := jute.NewDecoder(data)
	var h wire.TxnHeader
	h.Decode(&d)
	if err := d.Err(); err != nil {
		return kernel.TxnInfo{}, fmt.Errorf("a transaction's header: %w", err)
	}
	info := kernel.TxnInfo{Session: kernel.SessionID(h.ClientID), Cxid: h.Cxid}
	if h.Type != wire.OpReconfig {
		return info, nil
	}
	var e wire.Entry
	if err := wire.DecodeEntry(data, &e); err != nil {
		return kernel.TxnInfo{}, err
	}
	if e.Txn.Path != wire.ConfigPath || len(e.Txn.Data) == 0 {
		return kernel.TxnInfo{}, errNoConfig
	}
	info.Config = e.Txn.Data
	return info, nil
}

var errNoConfig = errors.New("a change of the configuration that holds none")

// digests are the last recorded ones of some kind, by rising zxid.
type digests struct {
	list []recordedDigest
	n    int // the oldest, once there are as many as are kept
}

type recordedDigest struct {
	zxid   int64
	digest uint64
}

const (
	digestEvery = 128
	digestsKept = 1000
)

// add records one, and forgets the oldest of those that are more than keep.
func (d *digests) add(zxid int64, digest uint64, keep int) {
	if len(d.list) < keep {
		d.list = append(d.list, recordedDigest{zxid, digest})
		return
	}
	d.list[d.n] = recordedDigest{zxid, digest}
	if d.n++; d.n == keep {
		d.n = 0
	}
}

// at finds the one of a position, the last if there are several.
func (d *digests) at(zxid int64) (digest uint64, ok bool) {
	if len(d.list) == 0 {
		return 0, false
	}
	place := func(i int) *recordedDigest { return &d.list[(d.n+i)%len(d.list)] }
	i := sort.Search(len(d.list), func(i int) bool { return place(i).zxid > zxid }) - 1
	if i < 0 || place(i).zxid != zxid {
		return 0, false
	}
	return place(i).digest, true
}

// recordDigest keeps the tree's digest at the present position, if that is one of those. The visibility lock is held.
func (m *Machine) recordDigest() {
	if z := m.tree.Position(); z%digestEvery == 0 {
		m.digests.add(z, m.counts.digest, digestsKept)
	}
}

// Digests implements inspect.Machine.
func (m *Machine) Digests(yield func(zxid kernel.Zxid, version int32, digest uint64) bool) {
	m.tree.RLock()
	start := m.digests.n
	var list []recordedDigest
	if start < len(m.digests.list) {
		list = append(list, m.digests.list[start:]...)
	}
	list = append(list, m.digests.list[:min(start, len(m.digests.list))]...)
	m.tree.RUnlock()
	for _, d := range list {
		if !yield(kernel.Zxid(d.zxid), wire.DigestVersion, d.digest) {
			return
		}
	}
}

// Ephemerals implements inspect.Machine.
func (m *Machine) Ephemerals(yield func(session kernel.SessionID, path string) bool) {
	m.tree.RLock()
	ids := make([]int64, 0, len(m.ephemerals.bySession))
	for id := range m.ephemerals.bySession {
		ids = append(ids, id)
	}
	m.tree.RUnlock()
	for _, id := range ids {
		m.tree.RLock()
		paths := m.ephemerals.of(id)
		m.tree.RUnlock()
		for _, path := range paths {
			if !yield(kernel.SessionID(id), path) {
				return
			}
		}
	}
}

// Watches implements inspect.Machine.
func (m *Machine) Watches(yield func(path string, session kernel.SessionID) bool) {
	w := &m.watches
	w.mu.Lock()
	paths := make([]string, 0, len(w.byPath))
	for path := range w.byPath {
		paths = append(paths, path)
	}
	w.mu.Unlock()
	var conns []kernel.Connection
	for _, path := range paths {
		conns = conns[:0]
		w.mu.Lock()
		if e := w.byPath[path]; e != nil {
			conns = append(conns, e.first.by.conn)
			if e.more != nil {
				for _, x := range e.more.list {
					conns = append(conns, x.by.conn)
				}
			}
		}
		w.mu.Unlock()
		for _, conn := range conns {
			if !yield(path, conn.Session()) {
				return
			}
		}
	}
}

// WatchSummary implements inspect.Machine.
func (m *Machine) WatchSummary() (connections, paths, watches int) {
	w := &m.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, by := range w.byConn {
		if len(by.paths) > 0 {
			connections++
		}
	}
	return connections, len(w.byPath), int(w.pairs.Load())
}
