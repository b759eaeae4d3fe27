package memory

import (
	"fmt"
	"sort"
	"sync"

	"github.com/zooid-project/zooid/kernel"
)

var _ kernel.LogStore = (*Log)(nil)

func init() {
	kernel.Register(kernel.KindLogStore, "memory", kernel.Factory[kernel.LogStore]{
		Doc: "the log in memory: everything is lost when the process ends",
		New: func(kernel.Env, kernel.Options) (kernel.LogStore, error) { return New(), nil },
	})
}

// Log keeps records in order. Its contract is kernel.LogStore's, without durability: Sync promises nothing, and says so in Guarantees.
type Log struct {
	mu      sync.RWMutex
	records []kernel.Record // never changed in place: readers hold the slice without the lock
	before  kernel.Zxid     // the last zxid before records
	last    kernel.Zxid
	bytes   int64
	words   []byte
	closed  bool
}

// New returns an empty log.
func New() *Log { return &Log{} }

// Append copies the group.
func (l *Log) Append(group []kernel.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return kernel.ErrClosed
	}
	last, size := l.last, 0
	for _, r := range group {
		if r.Zxid <= last || r.Zxid.Counter() == 0 || (r.Zxid.Epoch() == last.Epoch() && r.Zxid != last+1) {
			return fmt.Errorf("%w: %v after %v", kernel.ErrOutOfOrder, r.Zxid, last)
		}
		last = r.Zxid
		size += len(r.Meta) + len(r.Data)
	}
	arena := make([]byte, 0, size)
	for _, r := range group {
		start := len(arena)
		arena = append(append(arena, r.Meta...), r.Data...)
		meta := start + len(r.Meta)
		c := kernel.Record{Zxid: r.Zxid, Data: arena[meta:len(arena):len(arena)]}
		if len(r.Meta) > 0 {
			c.Meta = arena[start:meta:meta]
		}
		l.records = append(l.records, c)
	}
	l.last = last
	l.bytes += int64(size)
	return nil
}

// Sync returns the last zxid. Nothing is durable.
func (l *Log) Sync() (kernel.Zxid, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return 0, kernel.ErrClosed
	}
	return l.last, nil
}

// Read yields the records as they were at the time of the call.
func (l *Log) Read(from kernel.Zxid, yield func(kernel.Record) bool) error {
	l.mu.RLock()
	records, before, closed := l.records, l.before, l.closed
	l.mu.RUnlock()
	if closed {
		return kernel.ErrClosed
	}
	if from < before || (from == before && from.Counter() != 0) {
		return fmt.Errorf("%w: read from %v, but the log begins after %v", kernel.ErrPurged, from, before)
	}
	for _, r := range records[above(records, from-1):] {
		if !yield(r) {
			return nil
		}
	}
	return nil
}

// above is the index of the first record whose zxid is greater than z.
func above(records []kernel.Record, z kernel.Zxid) int {
	return sort.Search(len(records), func(i int) bool { return records[i].Zxid > z })
}

// First is the zxid of the first record, or where an empty log goes on.
func (l *Log) First() kernel.Zxid {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.records) > 0 {
		return l.records[0].Zxid
	}
	return l.last
}

// Last is the zxid of the last record, or where an empty log goes on.
func (l *Log) Last() kernel.Zxid {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.last
}

// Truncate drops the records above to.
func (l *Log) Truncate(to kernel.Zxid) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return kernel.ErrClosed
	}
	if to >= l.last {
		return nil
	}
	if to < l.before {
		return fmt.Errorf("%w: truncate to %v, but the log begins after %v", kernel.ErrPurged, to, l.before)
	}
	n := above(l.records, to)
	l.keep(l.records[:n:n]) // a later append must not write where readers look
	l.last = l.before
	if n > 0 {
		l.last = l.records[n-1].Zxid
	}
	return nil
}

func (l *Log) keep(records []kernel.Record) {
	l.records, l.bytes = records, 0
	for _, r := range records {
		l.bytes += int64(len(r.Meta) + len(r.Data))
	}
}

// Reset empties the log at base.
func (l *Log) Reset(base kernel.Zxid) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return kernel.ErrClosed
	}
	l.keep(nil)
	l.before, l.last = base, base
	return nil
}

// Purge drops the records up to and including upTo, but not the last one.
func (l *Log) Purge(upTo kernel.Zxid) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return kernel.ErrClosed
	}
	n := min(above(l.records, upTo), len(l.records)-1)
	if n <= 0 {
		return nil
	}
	l.before = l.records[n-1].Zxid
	l.keep(append([]kernel.Record(nil), l.records[n:]...))
	return nil
}

// Words returns a copy.
func (l *Log) Words() ([]byte, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return nil, kernel.ErrClosed
	}
	if l.words == nil {
		return nil, nil
	}
	return append([]byte{}, l.words...), nil
}

// SaveWords keeps a copy.
func (l *Log) SaveWords(words []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return kernel.ErrClosed
	}
	l.words = append([]byte{}, words...)
	return nil
}

// Size is the bytes of the records in memory.
func (l *Log) Size() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.bytes
}

// Guarantees: none.
func (l *Log) Guarantees() kernel.LogGuarantees { return kernel.LogGuarantees{} }

// Recovered is nil: a new log is always whole.
func (l *Log) Recovered() *kernel.TornTail { return nil }

// Close drops the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.keep(nil)
	return nil
}
