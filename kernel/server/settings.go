package server

import (
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
)

// Settings is what a server takes from its configuration.
type Settings struct {
	DataDir  string
	LogDir   string // where the log lies; DataDir if empty
	Self     kernel.ServerID
	Ensemble kernel.Ensemble
	TickTime time.Duration
	// SnapCount is the number of transactions between snapshots of a state that does not survive by itself; SnapshotsKept how many stay.
	SnapCount     int
	SnapshotsKept int
	// SlowSync is how long a sync of the log may take before it is logged; 0 is the node's own.
	SlowSync     time.Duration
	ReadOnlyMode bool
	NoMetrics    bool // the stages of the write path are not counted
	// Plugins names a plugin by kind where the configuration does; Defaults fills the rest.
	Plugins map[string]string
	// Options holds plugin.KIND.KEY=value by kind.
	Options map[string]map[string]string
	// Config looks up a zoo.cfg key, for options that take their value from one.
	Config func(key string) (string, bool)
	// DynamicFiles are kept up to date with the ensemble's configuration; nil: there are none.
	DynamicFiles *config.DynamicFiles
	// Gateways to start, by name, in order.
	Gateways []string
}

// defaults are the built-in choices (DESIGN, The kernel).
var defaults = map[string]string{
	kernel.KindLogStore.Name:      "file",
	kernel.KindSnapshotStore.Name: "file",
	kernel.KindNodeStore.Name:     "pebble",
	kernel.KindElection.Name:      "fle",
	kernel.KindBroadcast.Name:     "zab",
	kernel.KindStateMachine.Name:  "znode",
	kernel.KindTransport.Name:     "memory",
}

func (s Settings) plugin(kind string) string {
	if name := s.Plugins[kind]; name != "" {
		return name
	}
	return defaults[kind]
}
