package znode

import (
	"fmt"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/wire"
)

// applying is the transaction under way and what its slice has to answer. Apply alone uses it.
type applying struct {
	entry   wire.Entry // decoded, where the transaction was prepared elsewhere
	zxid    int64
	time    int64
	session int64
	copied  bool // the transaction's data belongs to the tree already
	// What prepare made of it; nil otherwise.
	node, parent *tree.Node
	wanted       bool // somebody here waits for the answer
	results      []wire.Result
	answers      []answer
	bodies       []byte
}

// answer is what a request, or a connection, is told when its slice is visible.
type answer struct {
	req      *kernel.Request
	zxid     int64
	err      wire.ErrorCode
	from, to int // of bodies
	hangUp   kernel.Connection
	reason   kernel.CloseReason
}

// applySlice bounds the work under one hold of the visibility lock, in nodes changed and pages of data: readers wait for no more than two milliseconds or so.
const (
	applySlice = 128
	applyPage  = 4096
)

// Apply implements kernel.StateMachine.
func (m *Machine) Apply(txns []kernel.Committed) {
	for len(txns) > 0 {
		n := m.applySlice(txns)
		m.answerAll()
		m.measure()
		txns = txns[n:]
	}
}

// applySlice applies as many transactions as fit and makes them visible at once. It returns their number, at least one.
func (m *Machine) applySlice(txns []kernel.Committed) (n int) {
	m.tree.Lock()
	defer m.tree.Unlock()
	for cost := 0; n < len(txns) && cost < applySlice; n++ {
		cost += m.applyOne(&txns[n])
	}
	m.settle()
	return n
}

// answerAll answers what the last slice made visible. No lock is held: the answer to the creation of a session comes back as Sessions.Established.
func (m *Machine) answerAll() {
	a := &m.applying
	for i := range a.answers {
		r := &a.answers[i]
		if r.req != nil {
			r.req.Conn.Reply(r.req, kernel.Reply{Zxid: kernel.Zxid(r.zxid), Err: int32(r.err), Body: a.bodies[r.from:r.to]})
		}
		if r.hangUp != nil {
			r.hangUp.Close(r.reason)
			m.watches.drop(r.hangUp) // also of one that was gone before its session was established
		}
	}
	clear(a.answers)
	a.answers, a.bodies = a.answers[:0], a.bodies[:0]
	if cap(a.bodies) > 1<<20 {
		a.bodies = nil
	}
}

// applyOne applies one committed transaction and returns how many nodes it changed, more or less.
func (m *Machine) applyOne(c *kernel.Committed) (cost int) {
	if int64(c.Zxid) <= m.tree.Position() {
		return 1 // of before a flush or a snapshot: replay comes by again
	}
	a := &m.applying
	a.zxid = int64(c.Zxid)
	a.wanted = c.Request != nil && c.Request.Conn != nil
	a.results = a.results[:0]
	var t *wire.Txn
	var header *wire.TxnHeader
	check, digest := false, uint64(0)
	a.node, a.parent = nil, nil
	n, prepared := c.Note.(*note)
	if prepared {
		t, header, a.copied = &n.txn, &n.header, true
		a.node, a.parent = n.node, n.parent
		check, digest = m.set.digest && t.Type != wire.OpError, n.digest
	} else {
		if err := wire.DecodeEntry(c.Data, &a.entry); err != nil {
			panic(&kernel.CorruptError{File: "the log", After: kernel.Zxid(m.tree.Position()), Err: fmt.Errorf("transaction %s: %w", c.Zxid, err)})
		}
		t, header, a.copied = &a.entry.Txn, &a.entry.Header, false
		check = m.set.digest && a.entry.HasDigest && a.entry.DigestVersion == wire.DigestVersion && a.entry.Digest != 0
		digest = uint64(a.entry.Digest)
	}
	a.time, a.session = header.Time, header.ClientID
	cost = 1 + len(c.Data)/applyPage
	code := wire.ErrOK
	switch t.Type {
	case wire.OpError:
		code = t.Err
		if code == wire.ErrBadArguments && a.wanted && refusedHere(c.Request) {
			code = wire.ErrMarshallingError
		}
	case wire.OpMulti:
		cost += len(t.Ops)
		m.applyMulti(t)
	case wire.OpCreateSession:
		m.applyCreateSession(t)
	case wire.OpCloseSession:
		cost += len(t.Paths)
		m.applyCloseSession(c.Request, t)
	default:
		m.applyOp(t)
	}
	m.tree.Advance(a.zxid)
	m.recordDigest()
	m.recordState()
	if check {
		m.compareDigest(kernel.Zxid(a.zxid), digest)
	}
	if a.wanted {
		m.answer(c.Request, t.Type, code)
	}
	if c.Request != nil {
		m.Release(c.Request)
	}
	if prepared {
		n.applied()
	}
	return cost
}

// answer queues the answer to a request of a connection here.
func (m *Machine) answer(req *kernel.Request, typ wire.OpCode, code wire.ErrorCode) {
	a := &m.applying
	if code == wire.ErrSessionMoved || movedInside(a.results) { // seen as a closed connection only (spec client-protocol, 2.4)
		a.answers = append(a.answers, answer{hangUp: req.Conn, reason: kernel.CloseSessionMoved})
		return
	}
	r := answer{req: req, zxid: a.zxid, err: code, from: len(a.bodies)}
	if code == wire.ErrOK && typ != wire.OpCreateSession && typ != wire.OpCloseSession {
		if typ == wire.OpMulti {
			asAsked(a.results, req)
			response := wire.Response{Result: wire.Result{Code: wire.OpMulti}, Results: a.results}
			a.bodies = response.AppendTo(a.bodies)
		} else if typ == wire.OpReconfig && len(a.results) == 1 {
			response := wire.Response{Result: a.results[0]}
			a.bodies = response.AppendTo(a.bodies)
		} else if len(a.results) == 1 {
			a.bodies = a.results[0].AppendTo(a.bodies)
		}
	}
	r.to = len(a.bodies)
	if typ == wire.OpCloseSession { // the reply leaves first
		r.hangUp, r.reason = req.Conn, kernel.CloseSessionEnded
	}
	a.answers = append(a.answers, r)
}

// asAsked gives the results of creates the kind in which they were asked for: in the log there is one only.
func asAsked(results []wire.Result, req *kernel.Request) {
	w, ok := req.Decoded.(*wire.Request)
	if !ok || w == nil || len(w.Ops) != len(results) {
		return
	}
	for i := range results {
		if results[i].Code == wire.OpCreate && w.Ops[i].Code != wire.OpCreate {
			results[i].Code = wire.OpCreate2
		}
	}
}

// movedInside says whether a multi has failed because its session is elsewhere. Apache's leaders put that into the part where they found it.
func movedInside(results []wire.Result) bool {
	for i := range results {
		if results[i].Err == wire.ErrSessionMoved {
			return true
		}
	}
	return false
}

func (m *Machine) applyMulti(t *wire.Txn) {
	a := &m.applying
	if !t.Failed() {
		for i := range t.Ops {
			m.applyOp(&t.Ops[i])
		}
		return
	}
	for i := range t.Ops { // what stands before the one that failed did not happen either
		code := wire.ErrOK
		if t.Ops[i].Type == wire.OpError {
			code = t.Ops[i].Err
		}
		a.results = append(a.results, wire.Result{Code: wire.OpError, Err: code})
	}
}

// applyOp applies one operation, alone or in a multi, and adds its result.
func (m *Machine) applyOp(t *wire.Txn) {
	a := &m.applying
	r := wire.Result{Code: t.Type, Path: t.Path}
	switch t.Type {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		r.Stat = m.applyCreate(t)
		if t.Type != wire.OpCreate { // the results of a multi know two kinds of create (spec client-protocol, 8)
			r.Code = wire.OpCreate2
		}
	case wire.OpDelete, wire.OpDeleteContainer:
		m.applyDelete(t.Path)
		r.Code = wire.OpDelete
	case wire.OpSetData, wire.OpReconfig:
		r.Stat, r.Data = m.applySetData(t), t.Data
	case wire.OpSetACL:
		r.Stat = m.applySetACL(t)
	}
	if a.wanted {
		a.results = append(a.results, r)
	}
}

func (m *Machine) applyCreateSession(t *wire.Txn) {
	a := &m.applying
	m.counts.state += m.sessions.add(kernel.SessionID(a.session), t.TimeoutMs)
	m.tree.SetSide(sessionKey(a.session), sessionValue(t.TimeoutMs))
}

// applyCloseSession ends a session: the nodes that the transaction lists, in its order, then whatever else the tree shows as the session's (spec client-semantics, 2.7).
func (m *Machine) applyCloseSession(req *kernel.Request, t *wire.Txn) {
	a := &m.applying
	owns := m.ephemerals.count(a.session)
	many := owns >= departMin
	if !many || !a.copied || owns != len(t.Paths) { // what was prepared here lists the session's nodes and nothing else
		for _, path := range t.Paths {
			if !many || !m.ephemerals.has(a.session, path) {
				m.applyDelete(path)
			}
		}
	}
	if many {
		m.depart(a.session)
	} else {
		for _, path := range m.ephemerals.of(a.session) {
			m.applyDelete(path)
		}
	}
	conn, state := m.sessions.remove(kernel.SessionID(a.session))
	m.counts.state -= state
	m.tree.DeleteSide(sessionKey(a.session))
	if conn == nil {
		return
	}
	if req != nil && req.Conn == conn {
		return // hung up after its reply
	}
	reason := kernel.CloseSessionEnded
	if req == nil || req.Conn == nil {
		reason = kernel.CloseSessionExpired
	}
	a.answers = append(a.answers, answer{hangUp: conn, reason: reason})
}
