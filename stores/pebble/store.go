package pebble

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/zooid-project/zooid/kernel"
)

var _ kernel.NodeStore = (*Store)(nil)

// Store is the store. Make it with Open.
type Store struct {
	db     *pebble.DB
	o      Options
	faults faults
	usual  atomic.Int64 // bytes of the last batch: what a new one has room for

	// flushing is closed when all that was written is durable; nil while there is something that no flush was asked for. It belongs to whoever writes.
	flushing <-chan struct{}
}

// Open opens the store in o.Dir, or makes it. Another process that has it open is an error.
func Open(o Options) (*Store, error) {
	if o.BlockCache <= 0 {
		o.BlockCache = 16 << 20
	}
	if o.MemTable <= 0 {
		o.MemTable = 8 << 20
	}
	if o.Reserve <= 0 {
		o.Reserve = 64 << 20
	}
	s := &Store{o: o}
	s.faults.init(o)
	type opened struct {
		db  *pebble.DB
		err error
	}
	result := make(chan opened, 1)
	go func() { // Pebble may end the goroutine (see Fatalf)
		r := opened{err: errors.New("not opened")}
		defer func() { result <- r }()
		r.db, r.err = pebble.Open(o.Dir, s.options(o))
	}()
	var r opened
	select {
	case r = <-result:
	case <-s.faults.failed: // then Open itself may wait for a goroutine that has ended
	}
	if err := s.faults.failure(); err != nil {
		return nil, err
	}
	if r.err != nil {
		return nil, s.wrap(r.err)
	}
	s.db = r.db
	s.faults.open.Store(true)
	if err := s.faults.failure(); err != nil {
		return nil, err
	}
	return s, nil
}

// wrap names the store, and damage as such.
func (s *Store) wrap(err error) error {
	if pebble.IsCorruptionError(err) {
		return &kernel.CorruptError{File: s.o.Dir, Err: err}
	}
	return fmt.Errorf("node store %s: %w", s.o.Dir, err)
}

// Get implements kernel.NodeStore.
func (s *Store) Get(key, dst []byte) ([]byte, error) { return s.get(s.db, key, dst) }

func (s *Store) get(r pebble.Reader, key, dst []byte) ([]byte, error) {
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, kernel.ErrNotFound
	}
	if err != nil {
		return dst, s.wrap(err)
	}
	dst = append(dst, value...)
	return dst, closer.Close()
}

// NewBatch implements kernel.NodeStore.
func (s *Store) NewBatch() kernel.NodeBatch { return &Batch{b: s.newBatch()} }

// largestRoom bounds what a batch has room for before anything is in it.
const largestRoom = 16 << 20

// newBatch is as large as the last one was, and a little: a batch that grows copies everything again and again.
func (s *Store) newBatch() *pebble.Batch {
	usual := s.usual.Load()
	return s.db.NewBatchWithSize(int(min(usual+usual/8, largestRoom)))
}

// Write implements kernel.NodeStore. The batch is empty afterwards. kernel.ErrNoSpace: nothing was written, and it may be tried again.
func (s *Store) Write(batch kernel.NodeBatch) error {
	if err := s.faults.failure(); err != nil {
		return err
	}
	b := batch.(*Batch)
	s.usual.Store(int64(b.Bytes()))
	if err := s.room(int64(b.Bytes())); err != nil {
		return err
	}
	s.flushing = nil
	if err := s.db.Apply(b.b, pebble.NoSync); err != nil {
		return s.wrap(err)
	}
	b.renew(s)
	return s.faults.failure()
}

// room refuses a write that would eat into the reserve: it is twice there, as the flushed file and while a compaction rewrites it.
func (s *Store) room(bytes int64) error {
	space, err := s.o.FS.GetDiskUsage(s.o.Dir)
	if err != nil { // the file system cannot say: then a full disk shows when the flush meets it
		return nil
	}
	if need := 2*bytes + s.o.Reserve; space.AvailBytes < uint64(need) {
		return fmt.Errorf("node store %s: a flush needs %d MiB, %d MiB are free: %w", s.o.Dir, need>>20, space.AvailBytes>>20, kernel.ErrNoSpace)
	}
	return nil
}

// Flush implements kernel.NodeStore. kernel.ErrNoSpace: what was written is kept in memory and Flush may be tried again. Pebble goes on trying by itself, so the next
// call waits for the same flush: asking anew would cost a memory table each time.
func (s *Store) Flush() error {
	full := make(chan struct{})
	s.faults.full.Store(&full)
	defer s.faults.full.Store(nil)
	if err := s.faults.failure(); err != nil {
		return err
	}
	if s.flushing == nil {
		var err error
		if s.flushing, err = s.db.AsyncFlush(); err != nil {
			return s.wrap(err)
		}
	}
	select {
	case <-s.flushing:
		return nil
	default:
	}
	if s.faults.noSpace.Load() != 0 { // it was tried before anybody listened, and the next try is a moment away
		return fmt.Errorf("node store %s: %w", s.o.Dir, kernel.ErrNoSpace)
	}
	select {
	case <-s.flushing:
		return nil
	case <-full:
		return fmt.Errorf("node store %s: %w", s.o.Dir, kernel.ErrNoSpace)
	case <-s.faults.failed:
		return s.faults.err
	}
}

// Clear implements kernel.NodeStore.
func (s *Store) Clear() error {
	iter, err := s.db.NewIter(nil)
	if err != nil {
		return s.wrap(err)
	}
	var first, last []byte
	if iter.First() {
		first = append(first, iter.Key()...)
	}
	if iter.Last() {
		last = append(append(last, iter.Key()...), 0)
	}
	if err := iter.Close(); err != nil {
		return s.wrap(err)
	}
	if last == nil {
		return nil
	}
	s.flushing = nil
	if err := s.db.DeleteRange(first, last, pebble.NoSync); err != nil {
		return s.wrap(err)
	}
	return s.Flush()
}

// View implements kernel.NodeStore.
func (s *Store) View() kernel.NodeView { return &View{s: s, snapshot: s.db.NewSnapshot()} }

// Durable implements kernel.NodeStore.
func (s *Store) Durable() bool { return true }

// Size implements kernel.NodeStore.
func (s *Store) Size() int64 { return int64(s.db.Metrics().DiskSpaceUsage()) }

// MemoryBytes implements kernel.NodeStore.
func (s *Store) MemoryBytes() int64 {
	m := s.db.Metrics()
	return m.BlockCache.Size + int64(m.MemTable.Size) + int64(m.MemTable.ZombieSize)
}

// Close implements kernel.NodeStore. What was not flushed is lost. After a failure Pebble's files stay open until the process ends: work that was
// cut off can not be waited for.
func (s *Store) Close() error {
	close(s.faults.closing)
	if s.faults.failure() != nil {
		return nil
	}
	closed := make(chan error, 1)
	go func() { closed <- s.db.Close() }() // it waits for a flush or compaction under way, which may fail just now
	select {
	case err := <-closed:
		if err != nil {
			return s.wrap(err)
		}
	case <-s.faults.failed:
	}
	return nil
}

// Batch is the store's kernel.NodeBatch.
type Batch struct{ b *pebble.Batch }

// renew replaces the batch: a large one belongs to Pebble from Apply on.
func (b *Batch) renew(s *Store) {
	_ = b.b.Close() // gives memory back; has no error that says anything
	b.b = s.db.NewBatch()
}

// Set implements kernel.NodeBatch.
func (b *Batch) Set(key, value []byte) { _ = b.b.Set(key, value, nil) } // fails on an indexed batch only

// Delete implements kernel.NodeBatch.
func (b *Batch) Delete(key []byte) { _ = b.b.Delete(key, nil) }

// Len implements kernel.NodeBatch.
func (b *Batch) Len() int { return int(b.b.Count()) }

// Bytes implements kernel.NodeBatch.
func (b *Batch) Bytes() int { return b.b.Len() }

// Reset implements kernel.NodeBatch.
func (b *Batch) Reset() { b.b.Reset() }
