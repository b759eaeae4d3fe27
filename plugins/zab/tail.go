package zab

import (
	"sort"

	"github.com/zooid-project/zooid/kernel"
)

// tail is the end of the log, kept in memory for learners that are not far behind. It holds everything above base; base is a position of this history.
type tail struct {
	records []kernel.Record // in zxid order, from head on
	head    int
	base    kernel.Zxid
	bytes   int
	limit   int
}

// recordOverhead is what a record takes in memory besides its data, in bytes.
const recordOverhead = 64

func size(r *kernel.Record) int { return recordOverhead + len(r.Data) }

func (t *tail) add(r kernel.Record) {
	if t.head > 0 && len(t.records) == cap(t.records) { // move instead of growing, when that frees enough to be worth it
		if kept := len(t.records) - t.head; kept <= t.head {
			copy(t.records, t.records[t.head:])
			clear(t.records[kept:])
			t.records, t.head = t.records[:kept], 0
		}
	}
	t.records = append(t.records, r)
	t.bytes += size(&r)
}

// above returns the records with zxids above z, which must not be below base. The slice is valid until the tail changes.
func (t *tail) above(z kernel.Zxid) []kernel.Record {
	live := t.records[t.head:]
	if len(live) == 0 || live[len(live)-1].Zxid <= z {
		return nil
	}
	return live[sort.Search(len(live), func(i int) bool { return live[i].Zxid > z }):]
}

// holds tells whether z is a position of the history, as far as the tail knows: base is.
func (t *tail) holds(z kernel.Zxid) bool {
	if z <= t.base {
		return z == t.base
	}
	live := t.records[t.head:]
	i := sort.Search(len(live), func(i int) bool { return live[i].Zxid >= z })
	return i < len(live) && live[i].Zxid == z
}

// before is the last position below z, which must be above base.
func (t *tail) before(z kernel.Zxid) kernel.Zxid {
	live := t.records[t.head:]
	if i := sort.Search(len(live), func(i int) bool { return live[i].Zxid >= z }); i > 0 {
		return live[i-1].Zxid
	}
	return t.base
}

// shrink lets the oldest records go when there are too many bytes, but none above durable: those can be had nowhere else.
func (t *tail) shrink(durable kernel.Zxid) {
	for t.bytes > t.limit && t.head < len(t.records) && t.records[t.head].Zxid <= durable {
		r := &t.records[t.head]
		t.base = r.Zxid
		t.bytes -= size(r)
		*r = kernel.Record{}
		t.head++
	}
}

// cut drops what is above z.
func (t *tail) cut(z kernel.Zxid) {
	if z < t.base {
		t.reset(z)
		return
	}
	keep := len(t.records) - len(t.above(z))
	for i := keep; i < len(t.records); i++ {
		t.bytes -= size(&t.records[i])
	}
	clear(t.records[keep:])
	t.records = t.records[:keep]
}

// reset empties the tail: the history goes on above base.
func (t *tail) reset(base kernel.Zxid) {
	t.records, t.head, t.bytes, t.base = nil, 0, 0, base
}
