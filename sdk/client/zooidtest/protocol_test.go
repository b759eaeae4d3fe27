package zooidtest_test

import (
	"fmt"
	"testing"

	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
)

// The rules of the protocol hold of the whole server: what one plugin promises another is not what a client sees.
func TestProtocol(t *testing.T) {
	s := zooidtest.Start(t, zooidtest.Set("tickTime", "2000"), zooidtest.Set("4lw.commands.whitelist", "*"), zooidtest.Set("extendedTypesEnabled", "true"))
	target := protocoltest.Target{Addr: s.Addr(), MinTimeoutMs: 4000, MaxTimeoutMs: 40000, Words: true, ExtendedTypes: true}
	t.Run("connection", func(t *testing.T) { protocoltest.Connection(t, target) })
	t.Run("data", func(t *testing.T) { protocoltest.Data(t, target) })
}

// The same holds at every server of an ensemble.
func TestProtocolOfEnsemble(t *testing.T) {
	t.Parallel()
	e := zooidtest.StartEnsemble(t, 3, 0, zooidtest.Set("tickTime", "2000"), zooidtest.Set("4lw.commands.whitelist", "*"), zooidtest.Set("extendedTypesEnabled", "true"))
	for i, s := range e.Servers {
		t.Run(fmt.Sprint("server ", i+1), func(t *testing.T) {
			target := protocoltest.Target{Addr: s.Addr(), MinTimeoutMs: 4000, MaxTimeoutMs: 40000, Words: true, ExtendedTypes: true}
			t.Run("connection", func(t *testing.T) { protocoltest.Connection(t, target) })
			t.Run("data", func(t *testing.T) { protocoltest.Data(t, target) })
		})
	}
}
