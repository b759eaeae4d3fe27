package peers

import (
	"fmt"
	"testing"

	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestForeignMulti: what a client asks for in a multi, in whatever form and of whichever member, is there on all members and the same, whoever leads.
func TestForeignMulti(t *testing.T) {
	for _, kinds := range [][]kind{{apache38, zooid, apache38}, {apache38, apache38, zooid}, {zooid, apache39, apache39}} {
		t.Run(mixName(kinds), func(t *testing.T) {
			e := newEnsemble(t, kinds)
			e.startAll()
			e.expectLeader(len(kinds))
			for _, m := range e.members {
				raw := protocoltest.Connect(t, m.addr())
				root := fmt.Sprintf("/of-%d", m.id)
				ops := []wire.Op{{Code: wire.OpCreate2, Path: root, Data: []byte("1"), ACL: wire.OpenACL}, {Code: wire.OpCreate, Path: root + "/child", ACL: wire.OpenACL},
					{Code: wire.OpSetData, Path: root, Data: []byte("2")}, {Code: wire.OpCreate2, Path: root + "/s-", Mode: wire.EphemeralSequential, ACL: wire.OpenACL}}
				if m.kind == zooid {
					ops[1].Code, ops[1].TTL = wire.OpCreateTTL, -1
				}
				answer := raw.Do(wire.Request{Op: wire.Op{Code: wire.OpMulti}, Ops: ops})
				if len(answer.Results) != len(ops) {
					t.Fatalf("%s: %+v", m, answer)
				}
				for i, r := range answer.Results {
					if withStat := ops[i].Code == wire.OpCreate2 || ops[i].Code == wire.OpCreateTTL; r.Err != 0 || m.kind == zooid && withStat != (r.Code == wire.OpCreate2) {
						t.Errorf("%s: result %d: %+v", m, i, r)
					}
				}
				c := e.connect(e.waitLeader())
				if data, stat, err := c.Get(within(t), root); err != nil || string(data) != "2" || stat.NumChildren != 2 {
					t.Errorf("%s: at the leader: %q, %+v, %v", m, data, stat, err)
				}
				if m.kind != zooid {
					continue
				}
				// What no server may be given is refused here.
				for _, w := range []wire.Request{
					{Op: wire.Op{Code: wire.OpCreate, Path: "/zookeeper/quota/zookeeper_limits", Data: []byte("count=1,bytes=1"), ACL: wire.OpenACL}},
					{Op: wire.Op{Code: wire.OpCreateTTL, Path: "/no-time", TTL: -1, ACL: wire.OpenACL}},
				} {
					if f := raw.Call(w); f.Err != wire.ErrBadArguments {
						t.Errorf("%s: %v %s: %v", m, w.Code, w.Path, f.Err)
					}
				}
			}
			e.compareTrees()
		})
	}
}
