package pebble

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
)

// faults turns what Pebble does with errors (retry at once and for ever, or end the process) into what the node wants: no space is a state that passes,
// everything else is the end of this store, told once, while reads still work.
type faults struct {
	dir   string
	fatal func(error)
	open  atomic.Bool // Open has returned: until then errors are its own

	once   sync.Once
	failed chan struct{} // closed when err is set
	err    error

	closing chan struct{} // closed by Close: nobody waits for room any more

	noSpace atomic.Int64                  // when a write last found the disk full, in Unix nanoseconds; zero since a flush has succeeded
	full    atomic.Pointer[chan struct{}] // closed when a write finds the disk full; what Flush waits on
}

func (f *faults) init(o Options) {
	f.dir, f.fatal, f.failed, f.closing = o.Dir, o.Fatal, make(chan struct{}), make(chan struct{})
}

func (f *faults) fail(err error) {
	f.once.Do(func() {
		f.err = fmt.Errorf("node store %s: %w", f.dir, err)
		close(f.failed)
		if f.fatal != nil && f.open.Load() && !f.ending() {
			f.fatal(f.err)
		}
	})
}

// failure is the error that ended the store, nil while it works.
func (f *faults) failure() error {
	select {
	case <-f.failed:
		return f.err
	default:
		return nil
	}
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, kernel.ErrNoSpace)
}

func (f *faults) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: f.background,
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			f.fail(&kernel.CorruptError{File: info.Path, Err: info.Details})
		},
		FlushEnd: func(info pebble.FlushInfo) {
			if info.Err == nil {
				f.noSpace.Store(0)
			}
		},
	}
}

// background hears of errors of flushes and compactions. Pebble tries them again with new files. It holds its lock: nothing here waits.
func (f *faults) background(err error) {
	if !isNoSpace(err) {
		f.fail(err)
		return
	}
	f.isFull()
}

// isFull tells Flush that there is no room.
func (f *faults) isFull() {
	f.noSpace.Store(time.Now().UnixNano())
	if ch := f.full.Swap(nil); ch != nil {
		close(*ch)
	}
}

// Infof, Errorf and Fatalf are Pebble's Logger.
func (f *faults) Infof(string, ...any) {}

// Errorf reports what Pebble also reports as an event.
func (f *faults) Errorf(string, ...any) {}

// Fatalf is called where Pebble cannot go on (a failed write of its manifest): its caller must not continue, the process must. Pebble's own goroutines
// are ended here, which lets go of the lock that readers need; what they were doing stays undone for ever, so Flush does not wait for it (see failed).
func (f *faults) Fatalf(format string, args ...any) {
	f.fail(fmt.Errorf(format, args...))
	if !f.open.Load() {
		park()
	}
	if !strings.HasPrefix(format, "pebble: fatal commit error") { // that one is on Write's goroutine, and returns
		runtime.Goexit()
	}
}

// park stops one of Pebble's goroutines for the rest of the process's life, which has failed: it must neither go on nor clean up under those that still read.
func park() { select {} }

// disk is the file system as Pebble gets it.
type disk struct {
	vfs.FS
	faults *faults
}

const retryPause = 200 * time.Millisecond

// Create is where Pebble begins to try again what has failed, at once and for ever. It waits a moment if the disk was full just now; in a store that
// has failed for good it does not return. While the store is opened a failure ends in the same way: Pebble's Open would close files that its compactions read.
func (d *disk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if d.faults.failure() != nil {
		park()
	}
	if at := d.faults.noSpace.Load(); at != 0 && time.Since(time.Unix(0, at)) < retryPause {
		time.Sleep(retryPause)
	}
	err := d.nameBefore(name)
	var f vfs.File
	if err == nil {
		f, err = d.FS.Create(name, category)
	}
	base := d.FS.PathBase(name)
	manifest := strings.HasPrefix(base, "MANIFEST-")
	if d.faults.open.Load() {
		for (manifest || strings.HasPrefix(base, "marker.")) && d.faults.awaitRoom(err) {
			f, err = d.FS.Create(name, category)
		}
		switch {
		case err != nil:
			return nil, err
		case manifest:
			return &patient{f, d.faults}, nil
		}
		return polite{f}, nil
	}
	if manifest && err == nil {
		f = &patient{f, d.faults}
	}
	d.faults.opening(err)
	return &early{File: f, faults: d.faults}, nil
}

// Rename is how Pebble puts its OPTIONS file in place.
func (d *disk) Rename(from, to string) error {
	err := d.FS.Rename(from, to)
	if !d.faults.open.Load() {
		d.faults.opening(err)
	}
	return err
}

// opening ends an Open whose write has failed.
func (f *faults) opening(err error) {
	if err != nil {
		f.fail(err)
		park()
	}
}

// early is a file created while the store is opened.
type early struct {
	vfs.File
	faults *faults
}

func (e *early) Write(p []byte) (int, error) {
	n, err := e.File.Write(p)
	return n, e.done(err)
}

func (e *early) Sync() error     { return e.done(e.File.Sync()) }
func (e *early) SyncData() error { return e.done(e.File.SyncData()) }

func (e *early) done(err error) error {
	if !e.faults.open.Load() {
		e.faults.opening(err)
	}
	return err
}

// nameBefore makes the names of earlier files durable before a marker that points to one of them is: a disk may keep the younger name alone.
func (d *disk) nameBefore(name string) error {
	if !strings.HasPrefix(d.FS.PathBase(name), "marker.") {
		return nil
	}
	f, err := d.FS.OpenDir(d.FS.PathDir(name))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// OpenDir returns a directory whose failed Sync ends the store: Pebble would panic.
func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &dir{File: f, name: name, faults: d.faults}, nil
}

// Unwrap lets Pebble see the file system itself.
func (d *disk) Unwrap() vfs.FS { return d.FS }

type dir struct {
	vfs.File
	name   string
	faults *faults
}

func (d *dir) Sync() error {
	if err := d.File.Sync(); err != nil {
		d.faults.fail(fmt.Errorf("sync directory %s: %w", d.name, err))
		park()
	}
	return nil
}
