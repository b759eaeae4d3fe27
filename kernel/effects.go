package kernel

// perform does what a core asks for. All of it may start at once; what must follow something else is asked for when that has completed.
func (l *loopState) perform(e *Effects) {
	n := l.node
	for _, report := range e.Reports {
		if n.note(report) || n.noteDivergence(report) {
			continue
		}
		n.cfg.Logger.Warn("protocol", "reason", report.Error())
	}
	if e.Fatal != nil {
		n.Fail(e.Fatal)
	}
	began := false
	if e.Role != nil {
		began = l.changeRole(*e.Role)
	}
	if e.GiveUp {
		n.repairing.Store(true)
		l.abandonState()
	}
	if e.Config != nil {
		l.configure(*e.Config)
	}
	if began || e.Config != nil {
		l.tellStranger()
	}
	if e.Next != nil {
		l.expect(*e.Next)
	}
	l.performDisk(e)
	for i := range e.Run {
		n.run(e.Run[i])
	}
	l.performLinks(e)
	for _, id := range e.Barriers {
		l.pass(id, e.Commit)
	}
	if e.Commit != 0 {
		l.commit(e.Commit)
	}
	if began { // behind the history that the new role inherits: nobody is served a state that lacks it
		l.begin()
		n.apply.put(applyJob{established: l.role.Incarnation})
	}
	for i := range e.Compare {
		l.compare(&e.Compare[i])
	}
	for i := range e.Deliver {
		l.deliver(&e.Deliver[i])
	}
	for _, req := range e.Requests {
		req.role = l.role.bound()
		n.flow.went(req.Link, -requestSize(req))
		n.remote.put(req)
	}
}

// pass answers a barrier behind what it waits for: on a leader what was proposed before it, on a learner all that has been committed so far. There a later write of its session may be part of that;
// then match has answered it in its place.
func (l *loopState) pass(id uint64, commit Zxid) {
	b, ok := l.barriers[id]
	if !ok {
		return
	}
	if l.role.Role == Leading {
		l.commit(min(b.after, commit))
	} else {
		l.commit(commit)
	}
	if _, waits := l.barriers[id]; !waits {
		return
	}
	delete(l.barriers, id)
	if b.rejoins {
		l.decided()
		return
	}
	l.pending.remove(b.req)
	l.node.apply.put(applyJob{barrier: b.req})
}

// performDisk hands the disk goroutine its part. Words come first: they announce what follows them.
func (l *loopState) performDisk(e *Effects) {
	n := l.node
	if e.SaveWords != nil {
		n.disk.put(diskJob{words: e.SaveWords})
	}
	if e.Truncate != nil {
		l.caughtUpBy = "TRUNC"
		l.cut(e.Truncate.To)
		n.disk.put(diskJob{truncate: e.Truncate})
	}
	if e.Restore != nil {
		l.caughtUpBy = "SNAP"
		l.unapplied = l.unapplied[:0]
		l.spilled, l.history = 0, 0
		l.committed = e.Restore.Zxid
		n.inherited.Store(0)
		l.abandonState()
		n.disk.put(diskJob{restore: e.Restore})
	}
	for i := range e.ReadLog {
		n.reads.put(e.ReadLog[i])
	}
	if len(e.Append) > 0 {
		if l.role.Role != Leading || !l.role.Established { // a leader's own are there already, with their requests
			for _, r := range e.Append {
				l.unapplied = append(l.unapplied, Committed{Zxid: r.Zxid, Data: r.Data})
			}
			if e.History {
				l.spill(e.Append)
			}
		}
		n.flow.carry(recordsSize(e.Append))
		n.disk.put(diskJob{appendID: e.Ordered, records: append(n.recordBuffers.get(len(e.Append)), e.Append...)})
	}
}

// abandonState: nothing of the state is shown any more, and clients go elsewhere.
func (l *loopState) abandonState() {
	l.node.holding.Store(false)
	l.node.whole.Store(false)
	l.hangUp(CloseStateReplaced)
}

// cut forgets what is truncated from the log.
func (l *loopState) cut(to Zxid) {
	if l.node.inherited.Load() > int64(to) {
		l.node.inherited.Store(int64(to))
	}
	l.spilled = min(l.spilled, to)
	end := len(l.unapplied)
	for end > 0 && l.unapplied[end-1].Zxid > to {
		end--
	}
	clear(l.unapplied[end:])
	l.unapplied = l.unapplied[:end]
}

func (l *loopState) performLinks(e *Effects) {
	t := l.node.transport
	if t == nil {
		return
	}
	for _, d := range e.Dial {
		t.Dial(d.Peer, d.Purpose)
	}
	for _, m := range e.Send {
		t.Send(m.Link, m.Message)
	}
	for _, link := range e.Flush {
		t.Flush(link)
	}
	for _, s := range e.Snapshots {
		l.node.sendSnapshot(s)
	}
	if count := len(e.Snapshots); count > 0 {
		l.node.figures.change(func(f *Figures) { f.Snapshots += int64(count) })
	}
	for _, link := range e.Release {
		l.node.release(link)
	}
	for _, link := range e.Hangup {
		t.Hangup(link)
	}
}

// commit hands everything up to z to the apply goroutine, each transaction of a client of this server with its request.
func (l *loopState) commit(z Zxid) {
	n := l.node
	if z <= l.committed {
		return
	}
	if l.role.Role == Leading && z.Epoch() == l.role.Epoch { // not what it inherited
		count := z - max(l.committed, MakeZxid(l.role.Epoch, 0))
		n.figures.change(func(f *Figures) { f.Committed += int64(count) })
	}
	spilled := min(l.spilled, z)
	if spilled > l.committed {
		l.commitSpilled(spilled)
	}
	l.committed, l.history = z, 0
	if spilled == z {
		return
	}
	count := 0
	for count < len(l.unapplied) && l.unapplied[count].Zxid <= z {
		count++
	}
	if o := n.cfg.Stages; o != nil && count > 0 {
		o.Observe(StageEvent{Stage: StageCommit, Start: o.moment(), First: l.unapplied[0].Zxid, Last: z, Count: count})
	}
	txns := append(n.txnBuffers.get(count), l.unapplied[:count]...)
	rest := copy(l.unapplied, l.unapplied[count:])
	clear(l.unapplied[rest:])
	l.unapplied = l.unapplied[:rest]
	if len(l.pending) > 0 {
		txns = l.match(txns)
	}
	n.putCommitted(z, txns)
}

// putCommitted hands transactions to the apply goroutine.
func (n *Node) putCommitted(z Zxid, txns []Committed) {
	n.flow.carry(txnsSize(txns))
	n.apply.put(applyJob{commit: z, txns: txns})
}

// match finds the requests of transactions. Where a barrier of the same session stands before one, what comes before is applied and the barrier answered first; it returns the rest.
func (l *loopState) match(txns []Committed) []Committed {
	n := l.node
	from := 0
	for i := range txns {
		if txns[i].Request != nil {
			continue
		}
		info, err := n.parts.Machine.Inspect(txns[i].Data)
		if err != nil {
			continue // apply reports it
		}
		write, barriers := l.pending.match(info)
		txns[i].Request = write
		if len(barriers) == 0 {
			continue
		}
		if i > from {
			n.putCommitted(txns[i-1].Zxid, txns[from:i:i])
			from = i
		}
		for _, b := range barriers {
			for id, other := range l.barriers {
				if other.req == b {
					delete(l.barriers, id)
				}
			}
			n.apply.put(applyJob{barrier: b})
		}
	}
	return txns[from:]
}
