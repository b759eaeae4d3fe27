package zookeeper

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/wire"
)

func ephemeral(path string) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpCreate, Path: path, Mode: wire.Ephemeral, ACL: wire.OpenACL}}
}

// The creation of the session goes ahead of its first ephemeral node, once, also when the node is full in between; what needs no global session brings none. Without upgrading the ephemeral node
// is refused.
func TestUpgradeGoesAheadOnce(t *testing.T) {
	for _, upgrading := range []string{"true", "false"} {
		t.Run("upgrading="+upgrading, func(t *testing.T) {
			n := newFakeNode(t)
			creations, full := 0, true
			n.submit = func(req *kernel.Request) error { // of one connection, so by one goroutine at a time
				if wire.OpCode(req.Op) == wire.OpCreateSession {
					creations++
					return nil
				}
				if w := req.Decoded.(*wire.Request); full && w.Mode.IsEphemeral() {
					full = false
					return kernel.ErrBusy
				}
				return nil
			}
			g := startGateway(t, n, map[string]string{"localSessions": "true", "upgradeSessions": upgrading})
			r := protocoltest.Connect(t, clientAddr(g))
			r.Do(setData("/"))
			r.Do(wire.Request{Op: wire.Op{Code: wire.OpCreate, Path: "/p", ACL: wire.OpenACL}})
			if creations != 0 {
				t.Fatal("upgraded without need")
			}
			want := map[string]wire.ErrorCode{"true": wire.ErrOK, "false": wire.ErrEphemeralOnLocalSession}[upgrading]
			for xid, path := range []string{"/e1", "/e2"} {
				r.Send(protocoltest.Request(int32(xid), ephemeral(path)))
				r.Expect(int32(xid), want)
			}
			if want := map[string]int{"true": 1, "false": 0}[upgrading]; creations != want {
				t.Errorf("%d creations of the session, want %d", creations, want)
			}
			id := kernel.SessionID(r.Session.SessionID)
			if s, _ := n.Find(id); s.Local != (upgrading == "false") {
				t.Errorf("local: %v", s.Local)
			}
			if upgrading == "true" { // lost with a leader: the next one is told again
				n.mu.Lock()
				n.sessions[id].local = true
				n.mu.Unlock()
				n.setStatus(kernel.Status{Serving: true, Role: kernel.Leading, Epoch: 7})
				r.Do(ephemeral("/e3"))
				if s, _ := n.Find(id); s.Local || creations != 2 {
					t.Errorf("local: %v after %d creations", s.Local, creations)
				}
			}
		})
	}
}
