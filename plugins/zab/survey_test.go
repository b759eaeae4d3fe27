package zab

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// What a leader tells of its learners is how it serves them.
func TestSurvey(t *testing.T) {
	c, links := established(t, 2, false)
	survey := func() (s kernel.Survey) {
		c.Survey(&s)
		return s
	}
	s := survey()
	if len(s.Learners) != 2 || s.Diffs != 2 || s.Syncs != 0 {
		t.Fatalf("%+v", s)
	}
	for i, l := range s.Learners {
		if l.ID != links[i].Peer || l.Link != links[i] || l.Observer || !l.Voter || !l.Synced {
			t.Errorf("%+v", l)
		}
	}

	observer := kernel.LinkID{Peer: 9, Purpose: kernel.ForBroadcast, Incarnation: 9}
	info := peer.LearnerInfo{Server: 9, Version: peer.ProtocolVersion, Capabilities: capabilities}
	c.Step(0, kernel.LinkIsUp{Link: observer, Accepted: true}, kernel.Received{Link: observer, Message: kernel.Message{Type: peer.ObserverInfo, Payload: info.AppendTo(nil)}})
	if s := survey(); len(s.Learners) != 3 || !s.Learners[2].Observer || s.Learners[2].Synced || s.Learners[2].Voter {
		t.Errorf("an observer that has come: %+v", s)
	}
	c.Step(0, kernel.Received{Link: observer, Message: kernel.Message{Type: peer.AckEpoch, Payload: peer.AppendAckEpoch(nil, 0)}})
	c.Step(0, kernel.Received{Link: observer, Message: kernel.Message{Type: peer.Ack, Zxid: kernel.MakeZxid(1, 0)}})
	if s := survey(); !s.Learners[2].Synced || s.Diffs != 3 {
		t.Errorf("an observer that was brought up: %+v", s)
	}

	c.Step(0, kernel.AskBarrier{ID: 1}, kernel.AskBarrier{ID: 2})
	if s := survey(); s.Syncs != 2 {
		t.Errorf("with two barriers: %+v", s)
	}
	answer := func(link kernel.LinkID) kernel.Received {
		return kernel.Received{Link: link, Message: kernel.Message{Type: peer.Ping, Payload: []byte{}}}
	}
	for range 2 { // the second barrier may wait for a round of its own
		c.Step(0, answer(links[0]))
	}
	if s := survey(); s.Syncs != 0 {
		t.Errorf("after a quorum has answered: %+v", s)
	}

	c.Step(0, kernel.LinkIsDown{Link: links[0]}, kernel.LinkIsDown{Link: observer})
	if s := survey(); len(s.Learners) != 1 || s.Learners[0].ID != 3 || s.Diffs != 3 {
		t.Errorf("with one learner left: %+v", s)
	}
}
