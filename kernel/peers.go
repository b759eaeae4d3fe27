package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"
)

// deliver hands the machine what only it understands, and its answer back to the broadcast.
func (l *loopState) deliver(d *Delivery) {
	n := l.node
	peers := n.parts.Machine.Peers()
	if peers == nil {
		return
	}
	switch d.Kind {
	case HeartbeatDue:
		l.reply(d, peers.Touched(), nil)
	case SessionsTouched:
		l.understood(d, peers.Heard(d.Link.Peer, d.Payload))
	case SessionAsked: // in its place between the learner's requests
		question := *d
		question.Payload = append([]byte(nil), d.Payload...)
		n.remote.put(&Request{question: &question, From: d.Link.Peer, role: l.role.bound()})
	case SessionAnswer:
		l.understood(d, peers.Answered(d.Payload))
	}
}

// answer is the leader's to a question whose turn has come.
func (l *loopState) answer(q *Delivery) {
	payload, err := l.node.parts.Machine.Peers().Asked(q.Link.Peer, q.Payload)
	l.reply(q, payload, err)
	l.settle()
}

func (l *loopState) reply(d *Delivery, payload []byte, err error) {
	if !l.understood(d, err) {
		return
	}
	if payload == nil {
		payload = []byte{}
	}
	l.toBroadcast = append(l.toBroadcast, Answer{To: Delivery{Kind: d.Kind, Link: d.Link, Zxid: d.Zxid}, Payload: payload})
}

// understood costs the link what made no sense.
func (l *loopState) understood(d *Delivery, err error) bool {
	if err != nil {
		l.node.cfg.Logger.Warn("a peer sent what cannot be understood; its link is closed", "peer", int64(d.Link.Peer), "err", err)
		l.node.transport.Hangup(d.Link)
	}
	return err == nil
}

// busyRetry is how long the goroutine of remote requests waits when the machine takes writes more slowly.
const busyRetry = 2 * time.Millisecond

// runRemote is the goroutine of requests that learners forwarded: it brings what they need into memory, as gateways do for their own, and keeps their order.
func (n *Node) runRemote() {
	defer n.done.Done()
	for {
		select {
		case <-n.stop:
			return
		case <-n.remote.wake:
		}
		for _, req := range n.remote.take() { // order counts: they are resolved one after the other
			for errors.Is(n.resolve(req), ErrBusy) {
				select {
				case <-n.stop:
					return
				case <-time.After(busyRetry):
				}
			}
			n.requests.put(req)
		}
	}
}

// resolve brings into memory what a learner's request needs. A follower only passes on what its observers ask for.
func (n *Node) resolve(req *Request) error {
	if req.question != nil || req.Barrier || n.role.Load().Role != Leading {
		return nil
	}
	return n.parts.Machine.Resolve(req)
}

// runReads is the goroutine that reads the log for learners who catch up, beside the disk goroutine's appends.
func (n *Node) runReads() {
	defer n.done.Done()
	for {
		select {
		case <-n.stop:
			return
		case <-n.reads.wake:
		}
		for _, r := range n.reads.take() {
			n.inputs.put(n.readLog(r))
		}
	}
}

func (n *Node) readLog(r ReadLog) LogRead {
	out := LogRead{ID: r.ID, Done: true}
	bytes := 0
	out.Err = n.parts.Log.Read(r.From, func(rec Record) bool {
		if rec.Zxid > r.To {
			return false
		}
		if bytes > r.MaxBytes {
			out.Done = false
			return false
		}
		bytes += len(rec.Data)
		out.Records = append(out.Records, Record{Zxid: rec.Zxid, Meta: append([]byte(nil), rec.Meta...), Data: append([]byte(nil), rec.Data...)})
		return true
	})
	var corrupt *CorruptError
	if n.cfg.Repair.Damaged != nil && errors.As(out.Err, &corrupt) { // a history with a hole is not one to lead or to vote with
		n.Fail(fmt.Errorf("log: %w", out.Err))
	}
	return out
}

// holds are the positions from which on the log is kept for learners who are being brought up.
type holds struct {
	mu   sync.Mutex
	from map[LinkID]Zxid
}

// limit is up to where the log may be purged, if upTo is what others allow.
func (h *holds) limit(upTo Zxid) Zxid {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, z := range h.from {
		upTo = min(upTo, z)
	}
	return upTo
}

func (h *holds) set(link LinkID, z Zxid) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.from == nil {
		h.from = map[LinkID]Zxid{}
	}
	h.from[link] = z
}

// release ends the hold of a link.
func (n *Node) release(link LinkID) {
	n.holds.mu.Lock()
	defer n.holds.mu.Unlock()
	delete(n.holds.from, link)
}

// sendSnapshot streams the state to a learner. The core sends nothing else on the link until it has heard that the stream is on its way.
func (n *Node) sendSnapshot(s SendSnapshot) {
	n.holds.set(s.Link, n.parts.Machine.Flushed()) // before the picture is taken: a flush may allow a purge in between
	n.spawn(func() {
		state, err := n.parts.Machine.Snapshot()
		if err != nil {
			n.inputs.put(SnapshotBegun{ID: s.ID, Err: fmt.Errorf("snapshot for server %d: %w", s.Link.Peer, err)})
			return
		}
		defer state.Close()
		n.holds.set(s.Link, state.Zxid())
		if n.stepper != nil { // nobody reads beside this goroutine
			var b bytes.Buffer
			_, err = state.WriteTo(&b)
			n.transport.Stream(s.Link, Message{Type: s.Type, Zxid: state.Zxid()}, io.NopCloser(&b))
			n.inputs.put(SnapshotBegun{ID: s.ID, Zxid: state.Zxid(), Err: err})
			return
		}
		r, w := io.Pipe()
		n.transport.Stream(s.Link, Message{Type: s.Type, Zxid: state.Zxid()}, r)
		n.inputs.put(SnapshotBegun{ID: s.ID, Zxid: state.Zxid()})
		_, err = state.WriteTo(&paced{w: w, rate: paceOfThread * runtime.GOMAXPROCS(0), writes: n.proposed.Load, stop: n.stop})
		_ = w.CloseWithError(err) // it reports no error; nil is the end of the stream
	})
}

// restoreState replaces the machine's state by a snapshot that a peer sends. The log is empty at the snapshot's position by now: whoever starts after a crash here sees a state that is
// behind its log, and does not vote.
func (n *Node) restoreState(r *RestoreState) {
	err := n.parts.Machine.Restore(r.Body, r.Zxid)
	if err == nil {
		err = n.diskState.snapshots.keep()
	}
	if err != nil {
		n.cfg.Logger.Warn("a snapshot from a peer could not be taken over; another one will be asked for", "peer", int64(r.Link.Peer), "zxid", r.Zxid.String(), "err", err)
	}
	n.inputs.put(Restored{ID: r.ID, Err: err})
}
