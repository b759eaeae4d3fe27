package zab

import (
	"github.com/zooid-project/zooid/kernel"
)

// elect is the oracle. It answers servers that look for a leader; whom it names may lead: an election's rule is about votes, and not even that is needed for safety, except that a server
// without history to vote with is counted by nobody as long as there is history.
func (w *world) elect(illegal bool) {
	var looking []*server
	hollow := true // no voter has any history
	for _, s := range w.servers {
		ready := s.core != nil && s.look != nil && s.core.looked && len(s.inbox) == 0
		if ready {
			looking = append(looking, s)
		}
		if s.voter && (!ready || s.look.Zxid > 0) {
			hollow = false
		}
	}
	if len(looking) == 0 {
		return
	}
	for _, s := range looking {
		if s.look.Decided && w.rng.IntN(4) > 0 {
			w.decided++
			w.elected(s, w.byID(s.look.Suggested))
			return
		}
	}
	if w.config.Text != "" && w.rng.IntN(3) == 0 {
		w.gossip(looking)
		return
	}
	for _, leader := range w.servers { // whoever comes late joins
		if leader.core != nil && leader.core.role == kernel.Leading && w.rng.IntN(2) == 0 {
			for _, s := range looking {
				if w.rng.IntN(2) == 0 && !w.cut[pair(s.id, leader.id)] {
					w.elected(s, leader)
				}
			}
			return
		}
	}
	var voters []*server
	for _, s := range looking {
		if hollow || !s.look.Empty && (!s.look.NoVote || s.look.Witness) {
			voters = append(voters, s)
		}
	}
	w.rng.Shuffle(len(voters), func(i, j int) { voters[i], voters[j] = voters[j], voters[i] })
	if illegal && len(voters) > 0 && !voters[0].look.NoVote && voters[0].look.Zxid > 0 { // whoever has no history needs the votes of a quorum without any
		leader := voters[0]
		for _, s := range looking {
			if w.rng.IntN(2) == 0 {
				w.elected(s, leader)
			}
		}
		return
	}
	for n := 1 + w.rng.IntN(max(1, len(voters))); n <= len(voters); n++ {
		if leader := best(voters[:n]); leader != nil {
			for _, s := range voters[:n] {
				if w.rng.IntN(10) > 0 {
					w.elected(s, leader)
				}
			}
			return
		}
	}
}

// best is whom these servers elect, nil if nobody can be: they are no quorum, or a witness knows of more.
func best(all []*server) (leader *server) {
	for _, s := range all {
		if s.look.isVoter(s.id) && !s.look.NoVote && (leader == nil || s.look.better(leader.look) || !leader.look.better(s.look) && s.id > leader.id) {
			leader = s
		}
	}
	if leader == nil || !leader.look.isQuorum(all) {
		return nil
	}
	for _, s := range all {
		if leader.look.isVoter(s.id) && s.look.better(leader.look) {
			return nil
		}
	}
	return leader
}

type look struct{ kernel.Look }

func (l *look) better(than *look) bool {
	return l.Epoch > than.Epoch || l.Epoch == than.Epoch && l.Zxid > than.Zxid
}

func (w *world) elected(s, leader *server) {
	e := kernel.Elected{Leader: leader.id, Role: kernel.Following}
	switch {
	case s == leader:
		e.Role = kernel.Leading
	case !s.look.isVoter(s.id) && s.look.Config.IsMember(s.id):
		e.Role = kernel.Observing
	}
	s.look = nil
	s.inbox = append(s.inbox, e)
}
