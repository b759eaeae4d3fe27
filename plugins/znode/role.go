package znode

import "github.com/zooid-project/zooid/kernel"

// What a server knows of sessions beyond the log depends on its role. The leader keeps their time and owners. A learner keeps what it has heard and tells the leader. In between, clients stay
// attached (DESIGN, Durability and faults, Election under way): a connection is held until its session may have expired elsewhere, which is its time-out after the leader last heard of it.

// lead takes up or gives up the time of all sessions. A new leader gives every session a whole time-out (spec client-semantics, 2.3).
func (s *sessions) lead(leading bool) {
	if !leading {
		s.turn(kernel.Leading, kernel.Looking, nil)
		return
	}
	s.turn(s.current(), kernel.Leading, nil)
}

// Follow implements kernel.PeerSessions.
func (s *sessions) Follow(ask func(payload []byte)) {
	if ask == nil {
		s.turn(kernel.Following, kernel.Looking, nil)
		return
	}
	s.turn(s.current(), kernel.Following, ask)
}

func (s *sessions) current() kernel.Role {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.role
}

// turn changes the role, if it is still the one that is to end.
func (s *sessions) turn(from, to kernel.Role, ask func([]byte)) {
	s.mu.Lock()
	if s.role != from {
		s.mu.Unlock()
		return
	}
	lost := s.questions.abandon()
	s.questions = questions{ask: ask}
	s.role = to
	var gone []kernel.Connection
	if to != kernel.Looking { // the state is complete: what is not in it does not exist
		s.m.fuzzy.Store(false)
		gone = s.release(func(x *session) bool { return x.ahead })
		for _, x := range s.byID {
			if x.ahead {
				s.drop(x)
			}
		}
	}
	s.lostAt = s.now.Load()
	s.expiry.buckets = map[int64]map[*session]struct{}{}
	if to == kernel.Leading {
		s.alive.clear()
	}
	for _, x := range s.byID {
		x.bucket = 0
		x.held = x.local && to == kernel.Looking
		if to == kernel.Leading && !x.local {
			x.closing = false
			x.noted.Store(false)
			x.owner.Store(ownerUnknown)
			if x.conn == nil {
				x.timeout.Store(int64(x.stored))
			}
			s.touch(x)
		}
		s.place(x)
	}
	s.mu.Unlock()
	s.close(gone, kernel.CloseSessionExpired)
	unsure(lost)
}

// heldTooLong takes the connections out whose sessions may have expired elsewhere by the next tick, half a tick from now; the time of the table may be as much behind. mu is held.
func (s *sessions) heldTooLong(at int64) []kernel.Connection {
	if s.role != kernel.Looking {
		return nil
	}
	return s.release(func(x *session) bool {
		if x.local { // it expires nowhere else, but its client may find a server that takes its writes
			return x.held && s.lostAt+x.timeout.Load() < at
		}
		return x.deadline.Load() < at+2*s.halfTick()
	})
}
