package znode

import (
	"slices"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// expiry sorts sessions into buckets half a tick wide. A touch only moves the deadline in the session itself; when a bucket's time has come, sessions that were touched since move on to a later one.
// So a touch costs one store, and a session is looked at once per time-out.
type expiry struct {
	buckets map[int64]map[*session]struct{} // by the end of the bucket in sessions.now time, in half ticks
	swept   int64                           // buckets up to here are done
	grace   int64                           // nothing expires before: the server itself stood still
	base    time.Time                       // sessions.now is 0
}

func (e *expiry) init(base time.Time) {
	*e = expiry{buckets: map[int64]map[*session]struct{}{}, base: base}
}

// halfTick is the grid of time: ticks come that often.
func (s *sessions) halfTick() int64 { return int64(s.m.set.tick / 2) }

// touch notes a sign of life. Where this server decides, the deadline moves: to half a tick after the time-out, so that a session ends within the tick after it. The clock is asked, because the last tick may be long
// ago: what has come while the server stood still is heard before the next one. Elsewhere the leader has to be told.
func (s *sessions) touch(x *session) {
	if s.decides(x) {
		at := int64(s.m.env.Now().Sub(s.expiry.base))
		x.deadline.Store(at + s.halfTick() + x.timeout.Load())
	} else {
		s.note(x)
	}
}

// decides says whether a session expires by this server's clock.
func (s *sessions) decides(x *session) bool { return s.role == kernel.Leading || x.local }

// renew gives a session that has begun or gone on a whole time-out. mu is held.
func (s *sessions) renew(x *session) {
	if s.decides(x) {
		s.touch(x)
	} else { // the leader gave it as much, not before this
		x.deadline.Store(s.now.Load() + x.timeout.Load())
	}
	s.place(x)
}

// place puts a session on the wheel, if it expires by this server's clock. mu is held.
func (s *sessions) place(x *session) {
	if s.decides(x) && s.byID[x.id] == x {
		s.expiry.place(x)
	}
}

// place puts a session into the bucket of its deadline.
func (e *expiry) place(x *session) {
	e.remove(x)
	// Buckets need no exact time: the deadline decides. Half ticks are not known here, so the unit is a quarter second.
	bucket := max(x.deadline.Load()/bucketWidth+1, e.swept+1)
	set := e.buckets[bucket]
	if set == nil {
		set = map[*session]struct{}{}
		e.buckets[bucket] = set
	}
	set[x] = struct{}{}
	x.bucket = bucket
}

const bucketWidth = int64(250 * time.Millisecond)

// expiryBurst is how many sessions end in one half tick: the end of each is a transaction, and those who write wait behind it. A crowd that has gone at once goes in some ticks.
const expiryBurst = 1000

func (e *expiry) remove(x *session) {
	if x.bucket == 0 {
		return
	}
	set := e.buckets[x.bucket]
	delete(set, x)
	if len(set) == 0 {
		delete(e.buckets, x.bucket)
	}
	x.bucket = 0
}

// advance sets the time of the tick.
func (s *sessions) advance(now time.Time) {
	s.now.Store(max(int64(now.Sub(s.expiry.base)), s.now.Load()))
}

// expired marks the sessions whose time is over and returns requests that end them, in the order of their ids. Local ones end here and now, and so do connections that were held for too long.
func (s *sessions) expired(now time.Time, stalled bool) []*kernel.Request {
	over, hangUp, held := s.collect(now, stalled)
	s.close(hangUp, kernel.CloseSessionExpired)
	s.close(held, kernel.CloseNoLeader)
	if len(over) == 0 {
		return nil
	}
	slices.Sort(over)
	reqs := make([]*kernel.Request, 0, len(over))
	for _, id := range over {
		reqs = append(reqs, &kernel.Request{Session: id, Op: int32(wire.OpCloseSession)})
	}
	return reqs
}

func (s *sessions) collect(now time.Time, stalled bool) (over []kernel.SessionID, hangUp, held []kernel.Connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(now)
	at := s.now.Load()
	held = s.heldTooLong(at)
	if stalled {
		s.expiry.grace = at + int64(s.m.set.tick)
	}
	if at < s.expiry.grace {
		return nil, nil, held
	}
	var done []*session
	for last := at / bucketWidth; s.expiry.swept < last; {
		if len(s.expiry.buckets) == 0 {
			s.expiry.swept = last
			break
		}
		s.expiry.swept++
		done = s.sweep(s.expiry.swept, at, done)
	}
	done = s.sweep(s.expiry.swept+1, at, done) // the bucket under way
	for _, x := range done {
		switch {
		case !x.local || x.rising:
			x.closing = true
			over = append(over, x.id)
		default:
			delete(s.byID, x.id)
			s.locals--
			if x.conn != nil {
				hangUp = append(hangUp, x.conn)
			}
		}
	}
	return over, hangUp, held
}

// sweep takes the sessions whose deadline has passed out of a bucket, as many as may end now, and moves those that were touched on.
func (s *sessions) sweep(bucket, at int64, over []*session) []*session {
	for x := range s.expiry.buckets[bucket] {
		if x.deadline.Load() > at {
			if x.deadline.Load()/bucketWidth+1 != bucket {
				s.place(x)
			}
			continue
		}
		switch {
		case x.closing:
			s.expiry.remove(x)
		case len(over) < expiryBurst:
			s.expiry.remove(x)
			over = append(over, x)
		case bucket <= s.expiry.swept: // it is not looked at again
			s.place(x)
		}
	}
	return over
}
