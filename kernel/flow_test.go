package kernel

import (
	"maps"
	"testing"
)

// TestFlow: links are held above the bounds and let go below half of them, each for itself and all for the backlog; what is for elections never is.
func TestFlow(t *testing.T) {
	held := map[LinkID]bool{}
	f := flow{hold: func(link LinkID, hold bool) {
		if held[link] == hold {
			t.Errorf("link %d: %v again", link.Peer, hold)
		}
		held[link] = hold
	}}
	one, two, vote := LinkID{Peer: 1, Purpose: ForBroadcast}, LinkID{Peer: 2, Purpose: ForObservers}, LinkID{Peer: 3, Purpose: ForElection}
	want := func(what string, links map[LinkID]bool) {
		t.Helper()
		if !maps.Equal(held, links) {
			t.Errorf("%s: held %v, want %v", what, held, links)
		}
	}
	f.came(two, 1)
	f.came(vote, 10*linkBytes)
	f.came(one, linkBytes)
	want("at the bound", map[LinkID]bool{})
	f.came(one, 1)
	want("above it", map[LinkID]bool{one: true})
	f.went(one, linkBytes/2)
	want("above half of it", map[LinkID]bool{one: true})
	f.went(one, 1)
	want("at half of it", map[LinkID]bool{one: false})
	f.carry(backlogBytes + 1)
	want("a backlog", map[LinkID]bool{one: true, two: true})
	f.went(one, linkBytes/2)
	f.came(LinkID{Peer: 4}, 1)
	f.carry(-backlogBytes / 2)
	want("above half of it", map[LinkID]bool{one: true, two: true})
	f.forget(two)
	f.carry(-1)
	want("at half of it", map[LinkID]bool{one: false, two: true})
	f.carry(1)
	f.went(two, 1)
	want("of a link that is down", map[LinkID]bool{one: false, two: true})
}
