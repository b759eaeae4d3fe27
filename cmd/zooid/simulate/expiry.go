package simulate

import (
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/sim"
	"github.com/zooid-project/zooid/sdk/wire"
)

// life is what is known for sure about how long a session lives: the shortest time-out that any of its connections had or asked for, and when a leader that serves it itself heard of it.
type life struct {
	timeout time.Duration
	heard   time.Duration
	epoch   kernel.Epoch
}

func (l life) granted(timeout time.Duration) life {
	if l.timeout == 0 || timeout < l.timeout {
		l.timeout = timeout
	}
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
		r.fail("session %s has expired at %v (%s), its leader was there and heard of it at %v, its time-out is %v", id, at, kernel.Zxid(h.Zxid), since, l.timeout)
	}
}
