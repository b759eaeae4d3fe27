package zookeeper

import "sync/atomic"

// budget bounds the memory that requests of all connections together may hold: large read buffers and the bodies of requests that are not answered yet.
type budget struct {
	limit int64
	used  atomic.Int64
}

// take asks for n bytes. false: there is no room and nothing was taken.
func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) > b.limit {
		b.used.Add(int64(-n))
		return false
	}
	return true
}

// force takes n bytes whatever the limit says: for what is small and has to go on.
func (b *budget) force(n int) { b.used.Add(int64(n)) }

func (b *budget) give(n int) { b.used.Add(int64(-n)) }
