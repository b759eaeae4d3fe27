package sim

import (
	"errors"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// disk is a server's disk during one start: the file system with switches for what goes wrong. It implements errorfs.Injector.
type disk struct {
	fs     vfs.FS // without the switches
	off    bool   // the process is gone: nothing that it still does counts
	cutIn  int    // operations until the power goes, 0: it stays
	full   bool   // nothing grows
	broken error  // what the next sync returns, once
	syncs  *int   // counts those that files are asked for, whatever comes of them
}

var (
	errOff      = errors.New("the process has ended")
	errPowerCut = errors.New("the power is cut")
	errIO       = errors.New("input/output error")
)

func (d *disk) on(fs vfs.FS) vfs.FS {
	d.fs = fs
	return errorfs.Wrap(fs, d)
}

// operation is one that changes what the disk holds: it fails when there is no process any more, and may be the one in which the power goes.
func (d *disk) operation() error {
	if d.off {
		return errOff
	}
	if d.cutIn > 0 {
		if d.cutIn--; d.cutIn == 0 {
			panic(errPowerCut)
		}
	}
	return nil
}

// String implements errorfs.Injector.
func (d *disk) String() string { return "simulated disk" }

// MaybeError implements errorfs.Injector: it is asked before every operation.
func (d *disk) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	if err := d.operation(); err != nil {
		return err
	}
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		*d.syncs++
		if err := d.broken; err != nil {
			d.broken = nil
			return err
		}
	}
	if d.full && d.grows(op) {
		return syscall.ENOSPC
	}
	return nil
}

// grows tells whether an operation needs room that the file does not have yet.
func (d *disk) grows(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpFileWrite:
		return true
	case errorfs.OpFileWriteAt:
		info, err := d.fs.Stat(op.Path)
		return err != nil || op.Offset >= info.Size()
	}
	return false
}
