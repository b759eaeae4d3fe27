package kernel

import (
	"errors"
	"fmt"
	"time"
)

// applyJob is one thing for the apply goroutine.
type applyJob struct {
	commit      Zxid
	txns        []Committed
	barrier     *Request
	replay      Zxid   // up to here the log is read, what the state has already left out
	established uint64 // incarnation of the role that has begun; 0: none
	restore     *RestoreState
}

// replayBatch is how many records are applied together when history is replayed from the log.
const replayBatch = 1000

// runApply is the apply goroutine: committed transactions in zxid order, then barriers and role changes that waited for them. A transaction that
// cannot be applied is damage or a bug: the node stops rather than serve a state that is not the log's.
func (n *Node) runApply() {
	defer n.done.Done()
	defer func() {
		if r := recover(); r != nil {
			err, ok := r.(error)
			var corrupt *CorruptError
			if !ok || !errors.As(err, &corrupt) {
				panic(r)
			}
			n.Fail(fmt.Errorf("apply: %w", err))
		}
	}()
	for {
		select {
		case <-n.stop:
			return
		case <-n.apply.wake:
		}
		for n.applyState.next() {
		}
	}
}

// applyState belongs to the apply goroutine.
type applyState struct {
	node   *Node
	jobs   []applyJob // taken from the mailbox and not done
	failed bool
}

// next does one job; false: there is nothing to do, or the node has failed.
func (a *applyState) next() bool {
	n := a.node
	if len(a.jobs) == 0 {
		a.jobs = n.apply.take()
	}
	if len(a.jobs) == 0 || a.failed {
		return false
	}
	j := a.jobs[0]
	a.jobs = a.jobs[1:]
	switch {
	case j.commit != 0:
		size := txnsSize(j.txns)
		if err := n.applyCommitted(j.commit, j.txns); err != nil {
			a.failed = true
			n.Fail(fmt.Errorf("apply: %w", err))
		}
		n.flow.carry(-size)
	case j.replay != 0:
		if have := n.parts.Machine.Position(); have < j.replay {
			if err := n.replay(have, j.replay); err != nil {
				a.failed = true
				n.Fail(fmt.Errorf("apply: %w", err))
			}
		}
	case j.barrier != nil:
		if j.barrier.From == 0 {
			n.outstanding.Add(-1)
		}
		if j.barrier.Conn != nil { // a learner's client is answered there: the broadcast has told it
			j.barrier.Conn.Reply(j.barrier, Reply{Zxid: n.parts.Machine.Position()})
		}
	case j.restore != nil:
		n.restoreState(j.restore)
	case j.established != 0:
		n.nowServing(j.established)
	}
	return !a.failed
}

// applyCommitted applies up to z. What came in this process is in txns; what the log held before and the state lacks is read from there.
func (n *Node) applyCommitted(z Zxid, txns []Committed) error {
	have := n.parts.Machine.Position()
	if inherited := min(Zxid(n.inherited.Load()), z); have < inherited {
		if err := n.replay(have, inherited); err != nil {
			return err
		}
		have = inherited
	}
	if len(txns) == 0 {
		return nil
	}
	if first := txns[0].Zxid; first != have+1 && (first.Epoch() == have.Epoch() || first.Counter() != 1) {
		return fmt.Errorf("transaction %s was committed and the state is at %s: history is missing in between", first, have)
	}
	answered := 0 // counted first: a gateway may use a request again once it is answered
	var barriers []*Request
	for i := range txns {
		req := txns[i].Request
		if req != nil && req.From == 0 {
			answered++
		}
		if req != nil && req.barrier != nil {
			barriers = append(barriers, req.barrier)
		}
	}
	start := n.cfg.Stages.begin()
	applied := 0
	for i := range txns {
		// A transaction with reads before it waits for them, and they for the writes before them, which may be of this batch.
		if unsettled(txns[i].Request) {
			n.parts.Machine.Apply(txns[applied:i])
			applied = i
			unsettled(txns[i].Request)
		}
	}
	n.parts.Machine.Apply(txns[applied:])
	if o := n.cfg.Stages; o != nil {
		o.Observe(StageEvent{Stage: StageApply, Start: start, Duration: time.Since(start), First: txns[0].Zxid, Last: txns[len(txns)-1].Zxid, Count: len(txns)})
	}
	n.outstanding.Add(-int64(answered))
	for _, b := range barriers {
		b.Conn.Reply(b, Reply{Zxid: n.parts.Machine.Position()})
	}
	n.txnBuffers.put(txns)
	return nil
}

// unsettled has the reads before a write answered, if there are any. true: what they wait for is not applied yet.
func unsettled(req *Request) bool {
	return req != nil && req.Overtook && req.Conn != nil && !req.Conn.(Overtaker).Settle(req)
}

// replay applies records of the log after have, up to and including upTo.
func (n *Node) replay(have, upTo Zxid) error {
	start := n.cfg.Now()
	var pending []Committed
	count := 0
	flush := func() {
		n.parts.Machine.Apply(pending)
		count += len(pending)
		pending = pending[:0]
	}
	err := n.parts.Log.Read(have+1, func(r Record) bool {
		if r.Zxid > upTo {
			return false
		}
		pending = append(pending, Committed{Zxid: r.Zxid, Data: append([]byte(nil), r.Data...)})
		if len(pending) == replayBatch {
			flush()
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("history from %s on: %w", have+1, err)
	}
	if len(pending) > 0 {
		flush()
	}
	if count > 0 {
		n.cfg.Logger.Info("replayed the log", "transactions", count, "from", (have + 1).String(), "to", upTo.String(), "took", n.cfg.Now().Sub(start).Round(time.Millisecond).String())
	}
	return nil
}
