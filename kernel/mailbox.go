package kernel

import "sync"

// buffers are slices that one goroutine fills and another gives back.
type buffers[T any] struct{ pool sync.Pool }

// largestBuffer bounds what is kept.
const largestBuffer = 4096

// get returns an empty slice with room for n.
func (b *buffers[T]) get(n int) []T {
	if kept, ok := b.pool.Get().(*[]T); ok && cap(*kept) >= n {
		return *kept
	}
	return make([]T, 0, max(n, 64))
}

// put takes a slice that nobody uses any more.
func (b *buffers[T]) put(s []T) {
	if cap(s) == 0 || cap(s) > largestBuffer {
		return
	}
	clear(s)
	s = s[:0]
	b.pool.Put(&s)
}

// mailbox hands items from many goroutines to one, which takes all that has queued at once. It is unbounded: whoever fills it is bounded elsewhere
// (requests by the admission of Submit, completions by the effects that they complete, what peers send by flow).
type mailbox[T any] struct {
	mu    sync.Mutex
	items []T
	spare []T
	wake  chan struct{} // capacity 1
}

func newMailbox[T any]() *mailbox[T] {
	return &mailbox[T]{wake: make(chan struct{}, 1)}
}

// put adds an item and wakes the owner if the box was empty.
func (m *mailbox[T]) put(item T) {
	m.mu.Lock()
	first := len(m.items) == 0
	m.items = append(m.items, item)
	m.mu.Unlock()
	if first {
		m.signal()
	}
}

func (m *mailbox[T]) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// empty tells whether nothing waits.
func (m *mailbox[T]) empty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items) == 0
}

// take returns everything that has queued. The slice is the owner's until its next take.
func (m *mailbox[T]) take() []T {
	m.mu.Lock()
	taken := m.items
	clear(m.spare)
	m.items = m.spare[:0]
	m.spare = taken
	m.mu.Unlock()
	return taken
}
