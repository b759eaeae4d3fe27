package znode

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
	"github.com/zooid-project/zooid/sdk/wire"
)

// Servers tell each other about sessions (spec zab, 11) in the forms of sdk/peer: signs of life (peer.Touches) and questions (peer.Touch: a client wants to go on with this session here) go from a
// learner to its leader, answers (peer.Revalidated) come back.

var _ kernel.PeerSessions = (*sessions)(nil)

// errNotLeading: whoever does not lead cannot say that a session is gone. A refusal would make its client give it up for good.
var errNotLeading = errors.New("this server does not lead: it cannot answer for sessions")

// signs are the sessions that showed life on this server since the leader was last told.
type signs struct {
	mu    sync.Mutex
	list  []*session
	spare []*session
}

// clear forgets them.
func (a *signs) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.list)
	a.list = a.list[:0]
}

// note puts a session on the list, once. The leader keeps its own time; local sessions concern nobody else. Either side of sessions.mu is held.
func (s *sessions) note(x *session) {
	if s.role == kernel.Leading || x.local || x.noted.Load() || x.noted.Swap(true) {
		return
	}
	s.alive.mu.Lock()
	s.alive.list = append(s.alive.list, x)
	s.alive.mu.Unlock()
}

// Touched implements kernel.PeerSessions. What it returns is about to be told, so from now on the leader keeps these sessions for a whole time-out.
func (s *sessions) Touched() []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.alive.mu.Lock()
	list := s.alive.list
	s.alive.list, s.alive.spare = s.alive.spare[:0], list
	s.alive.mu.Unlock()
	now := s.now.Load()
	payload := make([]byte, 0, peer.TouchSize*len(list)) // never null: ZooKeeper's leaders would drop this server
	for i, x := range list {
		list[i] = nil
		x.noted.Store(false)
		if s.byID[x.id] != x {
			continue
		}
		timeout := x.timeout.Load()
		x.deadline.Store(now + timeout)
		payload = peer.Touch{Session: x.id, Timeout: time.Duration(timeout)}.AppendTo(payload)
	}
	return payload
}

// Heard implements kernel.PeerSessions. A sign of life counts wherever it was shown; how long a time-out the session has, only its owner says. A follower tells its leader what its observers have
// told it, and answers for the time-outs of clients that it does not have itself.
func (s *sessions) Heard(from kernel.ServerID, payload []byte) error {
	if len(payload) == 0 { // also null, which a learner should not send
		return nil
	}
	changed, err := s.hear(from, payload)
	if err != nil {
		return fmt.Errorf("from server %d: %w", from, err)
	}
	for _, x := range changed {
		s.mu.Lock()
		s.place(x)
		s.mu.Unlock()
	}
	return nil
}

// hear touches what a payload names and returns the sessions whose time-out has changed.
func (s *sessions) hear(from kernel.ServerID, payload []byte) (changed []*session, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	looking := s.role == kernel.Looking // about to lead: then everyone gets a whole time-out, or not any more: then nobody does
	leading := s.role == kernel.Leading
	err = peer.Touches(payload, func(t peer.Touch) {
		x := s.byID[t.Session]
		if looking || x == nil || x.closing || x.local {
			return
		}
		timeout, owner := int64(t.Timeout), x.owner.Load()
		if timeout > 0 && timeout != x.timeout.Load() && (owner == int64(from) || owner == ownerUnknown || !leading && x.conn == nil) {
			x.timeout.Store(timeout)
			changed = append(changed, x)
		}
		s.touch(x)
	})
	return changed, err
}

// Asked implements kernel.PeerSessions. A connection that the session has here is one that its client has left.
func (s *sessions) Asked(from kernel.ServerID, payload []byte) (answer []byte, err error) {
	asked, err := peer.DecodeRevalidate(payload)
	if err != nil {
		return nil, fmt.Errorf("from server %d: %w", from, err)
	}
	id, timeout := asked.Session, int64(asked.Timeout)
	s.mu.Lock()
	if s.role != kernel.Leading {
		s.mu.Unlock()
		return nil, errNotLeading
	}
	x := s.find(id)
	valid := x != nil && !x.closing && !x.local
	if valid {
		x.owner.Store(int64(from))
		if timeout > 0 {
			x.timeout.Store(timeout)
		}
		s.touch(x)
		s.place(x)
	}
	s.mu.Unlock()
	if valid {
		s.disown(id)
	}
	return peer.Revalidated{Session: id, Valid: valid}.AppendTo(nil), nil
}

// questions are those that the leader has not answered, in the order in which they were asked.
type questions struct {
	ask  func(payload []byte)
	list []question
}

type question struct {
	id      kernel.SessionID
	timeout time.Duration
	conn    kernel.Connection
	done    func(kernel.Attachment) // nil: a later connection asks for the session, or everybody was told that there will be no answer
	at      int64                   // in the time of sessions.now
}

// abandon takes those out that wait. Their connections are to be told that nobody knows.
func (q *questions) abandon() (lost []func(kernel.Attachment)) {
	for i := range q.list {
		if done := q.list[i].done; done != nil {
			lost = append(lost, done)
			q.list[i].done = nil
		}
	}
	return lost
}

// unsure tells connections that nobody knows about their sessions. No lock is held.
func unsure(list []func(kernel.Attachment)) {
	for _, done := range list {
		done(kernel.Attachment{Verdict: kernel.Unsure})
	}
}

// inquire asks the leader about a session that a client wants back, if this server is a learner. An earlier connection of the session goes first, so that nothing more comes from it, and an
// earlier question will be answered to nobody.
func (s *sessions) inquire(id kernel.SessionID, timeout time.Duration, conn kernel.Connection, done func(kernel.Attachment)) bool {
	s.mu.Lock()
	x := s.byID[id]
	if s.role != kernel.Following || (x != nil && x.local) {
		s.mu.Unlock()
		return false
	}
	var before []kernel.Connection
	if x != nil && x.conn != nil && x.conn != conn {
		before = append(before, x.conn)
		x.conn = nil
	}
	var superseded []func(kernel.Attachment)
	q := &s.questions
	for i := range q.list {
		if q.list[i].id == id && q.list[i].done != nil {
			superseded = append(superseded, q.list[i].done)
			q.list[i].done = nil
		}
	}
	s.mu.Unlock()
	s.close(before, kernel.CloseSessionMoved)
	unsure(superseded)

	s.mu.Lock()
	if s.role != kernel.Following {
		s.mu.Unlock()
		done(kernel.Attachment{Verdict: kernel.Unsure})
		return true
	}
	q.list = append(q.list, question{id: id, timeout: timeout, conn: conn, done: done, at: s.now.Load()})
	q.ask(peer.Touch{Session: id, Timeout: timeout}.AppendTo(nil))
	s.mu.Unlock()
	return true
}

// Nothing implements kernel.PeerSessions: an empty multi.
func (s *sessions) Nothing() (op int32, body []byte) {
	nothing := wire.Request{Op: wire.Op{Code: wire.OpMulti}}
	return int32(wire.OpMulti), nothing.AppendTo(nil)
}

// Answered implements kernel.PeerSessions.
func (s *sessions) Answered(payload []byte) error {
	answer, err := peer.DecodeRevalidated(payload)
	if err != nil {
		return err
	}
	id := answer.Session
	s.mu.Lock()
	q := &s.questions
	if s.role != kernel.Following || len(q.list) == 0 || q.list[0].id != id {
		s.mu.Unlock()
		return fmt.Errorf("an answer about session %s that was not asked for", id)
	}
	asked := q.list[0]
	q.list[0] = question{}
	q.list = q.list[1:]
	if len(q.list) == 0 {
		q.list = nil
	}
	if asked.done == nil {
		s.mu.Unlock()
		return nil
	}
	verdict := kernel.Refused
	var before []kernel.Connection
	if answer.Valid {
		verdict = kernel.Accepted
		x := s.byID[id]
		if x == nil {
			x = newSession(id)
			x.ahead, x.stored = true, asked.timeout
			s.byID[id] = x
		}
		if x.conn != nil && x.conn != asked.conn {
			before = append(before, x.conn)
		}
		s.own(x, asked.timeout, asked.conn)
		x.deadline.Store(asked.at + int64(asked.timeout))
	}
	s.mu.Unlock()
	s.close(before, kernel.CloseSessionMoved)
	asked.done(attachment(verdict, asked.timeout))
	return nil
}
