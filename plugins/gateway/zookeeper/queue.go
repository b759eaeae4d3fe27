package zookeeper

import (
	"sync"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// request is one frame of a client between decode and reply. It is recycled when it has been answered.
type request struct {
	kernel.Request
	decoded wire.Request
	body    []byte // backs Request.Body
	next    *request
	kind    requestKind
	// An answer that waits for its place at the head of the queue.
	answered bool
	reserved bool
	closes   bool
	ahead    bool // handed over before the reads in front of it
	zxid     kernel.Zxid
	code     int32
	reply    []byte
	large    int // bytes on the budget of large requests
}

type requestKind uint8

const (
	kindRead    requestKind = iota // answered by Machine().Read
	kindWrite                      // resolved and submitted
	kindBarrier                    // sync
	kindLocal                      // answered here; zxid is zxidApplied or the value itself
)

// zxidApplied stands for "the last applied transaction when the answer leaves" (spec client-protocol, 3.4).
const zxidApplied kernel.Zxid = -2

var requestPool = sync.Pool{New: func() any { return new(request) }}

// keepBody is the largest body that a pooled request keeps.
const keepBody = 4 << 10

func newRequest() *request { return requestPool.Get().(*request) }

func (r *request) recycle() {
	body, reply := r.body, r.reply
	if cap(body) > keepBody {
		body = nil
	}
	if cap(reply) > keepBody {
		reply = nil
	}
	r.Request = kernel.Request{}
	r.body, r.reply, r.next = body[:0], reply[:0], nil
	r.answered, r.reserved, r.closes, r.ahead, r.zxid, r.code, r.large = false, false, false, false, 0, 0, 0
	requestPool.Put(r)
}

// queue holds a connection's requests that are not answered, in the order in which they came.
//
// Everything before ready has been handed to the state machine or the node; ready and what follows waits: for a place in the window, or, a read, for the writes before it. Writes behind
// such reads may have been handed over as well (overtake.go).
type queue struct {
	head, tail *request
	ready      *request
	length     int
	bytes      int // of bodies, as charged to the budget
	large      int // bytes on the budget of large requests
	running    int // writes and barriers handed over and not answered
	executing  bool
	reading    bool      // Machine().Read is under way: its caller will write what it yields
	settling   bool      // the apply goroutine waits for the reads under way
	busy       bool      // the write path was full a moment ago
	turn       time.Time // when the last write was handed over; kept with throttled_op_wait_time only
	closing    *request  // the client's closeSession
	burst      int       // reads in the next call: fewer when answers are large
	latency    latencySum
	lastZxid   kernel.Zxid // of the last reply: they never fall
	batch      []*kernel.Request
}

// readBurst is how many reads go to the state machine in one call at most, firstBurst how many when the size of their answers is not known yet.
const (
	readBurst  = 64
	firstBurst = 8
)

// append adds a chain of requests. mu is held.
func (q *queue) append(first, last *request, n int) {
	if q.tail == nil {
		q.head = first
	} else {
		q.tail.next = first
	}
	q.tail = last
	if q.ready == nil {
		q.ready = first
	}
	q.length += n
}

// runnable is the waiting request that may run now, or nil.
func (c *conn) runnable() *request {
	q := &c.queue
	q.skipAhead()
	r := q.ready
	if r == nil || c.phase != phaseServing {
		return nil
	}
	switch r.kind {
	case kindRead:
		switch {
		case q.head != r:
			return c.overtaker()
		case q.reading || c.output.congested():
			return nil
		}
	case kindLocal:
	default:
		if q.running >= c.g.cfg.window || q.busy {
			return nil
		}
	}
	return r
}

// drive runs what can run and writes what can leave, unless another goroutine is at it. mu is held on entry and exit.
func (c *conn) drive() {
	for !c.dead {
		ran := false
		if !c.queue.executing && c.runnable() != nil {
			c.execute()
			ran = true
		}
		if !c.output.writing && (c.output.head != nil || (c.phase == phaseClosing && c.output.empty())) {
			c.flush()
			ran = true
		}
		if !ran {
			return
		}
	}
}

// wakeLocked starts a goroutine that drives, if there is something to do that nobody is about to do. It is how answers from elsewhere leave.
func (c *conn) wakeLocked() {
	if c.woken || c.dead || c.queue.reading {
		return
	}
	write := !c.output.writing && (c.output.head != nil || (c.phase == phaseClosing && c.output.empty()))
	if !write && (c.queue.executing || c.runnable() == nil) {
		return
	}
	c.woken = true
	c.g.done.Add(1) // the reader is alive and counted, so the gateway is not past its Wait
	go c.woke()
}

func (c *conn) woke() {
	defer c.g.done.Done()
	c.mu.Lock()
	c.woken = false
	c.drive()
	c.mu.Unlock()
}

// execute runs waiting requests in order until one has to wait. mu is held on entry and exit.
func (c *conn) execute() {
	q := &c.queue
	q.executing = true
	for !c.dead {
		r := c.runnable()
		if r == nil {
			break
		}
		if c.overdue(r) {
			c.throttleOp(r)
			continue
		}
		switch r.kind {
		case kindLocal:
			q.ready = r.next
			r.answered = true
			c.advance()
		case kindRead:
			c.read()
			if c.output.size >= softOutput && !c.output.writing && c.output.head != nil {
				c.flush()
			}
		default:
			c.submit(r)
		}
	}
	c.queue.executing = false
}

// read hands the reads at the head of the queue to the state machine. When answers are large, fewer at a time.
func (c *conn) read() {
	q := &c.queue
	limit := q.burst
	if limit == 0 {
		limit = firstBurst
	}
	if c.g.outgoing.used.Load() > c.g.outgoing.limit/4 {
		limit = 1
	}
	before := c.output.size
	batch := q.batch[:0]
	for r := q.ready; r != nil && r.kind == kindRead && len(batch) < limit; r = r.next {
		batch = append(batch, &r.Request)
		q.ready = r.next
	}
	q.reading = true
	c.mu.Unlock()
	c.g.host.Machine().Read(batch)
	c.mu.Lock()
	clear(batch)
	c.queue.reading = false
	if c.queue.settling {
		c.settled.Broadcast()
	}
	if c.dead {
		return
	}
	c.queue.batch = batch[:0]
	if c.output.size-before > softOutput {
		c.queue.burst = max(1, limit/4)
	} else {
		c.queue.burst = min(readBurst, 2*limit)
	}
}

// Reply implements kernel.Connection.
func (c *conn) Reply(req *kernel.Request, reply kernel.Reply) {
	if o := c.g.stages; o.Traces() {
		defer traceReply(o, req, &reply, time.Now())
	}
	if req.Op == int32(wire.OpCreateSession) {
		c.created(req, reply)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || c.phase > phaseServing {
		return
	}
	code, body := reply.Err, reply.Body
	if len(body) > c.g.cfg.maxReply {
		code, body = int32(wire.ErrBadArguments), nil
		c.g.stats.repliesRefused.Add(1)
	}
	r := c.queue.find(req)
	if r == nil {
		if c.fillHole(req, reply.Zxid, code, body) && !c.dead {
			c.answered(req, reply.Zxid)
			if reply.Close {
				c.finishLocked()
			}
			c.wakeLocked()
		}
		return
	}
	if r.kind == kindRead && r == c.queue.closing && code == int32(wire.ErrUnimplemented) {
		r.kind, c.queue.ready = kindWrite, r // the session is a global one: its end is a transaction
		return
	}
	if r.kind == kindBarrier && code == 0 {
		body = syncPath(r.Body)
	}
	r.zxid, r.code, r.closes = reply.Zxid, code, reply.Close || r == c.queue.closing
	if r.kind != kindRead {
		c.queue.running--
		c.queue.busy = false
		c.g.leavePath(1)
	}
	r.answered = true
	if r == c.queue.head {
		c.leave(r, body)
		c.advance()
	} else {
		r.reply = append(r.reply[:0], body...)
	}
	c.wakeLocked()
}

// Reserve implements kernel.Connection.
func (c *conn) Reserve(req *kernel.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.queue.find(req)
	if r == nil || c.dead || c.phase > phaseServing {
		return
	}
	r.reserved = true
	c.advance()
}

// find is the request that was handed over as req.
func (q *queue) find(req *kernel.Request) *request {
	waiting := false
	for r := q.head; r != nil; r = r.next {
		waiting = waiting || r == q.ready
		if &r.Request == req {
			if waiting && !r.ahead {
				return nil
			}
			return r
		}
	}
	return nil
}

// advance lets the answers at the head of the queue leave. mu is held.
func (c *conn) advance() {
	for {
		r := c.queue.head
		switch {
		case r == nil || c.dead || c.phase > phaseServing:
			return
		case r.answered:
			c.leave(r, r.reply)
		case r.reserved:
			// Its place is kept in the output; the request lives on until its reply.
			c.queue.pop(c, r)
			c.reserve(&r.Request)
		default:
			return
		}
	}
}

// leave queues the answer of the request at the head on the output and recycles the request.
func (c *conn) leave(r *request, body []byte) {
	zxid := r.zxid
	if zxid == zxidApplied {
		zxid = max(c.g.host.Machine().Position(), c.queue.lastZxid)
	}
	c.appendFrame(r.Cxid, zxid, r.code, body)
	if c.dead {
		return
	}
	c.answered(&r.Request, zxid)
	c.queue.pop(c, r)
	closes := r.closes
	if !c.g.stages.Traces() { // an observer may still look at it
		r.recycle()
	}
	if closes {
		c.finishLocked()
	}
}

// answered keeps the figures of one answer.
func (c *conn) answered(req *kernel.Request, zxid kernel.Zxid) {
	c.queue.latency.add(req.Received, wire.OpCode(req.Op).IsWrite())
	c.queue.lastZxid = max(c.queue.lastZxid, zxid)
	c.stats.lastOp, c.stats.lastCxid = wire.OpCode(req.Op), req.Cxid
	if zxid > 0 {
		c.stats.lastZxid = zxid
	}
}

func (q *queue) pop(c *conn, r *request) {
	q.head = r.next
	if q.ready == r {
		q.ready = r.next
	}
	if q.head == nil {
		q.tail = nil
	}
	q.length--
	q.bytes -= len(r.body)
	c.g.budget.give(len(r.body))
	c.g.count(-1)
	if r.large > 0 {
		q.large -= r.large
		c.g.load.large.give(r.large)
	}
	c.cond.Signal()
}

// awaitRoom holds the reader back while the client has too much under way. false: the connection takes no more requests. mu is held on entry and exit.
func (c *conn) awaitRoom() bool {
	for !c.dead && c.phase == phaseServing {
		q := &c.queue
		if c.parting {
			if q.length == 0 {
				c.finishLocked()
				return false
			}
			c.cond.Wait()
			continue
		}
		full := q.length >= c.g.cfg.maxQueue || q.bytes >= c.g.cfg.maxQueueBytes || c.output.congested() ||
			(q.length > 0 && (c.g.budget.used.Load() >= c.g.budget.limit || c.g.crowded()))
		if !full {
			return true
		}
		c.cond.Wait()
	}
	return false
}

func traceReply(o *kernel.StageObserver, req *kernel.Request, reply *kernel.Reply, start time.Time) {
	o.Trace(kernel.StageEvent{Stage: kernel.StageReply, Start: start, Duration: time.Since(start), First: reply.Zxid, Last: reply.Zxid, Count: 1, Bytes: len(reply.Body), Requests: []*kernel.Request{req}})
}
