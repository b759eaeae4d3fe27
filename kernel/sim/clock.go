package sim

import "time"

// A server has two clocks, as any machine: one that only goes forward and measures how long something takes, and the wall clock, which people and their daemons set. Virtual time is the first one; the second
// is apart from it by what it has jumped. It belongs to the machine: a restart changes nothing about it.

func (s *Server) clock() time.Time { return epoch.Add(s.world.now) }

func (s *Server) wall() time.Time { return s.clock().Add(s.ahead) }

// JumpClock sets the wall clock ahead, or back.
func (s *Server) JumpClock(by time.Duration) {
	s.ahead += by
	s.world.fault("clock jumps")
	s.world.Logf("server %d: the clock jumps by %v", s.id, by)
}
