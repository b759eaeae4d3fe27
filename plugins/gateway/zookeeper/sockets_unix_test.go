//go:build unix

package zookeeper

import (
	"net"
	"syscall"
	"testing"

	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
)

// Small frames leave at once, and connections are kept alive by TCP only if the operator says so (spec client-protocol, 13).
func TestSocketOptions(t *testing.T) {
	for keepAlive, want := range map[string]bool{"false": false, "true": true} {
		g := startGateway(t, newFakeNode(t), map[string]string{"keepAlive": keepAlive})
		protocoltest.Connect(t, clientAddr(g))
		for _, c := range g.snapshot() {
			raw, err := c.raw.(*net.TCPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			var noDelay, alive int
			var noDelayErr, aliveErr error
			if err := raw.Control(func(fd uintptr) {
				noDelay, noDelayErr = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY)
				alive, aliveErr = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
			}); err != nil || noDelayErr != nil || aliveErr != nil {
				t.Fatal(err, noDelayErr, aliveErr)
			}
			if noDelay == 0 || (alive != 0) != want {
				t.Errorf("keepAlive=%s: TCP_NODELAY %d, SO_KEEPALIVE %d", keepAlive, noDelay, alive)
			}
		}
	}
}
