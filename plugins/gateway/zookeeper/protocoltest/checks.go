package protocoltest

import (
	"slices"
	"testing"

	"github.com/zooid-project/zooid/sdk/wire"
)

// Target is the server under test.
type Target struct {
	Addr string
	// MaxFrame is its jute.maxbuffer in bytes; 0: the default.
	MaxFrame int
	// MinTimeoutMs and MaxTimeoutMs are its limits of session time-outs.
	MinTimeoutMs, MaxTimeoutMs int32
	// Words says that all four-letter words are enabled.
	Words bool
	// ExtendedTypes says that nodes with a time to live are enabled.
	ExtendedTypes bool
}

// Check is one rule of the protocol.
type Check struct {
	Name string
	Run  func(t *testing.T, target Target)
}

// Connection checks what a gateway does without knowing what the state is: framing, handshake, order, refusals, authentication. It needs a server that serves, with the scheme digest.
func Connection(t *testing.T, target Target) { run(t, target, connectionChecks) }

// Data checks what clients depend on in answers about data. It needs a whole server. It works below /protocoltest and removes nothing of others.
func Data(t *testing.T, target Target) { run(t, target, slices.Concat(dataChecks, clientChecks)) }

func run(t *testing.T, target Target, checks []Check) {
	if target.MaxFrame == 0 {
		target.MaxFrame = wire.DefaultMaxFrame
	}
	if target.MinTimeoutMs == 0 {
		target.MinTimeoutMs = 6000
	}
	if target.MaxTimeoutMs == 0 {
		target.MaxTimeoutMs = 60000
	}
	for _, c := range checks {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, target) })
	}
}
