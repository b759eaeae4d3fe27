package kernel

import "time"

// route sends requests on their way, in the order in which they came: on a leader writes to prepare and barriers to the broadcast, on a learner all of them to its leader.
func (l *loopState) route() {
	n := l.node
	if len(l.waiting) == 0 || l.rejoining {
		return
	}
	if !n.serving.Load() {
		if !n.holding.Load() && l.role.Role != Leading { // the gateways close their connections, nobody is answered
			n.drop(l.waiting)
			l.waiting = l.waiting[:0]
		}
		return // a leader between two epochs keeps them, and so does a server that holds its clients' writes through an election
	}
	done := 0
	if l.role.Role == Leading {
		done = l.lead()
	} else {
		done = l.follow()
	}
	left := copy(l.waiting, l.waiting[done:])
	clear(l.waiting[left:])
	l.waiting = l.waiting[:left]
}

// lead prepares and proposes, and returns how many requests it has dealt with.
func (l *loopState) lead() (done int) {
	n := l.node
	for done < len(l.waiting) {
		epoch, next, ok := n.parts.Broadcast.Position()
		if !ok {
			break
		}
		if l.stale(l.waiting[done]) {
			n.drop(l.waiting[done : done+1])
			done++
			continue
		}
		if q := l.waiting[done].question; q != nil {
			l.answer(q)
			done++
			continue
		}
		if l.waiting[done].Barrier {
			n.flow.went(l.waiting[done].Link, requestSize(l.waiting[done])) // before it may be answered
			l.ask(l.waiting[done], next-1)
			done++
			continue
		}
		end := done
		for end < len(l.waiting) && end-done < n.cfg.MaxBatch && !l.waiting[end].Barrier && l.waiting[end].question == nil && !l.stale(l.waiting[end]) {
			end++
		}
		pos := Position{Epoch: epoch, Next: next, Time: l.stamp()}
		if n.replicated() {
			pos.MayChange = n.parts.Broadcast.MayChange
		}
		if !l.prepare(pos, l.waiting[done:end]) {
			break // the role is over; they stay for the next
		}
		done = end
	}
	return done
}

// stamp is the time for a leader's next batch: what the wall clock says, but never before that of the batch before it.
func (l *loopState) stamp() time.Time {
	now := l.node.cfg.Wall().Round(0) // without the part that never jumps: that is not compared
	if now.Before(l.stamped) {
		return l.stamped
	}
	l.stamped = now
	return now
}

// follow forwards to the leader what clients and observers of this server ask for. What clients have under way is kept: the committed transaction is matched to it, and an election may lose it.
func (l *loopState) follow() (done int) {
	var forward []*Request
	flush := func() {
		if len(forward) > 0 {
			l.broadcast(Forward{Requests: forward})
			forward = nil
		}
	}
	for _, req := range l.waiting {
		done++
		if l.stale(req) {
			l.node.drop([]*Request{req})
			continue
		}
		if q := req.question; q != nil {
			flush()
			l.broadcast(AskLeader{Payload: q.Payload, From: q.Link})
			continue
		}
		if req.From != 0 { // an observer's: it keeps what is under way itself
			if req.Barrier {
				flush()
				l.ask(req, 0)
			} else {
				forward = append(forward, l.forwarded(req))
			}
			l.node.flow.went(req.Link, requestSize(req))
			continue
		}
		if req.Barrier && l.role.Unconfirmed {
			req = l.writeFor(req)
		}
		l.pending.add(req)
		if req.Barrier {
			flush()
			l.ask(req, 0)
			continue
		}
		forward = append(forward, l.forwarded(req))
	}
	flush()
	return done
}

// forwarded is what the leader gets of a request.
func (l *loopState) forwarded(req *Request) *Request {
	if peers := l.node.parts.Machine.Peers(); peers != nil {
		return peers.Forwarded(req)
	}
	return req
}

// writeFor is the write that stands for a barrier: when it is committed, whoever led then has confirmed it with a quorum, and everything before it is applied.
func (l *loopState) writeFor(req *Request) *Request {
	peers := l.node.parts.Machine.Peers()
	if peers == nil {
		return req
	}
	write := &Request{Session: req.Session, Cxid: req.Cxid, Identities: req.Identities, Trace: req.Trace, order: req.order, barrier: req}
	write.Op, write.Body = peers.Nothing()
	return write
}

// ask begins a barrier.
func (l *loopState) ask(req *Request, after Zxid) {
	l.barrierSeq++
	l.barriers[l.barrierSeq] = barrier{req: req, after: after}
	l.broadcast(AskBarrier{ID: l.barrierSeq, Request: req})
}

// prepare turns a batch of requests into transactions and proposes them whole. false: the leadership is over and nothing was proposed.
func (l *loopState) prepare(pos Position, reqs []*Request) bool {
	n := l.node
	l.batch.Txns = l.batch.Txns[:0]
	start := n.cfg.Stages.begin() // not pos.Time: that is what the clock on the wall says
	n.parts.Machine.Prepare(pos, reqs, &l.batch)
	if o := n.cfg.Stages; o != nil {
		o.Observe(StageEvent{Stage: StagePrepare, Start: start, Duration: time.Since(start), First: pos.Next, Last: pos.Next + Zxid(len(l.batch.Txns)-1), Count: len(reqs), Requests: reqs})
	}
	l.records = l.records[:0]
	for i := range l.batch.Txns {
		l.records = append(l.records, l.batch.Txns[i].Record)
	}
	start = n.cfg.Stages.begin()
	effects := n.parts.Broadcast.Step(n.monotonic(), Propose{Batch: l.records})
	if effects.Refused { // the role is over: speculation with it
		n.parts.Machine.DropSpeculation()
		l.broadcastEffects(effects)
		l.settle()
		return false
	}
	for i := range l.batch.Txns {
		t := &l.batch.Txns[i]
		if t.Request != nil {
			n.flow.went(t.Request.Link, requestSize(t.Request))
		}
		l.unapplied = append(l.unapplied, Committed{Zxid: t.Record.Zxid, Data: t.Record.Data, Request: t.Request, Note: t.Note})
	}
	if last := len(l.records); last > 0 {
		n.proposed.Store(int64(l.records[last-1].Zxid))
		n.figures.propose(l.records)
		if o := n.cfg.Stages; o != nil {
			o.Observe(StageEvent{Stage: StagePropose, Start: start, Duration: time.Since(start), First: l.records[0].Zxid, Last: l.records[last-1].Zxid, Count: last, Requests: reqs})
		}
	}
	l.broadcastEffects(effects)
	l.settle()
	clear(l.batch.Txns)
	return true
}

// drop gives up requests that nobody will be answered for.
func (n *Node) drop(reqs []*Request) {
	for _, req := range reqs {
		if req.question != nil {
			continue
		}
		if req.From == 0 {
			n.outstanding.Add(-1)
		}
		n.flow.went(req.Link, requestSize(req))
		n.parts.Machine.Release(req)
	}
}
