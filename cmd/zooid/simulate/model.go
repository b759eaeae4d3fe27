package simulate

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// model is the tree as it must be after every transaction: written apart from the znode machine, from the transactions in the order in which they were committed. It keeps all versions, so that whatever a
// client is told can be compared with the state of the zxid that it is told.
type model struct {
	fail     func(format string, args ...any)
	log      func(format string, args ...any)
	closed   func(h wire.TxnHeader) // a session that was not closed by its client
	last     kernel.Zxid
	stamp    int64 // the time of the last transaction
	suffix   int64 // the highest number at the end of a node's name
	nodes    map[string][]version
	sessions map[int64]*modelSession
	txns     map[kernel.Zxid]decided
	byOp     map[opKey]kernel.Zxid // of the clients' own requests
}

// version is a node from a zxid on.
type version struct {
	zxid     kernel.Zxid
	event    wire.EventType // what became of it
	exists   bool
	data     []byte
	stat     wire.Stat
	children []string // sorted, never changed in place
}

type modelSession struct {
	created, ended kernel.Zxid
	timeout        time.Duration // that it was made with
	owned          map[string]bool
}

// decided is a committed transaction.
type decided struct {
	header wire.TxnHeader
	err    wire.ErrorCode // of an error transaction, or of a multi that failed
	failed bool
}

type opKey struct {
	session int64
	cxid    int32
}

func newModel(fail func(string, ...any)) *model {
	m := &model{fail: fail, suffix: -1, nodes: map[string][]version{}, sessions: map[int64]*modelSession{}, txns: map[kernel.Zxid]decided{}, byOp: map[opKey]kernel.Zxid{}}
	plant := func(p string, cversion int32, aversion int32, children ...string) {
		m.nodes[p] = []version{{exists: true, children: children, stat: wire.Stat{Cversion: cversion, Aversion: aversion, NumChildren: int32(len(children))}}}
	}
	plant(wire.RootPath, -1, 0, "zookeeper")
	plant(wire.ZooKeeperPath, -2, 0, "config", "quota")
	plant(wire.QuotaPath, 0, 0)
	plant(wire.ConfigPath, 0, -1)
	return m
}

// at is a node's version as of a zxid. The zero version: there was none.
func (m *model) at(p string, z kernel.Zxid) version {
	h := m.nodes[p]
	i := sort.Search(len(h), func(i int) bool { return h[i].zxid > z })
	if i == 0 {
		return version{}
	}
	return h[i-1]
}

// first is the first version after a zxid that says one of the events.
func (m *model) first(p string, after kernel.Zxid, events ...wire.EventType) (version, bool) {
	h := m.nodes[p]
	for i := sort.Search(len(h), func(i int) bool { return h[i].zxid > after }); i < len(h); i++ {
		if slices.Contains(events, h[i].event) {
			return h[i], true
		}
	}
	return version{}, false
}

func (m *model) now(p string) version { return m.at(p, m.last) }

func (m *model) put(p string, v version) { m.nodes[p] = append(m.nodes[p], v) }

// commit takes the next transaction.
func (m *model) commit(z kernel.Zxid, data []byte) {
	var e wire.Entry
	if err := wire.DecodeEntry(data, &e); err != nil {
		m.fail("transaction %s: %v", z, err)
		return
	}
	h := e.Header
	if kernel.Zxid(h.Zxid) != z {
		m.fail("transaction %s says that it is %s", z, kernel.Zxid(h.Zxid))
	}
	if m.last.Epoch() == z.Epoch() && h.Time < m.stamp {
		m.fail("the time of %s is %d ms before that of the transaction before it, and their leader is the same (rule 6)", z, m.stamp-h.Time)
	}
	m.last, m.stamp = z, h.Time
	d := decided{header: h}
	t := &e.Txn
	switch {
	case t.Type == wire.OpError:
		d.failed, d.err = true, t.Err
	case t.Type == wire.OpMulti && t.Failed():
		d.failed = true
	}
	m.txns[z] = d
	if m.log != nil {
		m.log("%s is committed: %v, request %d of session %s, failed: %v", z, t.Type, h.Cxid, kernel.SessionID(h.ClientID), d.failed)
	}
	if h.Cxid != 0 {
		key := opKey{h.ClientID, h.Cxid}
		if before, twice := m.byOp[key]; twice {
			m.fail("request %d of session %s was committed twice, as %s and as %s (I19, rule 1)", key.cxid, kernel.SessionID(key.session), before, z)
		}
		m.byOp[key] = z
	}
	if !d.failed {
		m.apply(h, t)
	}
}

func (m *model) apply(h wire.TxnHeader, t *wire.Txn) {
	z := kernel.Zxid(h.Zxid)
	switch t.Type {
	case wire.OpCreateSession:
		if s := m.sessions[h.ClientID]; s != nil {
			m.fail("%s creates session %s again (rule 13)", z, kernel.SessionID(h.ClientID))
		}
		m.sessions[h.ClientID] = &modelSession{created: z, timeout: time.Duration(t.TimeoutMs) * time.Millisecond, owned: map[string]bool{}}
	case wire.OpCloseSession:
		s := m.sessions[h.ClientID]
		if s == nil || s.ended != 0 {
			return
		}
		s.ended = z
		if h.Cxid == 0 && m.closed != nil {
			m.closed(h)
		}
		owned := slices.Sorted(maps.Keys(s.owned))
		if !t.NoBody {
			listed := slices.Clone(t.Paths)
			slices.Sort(listed)
			if !slices.Equal(listed, owned) {
				m.fail("%s closes session %s with the ephemeral nodes %v; it owns %v (I23, rule 12)", z, kernel.SessionID(h.ClientID), listed, owned)
			}
		}
		for _, p := range owned {
			m.remove(h, p)
		}
	case wire.OpMulti:
		for i := range t.Ops {
			m.apply(h, &t.Ops[i])
		}
	case wire.OpCreate, wire.OpCreate2:
		m.create(h, t)
	case wire.OpDelete:
		m.remove(h, t.Path)
	case wire.OpSetData:
		v := m.now(t.Path)
		if !v.exists || t.Version != v.stat.Version+1 {
			m.fail("%s sets version %d of %s, which was at %d (exists: %v) (rule 6)", z, t.Version, t.Path, v.stat.Version, v.exists)
		}
		v.zxid, v.event, v.data = z, wire.EventNodeDataChanged, bytes.Clone(t.Data)
		v.stat.Mzxid, v.stat.Mtime, v.stat.Version, v.stat.DataLength = h.Zxid, h.Time, t.Version, int32(len(t.Data))
		m.put(t.Path, v)
	case wire.OpCheck, wire.OpReconfig: // the configuration's node is compared among the servers, at the end
	default:
		m.fail("%s is a %v, which no client asked for (I1)", z, t.Type)
	}
}

func (m *model) create(h wire.TxnHeader, t *wire.Txn) {
	z := kernel.Zxid(h.Zxid)
	parent, name := path.Split(t.Path)
	if parent != "/" {
		parent = parent[:len(parent)-1]
	}
	p := m.now(parent)
	if v := m.now(t.Path); v.exists || !p.exists {
		m.fail("%s creates %s (exists: %v, its parent: %v) (rule 9)", z, t.Path, v.exists, p.exists)
		return
	}
	if number, ok := strings.CutPrefix(t.Path, numbered); ok {
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n <= m.suffix {
			m.fail("%s creates %s, and there was number %d before (%v) (rule 8)", z, t.Path, m.suffix, err)
		}
		m.suffix = n
	}
	v := version{zxid: z, event: wire.EventNodeCreated, exists: true, data: bytes.Clone(t.Data),
		stat: wire.Stat{Czxid: h.Zxid, Mzxid: h.Zxid, Pzxid: h.Zxid, Ctime: h.Time, Mtime: h.Time, DataLength: int32(len(t.Data))}}
	if t.Ephemeral {
		s := m.sessions[h.ClientID]
		if s == nil || s.ended != 0 {
			m.fail("%s creates %s for session %s, which there is not (I23)", z, t.Path, kernel.SessionID(h.ClientID))
			return
		}
		s.owned[t.Path] = true
		v.stat.EphemeralOwner = h.ClientID
	}
	m.put(t.Path, v)
	i, _ := slices.BinarySearch(p.children, name)
	p.children = slices.Insert(slices.Clone(p.children), i, name)
	m.family(h, parent, p)
}

func (m *model) remove(h wire.TxnHeader, full string) {
	v := m.now(full)
	if !v.exists || len(v.children) > 0 {
		m.fail("%s deletes %s (exists: %v, children: %d) (rule 9)", kernel.Zxid(h.Zxid), full, v.exists, len(v.children))
		return
	}
	if s := m.sessions[v.stat.EphemeralOwner]; s != nil {
		delete(s.owned, full)
	}
	m.put(full, version{zxid: kernel.Zxid(h.Zxid), event: wire.EventNodeDeleted})
	parent, name := path.Split(full)
	if parent != "/" {
		parent = parent[:len(parent)-1]
	}
	p := m.now(parent)
	if i, ok := slices.BinarySearch(p.children, name); ok {
		p.children = slices.Delete(slices.Clone(p.children), i, i+1)
	}
	m.family(h, parent, p)
}

// family gives a parent its new children.
func (m *model) family(h wire.TxnHeader, parent string, p version) {
	p.zxid, p.event = kernel.Zxid(h.Zxid), wire.EventNodeChildrenChanged
	p.stat.Cversion++
	p.stat.NumChildren, p.stat.Pzxid = int32(len(p.children)), h.Zxid
	m.put(parent, p)
}

// paths are the nodes that exist at a zxid, in order.
func (m *model) paths(z kernel.Zxid) []string {
	var all []string
	for p := range m.nodes {
		if m.at(p, z).exists {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	return all
}

// living are the sessions that there are at a zxid, in order.
func (m *model) living(z kernel.Zxid) []kernel.SessionID {
	var all []kernel.SessionID
	for id, s := range m.sessions {
		if s.created <= z && (s.ended == 0 || s.ended > z) {
			all = append(all, kernel.SessionID(id))
		}
	}
	slices.Sort(all)
	return all
}

// compare says how an answer differs from a version, "" if it does not.
func (v version) compare(op wire.OpCode, code wire.ErrorCode, body []byte) string {
	if code == wire.ErrNoNode {
		if v.exists {
			return "the node exists"
		}
		return ""
	}
	if code != 0 {
		return fmt.Sprintf("error %d", code)
	}
	if !v.exists {
		return "the node does not exist"
	}
	var r wire.Response
	if err := wire.DecodeResponse(op, body, &r); err != nil {
		return err.Error()
	}
	if r.Stat != v.stat {
		return fmt.Sprintf("stat %+v, want %+v", r.Stat, v.stat)
	}
	if op == wire.OpGetData && !bytes.Equal(r.Data, v.data) {
		return fmt.Sprintf("data %q, want %q", r.Data, v.data)
	}
	if op == wire.OpGetChildren2 {
		slices.Sort(r.Children)
		if !slices.Equal(r.Children, v.children) {
			return fmt.Sprintf("children %v, want %v", r.Children, v.children)
		}
	}
	return ""
}
