package memnodes

import (
	"sync"

	"github.com/tidwall/btree"

	"github.com/zooid-project/zooid/kernel"
)

func init() {
	kernel.Register(kernel.KindNodeStore, "memory", kernel.Factory[kernel.NodeStore]{
		Doc: "Keeps the znodes in memory only; after a restart they are rebuilt from a snapshot and the log.",
		New: func(kernel.Env, kernel.Options) (kernel.NodeStore, error) { return New(), nil },
	})
}

var _ kernel.NodeStore = (*Store)(nil)

// Store is the store. Make it with New.
type Store struct {
	mu    sync.RWMutex
	pairs *btree.Map[string, string]
	bytes int64
}

// New returns an empty store.
func New() *Store { return &Store{pairs: new(btree.Map[string, string])} }

// Get implements kernel.NodeStore.
func (s *Store) Get(key, dst []byte) ([]byte, error) {
	s.mu.RLock()
	value, ok := s.pairs.Get(string(key))
	s.mu.RUnlock()
	if !ok {
		return dst, kernel.ErrNotFound
	}
	return append(dst, value...), nil
}

// NewBatch implements kernel.NodeStore.
func (s *Store) NewBatch() kernel.NodeBatch { return new(Batch) }

// Write implements kernel.NodeStore.
func (s *Store) Write(batch kernel.NodeBatch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range batch.(*Batch).changes {
		if c.deleted {
			if old, ok := s.pairs.Delete(c.key); ok {
				s.bytes -= pairBytes(c.key, old)
			}
			continue
		}
		if old, replaced := s.pairs.Set(c.key, c.value); replaced {
			s.bytes -= pairBytes(c.key, old)
		}
		s.bytes += pairBytes(c.key, c.value)
	}
	return nil
}

func pairBytes(key, value string) int64 { return int64(len(key)+len(value)) + 48 }

// Flush implements kernel.NodeStore. There is nothing to make durable.
func (s *Store) Flush() error { return nil }

// View implements kernel.NodeStore.
func (s *Store) View() kernel.NodeView {
	s.mu.Lock() // Copy marks the map that it copies
	defer s.mu.Unlock()
	return &view{pairs: s.pairs.Copy()}
}

// Clear implements kernel.NodeStore.
func (s *Store) Clear() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pairs, s.bytes = new(btree.Map[string, string]), 0
	return nil
}

// Durable implements kernel.NodeStore.
func (s *Store) Durable() bool { return false }

// Size implements kernel.NodeStore.
func (s *Store) Size() int64 { return 0 }

// MemoryBytes implements kernel.NodeStore.
func (s *Store) MemoryBytes() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.bytes
}

// Close implements kernel.NodeStore.
func (s *Store) Close() error { return nil }

// Batch is the store's kernel.NodeBatch.
type Batch struct {
	changes []change
	bytes   int
}

type change struct {
	key, value string
	deleted    bool
}

// Set implements kernel.NodeBatch.
func (b *Batch) Set(key, value []byte) {
	b.changes = append(b.changes, change{key: string(key), value: string(value)})
	b.bytes += len(key) + len(value)
}

// Delete implements kernel.NodeBatch.
func (b *Batch) Delete(key []byte) {
	b.changes = append(b.changes, change{key: string(key), deleted: true})
	b.bytes += len(key)
}

// Len implements kernel.NodeBatch.
func (b *Batch) Len() int { return len(b.changes) }

// Bytes implements kernel.NodeBatch.
func (b *Batch) Bytes() int { return b.bytes }

// Reset implements kernel.NodeBatch.
func (b *Batch) Reset() { b.changes, b.bytes = b.changes[:0], 0 }

type view struct{ pairs *btree.Map[string, string] }

func (v *view) Get(key, dst []byte) ([]byte, error) {
	value, ok := v.pairs.Get(string(key))
	if !ok {
		return dst, kernel.ErrNotFound
	}
	return append(dst, value...), nil
}

func (v *view) Scan(from, to []byte, yield func(key, value []byte) bool) error {
	end := string(to)
	v.pairs.Ascend(string(from), func(key, value string) bool {
		return (to == nil || key < end) && yield([]byte(key), []byte(value))
	})
	return nil
}

func (v *view) Close() { v.pairs = nil }
