package zab

import (
	"fmt"
	"strconv"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// Settings are what the configuration says.
type Settings struct {
	InitLimit, SyncLimit int // in ticks
	TailBytes            int
	ReconfigEnabled      bool
	RollAfter            uint32 // counter at which the leader begins a new epoch; 0: counterRoll
	// How many observers are sent snapshots, and transactions that they lack, at a time.
	SnapshotSyncs, DiffSyncs int
	ObserverMasters          bool // an observer looks for a follower to get what is committed from
	// An observer that has lost its leader waits random parts of them: before it looks for one, and before it connects.
	ObserverElectionDelay, ObserverReconnectDelay time.Duration
}

var _ kernel.Broadcast = (*Core)(nil)

func init() {
	kernel.Register(kernel.KindBroadcast, "zab", kernel.Factory[kernel.Broadcast]{
		Doc: "ZooKeeper atomic broadcast",
		Options: []kernel.Option{
			{Key: "initLimit", Type: kernel.TypeInt, Default: "10", Config: "initLimit", Doc: "ticks that a learner may take to connect and to synchronize"},
			{Key: "syncLimit", Type: kernel.TypeInt, Default: "5", Config: "syncLimit", Doc: "ticks after which a silent peer is given up"},
			{Key: "reconfigEnabled", Type: kernel.TypeBool, Default: "false", Config: "reconfigEnabled", Doc: "take over configurations that the ensemble has agreed on"},
			{Key: "snapshotSyncs", Type: kernel.TypeInt, Default: "10", Config: "leader.maxConcurrentSnapSyncs", Doc: "observers that are sent a snapshot at one time; voters always are"},
			{Key: "diffSyncs", Type: kernel.TypeInt, Default: "100", Config: "leader.maxConcurrentDiffSyncs", Doc: "observers that are sent missing transactions at one time; voters always are"},
			{Key: "observerMasterPort", Type: kernel.TypeInt, Default: "0", Config: "observerMasterPort", Doc: "an observer connects to followers on this port, and to the leader when it finds none; 0: to the leader"},
			{Key: "observerElectionDelay", Type: kernel.TypeDuration, Default: "200", Config: "observer.election.DelayMs", Doc: "an observer that has lost the leader waits a random part of this before it looks for one"},
			{Key: "observerReconnectDelay", Type: kernel.TypeDuration, Default: "0", Config: "observer.reconnectDelayMs", Doc: "an observer that has lost whom it hears waits a random part of this before it connects again"},
			{Key: "tailBytes", Type: kernel.TypeBytes, Default: "32MiB", Doc: "memory for the newest transactions, from which learners catch up without the disk"},
			{Key: "rollAfter", Type: kernel.TypeInt, Default: strconv.FormatInt(counterRoll, 10), Doc: "transactions of one epoch after which the leader begins a new one, long before the 32 bits of the counter are used up; at least 100"},
		},
		New: func(env kernel.Env, o kernel.Options) (kernel.Broadcast, error) {
			s := Settings{InitLimit: int(o.Int("initLimit")), SyncLimit: int(o.Int("syncLimit")), TailBytes: int(o.Bytes("tailBytes")), ReconfigEnabled: o.Bool("reconfigEnabled"),
				SnapshotSyncs: int(o.Int("snapshotSyncs")), DiffSyncs: int(o.Int("diffSyncs")), ObserverMasters: o.Int("observerMasterPort") > 0,
				ObserverElectionDelay: o.Duration("observerElectionDelay"), ObserverReconnectDelay: o.Duration("observerReconnectDelay")}
			after := o.Int("rollAfter")
			if after < minRoll || after > counterRoll {
				return nil, fmt.Errorf("zab: rollAfter=%d: want %d to %d", after, minRoll, counterRoll)
			}
			s.RollAfter = uint32(after)
			if s.InitLimit < 1 || s.SyncLimit < 1 || s.TailBytes < 0 || s.SnapshotSyncs < 1 || s.DiffSyncs < 1 {
				return nil, fmt.Errorf("zab: initLimit %d, syncLimit %d, tailBytes %d, snapshotSyncs %d, diffSyncs %d: want at least 1, 1, 0, 1 and 1", s.InitLimit, s.SyncLimit, s.TailBytes, s.SnapshotSyncs, s.DiffSyncs)
			}
			c := NewCore(s)
			c.inspect = env.Inspect
			return c, nil
		},
	})
}
