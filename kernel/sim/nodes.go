package sim

import (
	"math/rand/v2"

	"github.com/tidwall/btree"

	"github.com/zooid-project/zooid/kernel"
)

// nodesDisk is what a server's disk holds of its node store: a store that survives like a real one without a log of its own. Each Write is there whole or not at all, in order; what Flush has not
// made durable may be lost from some Write on.
type nodesDisk struct {
	durable *btree.Map[string, string]
	later   []*btree.Map[string, string] // after each Write since
}

func (d *nodesDisk) wipe() { *d = nodesDisk{durable: new(btree.Map[string, string])} }

// crash decides what is left of the Writes that were not flushed.
func (d *nodesDisk) crash(rng *rand.Rand) {
	if n := len(d.later); n > 0 {
		if i := rng.IntN(n + 1); i > 0 {
			d.durable = d.later[i-1]
		}
		d.later = nil
	}
}

// Nodes is one start of a node store. It implements kernel.NodeStore; like everything in a world it is for one goroutine.
type Nodes struct {
	kept *nodesDisk
	disk *disk
	now  *btree.Map[string, string]
}

var _ kernel.NodeStore = (*Nodes)(nil)

func (d *nodesDisk) open(on *disk) *Nodes { return &Nodes{kept: d, disk: on, now: d.durable.Copy()} }

// Get implements kernel.NodeStore.
func (s *Nodes) Get(key, dst []byte) ([]byte, error) {
	value, ok := s.now.Get(string(key))
	if !ok {
		return dst, kernel.ErrNotFound
	}
	return append(dst, value...), nil
}

// NewBatch implements kernel.NodeStore.
func (s *Nodes) NewBatch() kernel.NodeBatch { return new(nodeBatch) }

// Write implements kernel.NodeStore.
func (s *Nodes) Write(batch kernel.NodeBatch) error {
	if err := s.disk.operation(); err != nil {
		return err
	}
	for _, c := range batch.(*nodeBatch).changes {
		if c.deleted {
			s.now.Delete(c.key)
		} else {
			s.now.Set(c.key, c.value)
		}
	}
	s.kept.later = append(s.kept.later, s.now.Copy())
	return nil
}

// Flush implements kernel.NodeStore.
func (s *Nodes) Flush() error {
	if err := s.disk.operation(); err != nil {
		return err
	}
	if n := len(s.kept.later); n > 0 {
		s.kept.durable, s.kept.later = s.kept.later[n-1], nil
	}
	return nil
}

// Clear implements kernel.NodeStore.
func (s *Nodes) Clear() error {
	if err := s.disk.operation(); err != nil {
		return err
	}
	s.kept.wipe()
	s.now = new(btree.Map[string, string])
	return nil
}

// View implements kernel.NodeStore.
func (s *Nodes) View() kernel.NodeView { return &nodeView{s.now.Copy()} }

// Durable implements kernel.NodeStore.
func (s *Nodes) Durable() bool { return true }

// Size implements kernel.NodeStore.
func (s *Nodes) Size() int64 { return 0 }

// MemoryBytes implements kernel.NodeStore.
func (s *Nodes) MemoryBytes() int64 { return 0 }

// Close implements kernel.NodeStore.
func (s *Nodes) Close() error { return nil }

type nodeChange struct {
	key, value string
	deleted    bool
}

type nodeBatch struct {
	changes []nodeChange
	bytes   int
}

func (b *nodeBatch) Set(key, value []byte) {
	b.changes = append(b.changes, nodeChange{key: string(key), value: string(value)})
	b.bytes += len(key) + len(value)
}

func (b *nodeBatch) Delete(key []byte) {
	b.changes = append(b.changes, nodeChange{key: string(key), deleted: true})
	b.bytes += len(key)
}

func (b *nodeBatch) Len() int   { return len(b.changes) }
func (b *nodeBatch) Bytes() int { return b.bytes }
func (b *nodeBatch) Reset()     { b.changes, b.bytes = b.changes[:0], 0 }

type nodeView struct{ pairs *btree.Map[string, string] }

func (v *nodeView) Get(key, dst []byte) ([]byte, error) {
	value, ok := v.pairs.Get(string(key))
	if !ok {
		return dst, kernel.ErrNotFound
	}
	return append(dst, value...), nil
}

func (v *nodeView) Scan(from, to []byte, yield func(key, value []byte) bool) error {
	end := string(to)
	v.pairs.Ascend(string(from), func(key, value string) bool {
		return (to == nil || key < end) && yield([]byte(key), []byte(value))
	})
	return nil
}

func (v *nodeView) Close() { v.pairs = nil }
