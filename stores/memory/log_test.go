package memory

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

func openNew(kernel.Env) (kernel.LogStore, error) { return New(), nil }

func TestConformance(t *testing.T) { plugintest.LogStore(t, openNew) }

func BenchmarkLog(b *testing.B) { plugintest.BenchmarkLogStore(b, "memory", openNew) }
