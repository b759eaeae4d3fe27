package file

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

func openSmall(env kernel.Env) (kernel.LogStore, error) {
	s, err := Open(Config{FS: env.FS, Dir: env.LogDir, SegmentSize: MinSegmentSize})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func TestConformance(t *testing.T) { plugintest.LogStore(t, openSmall) }

// The goroutine that prepares segments makes each run of a scenario a little different; what must hold is the same.
func TestConformancePreparingAhead(t *testing.T) {
	plugintest.LogStore(t, func(env kernel.Env) (kernel.LogStore, error) {
		s, err := Open(Config{FS: env.FS, Dir: env.LogDir, SegmentSize: MinSegmentSize, PrepareAhead: true})
		if err != nil {
			return nil, err
		}
		return s, nil
	})
}

func TestRegistered(t *testing.T) {
	f, err := kernel.Lookup(kernel.KindLogStore, "file")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		given map[string]string
		ok    bool
	}{{nil, true}, {map[string]string{"segmentSize": "1MiB", "prepareAhead": "false"}, true}, {map[string]string{"segmentSize": "1KiB"}, false}, {map[string]string{"segmentSize": "20001"}, false}} {
		o, err := kernel.NewOptions(kernel.KindLogStore.Name, "file", f.Options, c.given, nil)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		s, err := f.New(kernel.Env{FS: vfs.Default, DataDir: dir, LogDir: dir}, o)
		if (err == nil) != c.ok {
			t.Errorf("%v: %v", c.given, err)
		}
		if err == nil {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
