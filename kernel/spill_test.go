package kernel

import (
	"slices"
	"testing"
)

// A history that does not fit into memory is read from the log when it is committed, except for what a client of this server may wait for: that is matched, in its place.
func TestLongHistoryIsLeftToTheLog(t *testing.T) {
	n, l, _, _ := loopOf(t)
	n.cfg.HistoryBytes = 4 * inputOverhead
	l.take(RoleChange{Role: Following, Leader: 2, Epoch: 1, Established: true, Incarnation: 1})
	lost := &Request{Session: 7, Cxid: 1, Conn: client{}}
	if err := n.Submit(lost); err != nil {
		t.Fatal(err)
	}
	l.round(false)
	l.take(RoleChange{Role: Looking, Incarnation: 2})
	history := func(first, last int) {
		for i := first; i <= last; i++ {
			data := []byte{1, byte(i)}
			if i == 5 {
				data = []byte{7, 1}
			}
			l.perform(&Effects{Append: []Record{{Zxid: MakeZxid(1, uint32(i)), Data: data}}, History: true})
		}
	}
	history(1, 20)
	if len(l.unapplied) > 6 {
		t.Fatalf("%d of 20 transactions are in memory", len(l.unapplied))
	}
	// A role that ends keeps what is there; the next one cuts some of it off and goes on.
	l.take(RoleChange{Role: Looking, Incarnation: 3})
	l.cut(MakeZxid(1, 12))
	history(13, 14)
	n.apply.take()
	l.perform(&Effects{Role: &RoleChange{Role: Following, Leader: 3, Epoch: 2, Established: true, Incarnation: 4}, Commit: MakeZxid(1, 14)})
	jobs := n.apply.take()
	var replays, commits []uint32
	for _, j := range jobs {
		switch {
		case j.replay != 0:
			replays = append(replays, j.replay.Counter())
		case j.commit != 0:
			for _, txn := range j.txns {
				commits = append(commits, txn.Zxid.Counter())
				if (txn.Request == lost) != (txn.Zxid.Counter() == 5) {
					t.Errorf("%s is applied with request %v", txn.Zxid, txn.Request)
				}
			}
		}
	}
	if !slices.Equal(replays, []uint32{4, 12}) || !slices.Equal(commits, []uint32{5, 13, 14}) {
		t.Errorf("read from the log up to %v and given %v; want 4 and 12, and 5, 13, 14", replays, commits)
	}
	if len(l.unapplied) != 0 || len(l.pending) != 0 || len(l.waiting) != 0 {
		t.Errorf("left over: %v, %v, %v", l.unapplied, l.pending, l.waiting)
	}
}
