package znode

import (
	"cmp"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// sessions is the session table (spec client-semantics, 2). Which sessions exist, with their first time-out, follows from the log; owner, deadline and the closing mark live in this server's memory only.
type sessions struct {
	m       *Machine
	firstID int64 // where this process began to count
	nextID  atomic.Int64
	now     atomic.Int64 // monotonic nanoseconds since start, as of the last tick

	mu      sync.RWMutex
	byID    map[kernel.SessionID]*session
	opening map[kernel.SessionID]*session // leader: their creation is prepared and not applied here; learners may be ahead and send their requests already
	role    kernel.Role                   // Looking, Following (as any learner) or Leading
	expiry  expiry
	locals  int
	lostAt  int64 // when this server stopped leading or following, in the time of now

	alive     signs
	questions questions
}

// session is one of them. What is atomic is written beside readers of the table.
type session struct {
	id       kernel.SessionID
	stored   time.Duration // of the transaction: what a new leader starts from
	timeout  atomic.Int64  // nanoseconds, negotiated by the present connection
	deadline atomic.Int64  // in the time of sessions.now. Leader, and local sessions: when it expires. Others: until when the leader keeps it, as far as this server knows
	bucket   int64         // of the expiry wheel, 0: in none
	conn     kernel.Connection
	owner    atomic.Int64 // leader: the server that its requests come through, 0 for this one; or ownerUnknown
	noted    atomic.Bool  // it stands in signs
	closing  bool         // marked by expiry or by a prepared closeSession: nothing revives it
	local    bool         // no other server knows it
	rising   bool         // local, and its creation as a global session is prepared: it counts as global already
	held     bool         // local, and there before the leader was lost
	state    uint64       // its share of the state digest, 0: it is not known by transactions
	ahead    bool         // learner: the leader knows it, its creation is not applied here yet
}

func newSession(id kernel.SessionID) *session {
	x := &session{id: id}
	x.owner.Store(ownerUnknown)
	return x
}

var _ kernel.Sessions = (*sessions)(nil)

func (s *sessions) init(m *Machine) {
	s.m = m
	s.byID = map[kernel.SessionID]*session{}
	s.opening = map[kernel.SessionID]*session{}
	s.expiry.init(m.env.Now())
	s.firstID = firstID(m.env.Server, m.env.Wall())
	s.nextID.Store(s.firstID)
}

// firstID is where a server begins to count: the low byte of its id, 40 bits of wall-clock milliseconds, 16 bits of counter (spec client-protocol, 2.2). Wall time, because a clock that starts
// with the machine could give an id twice; a process makes fewer than 65536 new sessions in a millisecond, so that the count never reaches the start of a later process.
func firstID(server kernel.ServerID, now time.Time) int64 {
	if server == 0 {
		server = 1 // a lone server
	}
	return int64(server)<<56 | (now.UnixMilli()&(1<<40-1))<<16
}

// NewID implements kernel.Sessions.
func (s *sessions) NewID() kernel.SessionID {
	for {
		id := s.nextID.Add(1)
		if id == 0 || id == wire.ContainerOwner {
			continue
		}
		s.mu.RLock()
		_, known := s.byID[kernel.SessionID(id)] // the clock went back to exactly where another process began
		s.mu.RUnlock()
		if !known {
			return kernel.SessionID(id)
		}
	}
}

// seen keeps ids from being given out again that this server gave out before its clock went back. Whoever gave out id gave out others near it, to sessions that have ended since and of which nothing is known
// any more; and so did whoever has seen id after that. So this process goes on far from it, in a place of its own: that it meets others there by chance is as likely as there are sessions in 2^56.
func (s *sessions) seen(id int64) {
	for {
		next := s.nextID.Load()
		if uint64(id)>>56 != uint64(next)>>56 || id <= next || s.nextID.CompareAndSwap(next, elsewhere(id, next, s.firstID^s.m.tree.Position())) {
			return
		}
	}
}

// elsewhere is an id of the same server that follows from another one, from how far this process has counted, and from when it began and how far the state was then: since a session is a transaction, the last two
// differ from what any other process had that has given out ids, and the count from what this one had if it hears of the same id again, with another snapshot.
func elsewhere(id, next, began int64) int64 {
	const count = 1<<56 - 1
	x := stirred(uint64(id) ^ bits.RotateLeft64(uint64(began), 32) ^ bits.RotateLeft64(uint64(next), 16))
	return id&^count | int64(x&count)
}

// Password implements kernel.Sessions.
func (s *sessions) Password(id kernel.SessionID) [16]byte { return wire.SessionPassword(int64(id)) }

// Negotiate implements kernel.Sessions.
func (s *sessions) Negotiate(asked time.Duration) time.Duration {
	return min(max(asked, s.m.set.minTimeout), s.m.set.maxTimeout)
}

// add makes a committed session known, with a full time-out from now, and returns by how much that changes the state digest. A local session of that id has become a global one.
func (s *sessions) add(id kernel.SessionID, timeoutMs int32) (state uint64) {
	s.seen(int64(id))
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.byID[id]
	switch {
	case x == nil:
		if x = s.opening[id]; x == nil {
			x = newSession(id)
		}
		s.byID[id] = x
	case x.local:
		x.local, x.rising = false, false
		s.locals--
	}
	delete(s.opening, id)
	x.ahead = false
	x.stored = time.Duration(timeoutMs) * time.Millisecond
	if x.conn == nil {
		x.timeout.Store(int64(x.stored))
	}
	s.renew(x)
	was := x.state
	x.state = sessionShare(int64(id), timeoutMs)
	return x.state - was
}

// remove forgets a session and returns the connection that served it here, and its share of the state digest.
func (s *sessions) remove(id kernel.SessionID) (conn kernel.Connection, state uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.byID[id]
	if x == nil {
		return nil, 0
	}
	return s.drop(x), x.state
}

func (s *sessions) drop(x *session) kernel.Connection {
	if x.local {
		s.locals--
	}
	delete(s.byID, x.id)
	s.expiry.remove(x)
	conn := x.conn
	x.conn = nil
	return conn
}

// open notes who creates a session, when that is prepared: from then on its owner is known and its requests may come.
func (s *sessions) open(id kernel.SessionID, owner kernel.ServerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.find(id)
	if x == nil {
		x = newSession(id)
		s.opening[id] = x
	}
	if x.local { // its creation as a global session is on its way (spec client-protocol, 2.5)
		x.rising = true
	}
	x.owner.Store(int64(owner))
}

// find is a session that is known, or will be when what is prepared has been applied.
func (s *sessions) find(id kernel.SessionID) *session {
	if x := s.byID[id]; x != nil {
		return x
	}
	return s.opening[id]
}

// closing marks a session whose end is on its way.
func (s *sessions) closing(id kernel.SessionID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.find(id); x != nil {
		x.closing = true
	}
}

// reopen takes the marks back: what was on its way may be lost with the role.
func (s *sessions) reopen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.opening)
	for _, x := range s.byID {
		x.rising = false
		if x.closing {
			x.closing = false
			s.touch(x)
			s.place(x)
		}
	}
}

func (s *sessions) isLocal(id kernel.SessionID) bool {
	if !s.m.set.local {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	x := s.byID[id]
	return x != nil && x.local && !x.rising
}

// Touch implements kernel.Sessions.
func (s *sessions) Touch(id kernel.SessionID, conn kernel.Connection) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	x := s.byID[id]
	if x == nil || x.closing || x.conn != conn || (s.role == kernel.Leading && !s.mine(x)) {
		return false
	}
	s.touch(x)
	return true
}

// Find implements kernel.Sessions.
func (s *sessions) Find(id kernel.SessionID) (kernel.SessionInfo, bool) {
	s.m.tree.RLock()
	defer s.m.tree.RUnlock()
	s.mu.RLock()
	defer s.mu.RUnlock()
	x := s.byID[id]
	if x == nil {
		return kernel.SessionInfo{}, false
	}
	return s.info(x), true
}

// info describes a session. Either side of the visibility lock and of mu is held.
func (s *sessions) info(x *session) kernel.SessionInfo {
	return kernel.SessionInfo{
		ID: x.id, Timeout: time.Duration(x.timeout.Load()), Expires: time.Duration(x.deadline.Load() - s.now.Load()),
		Ephemerals: s.m.ephemerals.count(int64(x.id)), Local: x.local && !x.rising, Closing: x.closing, Conn: x.conn,
	}
}

// List implements kernel.Sessions.
func (s *sessions) List(yield func(kernel.SessionInfo) bool) {
	s.m.tree.RLock()
	s.mu.RLock()
	list := make([]kernel.SessionInfo, 0, len(s.byID))
	for _, x := range s.byID {
		list = append(list, s.info(x))
	}
	s.mu.RUnlock()
	s.m.tree.RUnlock()
	for i := range list {
		if !yield(list[i]) {
			return
		}
	}
}

// HangUp implements kernel.Sessions.
func (s *sessions) HangUp(reason kernel.CloseReason) {
	s.mu.Lock()
	lost := s.questions.abandon()
	conns := s.release(func(x *session) bool { return true })
	s.mu.Unlock()
	s.close(conns, reason)
	unsure(lost)
}

// release takes the connections from the sessions that which chooses and returns them by session id. mu is held.
func (s *sessions) release(which func(*session) bool) (conns []kernel.Connection) {
	var chosen []*session
	for _, x := range s.byID {
		if x.conn != nil && which(x) {
			chosen = append(chosen, x)
		}
	}
	slices.SortFunc(chosen, func(a, b *session) int { return cmp.Compare(a.id, b.id) })
	for _, x := range chosen {
		conns = append(conns, x.conn)
		x.conn = nil
	}
	return conns
}

// close ends connections with all that they watch. No lock is held.
func (s *sessions) close(conns []kernel.Connection, reason kernel.CloseReason) {
	for _, conn := range conns {
		s.m.watches.drop(conn)
		conn.Close(reason)
	}
}

// forget drops every session, before another state is loaded.
func (s *sessions) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.byID)
	clear(s.opening)
	s.alive.clear()
	s.expiry.buckets = map[int64]map[*session]struct{}{}
	s.locals = 0
}
