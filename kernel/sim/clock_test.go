package sim

import (
	"testing"
	"time"
)

// A wall clock jumps, and keeps its distance through a restart; the other clock goes on as before.
func TestClockJumps(t *testing.T) {
	st := newStage(t, 1, 2)
	s := st.Server(1)
	for _, by := range []time.Duration{time.Hour, -3 * time.Hour, 5 * time.Second} {
		before, wall, ahead := s.clock(), s.wall(), s.ahead
		s.JumpClock(by)
		if s.clock() != before || s.wall().Sub(wall) != by || s.ahead != ahead+by {
			t.Errorf("by %v: the wall clock went from %v to %v, the other from %v to %v", by, wall, s.wall(), before, s.clock())
		}
		st.RunFor(time.Minute)
		s.Kill()
		s.Start()
		if s.clock().Sub(before) != time.Minute || s.wall().Sub(wall) != by+time.Minute {
			t.Errorf("by %v: a minute and a restart later the clocks show %v and %v", by, s.clock(), s.wall())
		}
	}
	if other := st.Server(2); other.wall() != other.clock() || s.ahead == 0 {
		t.Errorf("the other server's clock is %v ahead, its own %v", other.ahead, s.ahead)
	}
	st.whole()
}
