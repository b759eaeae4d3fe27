package election

import (
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// This file is what stands around the cores of a simulation: their disks, their broadcast, and what must be true of their elections.

// node is a server's disk and its broadcast.
type node struct {
	epoch   kernel.Epoch
	zxid    kernel.Zxid
	empty   bool
	role    kernel.Role
	leader  kernel.ServerID
	since   time.Duration // of the role
	upTo    time.Duration // no Look before: the disk
	waiting bool          // for that moment
	ruling  bool          // the epoch is established
}

// lookFor begins an election for a server, after its disk has had a moment.
func (s *sim) lookFor(v *server) {
	n := s.nodes[v.id]
	n.role, n.leader, n.ruling, n.waiting = kernel.Looking, 0, false, true
	n.upTo = s.now + time.Duration(s.r.IntN(3000))*time.Microsecond
	s.step(v, kernel.RoleIs{RoleChange: kernel.RoleChange{Role: kernel.Looking}})
}

// check holds what must be true of every election (spec zab, 4.14, I16).
func (s *sim) check(v *server, in kernel.Input, e *kernel.Effects) {
	c, n := v.core, s.nodes[v.id]
	switch in := in.(type) {
	case kernel.Received:
		s.note("%d->%d %s: round=%d %v", in.Link.Peer, v.id, traceNotification(notificationOf(in)), c.round, c.says().vote)
	case kernel.LinkIsDown:
		s.note("%d loses %d", v.id, in.Link.Peer)
	}
	if says := c.says(); c.phase == looking && len(e.Send) > 0 {
		s.given[ballot{v.id, says.round, says.leader}] = *n
	}
	if own := c.initial; c.phase == looking && own.leader == v.id && own.vote() && (own.epoch > int64(n.epoch) || own.zxid > n.zxid) {
		s.failf("%d votes %v, and has %d, %s", v.id, own, n.epoch, traceZxid(n.zxid))
	}
	if e.Elected == nil {
		return
	}
	s.note("%d %s %d", v.id, e.Elected.Role, e.Elected.Leader)
	if n.role != kernel.Looking { // a quorum follows another leader: the broadcast gives the role up, and asks
		if n.ruling {
			s.failf("%d follows %d, whose epoch is established, and is to follow %d", v.id, n.leader, e.Elected.Leader)
		}
		s.tally.reconsidered++
		s.lookFor(v)
		return
	}
	n.role, n.leader, n.since = e.Elected.Role, e.Elected.Leader, s.now
	if isVoter := s.config.IsVoter(v.id); (n.role == kernel.Observing) == isVoter || (n.role == kernel.Leading) != (n.leader == v.id) {
		s.failf("%d is elected to be %s of %d", v.id, n.role, n.leader)
	}
	if s.config.Weight(n.leader) == 0 {
		s.failf("%d follows %d, which cannot be elected", v.id, n.leader)
	}
	if n.role == kernel.Leading {
		s.tally.elections++
		s.checkQuorum(v)
	}
}

func (v vote) vote() bool { return v.zxid >= 0 }

// checkQuorum: a quorum has voted for the new leader, or says that it follows it, and its history is at least that which each of those had when it voted.
func (s *sim) checkQuorum(v *server) {
	c, l := v.core, s.nodes[v.id]
	if !s.config.IsQuorum(func(id kernel.ServerID) bool {
		p := c.member(id)
		switch {
		case id == v.id:
			return true
		case p == nil || !p.vote.known && !p.out.known:
			return false
		case p.vote.known && p.vote.leader == v.id && p.vote.state == kernel.Looking:
			if had := s.given[ballot{id, p.vote.round, v.id}]; s.config.Weight(id) > 0 && (had.epoch > l.epoch || had.epoch == l.epoch && had.zxid > l.zxid) {
				s.failf("%d leads at %d, %s with the vote of %d, which had %d, %s", v.id, l.epoch, traceZxid(l.zxid), id, had.epoch, traceZxid(had.zxid))
			}
			return true
		}
		return p.vote.leader == v.id || p.out.leader == v.id
	}) {
		s.failf("%d leads without a quorum", v.id)
	}
}

// ballot is a vote given in a round.
type ballot struct {
	by     kernel.ServerID
	round  int64
	leader kernel.ServerID
}

// broadcast lets roles end, begin and rule.
func (s *sim) broadcast() {
	for _, v := range s.servers {
		n := s.nodes[v.id]
		if v.core == nil {
			continue
		}
		switch {
		case n.role == kernel.Looking && n.waiting && s.now >= n.upTo:
			n.waiting = false
			s.note("%d looks at %d %s", v.id, n.epoch, traceZxid(n.zxid))
			look := kernel.Look{Epoch: n.epoch, Zxid: n.zxid, Empty: n.empty, Config: s.config}
			if s.r.IntN(2) == 0 {
				look.Suggested = s.suggested
			}
			s.step(v, look)
		case n.role == kernel.Leading:
			s.lead(v, n)
		case n.role != kernel.Looking:
			if !s.follows(v) && s.now-n.since > 300*time.Millisecond {
				s.note("%d gives up %d", v.id, n.leader)
				s.lookFor(v)
			}
		}
	}
}

// follows tells whether a server can reach its leader, and that one leads.
func (s *sim) follows(v *server) bool {
	n := s.nodes[v.id]
	l := s.nodes[n.leader]
	return s.server(n.leader).core != nil && l.role == kernel.Leading && s.links[direction{v.id, n.leader}.pair()] != 0
}

func (s *sim) lead(v *server, n *node) {
	with := func(id kernel.ServerID) bool {
		f := s.nodes[id]
		return id == v.id || s.server(id).core != nil && f.leader == v.id && f.role != kernel.Looking && s.follows(s.server(id))
	}
	switch {
	case !s.config.IsQuorum(with):
		if s.now-n.since > 400*time.Millisecond {
			s.note("%d has no quorum", v.id)
			s.lookFor(v)
		}
	case !n.ruling:
		s.establish(v, with)
	default:
		n.since = s.now
		for _, f := range s.servers {
			fn := s.nodes[f.id]
			if f.core != nil && with(f.id) && !fn.ruling {
				s.join(v, f)
			}
		}
		if n.zxid.Counter() < 1000 && s.r.IntN(4) == 0 { // a proposal reaches some of them
			for _, f := range s.servers {
				if fn := s.nodes[f.id]; f == v || with(f.id) && fn.ruling && fn.zxid == n.zxid && s.r.IntN(4) > 0 {
					defer func() { fn.zxid++ }()
				}
			}
		}
	}
}

// establish begins an epoch above all that its quorum knows.
func (s *sim) establish(v *server, with func(kernel.ServerID) bool) {
	n := s.nodes[v.id]
	for _, f := range s.servers {
		if fn := s.nodes[f.id]; with(f.id) && s.config.Weight(f.id) > 0 {
			if fn.epoch > n.epoch || fn.epoch == n.epoch && fn.zxid > n.zxid {
				s.note("%d is ahead of %d", f.id, v.id) // it would be refused, and look again (spec zab, 5.6)
				s.lookFor(f)
				return
			}
		}
	}
	s.tally.epochs++
	top := kernel.Epoch(0)
	for _, f := range s.nodes {
		top = max(top, f.epoch)
	}
	n.epoch = top + 1
	n.zxid = kernel.MakeZxid(n.epoch, 0)
	s.note("%d rules in %d", v.id, n.epoch)
	s.join(v, v)
}

func (s *sim) join(l, f *server) {
	ln, fn := s.nodes[l.id], s.nodes[f.id]
	fn.epoch, fn.zxid, fn.ruling, fn.empty = ln.epoch, ln.zxid, true, false
	s.step(f, kernel.RoleIs{RoleChange: kernel.RoleChange{Role: fn.role, Leader: l.id, Epoch: fn.epoch, Established: true}})
}
