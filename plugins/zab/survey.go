package zab

import "github.com/zooid-project/zooid/kernel"

var _ kernel.Surveyor = (*Core)(nil)

// Survey implements kernel.Surveyor: those whose links are up here, as a leader's learners or as a follower's observers. The barriers are a leader's: what waits on a learner waits at its leader.
func (c *Core) Survey(s *kernel.Survey) {
	s.Diffs = c.diffs
	if c.role == kernel.Leading {
		s.Syncs = len(c.barriers)
	}
	for _, l := range c.lead.learners {
		s.Learners = append(s.Learners, kernel.Learner{ID: l.id, Link: l.link, Observer: l.observer, Voter: c.active[0].IsVoter(l.id), Synced: l.state == serving, Told: l.told})
	}
}
