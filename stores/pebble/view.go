package pebble

import "github.com/cockroachdb/pebble/v2"

// View is the store's kernel.NodeView.
type View struct {
	s        *Store
	snapshot *pebble.Snapshot
}

// Get implements kernel.NodeView.
func (v *View) Get(key, dst []byte) ([]byte, error) { return v.s.get(v.snapshot, key, dst) }

// Scan implements kernel.NodeView.
func (v *View) Scan(from, to []byte, yield func(key, value []byte) bool) error {
	iter, err := v.snapshot.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return v.s.wrap(err)
	}
	for ok := iter.First(); ok; ok = iter.Next() {
		value, err := iter.ValueAndErr()
		if err != nil {
			_ = iter.Close() // the same error
			return v.s.wrap(err)
		}
		if !yield(iter.Key(), value) {
			break
		}
	}
	if err := iter.Close(); err != nil {
		return v.s.wrap(err)
	}
	return nil
}

// Close implements kernel.NodeView.
func (v *View) Close() { _ = v.snapshot.Close() } // its only error is a second Close
