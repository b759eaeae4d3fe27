package pebble

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// patient is a manifest. Pebble tries again what fails for lack of room, but a write of its manifest must not fail, or the process has to end. So that waits for room here: Pebble holds no lock then that
// readers or writers need, and Flush says that the disk is full.
type patient struct {
	vfs.File
	faults *faults
}

// Write implements vfs.File.
func (p *patient) Write(b []byte) (int, error) {
	n, err := p.File.Write(b)
	for p.faults.open.Load() && p.faults.awaitRoom(err) {
		var more int
		more, err = p.File.Write(b[n:])
		n += more
	}
	return n, err
}

// awaitRoom tells whether something that failed with err is to be tried again, after a pause: there was no room, and the store is not being closed.
func (f *faults) awaitRoom(err error) bool {
	if err == nil || !isNoSpace(err) {
		return false
	}
	f.isFull()
	select {
	case <-f.closing:
		return false
	case <-time.After(retryPause):
		return true
	}
}

// ending tells whether the store is being closed.
func (f *faults) ending() bool {
	select {
	case <-f.closing:
		return true
	default:
		return false
	}
}
