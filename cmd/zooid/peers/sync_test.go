package peers

import (
	"testing"

	"github.com/zooid-project/zooid/sdk/client"
)

// TestSyncUnderApache: a leader of ZooKeeper's answers a sync without asking anybody whether it still leads. A server of Zooid that follows it writes instead, so that a quorum has confirmed what is
// read then; under a leader of its own kind a sync writes nothing.
func TestSyncUnderApache(t *testing.T) {
	for leader, writes := range map[kind]int64{apache38: 1, zooid: 0} {
		t.Run(mixName([]kind{leader}), func(t *testing.T) {
			e := newEnsemble(t, []kind{zooid, apache38, leader})
			e.startAll()
			e.expectLeader(3)
			follower := e.connect(e.member(1))
			if _, err := follower.Create(within(t), "/a", nil, client.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			const syncs = 20
			before, err := follower.Set(within(t), "/a", nil, client.AnyVersion)
			if err != nil {
				t.Fatal(err)
			}
			for range syncs {
				if err := follower.Sync(within(t), "/a"); err != nil {
					t.Fatal(err)
				}
			}
			after, err := follower.Set(within(t), "/a", nil, client.AnyVersion)
			if err != nil {
				t.Fatal(err)
			}
			if got := after.Mzxid - before.Mzxid - 1; got != writes*syncs {
				t.Errorf("%d syncs took %d positions in the log, want %d", syncs, got, writes*syncs)
			}
			e.compareTrees()
		})
	}
}
