package simulate

import (
	"slices"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/sim"
	"github.com/zooid-project/zooid/sdk/wire"
)

// life is what is known for sure about how long a session lives: the shortest and the longest time-out that any of its connections had or asked for, and when a leader that serves it itself heard of it.
type life struct {
	timeout time.Duration
	longest time.Duration
	heard   time.Duration
	epoch   kernel.Epoch
}

func (l life) granted(timeout time.Duration) life {
	if l.timeout == 0 || timeout < l.timeout {
		l.timeout = timeout
	}
	l.longest = max(l.longest, timeout)
	return l
}

// touched notes that a server heard of a session.
func (r *run) touched(s *sim.Server, id kernel.SessionID) {
	if st := s.Host().Status(); st.Role == kernel.Leading && st.Serving {
		l := r.lives[id]
		l.heard, l.epoch = r.world.Now(), st.Epoch
		r.lives[id] = l
	}
}

// checkExpiry: no session expires before its time-out has passed since its leader heard of it, or since that server leads (FIELD, 2.6, rule 11).
func (r *run) checkExpiry(h wire.TxnHeader) {
	id, epoch := kernel.SessionID(h.ClientID), kernel.Zxid(h.Zxid).Epoch()
	l, known := r.lives[id]
	if !known {
		return // its client never heard of it
	}
	_, since := r.world.Led(epoch)
	if l.epoch == epoch {
		since = max(since, l.heard)
	}
	if at := r.world.Now(); at-since < l.timeout { // when it is committed: the time in the header is that of a clock that jumps
		r.fail("session %s has expired at %v (%s), its leader was there and heard of it at %v, its time-out is %v (rule 11)", id, at, kernel.Zxid(h.Zxid), since, l.timeout)
	}
}

// late is by how much a session may outlive its time-out where nothing goes wrong (FIELD, 2.6, rule 11): a sign of life counts from when it arrives at the leader, which a learner tells once in half a tick, deadlines
// are rounded up to half ticks, and leaders look at the clock each half tick; as much again for what is on its way.
func (r *run) late() time.Duration { return 4 * r.tick }

// expire lets clients go for good, every second one of those that are connected, without a word of farewell. Nothing else goes wrong: each session that has no client then, be it one of theirs or one that was left behind
// earlier, must be gone when its time-out has passed, since then or, after an election that an earlier fault has left behind, since its leader leads. A server that comes back tells what it had heard before: so all that
// can are given the time to.
func (r *run) expire() {
	w := r.world
	w.RunUntil(20*time.Second, func() bool {
		return !slices.ContainsFunc(w.Servers(), func(s *sim.Server) bool { return s.Up() && !s.Serving() })
	})
	for i, c := range r.clients {
		if i%2 == 0 && c.conn != nil {
			c.lose()
			r.tally("clients gone for good")
		}
	}
	began := w.Now()
	for {
		id, since, timeout := r.abandoned(began)
		if id == 0 || w.Failure() != nil {
			return
		}
		gone := func() bool { return r.model.sessions[int64(id)].ended != 0 || r.held(id) }
		led := r.led()
		if !w.RunUntil(max(since, led)+timeout+r.late()-w.Now(), gone) && r.led() == led {
			w.Fail("session %s has no client since %v, everything serves, and its time-out is %v at most: it should have expired (rule 11)", id, since, timeout)
		}
	}
}

// led is since when there is the leader that there is; now, if there is none.
func (r *run) led() time.Duration {
	for _, s := range r.world.Servers() {
		if s.Leading() {
			_, since := r.world.Led(s.Host().Status().Epoch)
			return since
		}
	}
	return r.world.Now()
}

// abandoned is the session without a client that must end next, since when it is alone, and its time-out at most; zero: there is none.
func (r *run) abandoned(began time.Duration) (next kernel.SessionID, since, timeout time.Duration) {
	for key, s := range r.model.sessions {
		id := kernel.SessionID(key)
		if s.ended != 0 || r.held(id) {
			continue
		}
		alone := began
		for _, c := range r.clients {
			if c.session == id { // it may have lost its connection a moment ago
				alone = max(alone, c.lost)
			}
		}
		long := max(s.timeout, r.lives[id].longest)
		if end := alone + long; next == 0 || end < since+timeout || end == since+timeout && id < next {
			next, since, timeout = id, alone, long
		}
	}
	return next, since, timeout
}

// held tells whether a client is there for a session.
func (r *run) held(id kernel.SessionID) bool {
	return slices.ContainsFunc(r.clients, func(c *client) bool { return c.conn != nil && c.session == id })
}
