package zookeeper

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// load is what all connections together have under way, for ZooKeeper's limits that count it. Each part counts only while its limit is set.
type load struct {
	requests atomic.Int64 // not answered
	share    atomic.Int64 // of globalOutstandingLimit that is this server's; above it, a connection that waits for an answer is not read from. 0: no limit
	inPath   budget       // writes and barriers in the write path (request_throttle_max_requests)
	large    budget       // bytes of large requests that are not answered (largeRequestMaxBytes)
}

var errLargeRequests = errors.New("large requests under way take too much together; see largeRequestMaxBytes")

// shareOutstanding works out this server's part of globalOutstandingLimit (spec server-surface, 1.2 d). Members come and go, so the sweeper asks again.
func (g *Gateway) shareOutstanding(status kernel.Status) {
	limit, voters := g.cfg.outstanding, int64(0)
	for _, m := range status.Members {
		if m.Voter {
			voters++
		}
	}
	if limit > 0 && voters > 2 {
		limit = max(1, limit/(voters-1))
	}
	g.load.share.Store(limit)
}

// crowded says whether this server has more requests under way than its share.
func (g *Gateway) crowded() bool {
	share := g.load.share.Load()
	return share > 0 && g.load.requests.Load() > share
}

// count notes requests that were queued, or with a negative n answered or forgotten.
func (g *Gateway) count(n int) {
	if g.cfg.outstanding > 0 {
		g.load.requests.Add(int64(n))
	}
}

// isLarge says whether a frame counts on load.large.
func (g *Gateway) isLarge(size int) bool {
	return g.cfg.largeThreshold >= 0 && int64(size) > g.cfg.largeThreshold
}

// enterPath takes a place in the write path. false: there is none. leavePath gives n of them back.
func (g *Gateway) enterPath() bool {
	return g.load.inPath.limit <= 0 || g.load.inPath.take(1)
}

func (g *Gateway) leavePath(n int) {
	if g.load.inPath.limit > 0 {
		g.load.inPath.give(n)
	}
}

// overdue says whether a request has waited too long for its turn (throttled_op_wait_time). A read that waits for its session's own writes waits for their answers, which is
// not the server's queue: what counts for it is when the last of them got its turn. mu is held.
func (c *conn) overdue(r *request) bool {
	limit := c.g.cfg.throttledWait
	if limit <= 0 || r.kind == kindLocal || wire.OpCode(r.Op) == wire.OpCloseSession {
		return false
	}
	turn := c.queue.turn
	if r.kind != kindRead {
		turn = time.Now()
	}
	return turn.Sub(r.Received) > limit
}

// throttleOp answers the first waiting request instead of running it. mu is held.
func (c *conn) throttleOp(r *request) {
	if r.kind != kindRead {
		c.queue.turn = time.Now()
	}
	c.g.stats.throttledOps.Add(1)
	c.queue.ready = r.next
	c.refuse(r, zxidApplied, wire.ErrThrottledOp)
}
