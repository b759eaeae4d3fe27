package kernel

import "slices"

// A learner that comes back after a long while is brought up with a history of any length, and knows only at its end that it is committed. What does not fit into memory until then is left to the log, where
// it is by the time that it is needed. Only what clients of this server may wait for is kept: the transactions of sessions with requests that were lost with a role (pending.go). What is asked for from now on
// is sent behind the history, and cannot be in it.

// spill counts what has come of a history, and drops what is unapplied when that is too much.
func (l *loopState) spill(records []Record) {
	l.history += recordsSize(records)
	if l.history <= l.node.cfg.HistoryBytes {
		return
	}
	var kept []Committed // the array of before goes with what is dropped
	for i := range l.unapplied {
		if t := &l.unapplied[i]; t.Zxid <= l.spilled || l.awaited(t) {
			kept = append(kept, *t)
		}
	}
	l.unapplied, l.history = kept, 0
	l.spilled = records[len(records)-1].Zxid
}

// awaited tells whether a transaction may be the answer to a pending request. When in doubt it is.
func (l *loopState) awaited(t *Committed) bool {
	if len(l.pending) == 0 {
		return t.Request != nil
	}
	info, err := l.node.parts.Machine.Inspect(t.Data)
	return err != nil || t.Request != nil || len(l.pending[info.Session]) > 0
}

// commitSpilled hands everything up to to, which was spilled, to the apply goroutine: what was kept as commit does, what lies between from the log.
func (l *loopState) commitSpilled(to Zxid) {
	n := l.node
	count := 0
	for count < len(l.unapplied) && l.unapplied[count].Zxid <= to {
		t := l.unapplied[count]
		count++
		n.apply.put(applyJob{replay: t.Zxid - 1})
		n.putCommitted(t.Zxid, l.match(append(n.txnBuffers.get(1), t)))
	}
	l.unapplied = slices.Delete(l.unapplied, 0, count)
	n.apply.put(applyJob{replay: to})
}
