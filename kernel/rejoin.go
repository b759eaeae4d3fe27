package kernel

// What a server's clients have asked for outlives roles: the history that a new role begins with decides about it, and what is not in there is sent again (DESIGN, Election under way). That is enough when the
// leader or its epoch is another one: what the old one had and did not commit by then never will be. A learner that loses its link and comes back to the same leadership is a case of its own: what it sent on
// the old link may be on its way to being proposed or committed, and was not part of what it was brought up with. So it asks first, by a barrier, which goes the way of requests: when that has passed,
// everything from the old link is decided, and matched here. An observer that comes back through another follower cannot ask: its barrier may overtake what is on the way through the one before, which
// is also who the leader takes for its clients' server. So its clients have to connect again; what they had under way may have been done or not.

// begin takes up an established role with what the last one has left.
func (l *loopState) begin() {
	again := l.role.Role != Leading && l.role.Leader == l.established.Leader && l.role.Epoch == l.established.Epoch
	if again && l.role.Through != l.established.Through {
		l.hangUp(CloseUndecided)
	}
	l.established = l.role
	if !again || len(l.pending) == 0 {
		l.decided()
		return
	}
	l.rejoining = true
	l.barrierSeq++
	req := &Request{Session: l.pending.oldest().Session, Body: make([]byte, 4), Barrier: true} // an empty path
	l.barriers[l.barrierSeq] = barrier{req: req, rejoins: true}
	l.toBroadcast = append(l.toBroadcast, AskBarrier{ID: l.barrierSeq, Request: req})
}

// hangUp closes all clients' connections and gives up what they have asked for.
func (l *loopState) hangUp(reason CloseReason) {
	n := l.node
	n.drop(l.pending.take())
	n.parts.Machine.Sessions().HangUp(reason)
	l.waiting = l.stillWanted(l.waiting)
}

// decided sends again what the history has not answered.
func (l *loopState) decided() {
	l.rejoining = false
	l.waiting = append(l.stillWanted(l.pending.take()), l.waiting...)
}

// bound is what ties a request to the role that it came in.
func (r *RoleChange) bound() uint64 { return r.Incarnation + 1 }

// stale tells whether a request came in an earlier role that it is bound to: its learner has sent it again, or will, the leader's own are not due any more, and a question will be
// asked anew.
func (l *loopState) stale(req *Request) bool { return req.role != 0 && req.role != l.role.bound() }
