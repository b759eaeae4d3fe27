package zookeeper

import (
	"errors"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// submit hands one write or barrier to the node.
func (c *conn) submit(r *request) {
	q := &c.queue
	if !c.g.enterPath() {
		c.g.stats.throttleWaits.Add(1)
		c.pauseLocked()
		return
	}
	if r == q.ready {
		q.ready = r.next
	} else {
		r.ahead = true
	}
	r.Overtook = r.ahead || q.reading // reads that the apply goroutine has begun are not over either
	q.running++
	if c.g.cfg.throttledWait > 0 {
		q.turn = time.Now()
	}
	c.mu.Unlock()
	err := c.handOver(r)
	refusal := refusalOf(err)
	if err != nil && refusal == nil && !errors.Is(err, kernel.ErrBusy) && !errors.Is(err, kernel.ErrNotServing) {
		c.g.refused(err)
	}
	c.mu.Lock()
	if err == nil || c.dead {
		return // r may be answered and recycled by now
	}
	q.running--
	c.g.leavePath(1)
	switch {
	case refusal != nil:
		c.refuse(r, 0, wire.ErrorCode(refusal.Code))
	case errors.Is(err, kernel.ErrBusy):
		q.putBack(r)
		c.pauseLocked()
	case errors.Is(err, kernel.ErrNotServing):
		c.killLocked()
	default:
		c.refuse(r, zxidApplied, wire.ErrSystemError)
	}
}

// handOver resolves and submits r. An error says that it is not in the write path. mu is not held.
func (c *conn) handOver(r *request) error {
	m := c.g.host.Machine()
	if r.kind == kindWrite {
		if err := c.upgrade(r); err != nil {
			return err
		}
		if err := m.Resolve(&r.Request); err != nil {
			switch {
			case refusalOf(err) == nil:
				return err
			case c.alone():
				m.Release(&r.Request)
				return err
			}
		}
	}
	err := c.g.host.Submit(&r.Request)
	if err != nil {
		m.Release(&r.Request)
	}
	return err
}

// alone says whether the connection has nothing in the write path but the request that is being submitted.
func (c *conn) alone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue.running <= 1
}

// refusalOf is errors.As without its cost for a write that went well.
func refusalOf(err error) *kernel.Refusal {
	if err == nil {
		return nil
	}
	var refusal *kernel.Refusal
	errors.As(err, &refusal)
	return refusal
}

// busyPause is how long a connection waits after the write path was full.
const busyPause = 2 * time.Millisecond

// pauseLocked hands nothing over for a moment. Whatever is answered next tries again; so does the timer, for a client that has nothing else under way.
func (c *conn) pauseLocked() {
	c.queue.busy = true
	time.AfterFunc(busyPause, c.unbusy)
}

func (c *conn) unbusy() {
	c.mu.Lock()
	if c.queue.busy {
		c.queue.busy = false
		c.wakeLocked()
	}
	c.mu.Unlock()
}

// refuse answers a request that was not handed over, or has come back. mu is held.
func (c *conn) refuse(r *request, zxid kernel.Zxid, code wire.ErrorCode) {
	r.kind, r.zxid, r.code = kindLocal, zxid, int32(code)
	r.answered, r.closes = true, r == c.queue.closing
	c.advance()
}
