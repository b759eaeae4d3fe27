package tree

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// dirt is what has changed since the last flush began. A flush takes all of it, in one step, and a new generation begins. Under the tree's lock.
type dirt struct {
	gen           uint32 // the current generation
	dirty         records
	sides         map[string][]byte // nil: deleted
	dirtyBytes    int64
	dirtySince    time.Time
	flushingBytes int64
	resets        atomic.Int64
	swapped       int64 // position of the last swap
}

// record is one changed node as of its generation: later generations have records of their own.
type record struct {
	entry  *entry
	node   *Node // nil: deleted
	parent uint64
	flags  uint8
}

const (
	recordChild = 1 << iota // it came into being or went: its parent's child set knows
	recordFresh             // the store has nothing under this key
)

// flushBehind is how many transactions may pass until a flush begins, however little they leave dirty: a restart replays them, at more than half a million per second.
const flushBehind = 400_000

const recordBytes = 32 + entryBytes

func (d *dirt) init() {
	d.gen = 1
	d.sides = map[string][]byte{}
}

func (d *dirt) reset() {
	d.gen++
	d.dirty, d.sides = records{}, map[string][]byte{}
	d.dirtyBytes, d.flushingBytes, d.dirtySince = 0, 0, time.Time{}
	d.resets.Add(1)
}

// change replaces e's node (nil: deletes it) and notes it in the dirty set. Lock held.
func (t *Tree) change(e *entry, n *Node, flags uint8) {
	old := e.node
	parent := uint64(0)
	if n != nil {
		parent = n.parent
	} else {
		parent = old.parent
	}
	t.used += sizeOf(n) - sizeOf(old)
	e.node = n
	if r := t.current(e); r != nil && r.parent == parent {
		t.dirtyBytes += sizeOf(n) - sizeOf(r.node)
		r.node = n
		r.flags |= flags
	} else {
		if old == nil {
			flags |= recordFresh
		}
		e.gen, e.slot = t.gen, uint32(t.dirty.len())
		t.dirty.add(record{e, n, parent, flags})
		t.dirtied(recordBytes + roundUp(int64(len(e.path))) + sizeOf(n))
	}
	t.relieve()
}

// current is e's record of this generation, nil if it has not changed in it.
func (t *Tree) current(e *entry) *record {
	if e.gen != t.gen {
		return nil
	}
	return t.dirty.at(e.slot)
}

// unwritten says that the store has nothing of e's node: it came into being in this generation, and no flush is under way that the store does not have yet. Lock held.
func (t *Tree) unwritten(e *entry) bool {
	r := t.current(e)
	return r != nil && t.cleaned+1 == t.gen && r.flags&recordFresh != 0 && r.parent == e.node.parent
}

func (t *Tree) dirtied(bytes int64) {
	if t.dirtySince.IsZero() {
		t.dirtySince = time.Now()
		t.flusher.kick() // it sets its alarm
	}
	before := t.dirtyBytes
	t.dirtyBytes += bytes
	if limit := t.opt.DirtyBytes / 3; before < limit && t.dirtyBytes >= limit {
		t.flusher.kick()
	}
}

// SetSide stores one of the state machine's own records; it is flushed in the same batch as the nodes. Lock held. The value is copied.
func (t *Tree) SetSide(key string, value []byte) {
	old, ok := t.sides[key]
	if !ok {
		t.dirtied(int64(len(key)+len(value)) + 64)
	}
	if cap(old) >= len(value) && old != nil {
		t.sides[key] = append(old[:0], value...)
		return
	}
	t.sides[key] = append(make([]byte, 0, len(value)), value...)
}

// DeleteSide removes one. Lock held.
func (t *Tree) DeleteSide(key string) {
	if _, ok := t.sides[key]; !ok {
		t.dirtied(int64(len(key)) + 64)
	}
	t.sides[key] = nil
}

// Pressure is what is changed and not flushed against its bound: 1 is full. No lock held.
func (t *Tree) Pressure() float64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return float64(t.dirtyBytes+t.flushingBytes) / float64(t.opt.DirtyBytes)
}

// flusher is the goroutine's own state.
type flusher struct {
	wake  chan struct{} // capacity 1
	count atomic.Int64

	mu       sync.Mutex
	want     uint32        // flush up to this generation
	durable  uint32        // the last durable generation
	progress chan struct{} // closed and replaced when durable rises or the store fails
	err      error
}

func (f *flusher) init() {
	f.wake = make(chan struct{}, 1)
	f.progress = make(chan struct{})
}

func (f *flusher) kick() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *flusher) done(gen uint32, err error) {
	f.mu.Lock()
	f.durable = max(f.durable, gen)
	if err != nil {
		f.err = err
	}
	close(f.progress)
	f.progress = make(chan struct{})
	f.mu.Unlock()
}

// ErrClosed means that the tree was closed before a flush had ended.
var ErrClosed = errors.New("the znode tree is closed")

// Flush returns when everything up to the Position at the time of the call is durable. No lock held.
func (t *Tree) Flush(ctx context.Context) error {
	t.mu.RLock()
	target := t.gen
	if t.dirtySince.IsZero() && t.position.Load() == t.swapped {
		target-- // there is nothing new; but the last flush may be under way
	}
	t.mu.RUnlock()
	f := &t.flusher
	for {
		f.mu.Lock()
		if f.err != nil || f.durable >= target {
			defer f.mu.Unlock()
			return f.err
		}
		f.want = max(f.want, target)
		progress := f.progress
		f.mu.Unlock()
		if t.opt.Manual {
			t.flushOnce()
			continue
		}
		f.kick()
		select {
		case <-progress:
		case <-ctx.Done():
			return ctx.Err()
		case <-t.stop:
			return ErrClosed
		}
	}
}

func (t *Tree) runFlusher() {
	defer t.done.Done()
	alarm := time.NewTimer(t.opt.DirtyAge)
	defer alarm.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-t.flusher.wake:
		case <-alarm.C:
		}
		for {
			wait, due := t.due()
			if !due {
				alarm.Reset(wait)
				break
			}
			if !t.flushOnce() {
				return
			}
		}
	}
}

// due says whether a flush should begin now, or else when to look again.
func (t *Tree) due() (wait time.Duration, due bool) {
	t.flusher.mu.Lock()
	asked := t.flusher.want > t.flusher.durable
	t.flusher.mu.Unlock()
	t.mu.RLock()
	defer t.mu.RUnlock()
	if asked || t.dirtyBytes >= t.opt.DirtyBytes/3 || t.position.Load()-t.swapped >= flushBehind {
		return 0, true
	}
	if t.dirtySince.IsZero() {
		return time.Hour, false
	}
	wait = time.Until(t.dirtySince.Add(t.opt.DirtyAge))
	return wait, wait <= 0
}

// batch is what one flush writes.
type batch struct {
	gen      uint32
	records  records
	sides    map[string][]byte
	position int64
	nextID   uint64
	resets   int64
}

// swap takes the dirty set and begins a new generation.
func (t *Tree) swap() batch {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := batch{t.gen, t.dirty, t.sides, t.position.Load(), t.nextID, t.resets.Load()}
	t.gen++
	t.dirty = records{}
	t.sides = map[string][]byte{}
	t.flushingBytes = t.dirtyBytes
	t.dirtyBytes, t.dirtySince = 0, time.Time{}
	t.swapped = b.position
	return b
}

// flushOnce makes the present state durable. It returns false when the flusher has to end.
func (t *Tree) flushOnce() bool {
	b := t.swap()
	var err error
	if !t.persist(func() error { return t.write(b) }, &err) || !t.persist(func() error { return t.clean(b) }, &err) {
		if err != nil {
			t.flusher.done(0, fmt.Errorf("flush the znode tree: %w", err))
			t.fail(err)
		}
		return false
	}
	t.flusher.count.Add(1)
	t.flusher.done(b.gen, nil)
	return true
}

// A flush without space is tried again every spacePause. A tree that is closed tries some last times: a little room may come back by itself, as when files that are not needed any more go.
const (
	spacePause   = time.Second
	closingPause = 200 * time.Millisecond
	closingTries = 10
)

// persist runs one step of a flush, again as long as there is no space. It returns false when the tree is being closed or the step failed for good.
func (t *Tree) persist(step func() error, failure *error) bool {
	closing, lastTries := t.closing, closingTries
	for said := false; ; said = true {
		err := step()
		if err == nil {
			if said {
				t.opt.Refuse(nil)
				t.opt.Logger.Info("there is space to flush the znode tree again: writes are taken")
			}
			return true
		}
		if !errors.Is(err, kernel.ErrNoSpace) {
			*failure = err
			return false
		}
		if !said {
			t.opt.Logger.Error("no space to flush the znode tree: writes are refused until there is some, reads go on", "error", err)
			t.opt.Refuse(fmt.Errorf("%w: writes are refused until the disk of the node store has room", kernel.ErrNoSpace))
		}
		if t.opt.Manual {
			*failure = err
			return false
		}
		pause := spacePause
		select {
		case <-closing:
			closing = nil
		default:
		}
		if closing == nil {
			if lastTries--; lastTries < 0 {
				t.flusher.done(0, fmt.Errorf("flush the znode tree: %w", err))
				return false
			}
			pause = closingPause
		}
		select {
		case <-t.stop:
			return false
		case <-closing:
			closing = nil
		case <-time.After(pause):
		}
	}
}

// flushStep is how many records a flush works on before it lets others go first.
const flushStep = 128

// write hands the batch to the store.
func (t *Tree) write(b batch) error {
	t.storeMu.Lock()
	defer t.storeMu.Unlock()
	if t.resets.Load() != b.resets {
		return nil
	}
	sb := t.store.NewBatch()
	var key, value []byte
	for i := range b.records.len() {
		if i%flushStep == 0 {
			runtime.Gosched() // somebody may wait for what others compute; the scheduler by itself would let this run for ten milliseconds
		}
		r := b.records.at(uint32(i))
		_, name := split(r.entry.path)
		key = appendKey(key[:0], r.parent, name)
		switch {
		case r.node != nil:
			value = appendNode(value[:0], r.node)
			sb.Set(key, value)
		case r.flags&recordFresh == 0:
			sb.Delete(key)
		}
	}
	sides := 0
	for k, v := range b.sides {
		if sides++; sides%flushStep == 0 {
			runtime.Gosched()
		}
		key = appendKey(key[:0], idSide, k)
		if v == nil {
			sb.Delete(key)
		} else {
			sb.Set(key, v)
		}
	}
	sb.Set(metaKey, appendMeta(value[:0], b.position, b.nextID))
	return t.store.Write(sb)
}

// clean makes the written batch durable, and what it holds evictable.
func (t *Tree) clean(b batch) error {
	t.mu.Lock()
	current := t.resets.Load() == b.resets
	if current {
		t.cleaned = b.gen
		t.flushingBytes = 0
	}
	t.mu.Unlock()
	if !current {
		return nil
	}
	for i, n := 0, b.records.len(); i < n; i += flushStep {
		runtime.Gosched()
		t.mu.Lock()
		for j := i; j < min(i+flushStep, n); j++ {
			r := b.records.at(uint32(j))
			if r.flags&recordChild == 0 {
				continue
			}
			parent, name := split(r.entry.path)
			if p := t.entries[parent]; p != nil && name != "" {
				t.settle(p, name, b.gen)
			}
		}
		t.mu.Unlock()
	}
	t.storeMu.Lock()
	defer t.storeMu.Unlock()
	if err := t.store.Flush(); err != nil {
		return err
	}
	if t.resets.Load() == b.resets {
		t.flushed.Store(b.position)
	}
	return nil
}
