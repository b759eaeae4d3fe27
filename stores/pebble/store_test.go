package pebble

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

func openEnv(env kernel.Env) (kernel.NodeStore, error) {
	f, err := kernel.Lookup(kernel.KindNodeStore, "pebble")
	if err != nil {
		return nil, err
	}
	o, err := kernel.NewOptions("nodes", "pebble", f.Options, map[string]string{"memTable": "1MiB"}, nil)
	if err != nil {
		return nil, err
	}
	return f.New(env, o)
}

func TestConformance(t *testing.T) { plugintest.NodeStore(t, openEnv) }
