package zookeeper

import (
	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// A client that mixes reads and writes would have one write under way at a time if every write waited for the reads in front of it, which wait for the write before them. So a write may be handed over
// past such reads. The order in which they see the state is kept by Settle: the reads are answered after the write before them was applied and before the one behind them is.

// overtakeReads is how many reads a write is handed over past. They are answered on the apply goroutine in the worst case, for which all clients wait: only those that are cheap count.
const overtakeReads = 32

func (r *request) cheap() bool {
	return r.kind == kindRead && (r.decoded.Code == wire.OpGetData || r.decoded.Code == wire.OpExists)
}

// overtaker is the first write that may be handed over past the reads that wait, or nil. mu is held.
func (c *conn) overtaker() *request {
	q := &c.queue
	if q.running >= c.g.cfg.window || q.busy || c.g.cfg.throttledWait > 0 || c.output.congested() {
		return nil
	}
	reads := 0
	for r := q.ready; r != nil && reads <= overtakeReads; r = r.next {
		switch {
		case r.ahead:
		case r.cheap():
			reads++
		case r.kind == kindWrite && r != q.closing:
			return r
		default:
			return nil
		}
	}
	return nil
}

// skipAhead moves ready past what was handed over already.
func (q *queue) skipAhead() {
	for q.ready != nil && q.ready.ahead {
		q.ready = q.ready.next
	}
}

// putBack takes a write back that the node would not take.
func (q *queue) putBack(r *request) {
	if r.ahead {
		r.ahead, r.Overtook = false, false
		for waiting := q.ready; waiting != nil; waiting = waiting.next {
			if waiting == r {
				return
			}
		}
	}
	q.ready = r
}

// Settle implements kernel.Overtaker. Another goroutine may be writing to a slow client, or handing over: it is not waited for, only for reads that are under way.
func (c *conn) Settle(req *kernel.Request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := &c.queue
	for !c.dead && c.phase == phaseServing {
		q.skipAhead()
		switch {
		case q.head == nil || &q.head.Request == req:
			return true
		case q.reading:
			q.settling = true
			c.settled.Wait()
			q.settling = false
		case q.head == q.ready && q.head.kind == kindRead:
			c.read()
			c.wakeLocked()
		default:
			return false
		}
	}
	return true
}
