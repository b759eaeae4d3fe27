package zookeeper

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// keepChunk is the largest output buffer that goes back to the pool.
const keepChunk = 64 << 10

type chunk struct{ b []byte }

var chunkPool = sync.Pool{New: func() any { return &chunk{b: make([]byte, 0, 4<<10)} }}

// output is what a connection sends, in order: head, then for each hole the answer that is missing and what came after it.
type output struct {
	head    *chunk // nil when empty
	holes   []hole
	size    int // bytes in head, behind the holes and being written
	charged int // of size, on the budget of all connections
	writing bool
	since   time.Time // when the piece being written began
	frames  int       // whole frames in head
}

// hole is the place of an answer that comes later. What was queued after it waits in after.
type hole struct {
	req    *kernel.Request
	after  []byte
	frames int
}

func (o *output) drop(b *budget) {
	b.give(o.charged)
	o.head, o.holes, o.size, o.charged = nil, nil, 0, 0
}

// softOutput is where a connection stops running requests until what is queued has left.
const softOutput = 256 << 10

// congested says that much is queued and cannot leave by itself: the client has to read, or a reserved answer is missing.
func (o *output) congested() bool {
	return o.size >= softOutput && (o.writing || len(o.holes) > 0)
}

func (o *output) empty() bool { return o.head == nil && len(o.holes) == 0 }

// appendFrame queues one reply or event behind everything that was queued before it. mu is held.
func (c *conn) appendFrame(xid int32, zxid kernel.Zxid, code int32, body []byte) {
	o := &c.output
	if n := len(o.holes); n > 0 {
		h := &o.holes[n-1]
		h.after = appendReply(h.after, xid, zxid, code, body)
		h.frames++
		c.grown(4+replyHeaderSize+len(body), xid >= 0)
		return
	}
	c.appendHead(xid, zxid, code, body)
}

// appendHead queues a frame at the end of what can leave now, before any hole: the order in which pings are answered. mu is held.
func (c *conn) appendHead(xid int32, zxid kernel.Zxid, code int32, body []byte) {
	o := &c.output
	if o.head == nil {
		o.head = chunkPool.Get().(*chunk)
	}
	o.head.b = appendReply(o.head.b, xid, zxid, code, body)
	o.frames++
	c.grown(4+replyHeaderSize+len(body), xid >= 0)
}

const replyHeaderSize = 16

func appendReply(dst []byte, xid int32, zxid kernel.Zxid, code int32, body []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(replyHeaderSize+len(body)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(xid))
	dst = binary.BigEndian.AppendUint64(dst, uint64(zxid))
	dst = binary.BigEndian.AppendUint32(dst, uint32(code))
	if len(body) > bigBody {
		return appendBig(dst, body)
	}
	return append(dst, body...)
}

// bigBody is the largest body that is copied in one go: nothing can interrupt a copy, so the whole process may have to wait for the end of it.
const bigBody = 1 << 20

func appendBig(dst, body []byte) []byte {
	if need := len(dst) + len(body); need > cap(dst) {
		dst = append(make([]byte, 0, need), dst...)
	}
	for len(body) > bigBody {
		dst = append(dst, body[:bigBody]...)
		body = body[bigBody:]
	}
	return append(dst, body...)
}

// grown counts what was queued and closes a client that does not read: it may have one frame beyond the bound, whatever its size, as long as all connections together stay in the budget.
// What it has asked for is bounded already: nothing more is read from it, and nothing but the writes that it has under way is answered, until it reads.
func (c *conn) grown(n int, asked bool) {
	o := &c.output
	before := o.size
	o.size += n
	switch {
	case c.dead || o.size <= keepChunk:
	case before > c.g.cfg.maxOutput && !asked:
		c.tooSlow("the client does not read what it is sent")
	case !c.g.outgoing.take(o.size - o.charged):
		c.tooSlow("all clients together are sent more than they read; see plugin.gateway.zookeeper.outputBudget")
	default:
		o.charged = o.size
	}
}

// tooSlow ends the connection; its reader logs why, because this may be called from apply.
func (c *conn) tooSlow(why string) {
	c.why = why
	c.g.stats.slowReaders.Add(1)
	c.killLocked()
}

// reserve makes everything that is queued from now on wait for req's answer.
func (c *conn) reserve(req *kernel.Request) {
	c.output.holes = append(c.output.holes, hole{req: req})
}

// fill puts the answer of a reserved request into its place. false: there is no such hole.
func (c *conn) fillHole(req *kernel.Request, zxid kernel.Zxid, code int32, body []byte) bool {
	o := &c.output
	for i := range o.holes {
		h := &o.holes[i]
		if h.req != req {
			continue
		}
		after, frames := h.after, h.frames
		if i == 0 {
			c.appendHead(req.Cxid, zxid, code, body)
			if c.dead {
				return true
			}
			o.head.b = append(o.head.b, after...)
			o.frames += frames
		} else {
			p := &o.holes[i-1]
			p.after = append(appendReply(p.after, req.Cxid, zxid, code, body), after...)
			p.frames += 1 + frames
			c.grown(4+replyHeaderSize+len(body), true)
		}
		if !c.dead {
			o.holes = append(o.holes[:i], o.holes[i+1:]...)
		}
		return true
	}
	return false
}

// flush writes until nothing can leave. mu is held on entry and exit, not while writing. One write takes all that has queued.
func (c *conn) flush() {
	o := &c.output
	o.writing = true
	for o.head != nil && !c.dead {
		out, frames := o.head, o.frames
		o.head, o.frames = nil, 0
		latency := c.queue.latency
		c.queue.latency = latencySum{}
		o.since = time.Now()
		now, n := o.since, len(out.b)
		// Counted before the client can have it: who has read a reply finds it counted.
		c.g.stats.sent(frames, n, latency, now)
		c.stats.sent(frames, latency, now)
		c.mu.Unlock()

		err := c.writePieces(out.b)
		if answers := latency.reads.n + latency.writes.n; c.g.stages != nil && answers > 0 {
			c.g.stages.Count(kernel.StageReply, int(answers), time.Since(now))
		}
		if cap(out.b) <= keepChunk {
			out.b = out.b[:0]
			chunkPool.Put(out)
		}

		c.mu.Lock()
		o.size -= n
		if left := max(o.size, 0); left < o.charged {
			c.g.outgoing.give(o.charged - left)
			o.charged = left
		}
		if err != nil {
			c.killLocked()
		}
	}
	if c.phase == phaseClosing && o.empty() && !c.dead {
		c.phase = phaseFinished
		c.mu.Unlock()
		c.sayGoodbye()
		c.mu.Lock()
	}
	o.writing = false
	c.cond.Broadcast()
}

// writePiece is as much as is written at once. A client has the length of its session for each (sweep.go): one that reads slowly is not one that does not read.
const writePiece = 128 << 10

// writePieces writes b. mu is not held.
func (c *conn) writePieces(b []byte) error {
	for len(b) > writePiece {
		if _, err := c.socket.Write(b[:writePiece]); err != nil {
			return err
		}
		b = b[writePiece:]
		now := time.Now()
		c.mu.Lock()
		c.output.since = now
		c.mu.Unlock()
	}
	_, err := c.socket.Write(b)
	return err
}

// sayGoodbye ends our direction of the connection and wakes a reader that is parked in a read, so that it lingers.
func (c *conn) sayGoodbye() {
	c.socket.SetWriteDeadline(time.Now().Add(lingerTime))
	if half, ok := c.socket.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	c.socket.SetReadDeadline(time.Unix(1, 0))
}
