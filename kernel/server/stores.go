package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/manifest"
)

// stores are what a server keeps on disk. A member of an ensemble with other voters begins a repair (kernel/repair.go) where any other server refuses.
type stores struct {
	fs              vfs.FS
	dataDir, logDir string
	self            kernel.ServerID
	logger          *slog.Logger
	peers           bool // there are other voters, who have everything
	salvaged        bool // the log may end before the tree does: there was more of it once

	directory manifest.Manifest
	repair    manifest.Repair
	repairing bool

	kernel.Parts // log, snapshots, nodes and machine
	opened       []io.Closer
	copied       *manifest.Words
	promised     []byte // what the copy of the words held when it was opened

	mu    sync.Mutex
	later bool // the next start has something to repair
}

// damageError is what a repair begins with: what is set aside, and why.
type damageError struct {
	scope manifest.Scope
	err   error
}

func (e *damageError) Error() string { return e.err.Error() }

func (e *damageError) Unwrap() error { return e.err }

// damaged is the error of something that was opened, as damage if it is that: something cannot be read, or is not there.
func damaged(scope manifest.Scope, err error) error {
	var corrupt *kernel.CorruptError
	if errors.As(err, &corrupt) || oserror.IsNotExist(err) || errors.Is(err, syscall.EIO) {
		return &damageError{scope, err}
	}
	return err
}

// maxRepairs is how often a start may set something aside: one thing may show behind another.
const maxRepairs = 3

// open checks whose the directory is and opens what is in it. On an error nothing is left open.
func (d *stores) open(s Settings, env kernel.Env, early <-chan error) error {
	repair, found, err := manifest.LoadRepair(d.fs, d.dataDir, time.Now())
	switch {
	case err != nil:
		return err
	case found && !d.peers:
		return fmt.Errorf("%s was found damaged, and was to be repaired from the server's peers, but now it has none: %s. Configure the other servers of its ensemble, or restore a backup into an empty directory",
			d.dataDir, repair.Reason)
	case found:
		err = d.setAside(repair)
	}
	var before error // what was set aside by this start
	for tries := 0; err == nil; tries++ {
		if err = d.tryOpen(s, env, early); err == nil {
			return nil
		}
		var damage *damageError
		if before != nil && !errors.As(err, &damage) { // a store that has failed in the background may keep its lock as long as the process
			return fmt.Errorf("%w; what was there was set aside (%w), and the next start copies everything from the peers", err, before)
		}
		before = err
		if errors.As(err, &damage) && d.peers && tries < maxRepairs {
			repair := manifest.NewRepair(damage.scope, err, time.Now())
			if err = repair.Save(d.fs, d.dataDir); err == nil {
				err = d.setAside(repair)
			}
		}
	}
	return err
}

// setAside moves damaged data away. The repair is durable by now.
func (d *stores) setAside(r manifest.Repair) error {
	moved, err := r.SetAside(d.fs, d.dataDir, d.logDir)
	if err != nil {
		return err
	}
	d.repair, d.repairing = r, true
	if len(moved) == 0 {
		d.logger.Warn("the repair of this server goes on", "reason", r.Reason)
		return nil
	}
	d.logger.Warn("this server's data cannot be relied on: it was set aside, nothing was deleted, and the server copies everything from its peers", "reason", r.Reason, "moved", strings.Join(moved, " "))
	return nil
}

func (d *stores) tryOpen(s Settings, env kernel.Env, early <-chan error) (err error) {
	defer func() {
		if err != nil {
			_ = d.close() // the first error says more
		}
	}()
	wanted, err := s.manifest()
	if err != nil {
		return err
	}
	if d.directory, err = manifest.Check(d.fs, d.dataDir, d.logDir, wanted); err != nil {
		return notOurs(err)
	}
	if d.Log, err = build(s, kernel.KindLogStore, env); err != nil {
		return damaged(manifest.Stores, err)
	}
	d.opened = append(d.opened, d.Log)
	if d.Snapshots, err = build(s, kernel.KindSnapshotStore, env); err != nil {
		return err
	}
	d.opened = append(d.opened, d.Snapshots)
	if d.Nodes, err = build(s, kernel.KindNodeStore, env); err != nil {
		return damaged(manifest.Nodes, err)
	}
	d.opened = append(d.opened, d.Nodes)
	env.Nodes = d.Nodes
	if d.Machine, err = build(s, kernel.KindStateMachine, env); err != nil {
		return damaged(manifest.Nodes, err)
	}
	d.opened = append(d.opened, d.Machine)
	select {
	case err := <-early:
		return damaged(manifest.Nodes, err)
	default:
	}
	err = manifest.CheckPositions(d.dataDir, d.Machine.Flushed(), d.Log.Last())
	if err != nil && d.salvaged {
		err = d.Log.Reset(d.Machine.Flushed())
	}
	if err != nil {
		return &damageError{manifest.Stores, err}
	}
	return d.openWords()
}

// notOurs tells a directory that is another server's, or nobody knows whose, from one that was written by another program.
func notOurs(err error) error {
	var other *manifest.ServerError
	var unread *manifest.DamagedError
	var missing *manifest.MissingError
	if errors.As(err, &other) || errors.As(err, &unread) || errors.As(err, &missing) {
		return &damageError{manifest.Directory, err}
	}
	return err
}

// openWords opens the copy of the durable words, and compares it with the log's.
func (d *stores) openWords() error {
	if !d.peers || !d.Log.Guarantees().AtomicWords {
		return nil
	}
	words, err := d.Log.Words()
	if err != nil {
		return damaged(manifest.Stores, err)
	}
	if d.copied, d.promised, err = manifest.OpenWords(d.fs, d.dataDir, d.self); err != nil {
		return err
	}
	switch {
	case words == nil && d.promised != nil && !d.repairing:
		return &damageError{manifest.Stores, fmt.Errorf("the log in %s is gone: this server has promised something and has no word of it there", d.logDir)}
	case words != nil && !bytes.Equal(words, d.promised):
		return d.copied.Save(words)
	}
	return nil
}

// close closes what is open, the machine before what it writes to.
func (d *stores) close() (err error) {
	for i := len(d.opened) - 1; i >= 0; i-- {
		err = errors.Join(err, d.opened[i].Close())
	}
	d.opened, d.Parts = nil, kernel.Parts{}
	return errors.Join(err, d.closeWords())
}

func (d *stores) closeWords() error {
	if d.copied == nil {
		return nil
	}
	err := d.copied.Close()
	d.copied = nil
	return err
}

// forNode is what the node does about damage.
func (d *stores) forNode() kernel.Repair {
	if !d.peers {
		return kernel.Repair{}
	}
	r := kernel.Repair{Lost: d.repairing && d.repair.Scope != manifest.Nodes, Words: d.promised, Damaged: d.foundDamaged, Done: d.repaired}
	if d.copied != nil {
		r.SaveWords = d.copied.Save
	}
	return r
}

// foundDamaged notes for the next start what has ended this one.
func (d *stores) foundDamaged(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	scope := manifest.Stores
	var corrupt *kernel.CorruptError
	if errors.As(err, &corrupt) && (corrupt.File == kernel.InNodeStore || strings.HasPrefix(corrupt.File, d.fs.PathJoin(d.dataDir, "nodes"))) {
		scope = manifest.Nodes
	}
	var promise *kernel.PromiseError
	if errors.As(err, &promise) { // the copy of the words says the same
		scope = manifest.Directory
	}
	d.later = true
	if saveErr := manifest.NewRepair(scope, err, time.Now()).Save(d.fs, d.dataDir); saveErr != nil {
		d.logger.Error("the next start does not know that this server's data is damaged", "err", saveErr)
		return
	}
	d.logger.Error("this server's data is damaged: the next start sets it aside and copies everything from the peers")
}

// repaired ends a repair.
func (d *stores) repaired() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.repairing || d.later {
		return
	}
	d.repairing = false
	if err := d.repair.Done(d.fs, d.dataDir); err != nil { // the next start repeats it, which costs a copy of everything
		d.logger.Warn("a repair has ended, and this could not be noted: the next start begins it again", "err", err)
	}
}
