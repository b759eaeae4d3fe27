package zab

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
)

// Observers that are brought up at one time are limited by way, those that are done make room, and voters are never sent away (spec zab, 6.6).
func TestAdmit(t *testing.T) {
	c := NewCore(Settings{InitLimit: 2, SyncLimit: 1, SnapshotSyncs: 1, DiffSyncs: 2})
	c.lead.byLink = map[kernel.LinkID]*learner{}
	meet := func(id kernel.ServerID, observer bool) *learner {
		link := kernel.LinkID{Peer: id, Purpose: kernel.ForBroadcast, Incarnation: uint64(id)}
		c.meet(link)
		l := c.lead.byLink[link]
		l.observer = observer
		return l
	}
	snapshots := func(l *learner) bool { return c.admit(l, &c.lead.snapshots, c.settings.SnapshotSyncs, "snapshots") }
	diffs := func(l *learner) bool { return c.admit(l, &c.lead.diffs, c.settings.DiffSyncs, "transactions") }
	first, second, third, voter := meet(4, true), meet(5, true), meet(6, true), meet(2, false)
	if !snapshots(first) || snapshots(second) || !snapshots(voter) {
		t.Fatal("want one observer and every voter to be sent a snapshot")
	}
	if c.lead.byLink[second.link] != nil {
		t.Fatal("the observer beyond the limit keeps its link")
	}
	second = meet(5, true)
	if !diffs(second) || !diffs(third) || diffs(meet(7, true)) || !diffs(voter) {
		t.Fatal("want two observers and every voter to be sent what they lack")
	}
	c.remove(third) // gone in the middle
	c.discharge(first)
	if !diffs(meet(8, true)) || !snapshots(meet(9, true)) {
		t.Fatal("want room for others when one is done or gone")
	}
}
