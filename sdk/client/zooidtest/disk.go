package zooidtest

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// errKilled is what a killed server hears from its log. Nobody else does.
var errKilled = errors.New("killed by the test")

// disk is a disk in memory. end takes a picture of it and from then on refuses to sync the log: so nothing is acknowledged that the picture lacks,
// while the server that was killed can put itself away on what is now its own.
type disk struct {
	vfs.FS
	mem *vfs.MemFS

	mu   sync.RWMutex // held for reading while the log is synced
	dead bool
}

func newDisk(mem *vfs.MemFS) *disk { return &disk{FS: mem, mem: mem} }

// end is the moment of a kill (unsynced data stays, the operating system has it) or of a power cut (it is gone).
func (d *disk) end(powerCut bool) *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	cfg := vfs.CrashCloneCfg{}
	if !powerCut {
		cfg = vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))}
	}
	return newDisk(d.mem.CrashClone(cfg))
}

func (d *disk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, category)
	return d.wrap(name, f, err)
}

func (d *disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.FS.OpenReadWrite(name, category, opts...)
	return d.wrap(name, f, err)
}

func (d *disk) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !strings.Contains(name, "/log/") {
		return f, err
	}
	return &logFile{File: f, disk: d}, nil
}

// Unwrap implements vfs.FS.
func (d *disk) Unwrap() vfs.FS { return d.FS }

// logFile is an open file of the log.
type logFile struct {
	vfs.File
	disk *disk
}

func (f *logFile) Sync() error     { return f.disk.sync(f.File.Sync) }
func (f *logFile) SyncData() error { return f.disk.sync(f.File.SyncData) }

func (d *disk) sync(do func() error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.dead {
		return errKilled
	}
	return do()
}
