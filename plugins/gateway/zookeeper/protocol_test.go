package zookeeper

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProtocol(t *testing.T) {
	n := newFakeNode(t)
	addr := clientAddr(startGateway(t, n, nil))
	protocoltest.Connection(t, protocoltest.Target{Addr: addr, MinTimeoutMs: 4000, MaxTimeoutMs: 40000, Words: true})
}
