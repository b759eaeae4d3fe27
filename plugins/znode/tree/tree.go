package tree

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// Options are a tree's settings. The zero value of each means its default.
type Options struct {
	CacheBytes int64         // bound of what is cached, dirty nodes included; 128 MiB
	DirtyBytes int64         // bound of what is changed and not flushed; 32 MiB. A third of it starts a flush
	DirtyAge   time.Duration // a change is flushed after this time at the latest; 10 s
	Manual     bool          // no goroutines: flushes happen in Flush, evictions in Put and Load (simulator)
	Logger     *slog.Logger
	// Refuse is called when the store has no space, and with nil when it has again. Until then changes pile up in memory: whoever makes them must stop.
	Refuse func(error)
	// Fatal is called once, when the store has failed for good; nothing is flushed any more.
	Fatal func(error)

	maxComplete int // children up to which a set is kept complete
}

// State says what the tree knows of a path without asking the disk.
type State uint8

// The states.
const (
	Cold    State = iota // not in memory: ask Load or Resolve
	Present              // the node is there
	Absent               // known not to exist
)

// Tree is the tree. Which method needs which side of the visibility lock stands at each.
type Tree struct {
	mu    sync.RWMutex
	store kernel.NodeStore
	opt   Options

	// Under mu.
	cache
	dirt
	nextID   uint64
	position atomic.Int64 // written under mu
	flushed  atomic.Int64

	storeMu sync.Mutex // held around what writes to the store: flush and Reset
	flusher flusher
	sweeps  chan struct{} // capacity 1: the cache is over its budget

	loads, musts atomic.Int64 // store look-ups, and those of Must among them
	failed       atomic.Bool

	closing chan struct{} // closed by Close: a flush that finds no space is not tried for ever
	stop    chan struct{}
	done    sync.WaitGroup
}

// Open opens the tree in store. Position is that of the last flush. A store without a position (nothing was ever advanced, or a Reset was followed by
// flushes that reached no Advance: a restore that did not end) is emptied: such a state never counts. The store stays the caller's to close, after Close.
func Open(store kernel.NodeStore, o Options) (*Tree, error) {
	if o.CacheBytes <= 0 {
		o.CacheBytes = 128 << 20
	}
	if o.DirtyBytes <= 0 {
		o.DirtyBytes = 32 << 20
	}
	if o.DirtyAge <= 0 {
		o.DirtyAge = 10 * time.Second
	}
	if o.maxComplete <= 0 {
		o.maxComplete = defaultComplete
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Refuse == nil {
		o.Refuse = func(error) {}
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) { panic(err) }
	}
	t := &Tree{store: store, opt: o, closing: make(chan struct{}), stop: make(chan struct{}), sweeps: make(chan struct{}, 1)}
	t.cache.init()
	t.dirt.init()
	t.flusher.init()
	position, nextID, err := readMeta(store.Get)
	switch {
	case errors.Is(err, kernel.ErrNotFound) || (err == nil && position == 0):
		if err := store.Clear(); err != nil {
			return nil, fmt.Errorf("empty the node store: %w", err)
		}
		position, nextID = 0, idRoot
	case err != nil:
		return nil, fmt.Errorf("open the node store: %w", err)
	}
	t.nextID = nextID
	t.position.Store(position)
	t.flushed.Store(position)
	if !o.Manual {
		t.done.Add(2)
		go t.runFlusher()
		go t.runSweeper()
	}
	return t, nil
}

// The tree's own record: format (1 byte), position and next node ID (8 bytes each, big endian).
const metaFormat = 1

var metaKey = appendKey(nil, idMeta, "tree")

func appendMeta(b []byte, position int64, nextID uint64) []byte {
	b = append(b, metaFormat)
	b = binary.BigEndian.AppendUint64(b, uint64(position))
	return binary.BigEndian.AppendUint64(b, nextID)
}

func readMeta(get func(key, dst []byte) ([]byte, error)) (position int64, nextID uint64, err error) {
	b, err := get(metaKey, nil)
	if err != nil {
		return 0, 0, err
	}
	if len(b) != 17 || b[0] != metaFormat {
		return 0, 0, fmt.Errorf("the tree's own record is %x: not of format %d", b, metaFormat)
	}
	return int64(binary.BigEndian.Uint64(b[1:])), binary.BigEndian.Uint64(b[9:]), nil
}

// Close flushes what is dirty and ends the tree's goroutines. Nothing may be called beside it. kernel.ErrNoSpace: what is dirty was not flushed, and is in the log alone.
func (t *Tree) Close() error {
	var err error
	select {
	case <-t.closing:
	default:
		close(t.closing)
	}
	if !t.failed.Load() {
		err = t.Flush(context.Background())
	}
	t.Abandon()
	return err
}

// Abandon ends the tree's goroutines without a flush, as a crash would.
func (t *Tree) Abandon() {
	select {
	case <-t.stop:
	default:
		close(t.stop)
	}
	t.done.Wait()
}

// RLock begins a burst of reads: what they see is the state between two applied transactions.
func (t *Tree) RLock() { t.mu.RLock() }

// RUnlock ends it.
func (t *Tree) RUnlock() { t.mu.RUnlock() }

// Lock begins the application of one or more whole transactions.
func (t *Tree) Lock() { t.mu.Lock() }

// Unlock makes them visible.
func (t *Tree) Unlock() { t.mu.Unlock() }

// Position is the zxid given to the last Advance. Any goroutine, no lock.
func (t *Tree) Position() int64 { return t.position.Load() }

// Flushed is the position of the last durable flush. Any goroutine, no lock.
func (t *Tree) Flushed() int64 { return t.flushed.Load() }

// Advance notes that the transaction zxid has been applied. Lock held, at the end of each transaction.
func (t *Tree) Advance(zxid int64) {
	t.position.Store(zxid)
	if zxid-t.swapped >= flushBehind {
		t.flusher.kick()
	}
}

// Get answers from memory alone. Some side of the lock is held. The node is nil unless Present.
func (t *Tree) Get(path string) (*Node, State) {
	if e := t.entries[path]; e != nil {
		e.touch()
		if e.node == nil {
			return nil, Absent
		}
		return e.node, Present
	}
	if a, rest := t.nearest(path); a != nil && a.excludes(rest) {
		return nil, Absent
	}
	return nil, Cold
}

// GetNew is Get for a path that is expected to be absent: it asks the parent first, which mostly knows, and spares the look-up of a name that nobody has.
func (t *Tree) GetNew(path string) (*Node, State) {
	if parent, name := split(path); name != "" {
		if p := t.entries[parent]; p != nil && p.excludes(name) {
			p.touch()
			return nil, Absent
		}
	}
	return t.Get(path)
}

// nearest returns the nearest cached proper ancestor of path, and what follows it in path without the slash. Some side of the lock is held.
func (t *Tree) nearest(path string) (*entry, string) {
	for p := path; p != "/" && p != ""; {
		p, _ = split(p)
		if e := t.entries[p]; e != nil {
			rest := path[len(p):]
			return e, strings.TrimPrefix(rest, "/")
		}
	}
	return nil, path
}

// Must is Get for callers that cannot wait elsewhere: a cold node is fetched from the store on the spot. Nil means absent. Some side of the lock is held;
// nothing is cached, since the caller may hold the read side only. It panics when the store fails: there is no state to go on with.
func (t *Tree) Must(path string) *Node {
	n, s := t.Get(path)
	if s != Cold {
		return n
	}
	t.musts.Add(1)
	found, err := t.fetch(path)
	if err != nil {
		err = fmt.Errorf("read %s from the node store: %w", path, err)
		t.fail(err)
		panic(err)
	}
	if last := found[len(found)-1]; last.path == path {
		return last.node
	}
	return nil
}

// Put creates or replaces the node at path. Lock held. The parent must exist. The caller puts the parent's new version itself. The tree sets n.ID, and
// keeps n and its Data.
func (t *Tree) Put(path string, n *Node) {
	e := t.bring(path)
	if e.node != nil {
		n.ID, n.parent = e.node.ID, e.node.parent
		t.change(e, n, 0)
		return
	}
	parent, name := split(path)
	if name != "" {
		p := t.bring(parent)
		if p.node == nil {
			panic("tree: Put of " + path + ": its parent does not exist")
		}
		n.parent = p.node.ID
		t.enter(p, e.path[len(path)-len(name):], true, false)
	} else {
		n.parent = idNone
	}
	n.ID = t.nextID
	t.nextID++
	t.dropKids(e)
	e.kids = childless
	t.change(e, n, recordChild)
}

// Delete removes the node at path; an absent one is left absent. Lock held. Its children, if it has any, must have been deleted before.
func (t *Tree) Delete(path string) {
	e := t.bring(path)
	if e.node == nil {
		return
	}
	if parent, name := split(path); name != "" {
		t.enter(t.bring(parent), e.path[len(path)-len(name):], false, t.unwritten(e))
	}
	t.dropKids(e)
	t.change(e, nil, recordChild)
}

// bring returns the entry of path, made from the store or empty if there was none. Lock held.
func (t *Tree) bring(path string) *entry {
	if e := t.entries[path]; e != nil {
		e.touch()
		return e
	}
	if a, rest := t.nearest(path); a != nil && a.excludes(rest) {
		return t.insert(path, nil)
	}
	return t.insert(path, t.Must(path))
}

// Reset empties the tree and its store, durably. Lock held. Pins taken before mean nothing afterwards.
func (t *Tree) Reset() error {
	t.storeMu.Lock()
	defer t.storeMu.Unlock()
	t.cache.init()
	t.dirt.reset()
	t.nextID = idRoot
	t.position.Store(0)
	t.flushed.Store(0)
	if err := t.store.Clear(); err != nil {
		return fmt.Errorf("empty the node store: %w", err)
	}
	return nil
}

func (t *Tree) fail(err error) {
	if !t.failed.Swap(true) {
		t.opt.Logger.Error("the node store has failed", "error", err)
		t.opt.Fatal(err)
	}
}

// Gauges reports the tree's figures. No lock held.
func (t *Tree) Gauges(set func(name string, value float64)) {
	t.mu.RLock()
	entries, used, dirty := len(t.entries), t.used, t.dirtyBytes+t.flushingBytes
	evicted := t.evicted
	t.mu.RUnlock()
	set("znode_cache_entries", float64(entries))
	set("znode_cache_bytes", float64(used))
	set("znode_cache_limit_bytes", float64(t.opt.CacheBytes))
	set("znode_cache_evictions", float64(evicted))
	set("znode_dirty_bytes", float64(dirty))
	set("znode_store_loads", float64(t.loads.Load()))
	set("znode_store_loads_in_place", float64(t.musts.Load()))
	set("znode_store_flushes", float64(t.flusher.count.Load()))
	set("znode_store_bytes", float64(t.store.Size()))
	set("znode_store_memory_bytes", float64(t.store.MemoryBytes()))
	set("znode_flushed_behind", float64(t.Position()-t.Flushed()))
}
