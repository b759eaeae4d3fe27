package zab

import (
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// An observer that has lost whom it heard leaves the voters alone for a part of one delay, and connects after a part of another. Different observers wait for different parts: they do not come all at once.
func TestObserversComeOneAfterTheOther(t *testing.T) {
	const delay = time.Second
	link := kernel.LinkID{Peer: 1, Purpose: kernel.ForBroadcast, Incarnation: 1}
	asked, dialled := map[time.Duration]bool{}, map[time.Duration]bool{}
	for id := kernel.ServerID(4); id < 24; id++ {
		c := NewCore(Settings{InitLimit: 2, SyncLimit: 1, ObserverElectionDelay: delay, ObserverReconnectDelay: delay})
		now := time.Minute
		var e *kernel.Effects
		step := func(in ...kernel.Input) { e = c.Step(now, in...) }
		// wait lets time pass until the core wants something, and returns how much.
		wait := func(done func() bool) time.Duration {
			began := now
			for !done() {
				if e.Wake <= now {
					t.Fatalf("server %d waits for nothing", id)
				}
				step(kernel.Tick{Half: true}) // however long it is: nobody is silent who has not been asked
				now = e.Wake
				step()
			}
			return now - began
		}
		elected := kernel.Elected{Leader: 1, Role: kernel.Observing}
		step(kernel.Start{Self: id, Seed: 7, Config: kernel.Ensemble{Voters: []kernel.ServerID{1, 2, 3}, Others: []kernel.ServerID{id}}})
		if e.Look == nil {
			t.Fatal("the first time it waits")
		}
		step(elected)
		if len(e.Dial) != 1 {
			t.Fatal("the first time it waits before it connects")
		}
		step(kernel.LinkIsUp{Link: link})
		step(kernel.LinkIsDown{Link: link})
		asked[wait(func() bool { return e.Look != nil })] = true
		step(elected)
		dialled[wait(func() bool { return len(e.Dial) == 1 })] = true
	}
	for what, waits := range map[string]map[time.Duration]bool{"ask who leads": asked, "connect": dialled} {
		low, high := delay, time.Duration(0)
		for d := range waits {
			low, high = min(low, d), max(high, d)
		}
		if len(waits) < 15 || high > delay || high-low < delay/2 {
			t.Errorf("20 observers %s after %d different times, from %v to %v", what, len(waits), low, high)
		}
	}
}
