package pebble

import (
	"runtime"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// polite is a file of a flush or a compaction, whose goroutine computes for many milliseconds on end. At each write it lets those go first that somebody waits
// for: the scheduler by itself would let it run for ten.
type polite struct{ vfs.File }

// Write implements vfs.File.
func (p polite) Write(b []byte) (int, error) {
	runtime.Gosched()
	return p.File.Write(b)
}
