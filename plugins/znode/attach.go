package znode

import (
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// Attach implements kernel.Sessions by the table of spec client-semantics, 2.5. The password comes first: a client that only guesses an id disturbs nobody.
func (s *sessions) Attach(id kernel.SessionID, password []byte, timeout time.Duration, conn kernel.Connection, done func(kernel.Attachment)) {
	if !wire.CheckSessionPassword(int64(id), password) {
		done(kernel.Attachment{Verdict: kernel.Refused})
		return
	}
	timeout = s.Negotiate(timeout)
	if s.inquire(id, timeout, conn, done) {
		return
	}
	verdict, before := s.take(id, timeout, conn)
	if before != nil && before != conn {
		s.close([]kernel.Connection{before}, kernel.CloseSessionMoved)
	}
	done(attachment(verdict, timeout))
}

func attachment(verdict kernel.Verdict, timeout time.Duration) kernel.Attachment {
	if verdict != kernel.Accepted {
		timeout = 0
	}
	return kernel.Attachment{Verdict: verdict, Timeout: timeout}
}

// take makes conn the owner if the session is alive, and returns the connection that was.
func (s *sessions) take(id kernel.SessionID, timeout time.Duration, conn kernel.Connection) (kernel.Verdict, kernel.Connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.byID[id]
	switch {
	case s.role != kernel.Leading && (x == nil || !x.local):
		return kernel.Unsure, nil
	case x == nil && s.opening[id] != nil: // another server has applied its creation already, this one has not
		return kernel.Unsure, nil
	case x == nil || x.closing:
		return kernel.Refused, nil
	}
	before := x.conn
	s.own(x, timeout, conn)
	return kernel.Accepted, before
}

// Established implements kernel.Sessions.
func (s *sessions) Established(id kernel.SessionID, timeout time.Duration, conn kernel.Connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.byID[id]; x != nil && !x.closing {
		s.own(x, timeout, conn)
		s.note(x)
	}
}

// own makes conn the connection that serves a session. mu is held.
func (s *sessions) own(x *session, timeout time.Duration, conn kernel.Connection) {
	x.conn = conn
	x.owner.Store(0)
	x.timeout.Store(int64(timeout))
	s.renew(x)
	s.m.watches.attach(conn)
}

// Detach implements kernel.Sessions.
func (s *sessions) Detach(conn kernel.Connection) {
	s.m.watches.drop(conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.byID[conn.Session()]; x != nil && x.conn == conn {
		x.conn = nil
	}
}

// startLocal begins a session that no other server knows: no transaction, gone with this server (spec client-semantics, 2.8).
func (s *sessions) startLocal(id kernel.SessionID, timeout time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := newSession(id)
	x.stored, x.local = timeout, true
	x.timeout.Store(int64(timeout))
	s.byID[id] = x
	s.locals++
	s.renew(x)
}
