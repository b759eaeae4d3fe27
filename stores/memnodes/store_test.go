package memnodes

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

func TestConformance(t *testing.T) {
	plugintest.NodeStore(t, func(kernel.Env) (kernel.NodeStore, error) { return New(), nil })
}
