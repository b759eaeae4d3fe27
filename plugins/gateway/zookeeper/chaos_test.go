package zookeeper

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// Clients that come, ask without listening, send halves and vanish at any moment leave nothing behind: no connection, no byte on a budget, no goroutine (TestMain), and others are served.
func TestVanishingClients(t *testing.T) {
	n := newFakeNode(t)
	n.nodes["/big"] = make([]byte, 200<<10)
	g := startGateway(t, n, map[string]string{"maxOutput": "512KiB"})
	addr := clientAddr(g)
	lone := protocoltest.Connect(t, addr)
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			for range 60 {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				c.SetDeadline(time.Now().Add(protocoltest.Patience))
				connect := wire.ConnectRequest{TimeoutMs: 10000, Password: make([]byte, 16)}
				b := protocoltest.FrameOf(connect.AppendTo(nil))
				for range r.IntN(60) {
					switch r.IntN(8) {
					case 0:
						b = append(b, protocoltest.Request(1, getData("/big", true))...)
					case 1:
						b = append(b, protocoltest.Request(2, setData("/", make([]byte, r.IntN(3000))...))...)
					case 2:
						b = append(b, protocoltest.Encode(-2, wire.OpPing, nil)...)
					case 3:
						b = append(b, protocoltest.Encode(3, wire.OpCreate, nil)...)
					case 4:
						b = append(b, protocoltest.Request(4, wire.Request{Op: wire.Op{Code: wire.OpAuth}, Scheme: "digest", Auth: []byte("a")})...)
					case 5:
						b = append(b, protocoltest.Request(5, wire.Request{Op: wire.Op{Code: wire.OpSync, Path: "/"}})...)
					case 6:
						if r.IntN(20) == 0 {
							b = append(b, protocoltest.Encode(6, wire.OpCloseSession, nil)...)
						}
					default:
						b = append(b, protocoltest.Request(7, getData("/", true))...)
					}
				}
				c.Write(b[:len(b)-r.IntN(8)])
				if r.IntN(2) == 0 {
					c.SetReadDeadline(time.Now().Add(time.Duration(r.IntN(10)) * time.Millisecond))
					io.ReadFull(c, make([]byte, r.IntN(100000)))
				}
				c.Close()
			}
		})
	}
	wg.Wait()
	lone.Ping()
	until(t, "all connections but one to be gone", func() bool { return len(g.snapshot()) == 1 })
	until(t, "the budgets to come back", func() bool { return g.budget.used.Load() == 0 && g.outgoing.used.Load() == 0 })
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, s := range n.sessions {
		if s.conn != nil && int64(id) != lone.Session.SessionID {
			t.Errorf("session %v still has its connection", id)
		}
	}
}
