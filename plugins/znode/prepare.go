package znode

import (
	"sync"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// note is what prepare hands to apply on the server that prepared: the transaction as it was before it became bytes. Its data is not shared with the request.
type note struct {
	header wire.TxnHeader
	txn    wire.Txn
	digest uint64
	// The node as the transaction leaves it, and of a create its parent: apply needs not make them again. What only the tree knows of a node is set there.
	node, parent *tree.Node
	of           *notes
}

// notes are those of one batch. Apply gives them back after the last one; those that are never applied are the collector's.
type notes struct {
	list []note
	left int // to be applied
}

var notesPool = sync.Pool{New: func() any { return new(notes) }}

// keepNotes is the largest batch whose notes are used again.
const keepNotes = 4096

func newNotes(n int) *notes {
	b := notesPool.Get().(*notes)
	if cap(b.list) < n {
		b.list = make([]note, n)
	}
	b.list, b.left = b.list[:n], n
	return b
}

// applied gives up one note; nothing of it may be used any more. Apply alone calls it.
func (n *note) applied() {
	b := n.of
	if b.left--; b.left > 0 || cap(b.list) > keepNotes {
		return
	}
	clear(b.list)
	notesPool.Put(b)
}

// preparing is the request under way.
type preparing struct {
	req        *kernel.Request
	zxid, time int64
	session    int64
	identities []kernel.Identity
	mayChange  func(kernel.Ensemble) error
	note       *note // nil inside a multi
}

// prepareSlice is how many requests, and bytes of them, are prepared under one hold of the read lock: apply waits for no more.
const (
	prepareSlice      = 128
	prepareSliceBytes = 4 << 20
)

// Prepare implements kernel.StateMachine.
func (m *Machine) Prepare(pos kernel.Position, reqs []*kernel.Request, batch *kernel.Batch) {
	made := newNotes(len(reqs))
	notes := made.list
	now := pos.Time.UnixMilli()
	size := 0
	m.spec.changing = 0
	for i := 0; i < len(reqs); {
		m.tree.RLock()
		m.spec.begin(m.tree.Position(), m.counts.digest)
		for end, limit := min(i+prepareSlice, len(reqs)), size+prepareSliceBytes; i < end && size < limit; i++ {
			req := reqs[i]
			p := preparing{req: req, zxid: int64(pos.Next) + int64(i), time: now, session: int64(req.Session), identities: req.Identities, mayChange: pos.MayChange}
			n := &notes[i]
			p.note, n.of = n, made
			n.header = wire.TxnHeader{ClientID: p.session, Cxid: req.Cxid, Zxid: p.zxid, Time: now}
			if code := m.prepare(&p, &n.txn); code != wire.ErrOK {
				n.txn, n.node, n.parent = wire.Txn{Type: wire.OpError, Err: code}, nil, nil
			}
			n.header.Type = n.txn.Type
			n.digest = m.spec.digest
			size += wire.TxnHeaderSize + 64 + len(req.Body)
		}
		m.tree.RUnlock()
	}
	bytes := make([]byte, 0, size)
	for i, req := range reqs {
		from := len(bytes)
		bytes = m.appendEntry(bytes, &notes[i])
		batch.Txns = append(batch.Txns, kernel.Txn{
			Record:  kernel.Record{Zxid: kernel.Zxid(notes[i].header.Zxid), Data: bytes[from:len(bytes):len(bytes)]},
			Request: req,
			Note:    &notes[i],
		})
	}
}

// appendEntry encodes a transaction as the log holds it (spec peer-wire-and-disk, 4). An error carries no digest.
func (m *Machine) appendEntry(dst []byte, n *note) []byte {
	dst = n.txn.AppendTo(n.header.AppendTo(dst))
	if m.set.digest && n.header.Type != wire.OpError {
		dst = jute.AppendInt32(dst, wire.DigestVersion)
		dst = jute.AppendInt64(dst, int64(n.digest))
	}
	return dst
}

// DropSpeculation implements kernel.StateMachine.
func (m *Machine) DropSpeculation() {
	m.tree.RLock()
	m.spec.reset()
	m.spec.begin(m.tree.Position(), m.counts.digest)
	m.tree.RUnlock()
	m.sessions.reopen()
}

// prepare makes the transaction of one request in t, or says why there is none.
func (m *Machine) prepare(p *preparing, t *wire.Txn) wire.ErrorCode {
	op := wire.OpCode(p.req.Op)
	w, _ := p.req.Decoded.(*wire.Request)
	if !op.IsWrite() {
		return wire.ErrUnimplemented
	}
	if w == nil {
		w = new(wire.Request)
		if err := wire.DecodeRequest(op, p.req.Body, w); err != nil {
			return wire.ErrMarshallingError
		}
	}
	switch op {
	case wire.OpCreateSession:
		return m.prepareCreateSession(p, w, t)
	case wire.OpCloseSession:
		return m.prepareClose(p, t)
	case wire.OpMulti:
		return m.prepareMulti(p, w.Ops, t)
	case wire.OpReconfig:
		return m.prepareReconfig(p, w, t)
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		return m.prepareCreate(p, &w.Op, t)
	case wire.OpDeleteContainer:
		if p.req.Conn != nil || p.req.From != 0 || p.session != 0 { // only the cleaner may ask for it
			return wire.ErrUnimplemented
		}
		return m.prepareClean(p, &w.Op, t)
	}
	if code := m.sessions.mayWrite(p.req, false); code != wire.ErrOK {
		return code
	}
	return m.prepareOp(p, &w.Op, t)
}

// prepareOp makes the transaction of an operation that may also stand in a multi. The session has been checked.
func (m *Machine) prepareOp(p *preparing, o *wire.Op, t *wire.Txn) wire.ErrorCode {
	if o.NullPath {
		return wire.ErrMarshallingError
	}
	switch o.Code {
	case wire.OpDelete:
		return m.prepareDelete(p, o, t)
	case wire.OpSetData:
		return m.prepareSetData(p, o, t)
	case wire.OpSetACL:
		return m.prepareSetACL(p, o, t)
	case wire.OpCheck:
		return m.prepareCheck(p, o, t)
	}
	return wire.ErrUnimplemented
}

// prepareCreateSession begins a session whose id the server chose that the client came to. An id that means something else as an owner of nodes is nobody's.
func (m *Machine) prepareCreateSession(p *preparing, w *wire.Request, t *wire.Txn) wire.ErrorCode {
	if kind, _ := wire.KindOfOwner(p.session, m.set.extended); kind != wire.OwnerEphemeral {
		return wire.ErrBadArguments
	}
	m.sessions.open(p.req.Session, p.req.From)
	*t = wire.Txn{Type: wire.OpCreateSession, TimeoutMs: w.TimeoutMs}
	return wire.ErrOK
}

// prepareClose lists what goes with a session: its ephemeral nodes in the tree and those that are on their way (spec client-semantics, 2.7).
func (m *Machine) prepareClose(p *preparing, t *wire.Txn) wire.ErrorCode {
	m.sessions.closing(p.req.Session)
	*t = wire.Txn{Type: wire.OpCloseSession, Paths: m.expectClosed(p.zxid, p.session), NoBody: !m.set.closePaths}
	return wire.ErrOK
}

// createdBy lists the nodes of a session that the tree does not show yet, in the order in which they were prepared.
func (m *Machine) createdBy(session int64) (paths []string) {
	outstanding := m.spec.ephemerals[session]
	left := map[string]struct{}{}
	for path := range outstanding {
		if !m.ephemerals.has(session, path) {
			left[path] = struct{}{}
		}
	}
	for i := m.spec.head; i < len(m.spec.queue) && len(left) > 0; i++ {
		path := m.spec.queue[i].path
		if _, ok := left[path]; ok {
			delete(left, path)
			paths = append(paths, path)
		}
	}
	return paths
}
