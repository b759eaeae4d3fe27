package tree

import (
	"strings"
	"sync"

	"github.com/tidwall/btree"

	"github.com/zooid-project/zooid/kernel"
)

// kids is what is known in memory of a node's children.
//
// Complete: names holds them all, so that listings and absence need no store. Otherwise names holds those that were created or deleted since the last flush,
// and the store has the rest. In both forms a deleted name that the store has stays, marked as such, until its deletion has been flushed.
type kids struct {
	names    btree.Map[string, uint32] // value: generation of the change << 1 | present
	complete bool
	present  int    // of a complete set: the children there are
	last     uint32 // generation of the last change
	bytes    int64
	filter   *filter    // of an incomplete set that was complete once: all names that there may be
	sharing  sync.Mutex // Copy is made by readers beside each other, and writes to names' head
}

// defaultComplete is the number of children up to which a set is kept complete.
const defaultComplete = 4096

// childless is shared by all complete empty sets that have not changed. It never changes.
var childless = &kids{complete: true}

const (
	kidsBytes = 224 // an own set with its first tree node
	nameBytes = 36  // a name's place in the tree at the usual fill
)

// enter notes that p's child name was created or deleted. The name's bytes stay referenced. A deleted name that the store never had (unwritten) is forgotten:
// the short-lived nodes of a queue leave no trace in its listings. Lock held.
func (t *Tree) enter(p *entry, name string, present, unwritten bool) {
	k := p.kids
	if k == nil || k == childless {
		k = &kids{complete: k == childless, bytes: kidsBytes}
		p.kids = k
		t.used += kidsBytes
	}
	if !present && unwritten {
		if old, ok := k.names.Delete(name); ok {
			t.resize(k, -nameBytes-roundUp(int64(len(name))))
			k.present -= int(old & 1)
		}
		k.last = t.gen
		return
	}
	value := t.gen << 1
	if present {
		value |= 1
	}
	old, replaced := k.names.Set(name, value)
	if !replaced {
		t.resize(k, nameBytes+roundUp(int64(len(name))))
	}
	if k.filter != nil && present {
		t.sieve(p, name)
	}
	k.last = t.gen
	k.present += int(value&1) - int(old&1)
	if k.complete && k.present > t.opt.maxComplete {
		k.complete = false
		t.sift(k)
		t.forget(k, t.cleaned)
	}
}

// sieve adds a name to a parent's filter, or drops a filter that holds mostly names that went: it cannot forget them. Lock held.
func (t *Tree) sieve(p *entry, name string) {
	k := p.kids
	if k.filter.room == 0 && k.filter.names > 4*int64(p.node.NumChildren)+4*firstLayer {
		t.resize(k, -k.filter.bytes())
		k.filter = nil
		return
	}
	t.resize(k, k.filter.add(name))
}

// sift gives an overlay that is complete at the moment its filter. Lock held.
func (t *Tree) sift(k *kids) {
	k.filter = new(filter)
	grown := int64(0)
	k.names.Scan(func(name string, _ uint32) bool {
		grown += k.filter.add(name)
		return true
	})
	t.resize(k, grown)
}

func (t *Tree) resize(k *kids, bytes int64) {
	k.bytes += bytes
	t.used += bytes
}

// forget takes from an overlay what the store has known since generation gen. Lock held.
func (t *Tree) forget(k *kids, gen uint32) {
	var recent btree.Map[string, uint32]
	bytes := int64(kidsBytes)
	if k.filter != nil {
		bytes += k.filter.bytes()
	}
	k.names.Scan(func(name string, value uint32) bool {
		if value>>1 > gen {
			recent.Set(name, value)
			bytes += nameBytes + roundUp(int64(len(name)))
		}
		return true
	})
	k.names = recent
	t.resize(k, bytes-k.bytes)
}

// settle notes that the change of p's child name in generation gen is in the store. Lock held.
func (t *Tree) settle(p *entry, name string, gen uint32) {
	k := p.kids
	if k == nil || k == childless {
		return
	}
	value, ok := k.names.Get(name)
	if !ok || value>>1 > gen || (k.complete && value&1 == 1) {
		return
	}
	k.names.Delete(name)
	t.resize(k, -nameBytes-roundUp(int64(len(name))))
}

func (t *Tree) dropKids(e *entry) {
	if e.kids != nil && e.kids != childless {
		t.used -= e.kids.bytes
	}
	e.kids = nil
}

// excludes says whether e alone proves that there is no rest (a relative path) below it. Some side of the lock is held.
func (e *entry) excludes(rest string) bool {
	switch {
	case e.node == nil || e.kids == childless:
		return true
	case e.kids == nil || !e.kids.complete && e.kids.filter == nil:
		return false
	}
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		rest = rest[:i]
	}
	if !e.kids.complete {
		return e.kids.filter.excludes(rest)
	}
	value, _ := e.kids.names.Get(rest)
	return value&1 == 0
}

// Listing is the set of a node's children at one moment. It is for one goroutine and must be closed.
type Listing struct {
	t     *Tree
	path  string
	id    uint64
	names *btree.Map[string, uint32] // complete, or an overlay of what view has
	view  kernel.NodeView            // nil when names is complete
	keep  bool                       // few enough to be kept in memory as a complete set, once seen
	clean uint32                     // generation that view contains at least
}

// Children returns the children of the node at path as they are now; nil unless Get finds the node Present. Some side of the lock is held. The cost does not
// depend on the number of children.
func (t *Tree) Children(path string) *Listing {
	e := t.entries[path]
	if e == nil || e.node == nil {
		return nil
	}
	e.touch()
	l := &Listing{t: t, path: e.path, id: e.node.ID}
	k := e.kids
	if k == childless {
		return l
	}
	if k != nil {
		k.sharing.Lock()
		l.names = k.names.Copy()
		k.sharing.Unlock()
		if k.complete {
			return l
		}
	}
	l.view = t.store.View()
	l.keep = int(e.node.NumChildren) <= t.opt.maxComplete/2
	l.clean = t.cleaned
	return l
}

// Each yields the names in order until yield says false. It may wait for the disk. No lock is needed; none is held during yield.
func (l *Listing) Each(yield func(name string) bool) error {
	over := overlay{names: l.names}
	if l.names != nil {
		over.iter = l.names.Iter()
		over.more = over.iter.First()
	}
	if l.view == nil {
		over.upTo("", true, yield)
		return nil
	}
	var all []string
	if l.keep {
		inner := yield
		yield = func(name string) bool {
			all = append(all, name)
			return inner(name)
		}
	}
	stopped := false
	from := appendKey(nil, l.id, "")
	to := appendKey(nil, l.id+1, "")
	err := l.view.Scan(from, to, func(key, _ []byte) bool {
		name := key[8:]
		if over.more { // only then is the store's name needed as a string before it is known to count
			if !over.upTo(string(name), false, yield) {
				stopped = true
				return false
			}
			if over.more && over.iter.Key() == string(name) {
				if over.iter.Value()&1 == 1 && !yield(over.iter.Key()) {
					stopped = true
				}
				over.more = over.iter.Next()
				return !stopped
			}
		}
		stopped = !yield(string(name))
		return !stopped
	})
	if err != nil {
		return err
	}
	if !stopped && over.upTo("", true, yield) && l.keep {
		l.t.adopt(l, all)
	}
	return nil
}

// overlay walks the names in memory beside the store's.
type overlay struct {
	names *btree.Map[string, uint32]
	iter  btree.MapIter[string, uint32]
	more  bool
}

// upTo yields the names there are below name, or to the end. It returns false when yield did.
func (o *overlay) upTo(name string, end bool, yield func(string) bool) bool {
	for o.more && (end || o.iter.Key() < name) {
		if o.iter.Value()&1 == 1 && !yield(o.iter.Key()) {
			o.more = false
			return false
		}
		o.more = o.iter.Next()
	}
	return true
}

// adopt keeps what a listing found as the node's complete set, if it still is. It gives up rather than wait for the lock: the caller of Each may hold it.
func (t *Tree) adopt(l *Listing, names []string) {
	if len(names) > t.opt.maxComplete/2 || !t.mu.TryLock() {
		return
	}
	defer t.mu.Unlock()
	e := t.entries[l.path]
	if e == nil || e.node == nil || e.node.ID != l.id || t.cleaned != l.clean || (e.kids != nil && e.kids.complete) {
		return
	}
	// Nothing has left the overlay since the listing was made: with what it says now, the listing is the present state.
	k := &kids{complete: true, bytes: kidsBytes}
	for _, name := range names {
		k.names.Set(name, 1)
		k.bytes += nameBytes + roundUp(int64(len(name)))
	}
	k.present = len(names)
	if over := e.kids; over != nil {
		k.last = over.last
		over.names.Scan(func(name string, value uint32) bool {
			old, replaced := k.names.Set(name, value)
			if !replaced {
				k.bytes += nameBytes + roundUp(int64(len(name)))
			}
			k.present += int(value&1) - int(old&1)
			return true
		})
	}
	t.dropKids(e)
	e.kids = k
	t.used += k.bytes
	t.relieve()
}

// Close ends the listing.
func (l *Listing) Close() {
	if l.view != nil {
		l.view.Close()
		l.view = nil
	}
}
