package kernel_test

import (
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// answering is an election that has its answer when it hears anything.
type answering struct{ out kernel.Effects }

func (a *answering) Step(_ time.Duration, in ...kernel.Input) *kernel.Effects {
	a.out.Clear()
	for _, i := range in {
		if _, ok := i.(kernel.Received); ok {
			a.out.Elected = &kernel.Elected{Leader: 2, Role: kernel.Following}
		}
	}
	return &a.out
}

// hearing is a broadcast that notes whom it is to follow. A link that comes up makes it a leader, one that goes down ends that.
type hearing struct {
	kernel.Broadcast
	leader      kernel.ServerID
	incarnation uint64
	out         kernel.Effects
}

func (h *hearing) Step(_ time.Duration, in ...kernel.Input) *kernel.Effects {
	h.out.Clear()
	for _, i := range in {
		switch i := i.(type) {
		case kernel.Elected:
			h.leader = i.Leader
		case kernel.LinkIsUp:
			h.incarnation++
			h.out.Role = &kernel.RoleChange{Role: kernel.Leading, Leader: 1, Epoch: 1, Established: true, Incarnation: h.incarnation}
		case kernel.LinkIsDown:
			h.incarnation++
			h.out.Role = &kernel.RoleChange{Role: kernel.Looking, Incarnation: h.incarnation}
		}
	}
	return &h.out
}

func (h *hearing) Position() (kernel.Epoch, kernel.Zxid, bool) { return 0, 0, false }

// TestAnElectionsAnswerIsHeardAtOnce: what one core has for the other does not wait for the next tick.
func TestAnElectionsAnswerIsHeardAtOnce(t *testing.T) {
	broadcast := &hearing{}
	s := startStepper(t, &sumMachine{}, broadcast)
	s.Node().Received(kernel.LinkID{Peer: 2, Purpose: kernel.ForElection}, kernel.Message{})
	s.Loop(false)
	if broadcast.leader != 2 {
		t.Fatal("the broadcast does not know yet who was elected")
	}
}

func startStepper(t *testing.T, m kernel.StateMachine, b kernel.Broadcast) *kernel.Stepper {
	t.Helper()
	s, err := kernel.NewStepper(kernel.NodeConfig{Self: 1, Ensemble: kernel.Ensemble{Voters: []kernel.ServerID{1, 2}}, TickTime: time.Hour},
		kernel.Parts{Log: &sliceLog{}, Machine: m, Election: &answering{}, Broadcast: b})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.Loop(false)
	return s
}

// submitting is a machine that is told of a lost role, and whose clients write just then.
type submitting struct {
	sumMachine
	host kernel.Host
	err  error
}

func (m *submitting) DropSpeculation() {
	if m.host != nil {
		m.err = m.host.Submit(add(newCaller(), 1))
	}
}

// TestNoRequestIsRefusedWhileARoleChanges: a server of an ensemble goes from serving to holding without a moment in which it does neither.
func TestNoRequestIsRefusedWhileARoleChanges(t *testing.T) {
	m := &submitting{}
	s := startStepper(t, m, &hearing{})
	link := kernel.LinkID{Peer: 2, Purpose: kernel.ForBroadcast}
	s.Node().LinkUp(link, true)
	s.Loop(false)
	for s.ApplyWaits() {
		s.Apply()
	}
	if status := s.Node().Status(); !status.Serving || status.Holding {
		t.Fatalf("an established leader: %+v", status)
	}
	m.host = s.Node()
	s.Node().LinkDown(link, nil)
	s.Loop(false)
	if m.err != nil {
		t.Errorf("a client that wrote in that moment: %v", m.err)
	}
	if status := s.Node().Status(); status.Serving || !status.Holding {
		t.Errorf("without a leader: %+v", status)
	}
}
