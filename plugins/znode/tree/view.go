package tree

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
)

// View is the flushed state as of one zxid. It is for one goroutine and must be closed; apply goes on beside it.
type View struct {
	Zxid int64
	view kernel.NodeView
}

// View flushes and returns a picture of the state at or after the present position. No lock held.
func (t *Tree) View(ctx context.Context) (*View, error) {
	if err := t.Flush(ctx); err != nil {
		return nil, err
	}
	v := t.store.View()
	zxid, _, err := readMeta(v.Get)
	if err != nil && !errors.Is(err, kernel.ErrNotFound) {
		v.Close()
		return nil, fmt.Errorf("read the node store: %w", err)
	}
	return &View{Zxid: zxid, view: v}, nil
}

// Close ends the view.
func (v *View) Close() { v.view.Close() }

// pageSize is the number of children that a walk holds per level.
const pageSize = 512

// level is a walk's place among the children of one node.
type level struct {
	path string
	id   uint64
	page []found
	next []byte // where the next page begins; nil: there is none
}

// Walk yields the nodes at and below root, parents before their children and siblings in name order, until yield says false. A root that does not exist yields nothing.
func (v *View) Walk(root string, yield func(path string, n *Node) bool) error {
	n, err := v.find(root)
	if err != nil || n == nil || !yield(root, n) || n.NumChildren == 0 {
		return err
	}
	stack := []level{{path: root, id: n.ID, next: appendKey(nil, n.ID, "")}}
	for len(stack) > 0 {
		l := &stack[len(stack)-1]
		if len(l.page) == 0 {
			if l.next == nil {
				stack = stack[:len(stack)-1]
				continue
			}
			if err := v.fill(l); err != nil {
				return err
			}
			continue
		}
		f := l.page[0]
		l.page = l.page[1:]
		if !yield(f.path, f.node) {
			return nil
		}
		if f.node.NumChildren > 0 {
			stack = append(stack, level{path: f.path, id: f.node.ID, next: appendKey(nil, f.node.ID, "")})
		}
	}
	return nil
}

// fill reads a level's next page.
func (v *View) fill(l *level) error {
	from := l.next
	l.next = nil
	var bad error
	err := v.view.Scan(from, binary.BigEndian.AppendUint64(nil, l.id+1), func(key, value []byte) bool {
		if len(l.page) == pageSize {
			l.next = append([]byte(nil), key...)
			return false
		}
		n, err := decodeNode(l.id, value)
		path := join(l.path, string(key[8:]))
		if err != nil {
			bad = fmt.Errorf("read %s from the node store: %w", path, err)
			return false
		}
		l.page = append(l.page, found{path, n})
		return true
	})
	if err == nil {
		err = bad
	}
	return err
}

// find reads one node by its path; nil when there is none.
func (v *View) find(path string) (*Node, error) {
	var err error
	n := &Node{ID: idNone}
	for at, first := 0, true; first || at < len(path); first = false {
		name, end := "", 0
		if !first {
			for end = at + 1; end < len(path) && path[end] != '/'; end++ {
			}
			name = path[at+1 : end]
		}
		b, getErr := v.view.Get(appendKey(nil, n.ID, name), nil)
		if errors.Is(getErr, kernel.ErrNotFound) {
			return nil, nil
		}
		if err = getErr; err == nil {
			n, err = decodeNode(n.ID, b)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s from the node store: %w", path, err)
		}
		if path == "/" {
			break
		}
		at = end
	}
	return n, nil
}

// ScanSide yields the side records whose keys begin with prefix, in key order, until yield says false. The value is valid during the call only.
func (v *View) ScanSide(prefix string, yield func(key string, value []byte) bool) error {
	from := appendKey(nil, idSide, prefix)
	return v.view.Scan(from, after(from), func(key, value []byte) bool { return yield(string(key[8:]), value) })
}

// after is the first key above all those that begin with prefix.
func after(prefix []byte) []byte {
	to := append([]byte(nil), prefix...)
	for i := len(to) - 1; i >= 0; i-- {
		to[i]++
		if to[i] != 0 {
			return to[:i+1]
		}
	}
	return nil
}

// ScanSide is View.ScanSide of the last flush, without waiting for another: for the start.
func (t *Tree) ScanSide(prefix string, yield func(key string, value []byte) bool) error {
	v := View{view: t.store.View()}
	defer v.Close()
	return v.ScanSide(prefix, yield)
}

// Walk is View.Walk on a View of its own; it returns the zxid of the state that it walked.
func (t *Tree) Walk(ctx context.Context, root string, yield func(path string, n *Node) bool) (zxid int64, err error) {
	v, err := t.View(ctx)
	if err != nil {
		return 0, err
	}
	defer v.Close()
	return v.Zxid, v.Walk(root, yield)
}
