package znode

import (
	"math"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// The leader knows through which server each session's requests come, and takes them from nowhere else: what a client sent on a connection that it has left must not take effect behind its back
// (spec client-semantics, 2.6). After a change of leader nobody knows; whoever sends first is the owner.

// ownerUnknown is an owner that no server has as its id.
const ownerUnknown = math.MinInt64

// claim says whether a server is the owner of x, which it becomes if there is none. Either side of mu is held.
func (x *session) claim(server kernel.ServerID) bool {
	return x.owner.Load() == int64(server) || x.owner.CompareAndSwap(ownerUnknown, int64(server)) || x.owner.Load() == int64(server)
}

// mine says the same of this server.
func (s *sessions) mine(x *session) bool { return x.local || x.claim(0) }

// mayWrite says whether a request's session is alive and whether it came through its owner (spec client-protocol, 4.0 step 9). The node's own requests need no session. bound: the request makes a
// node that goes with the session.
func (s *sessions) mayWrite(req *kernel.Request, bound bool) wire.ErrorCode {
	if req.Session == 0 && req.Conn == nil && req.From == 0 {
		return wire.ErrOK
	}
	code, moved := s.judge(req, bound)
	if moved {
		s.disown(req.Session)
	}
	return code
}

// judge is mayWrite under the lock. moved: a connection here turns out to be one that its client has left.
func (s *sessions) judge(req *kernel.Request, bound bool) (code wire.ErrorCode, moved bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	x := s.find(req.Session)
	switch {
	case req.From != 0 && (x == nil || x.local):
		switch elsewhere := s.localElsewhere(req.Session); {
		case elsewhere && !bound:
			return wire.ErrOK, false
		case elsewhere && !s.m.set.upgrading: // every session is a local one: it has not expired, it may not have such a node
			return wire.ErrEphemeralOnLocalSession, false
		}
		return wire.ErrSessionExpired, false
	case x == nil || x.closing:
		return wire.ErrSessionExpired, false
	case bound && req.From == 0 && x.local && !x.rising:
		return wire.ErrEphemeralOnLocalSession, false
	case req.From != 0:
		if !x.claim(req.From) {
			return wire.ErrSessionMoved, false
		}
		return wire.ErrOK, x.conn != nil
	case req.Conn != nil && (x.conn != req.Conn || !s.mine(x)):
		return wire.ErrSessionMoved, false
	}
	return wire.ErrOK, false
}

// localElsewhere says whether a session that is not known here may be a local one of another server. Its writes are served, but it cannot own nodes (spec client-semantics, 2.8).
func (s *sessions) localElsewhere(id kernel.SessionID) bool {
	self := s.m.env.Server
	if self == 0 {
		self = 1
	}
	return s.m.set.local && id != 0 && byte(uint64(id)>>56) != byte(self)
}

// disown closes the connection that a session has here: it goes on elsewhere.
func (s *sessions) disown(id kernel.SessionID) {
	s.mu.Lock()
	x := s.byID[id]
	if x == nil || x.conn == nil {
		s.mu.Unlock()
		return
	}
	conn := x.conn
	x.conn = nil
	s.mu.Unlock()
	s.close([]kernel.Connection{conn}, kernel.CloseSessionMoved)
}
