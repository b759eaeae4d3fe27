package kernel_test

import (
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// asking is a broadcast that asks for an election, and takes up the role that a message's type names: established, or not yet.
type asking struct {
	kernel.Broadcast
	out    kernel.Effects
	survey kernel.Survey
}

const (
	lookAround = iota
	beginToFollow
	beginToObserve
	follow
	observe
	lead
	leadOnInTheNextEpoch
)

func (a *asking) Step(_ time.Duration, in ...kernel.Input) *kernel.Effects {
	a.out.Clear()
	for _, i := range in {
		r, ok := i.(kernel.Received)
		if !ok {
			continue
		}
		role := &kernel.RoleChange{Incarnation: r.Link.Incarnation, Leader: 2}
		switch r.Message.Type {
		case lookAround:
			role.Leader = 0
			a.out.Look = &kernel.Look{}
		case beginToFollow, follow:
			role.Role = kernel.Following
		case beginToObserve, observe:
			role.Role = kernel.Observing
		case lead, leadOnInTheNextEpoch:
			role.Role = kernel.Leading
		}
		role.Established = r.Message.Type >= follow
		a.out.Role = role
	}
	return &a.out
}

func (a *asking) Survey(s *kernel.Survey) {
	s.Learners, s.Syncs, s.Diffs = append(s.Learners, a.survey.Learners...), a.survey.Syncs, a.survey.Diffs
}

// peerlessMachine is a machine without sessions to tell peers about.
type peerlessMachine struct{ sumMachine }

func (*peerlessMachine) Peers() kernel.PeerSessions { return nil }

// counted is a node of two voters that starts, its broadcast, and its clock, which the test moves.
func counted(t *testing.T) (*kernel.Stepper, *asking, *time.Time) {
	t.Helper()
	at, b := time.Unix(1_700_000_000, 0), &asking{}
	s, err := kernel.NewStepper(kernel.NodeConfig{Self: 1, Ensemble: kernel.Ensemble{Voters: []kernel.ServerID{1, 2}}, TickTime: time.Hour, Now: func() time.Time { return at }},
		kernel.Parts{Log: &sliceLog{}, Machine: &peerlessMachine{}, Election: &answering{}, Broadcast: b})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s, b, &at
}

// Figures are counted along the way of a server through its roles, by the node's own clock.
func TestFiguresOfRoles(t *testing.T) {
	s, _, at := counted(t)
	incarnation := uint64(0)
	after := func(pause time.Duration, does int32) kernel.Figures {
		*at = at.Add(pause)
		if does <= beginToObserve || does == lead {
			incarnation++
		}
		s.Node().Received(kernel.LinkID{Peer: 2, Purpose: kernel.ForBroadcast, Incarnation: incarnation}, kernel.Message{Type: does})
		s.Loop(false)
		for s.ApplyWaits() {
			s.Apply()
		}
		return s.Node().Status().Figures
	}
	elected := func(pause time.Duration) {
		*at = at.Add(pause)
		s.Node().Received(kernel.LinkID{Peer: 2, Purpose: kernel.ForElection}, kernel.Message{})
		s.Loop(false)
	}

	after(time.Second, lookAround)
	after(time.Second, lookAround) // the answer was none that it could use
	elected(2 * time.Second)
	f := after(0, beginToFollow)
	if f.Looks != 2 || f.Elections != (kernel.Times{Count: 1, Sum: 3 * time.Second, Min: 3 * time.Second, Max: 3 * time.Second}) || !f.RoleSince.IsZero() {
		t.Errorf("after an election: %+v", f)
	}
	f = after(5*time.Second, follow)
	if f.FollowerSyncs.Count != 1 || f.FollowerSyncs.Sum != 5*time.Second || !f.RoleSince.Equal(*at) || f.Unavailable.Count != 0 {
		t.Errorf("as a follower for the first time: %+v", f)
	}
	f = after(time.Minute, lookAround)
	if !f.RoleSince.IsZero() || f.Unavailable.Count != 0 {
		t.Errorf("without a leader: %+v", f)
	}
	elected(time.Second)
	after(0, beginToObserve)
	f = after(2*time.Second, observe)
	if f.ObserverSyncs.Count != 1 || f.ObserverSyncs.Sum != 2*time.Second || f.FollowerSyncs.Count != 1 || f.Unavailable.Sum != 3*time.Second || f.Elections.Count != 2 || f.Elections.Min != time.Second {
		t.Errorf("as an observer: %+v", f)
	}
	after(time.Minute, lookAround)
	elected(0)
	led := after(7*time.Second, lead).RoleSince
	f = after(time.Hour, leadOnInTheNextEpoch)
	if f.Unavailable.Count != 2 || f.Unavailable.Max != 7*time.Second || f.ObserverSyncs.Count != 1 || !led.Equal(f.RoleSince) || !at.Equal(led.Add(time.Hour)) {
		t.Errorf("as a leader: %+v", f)
	}
}

// What a broadcast tells of its learners is there after the round in which it has changed; who came stays who came, and a picture that somebody has does not change.
func TestFiguresOfLearners(t *testing.T) {
	s, b, at := counted(t)
	figures := func(half bool) kernel.Figures {
		s.Loop(half)
		return s.Node().Status().Figures
	}
	first, second := kernel.LinkID{Peer: 2, Incarnation: 1}, kernel.LinkID{Peer: 3, Incarnation: 2}
	b.survey = kernel.Survey{Learners: []kernel.Learner{{ID: 2, Link: first, Told: 5}}, Syncs: 3, Diffs: 1}
	one := figures(false)
	came := *at
	if len(one.Learners) != 1 || one.Syncs != 3 || one.Diffs != 1 || !one.Learners[0].Since.Equal(came) {
		t.Fatalf("%+v", one)
	}
	*at = at.Add(time.Minute)
	b.survey.Learners[0].Told = 6
	if f := figures(false); f.Learners[0].Told != 5 {
		t.Errorf("a write made a new picture: %+v", f.Learners)
	}
	b.survey.Learners = append(b.survey.Learners, kernel.Learner{ID: 3, Link: second, Observer: true, Synced: true})
	two := figures(false)
	if len(two.Learners) != 2 || two.Learners[0].Told != 6 || !two.Learners[0].Since.Equal(came) || !two.Learners[1].Since.Equal(*at) {
		t.Errorf("%+v", two.Learners)
	}
	b.survey.Learners[0].Told = 7
	if f := figures(true); f.Learners[0].Told != 7 {
		t.Errorf("after half a tick: %+v", f.Learners)
	}
	b.survey = kernel.Survey{}
	if f := figures(false); len(f.Learners) != 0 || f.Syncs != 0 {
		t.Errorf("%+v", f)
	}
	if len(one.Learners) != 1 || one.Learners[0].Told != 5 || two.Learners[0].Told != 6 {
		t.Errorf("old pictures have changed: %+v %+v", one.Learners, two.Learners)
	}
}

// A leader counts what it proposes and commits, not what it inherits, and begins its sizes anew when it is asked to.
func TestFiguresOfProposals(t *testing.T) {
	log, c := &sliceLog{}, newCaller()
	n := startNode(t, &sumMachine{}, log)
	for range 3 {
		_ = n.Submit(add(c, 1))
		c.next(t)
	}
	f := n.Status().Figures
	if f.Proposed != 3 || f.Committed != 3 || f.Proposals != (kernel.Sizes{Count: 3, Last: 8, Min: 8, Max: 8}) || f.RoleSince.IsZero() || f.Looks != 0 {
		t.Errorf("%+v", f)
	}
	n.ResetProposals()
	if f := n.Status().Figures; f.Proposals != (kernel.Sizes{}) || f.Proposed != 3 {
		t.Errorf("after a reset: %+v", f)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	n = startNode(t, &sumMachine{}, log)
	_ = n.Submit(add(c, 1))
	c.next(t)
	if f := n.Status().Figures; f.Proposed != 1 || f.Committed != 1 {
		t.Errorf("after a restart: %+v", f)
	}
}
