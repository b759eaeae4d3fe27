package file

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

// This file is for operators who have nothing but a damaged log any more. A server never does this by itself: what was confirmed and cannot be read comes from its peers (DESIGN, Durability and faults).

// Damage is where a log cannot be read, although something behind that place was synced.
type Damage struct {
	File   string
	Offset int64       // bytes from the start of File
	After  kernel.Zxid // the last record before it
	Synced kernel.Zxid // records up to here were on stable storage; there may have been more
	Err    error       // what is wrong, with all of the above
}

// lostError is what a log says that has ended too early.
type lostError struct {
	cause  error
	synced kernel.Zxid
}

func (e *lostError) Error() string {
	return fmt.Sprintf("%v, but records up to %v were synced", e.cause, e.synced)
}
func (e *lostError) Unwrap() error { return e.cause }

// damageOf is an error of recovery as damage that leaves something to be salvaged; nil: it is anything else.
func damageOf(err error) *Damage {
	var corrupt *kernel.CorruptError
	var lost *lostError
	if !errors.As(err, &corrupt) || !errors.As(err, &lost) {
		return nil
	}
	return &Damage{File: corrupt.File, Offset: corrupt.Offset, After: corrupt.After, Synced: lost.synced, Err: err}
}

// FindDamage looks for damage in the log of a stopped server, and changes nothing. dir is the log directory, as in Config. Nil without an error: the log is whole. An error says that it cannot be read, or is damaged in a way
// that leaves no beginning to keep: a segment or the state is missing.
func FindDamage(fs vfs.FS, dir string) (*Damage, error) {
	err := verifyDir(fs, fs.PathJoin(dir, "log"), io.Discard)
	if d := damageOf(err); d != nil {
		return d, nil
	}
	return nil, err
}

// Salvage ends a damaged log behind the last record before its damage, as if nothing had ever followed. The files that it changes or removes are copied to aside before that, a directory that does not exist yet. It may be done again
// after a crash at any point. Without damage it does nothing, and returns nil.
func Salvage(config Config, aside string) (d *Damage, err error) {
	config.PrepareAhead = false
	config.damaged = func(found *Damage) error {
		d = found
		return setAside(config.FS, config.FS.PathJoin(config.Dir, "log"), config.FS.PathBase(found.File), aside)
	}
	s, err := Open(config)
	if err != nil {
		return d, err
	}
	if d != nil {
		err = s.cutAt(s.last) // a generation of its own: what was said to be synced before the cut counts no more
	}
	return d, errors.Join(err, s.Close())
}

// setAside copies the state and the segments from first on.
func setAside(fs vfs.FS, dir, first, aside string) error {
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	if err := makeDir(fs, fs.PathDir(aside), aside); err != nil {
		return err
	}
	for _, name := range names {
		if name != "state" && (len(name) != len(first) || name < first) {
			continue
		}
		if err := vfs.Copy(fs, fs.PathJoin(dir, name), fs.PathJoin(aside, name)); err != nil {
			return fmt.Errorf("set %s aside: %w", fs.PathJoin(dir, name), err)
		}
	}
	return syncDir(fs, aside)
}
