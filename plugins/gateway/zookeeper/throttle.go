package zookeeper

import (
	"sync"
	"time"
)

// throttle is a bucket of tokens for connections that open or take up a session again (connection_throttle_tokens and its kin).
type throttle struct {
	mu     sync.Mutex
	size   int64 // 0: off
	every  time.Duration
	count  int64
	tokens int64
	filled time.Time
}

func (t *throttle) init(size int64, every time.Duration, count int64) {
	t.size, t.every, t.count = size, max(every, time.Millisecond), max(count, 1)
	t.tokens, t.filled = size, time.Now()
}

// take asks for one token. false: there is none, and the connection is to be closed.
func (t *throttle) take() bool {
	if t.size <= 0 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := int64(time.Since(t.filled) / t.every); n > 0 {
		t.tokens = min(t.size, t.tokens+n*t.count)
		t.filled = t.filled.Add(time.Duration(n) * t.every)
	}
	if t.tokens == 0 {
		return false
	}
	t.tokens--
	return true
}
