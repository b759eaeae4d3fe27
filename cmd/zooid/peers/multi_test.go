package peers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestForeignMulti: what a client asks for in a multi, in whatever form and of whichever member, is there on all members and the same, whoever leads; and what is no
// request at all never leaves the server that it is sent to.
func TestForeignMulti(t *testing.T) {
	for _, kinds := range [][]kind{{apache38, zooid, apache38}, {apache38, apache38, zooid}, {zooid, apache39, apache39}} {
		t.Run(mixName(kinds), func(t *testing.T) {
			e := newEnsemble(t, kinds)
			e.startAll()
			e.expectLeader(len(kinds))
			for _, m := range e.members {
				if m.kind == zooid && e.waitLeader().kind.apache() {
					e.keepsUndecodable(m)
				}
			}
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

// undecodable are bodies that are no request of their kind, of writes and of what else a follower asks its leader for.
func undecodable() []wire.Request {
	head := func(op wire.OpCode, done byte) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(op))
		return append(b, done, 0xff, 0xff, 0xff, 0xff)
	}
	end := head(-1, 1)
	text := func(s string) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...) }
	none := []byte{0xff, 0xff, 0xff, 0xff}
	var all []wire.Request
	add := func(op wire.OpCode, parts ...[]byte) {
		all = append(all, wire.Request{Op: wire.Op{Code: op, Data: slices.Concat(parts...)}})
	}
	for _, op := range []wire.OpCode{wire.OpCreate, wire.OpCreate2, wire.OpCreateTTL, wire.OpCreateContainer, wire.OpSetData, wire.OpSetACL, wire.OpDelete, wire.OpSync, wire.OpReconfig, wire.OpMulti} {
		add(op)                                    // nothing
		add(op, []byte{0, 0, 0})                   // not even a length
		add(op, []byte{0, 0, 0, 9, '/'})           // less than the length says
		add(op, []byte{0x7f, 0xff, 0xff, 0xff, 1}) // far less
		add(op, []byte{0xff, 0xff, 0xff, 0xfe, 1}) // a length that is none
	}
	add(wire.OpCreate, text("/cut"), text("data"), []byte{0, 0, 0, 2}) // ACLs that do not come
	add(wire.OpSetACL, text("/cut"), []byte{0x7f, 0xff, 0xff, 0xff})
	add(wire.OpSetData, text("/cut"), none)                                                   // no version
	add(wire.OpMulti, head(wire.OpCreate, 0))                                                 // an operation that does not come
	add(wire.OpMulti, head(wire.OpSetData, 0), text("/cut"), end)                             // half of one
	add(wire.OpMulti, head(wire.OpDelete, 0), text("/cut"), none)                             // no end
	add(wire.OpMulti, head(9999, 0), end)                                                     // one that nobody knows
	add(wire.OpMulti, head(wire.OpMulti, 0), head(wire.OpDelete, 0), text("/cut"), none, end) // a multi in a multi
	return all
}

// keepsUndecodable sends to a follower of Zooid's what cannot be decoded. Its client is told so or loses its connection, and the leader, one of ZooKeeper's, hears nothing of it: it complains of
// nothing, and what comes behind is the next transaction. Nobody else may write meanwhile.
func (e *ensemble) keepsUndecodable(follower *member) {
	e.t.Helper()
	leader := e.waitLeader()
	behind := e.connect(follower)
	path, err := behind.Create(within(e.t), "/behind-undecodable", nil, client.CreateOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
	raw := protocoltest.ConnectFor(e.t, follower.addr(), 60_000) // a session that is left behind must not expire before the end
	before, err := behind.Set(within(e.t), path, nil, client.AnyVersion)
	if err != nil {
		e.t.Fatal(err)
	}
	mark, more := leader.logLength(), int64(0)
	for i, w := range undecodable() {
		if raw == nil {
			raw = protocoltest.ConnectFor(e.t, follower.addr(), 60_000)
			more++
		}
		raw.Send(protocoltest.Encode(int32(i+1), w.Code, w.Data))
		_ = raw.Conn.SetReadDeadline(time.Now().Add(patience))
		answer, err := readFrame(raw.Conn)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			e.t.Fatalf("%v of %x: neither an answer nor the end of the connection", w.Code, w.Data)
		case err != nil:
			raw = nil
		case len(answer) != 16 || int32(binary.BigEndian.Uint32(answer)) != int32(i+1) || binary.BigEndian.Uint32(answer[12:]) == 0:
			e.t.Errorf("%v of %x: answered with %x", w.Code, w.Data, answer)
		}
	}
	after, err := behind.Set(within(e.t), path, nil, client.AnyVersion)
	if err != nil {
		e.t.Fatal(err)
	}
	if got := after.Mzxid - before.Mzxid - 1; got != more {
		e.t.Errorf("%d transactions, and %d sessions were opened", got, more)
	}
	if e.waitLeader() != leader {
		e.t.Errorf("%s leads by now, not %s", e.waitLeader(), leader)
	}
	log, err := os.ReadFile(leader.log())
	if err != nil {
		e.t.Fatal(err)
	}
	for line := range strings.Lines(string(log[mark:])) {
		if strings.Contains(line, " WARN ") || strings.Contains(line, " ERROR ") || strings.Contains(line, "Exception") {
			e.t.Errorf("%s says: %s", leader, line)
		}
	}
	if err := behind.Delete(within(e.t), path, client.AnyVersion); err != nil {
		e.t.Fatal(err)
	}
}
