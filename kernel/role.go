package kernel

import (
	"slices"
	"time"
)

// changeRole takes up a role and says whether an established one has begun. What an old role prepared is dropped. Its clients' requests are kept: in a server of an ensemble they are
// decided by the next leader's history, or sent to it again.
func (l *loopState) changeRole(role RoleChange) (began bool) {
	n := l.node
	n.turn.Lock()
	defer n.turn.Unlock()
	was, stopped := l.role, false
	l.role = role
	n.role.Store(&role)
	if role.Established {
		n.lostVoters.Store(nil)
	}
	described := []any{"role", role.Role.String(), "leader", int64(role.Leader), "epoch", int32(role.Epoch), "established", role.Established}
	switch {
	case !role.Established:
		l.caughtUpBy = "DIFF" // until more is asked for
	case role.Role != Leading:
		described = append(described, "by", l.caughtUpBy)
	}
	n.cfg.Logger.Info("role", described...)
	same := was.Established && role.Established && was.Incarnation == role.Incarnation
	defer func() { n.figures.role(role, same, stopped, n.monotonic(), n.cfg.Wall()) }()
	if same {
		return false // the same leadership in a new epoch: nothing is lost, nothing waits
	}
	if was.Established { // before it stops to serve: clients notice nothing
		n.holding.Store(n.replicated() && !n.stopping.Load())
	}
	if stopped = n.serving.Swap(false); stopped {
		n.lost.Store(int64(n.monotonic()))
	}
	n.parts.Machine.DropSpeculation()
	l.stamped = time.Time{}
	if was.Established {
		l.lose(was)
	}
	return role.Established
}

// lose ends an established role.
func (l *loopState) lose(was RoleChange) {
	n := l.node
	if was.Role == Leading {
		n.parts.Machine.Lead(false)
		if !n.replicated() {
			n.Fail(errLostAlone)
		}
	} else if peers := n.parts.Machine.Peers(); peers != nil {
		peers.Follow(nil)
	}
	for i := range l.unapplied {
		t := &l.unapplied[i]
		if t.Request != nil && t.Request.From == 0 {
			l.keep(t.Request)
		}
		t.Request, t.Note = nil, nil
	}
	l.rejoining = false
	for id, b := range l.barriers {
		delete(l.barriers, id)
		if was.Role == Leading { // on a learner they are among the pending ones
			l.keep(b.req)
		}
	}
	l.pending.sort()
}

// keep makes a request of the lost role a pending one.
func (l *loopState) keep(req *Request) {
	if req.From != 0 || req.Conn == nil || !l.node.holding.Load() {
		l.node.drop([]*Request{req})
		return
	}
	l.pending.add(req)
}

// stillWanted drops requests that nobody waits for, and those whose connections have closed: their outcome is unknown to the client already, and what it does next must not be overtaken by them.
func (l *loopState) stillWanted(reqs []*Request) []*Request {
	kept := reqs[:0]
	for _, req := range reqs {
		if req.barrier != nil { // the next leader may have barriers of its own
			req = req.barrier
		}
		if req.Conn != nil && req.Conn.Alive() {
			kept = append(kept, req)
		} else {
			l.node.drop([]*Request{req})
		}
	}
	return kept
}

// configure puts another configuration in force.
func (l *loopState) configure(e Ensemble) {
	n := l.node
	n.ensemble.Store(&e)
	if n.transport != nil {
		n.transport.Configure(e.Members)
	}
	n.parts.Machine.Configure(e)
	if n.cfg.Configured != nil {
		n.cfg.Configured(e, nil)
	}
	n.cfg.Logger.Info("configuration", "version", e.Version.String(), "voters", e.Voters, "observers", e.Others)
}

// tellStranger tells the operator of a server that is in no member list why nothing depends on it.
func (l *loopState) tellStranger() {
	n := l.node
	if e := n.ensemble.Load(); l.role.Established && l.role.Role == Following && !e.IsMember(n.cfg.Self) {
		n.cfg.Logger.Warn("this server is not a member of the configuration in force: it follows and takes clients, and has no vote. Add it with reconfig, or stop it", "server", int64(n.cfg.Self), "version", e.Version.String())
	}
}

// expect prepares for a configuration that is proposed: its servers can be reached from now on, since an election may need their votes.
func (l *loopState) expect(next Ensemble) {
	n := l.node
	now := *n.ensemble.Load()
	if n.transport != nil {
		members := slices.Clone(now.Members)
		for _, m := range next.Members {
			if m.ID != n.cfg.Self && !now.IsMember(m.ID) {
				members = append(members, m)
			}
		}
		n.transport.Configure(members)
	}
	if n.cfg.Configured != nil {
		n.cfg.Configured(now, &next)
	}
	n.cfg.Logger.Info("proposed configuration", "version", next.Version.String(), "voters", next.Voters, "observers", next.Others)
}

// nowServing is called by the apply goroutine once everything that the role inherits is applied.
func (n *Node) nowServing(incarnation uint64) {
	n.turn.Lock()
	defer n.turn.Unlock()
	role := n.role.Load()
	if role.Incarnation != incarnation || !role.Established || n.stopping.Load() {
		return // it is over already
	}
	if role.Role == Leading {
		n.parts.Machine.Lead(true)
	} else if peers := n.parts.Machine.Peers(); peers != nil {
		peers.Follow(func(payload []byte) { // behind what was submitted before it
			n.requests.put(&Request{question: &Delivery{Payload: payload}, role: role.bound()})
		})
	}
	n.figures.serves(n.monotonic())
	n.whole.Store(true)
	if n.repairing.Swap(false) {
		n.cfg.Logger.Info("this server is up to date with its peers again, and votes")
	}
	n.cfg.Repair.end()
	n.serving.Store(true)
	n.holding.Store(false)
	if state, ok := n.stateDigest(); ok { // the end of a synchronization
		n.inputs.put(state)
	}
	select {
	case <-n.loop.servingOnce:
	default:
		close(n.loop.servingOnce)
	}
	n.requests.signal()
}

// run performs a plugin's own work off the loop.
func (n *Node) run(r Run) {
	n.spawn(func() {
		result, err := r.Do()
		n.inputs.put(Ran{ID: r.ID, Result: result, Err: err})
	})
}

// spawn runs work beside the node's goroutines. Stop waits for it.
func (n *Node) spawn(work func()) {
	if n.stepper != nil {
		n.stepper.tasks = append(n.stepper.tasks, work)
		return
	}
	n.done.Add(1)
	go func() {
		defer n.done.Done()
		work()
	}()
}
