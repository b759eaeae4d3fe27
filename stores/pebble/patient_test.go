package pebble

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/zooid-project/zooid/kernel"
)

// A disk that gets full between the file of a flush and the entry for it in the manifest: the flush is said to lack room, reads go on, and it is done when there is room. Nothing ends.
func TestFullDiskInTheManifest(t *testing.T) {
	for name, closed := range map[string]bool{"room comes": false, "closed meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			var full atomic.Bool
			fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if full.Load() && strings.Contains(op.Path, "MANIFEST-") && (op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpCreate) {
					return syscall.ENOSPC
				}
				return nil
			}))
			s, err := Open(Options{FS: fs, Dir: "nodes", Fatal: func(err error) { t.Errorf("the server would end: %v", err) }})
			if err != nil {
				t.Fatal(err)
			}
			write := func(key string) {
				t.Helper()
				b := s.NewBatch()
				b.Set([]byte(key), []byte("value"))
				if err := s.Write(b); err != nil {
					t.Fatal(err)
				}
			}
			write("a")
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			full.Store(true)
			write("b")
			for range 3 {
				if err := s.Flush(); !errors.Is(err, kernel.ErrNoSpace) {
					t.Fatalf("flush with a full disk: %v", err)
				}
			}
			for _, key := range []string{"a", "b"} {
				if v, err := s.Get([]byte(key), nil); string(v) != "value" || err != nil {
					t.Fatalf("get %s: %q, %v", key, v, err)
				}
			}
			if closed {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				return
			}
			full.Store(false)
			for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				if err = s.Flush(); err == nil {
					break
				}
				if !errors.Is(err, kernel.ErrNoSpace) || time.Now().After(end) {
					t.Fatalf("flush with room again: %v", err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			full.Store(false)
			if s, err = Open(Options{FS: fs, Dir: "nodes"}); err != nil {
				t.Fatal(err)
			}
			if v, err := s.Get([]byte("b"), nil); string(v) != "value" || err != nil {
				t.Fatalf("what was flushed is not there: %q, %v", v, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
