package tree

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/zooid-project/zooid/kernel"
)

// found is one step of a look-up in the store. node is nil on the last step if there is no such node.
type found struct {
	path string
	node *Node
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// lookUp reads the nodes on the way from the cached ancestor base (nil: from the root) down to path. It waits for the disk.
func (t *Tree) lookUp(base *Node, basePath, path string) ([]found, error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	var steps []found
	parent := idNone
	at := 0 // path[:at] is found
	if base != nil {
		parent, at = base.ID, len(basePath)
		if basePath == "/" {
			at = 0
		}
	}
	for first := base == nil; first || at < len(path); first = false {
		name, end := "", 1 // the root
		if !first {
			end = len(path)
			if i := strings.IndexByte(path[at+1:], '/'); i >= 0 {
				end = at + 1 + i
			}
			name = path[at+1 : end]
		}
		n, err := t.read(buf, parent, name)
		if err != nil {
			return nil, fmt.Errorf("read %s from the node store: %w", path[:end], err)
		}
		steps = append(steps, found{path[:end], n})
		if n == nil || path == "/" {
			break
		}
		parent, at = n.ID, end
		if first {
			at = 0
		}
	}
	return steps, nil
}

// read reads one node; nil when there is none.
func (t *Tree) read(buf *[]byte, parent uint64, name string) (*Node, error) {
	t.loads.Add(1)
	b := appendKey((*buf)[:0], parent, name)
	key := len(b)
	b, err := t.store.Get(b[:key:key], b)
	if cap(b) <= 64<<10 { // a rare large value is not kept in the pool
		*buf = b
	}
	if errors.Is(err, kernel.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeNode(parent, b[key:])
}

// fetch looks path up from what is cached. Some side of the lock is held.
func (t *Tree) fetch(path string) ([]found, error) {
	a, _ := t.nearest(path)
	if a == nil {
		return t.lookUp(nil, "", path)
	}
	return t.lookUp(a.node, a.path, path)
}

// Load is Get for callers that can wait: it brings the node, or the knowledge that there is none, into memory. No lock held. Get answers from memory afterwards
// unless the entry was evicted meanwhile; then Load again.
func (t *Tree) Load(path string) (*Node, State, error) {
	for {
		t.mu.RLock()
		n, s := t.Get(path)
		if s != Cold {
			t.mu.RUnlock()
			return n, s, nil
		}
		var base *Node
		var basePath string
		if a, _ := t.nearest(path); a != nil {
			base, basePath = a.node, a.path
		}
		cleaned, resets := t.cleaned, t.resets.Load()
		t.mu.RUnlock()

		steps, err := t.lookUp(base, basePath, path)
		if err != nil {
			return nil, Cold, err
		}

		t.mu.Lock()
		// What changed since the look-up began is still dirty, so it is in memory and wins over what was read; unless a flush was completed in between.
		valid := t.cleaned == cleaned && t.resets.Load() == resets
		if valid {
			for _, f := range steps {
				if t.entries[f.path] == nil {
					t.insert(f.path, f.node)
				}
			}
			n, s = t.Get(path)
			t.relieve()
		}
		t.mu.Unlock()
		if valid && s != Cold {
			return n, s, nil
		}
	}
}

// Resolve brings path and its parent, or the knowledge that they are absent, into memory and pins them until p.Release. No lock held.
func (t *Tree) Resolve(p *Pin, path string) error {
	parent, _ := split(path)
	if parent == "" {
		parent = path
	}
	for {
		t.mu.RLock()
		_, s := t.Get(path)
		_, sp := t.Get(parent)
		if s != Cold && sp != Cold {
			t.pin(p, path)
			if parent != path {
				t.pin(p, parent)
			}
			t.mu.RUnlock()
			return nil
		}
		t.mu.RUnlock()
		if _, _, err := t.Load(parent); err != nil {
			return err
		}
		if _, _, err := t.Load(path); err != nil {
			return err
		}
	}
}

// pin pins what answers Get for path: its entry, or the ancestor that excludes it. Some side of the lock is held.
func (t *Tree) pin(p *Pin, path string) {
	e := t.entries[path]
	if e == nil {
		e, _ = t.nearest(path)
	}
	if e != nil {
		p.add(e)
	}
}
