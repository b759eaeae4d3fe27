package tree

import (
	"math"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// entry is what the cache knows of one path: a node, or (node nil) that there is none.
type entry struct {
	path string // shares its bytes with the map's key
	node *Node
	kids *kids         // nil: nothing is known of the children but what the store has
	gen  uint32        // generation of the last change; dirty while above cache.cleaned
	slot uint32        // place in the dirty set of that generation
	pins atomic.Int32  // raised under some side of the lock, lowered anywhere
	mark atomic.Uint32 // set by hits, cleared by the sweep
}

func (e *entry) touch() {
	if e.mark.Load() == 0 { // a hot entry's cache line is not written
		e.mark.Store(1)
	}
}

// cache holds the entries and the order of their eviction.
//
// The order is an LRU over cohorts of entries that came in together, not over entries: a hit sets the entry's mark and takes no lock. The sweep looks
// at the oldest cohort: what was not marked since the last look leaves; a cohort that is mostly in use becomes the newest one, the few survivors of any other
// join those that come in now.
type cache struct {
	entries map[string]*entry
	order   *simplelru.LRU[uint64, *cohort]
	young   *cohort
	cohorts uint64 // number of the last one
	used    int64  // bytes
	evicted int64
	cleaned uint32 // the last generation that is in the store

	idleSweeps int // steps of the sweeper in a row that evicted nothing
}

type cohort struct{ entries []*entry }

const (
	cohortSize = 64
	// entryBytes is what an entry occupies apart from path, node and children: itself, its slot in the map at the usual fill, its place in a cohort.
	entryBytes = int64(unsafe.Sizeof(entry{})) + 40 + 12
)

func (c *cache) init() {
	c.entries = map[string]*entry{}
	c.order, _ = simplelru.NewLRU[uint64, *cohort](math.MaxInt, nil) // fails only for a size below 1; the bound is in bytes, and ours
	c.young = new(cohort)
	c.used, c.evicted = 0, 0
}

// insert adds an entry for a path that has none. Lock held.
func (t *Tree) insert(path string, n *Node) *entry {
	e := &entry{path: strings.Clone(path), node: n}
	if n != nil && n.NumChildren == 0 {
		e.kids = childless
	}
	t.entries[e.path] = e
	t.used += entryBytes + roundUp(int64(len(path))) + sizeOf(n)
	t.join(e)
	return e
}

func (c *cache) join(e *entry) {
	if c.young.entries == nil {
		c.young.entries = make([]*entry, 0, cohortSize)
	}
	c.young.entries = append(c.young.entries, e)
	if len(c.young.entries) >= cohortSize {
		c.cohorts++
		c.order.Add(c.cohorts, c.young)
		c.young = new(cohort)
	}
}

// evictable says whether the store knows all that e does, and nobody relies on e. Lock held.
func (c *cache) evictable(e *entry) bool {
	return e.gen <= c.cleaned && e.pins.Load() == 0 && (e.kids == nil || e.kids.last <= c.cleaned)
}

// evictStep looks at one cohort. It returns false when there is none. Lock held, for some microseconds.
func (t *Tree) evictStep() bool {
	id, c, ok := t.order.GetOldest()
	if !ok {
		return false
	}
	kept := c.entries[:0]
	for _, e := range c.entries {
		if e.mark.Swap(0) == 0 && t.evictable(e) {
			t.drop(e)
			continue
		}
		kept = append(kept, e)
	}
	clear(c.entries[len(kept):])
	c.entries = kept
	if len(kept) > cohortSize/2 {
		t.order.Get(id)
		return true
	}
	t.order.Remove(id)
	for _, e := range kept {
		t.join(e)
	}
	return true
}

func (t *Tree) drop(e *entry) {
	t.dropKids(e)
	delete(t.entries, e.path)
	t.used -= entryBytes + roundUp(int64(len(e.path))) + sizeOf(e.node)
	t.evicted++
}

// relieve keeps the cache near its budget while something is added. The sweeper does the work; if it falls behind, whoever adds helps. Lock held.
func (t *Tree) relieve() {
	over := t.used - t.opt.CacheBytes
	if over <= 0 {
		return
	}
	select {
	case t.sweeps <- struct{}{}:
	default:
	}
	if over > t.opt.CacheBytes/16 || t.opt.Manual {
		t.evictStep()
	}
}

func (t *Tree) runSweeper() {
	defer t.done.Done()
	for {
		select {
		case <-t.stop:
			return
		case <-t.sweeps:
		}
		for more := true; more; {
			t.mu.Lock()
			evicted := t.evicted
			for i := 0; i < 4 && more; i++ {
				more = t.used > t.opt.CacheBytes-t.opt.CacheBytes/64 && t.evictStep()
			}
			if evicted == t.evicted { // all in use, or dirty: what comes in next asks again
				t.idleSweeps++
				more = more && t.idleSweeps < t.order.Len()
			} else {
				t.idleSweeps = 0
			}
			t.mu.Unlock()
		}
	}
}

// Pin keeps entries in memory. The zero Pin holds nothing. It is filled by one goroutine at a time.
type Pin struct {
	entries []*entry
	few     [4]*entry
}

func (p *Pin) add(e *entry) {
	if p.entries == nil {
		p.entries = p.few[:0]
	}
	e.pins.Add(1)
	p.entries = append(p.entries, e)
}

// Release lets go of everything pinned. Any goroutine, no lock; a second call does nothing.
func (p *Pin) Release() {
	for _, e := range p.entries {
		e.pins.Add(-1)
	}
	clear(p.entries)
	p.entries = nil
}
