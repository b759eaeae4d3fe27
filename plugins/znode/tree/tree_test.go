package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"sort"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/stores/memnodes"
)

func open(t testing.TB, store kernel.NodeStore, o Options) *Tree {
	t.Helper()
	if o.Fatal == nil {
		o.Fatal = func(err error) { t.Error(err) }
	}
	tr, err := Open(store, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Abandon)
	return tr
}

// model is a tree too simple to be wrong.
type model struct {
	nodes map[string]Node
	sides map[string]string
	zxid  int64
	// states, if not nil, receives what the model is after each transaction.
	states map[int64]*model
}

// advance ends a transaction. The lock is held.
func (m *model) advance(t *Tree) {
	t.Advance(m.zxid)
	if m.states != nil {
		m.states[m.zxid] = m.clone()
	}
}

func newModel() *model { return &model{nodes: map[string]Node{}, sides: map[string]string{}} }

func (m *model) clone() *model {
	c := newModel()
	for p, n := range m.nodes {
		c.nodes[p] = n
	}
	for k, v := range m.sides {
		c.sides[k] = v
	}
	c.zxid = m.zxid
	return c
}

func (m *model) children(path string) []string {
	var names []string
	for p := range m.nodes {
		if parent, name := split(p); parent == path && name != "" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

// put and del change the tree as the state machine would, one transaction each, and the model alike.
func (m *model) put(t *Tree, path string, data []byte) {
	m.zxid++
	parent, name := split(path)
	t.Lock()
	defer t.Unlock()
	n := &Node{Czxid: m.zxid, Mzxid: m.zxid, Pzxid: m.zxid, Ctime: m.zxid * 10, Mtime: m.zxid * 10, Data: data}
	if old, ok := m.nodes[path]; ok {
		was := t.Must(path)
		c := *was
		n = &c
		n.Mzxid, n.Data = m.zxid, data
		n.Version++
		old.Mzxid, old.Data = m.zxid, data
		old.Version++
		m.nodes[path] = old
	} else {
		if name != "" {
			m.touchParent(t, parent, 1)
		}
		m.nodes[path] = *n
	}
	t.Put(path, n)
	m.advance(t)
}

func (m *model) touchParent(t *Tree, parent string, by int32) {
	p := *t.Must(parent)
	p.NumChildren += by
	p.Pzxid = m.zxid
	t.Put(parent, &p)
	mp := m.nodes[parent]
	mp.NumChildren += by
	mp.Pzxid = m.zxid
	m.nodes[parent] = mp
}

func (m *model) del(t *Tree, path string) {
	m.zxid++
	t.Lock()
	defer t.Unlock()
	parent, _ := split(path)
	m.touchParent(t, parent, -1)
	delete(m.nodes, path)
	t.Delete(path)
	m.advance(t)
}

func (m *model) side(t *Tree, key, value string) {
	m.zxid++
	t.Lock()
	defer t.Unlock()
	if value == "" {
		delete(m.sides, key)
		t.DeleteSide(key)
	} else {
		m.sides[key] = value
		t.SetSide(key, []byte(value))
	}
	m.advance(t)
}

func equal(a *Node, b Node) error {
	if a == nil {
		return errors.New("absent")
	}
	c := *a
	c.ID, c.parent = 0, 0
	if !bytes.Equal(c.Data, b.Data) || (c.Data == nil) != (b.Data == nil) {
		return fmt.Errorf("data %q, want %q", c.Data, b.Data)
	}
	c.Data, b.Data = nil, nil
	b.ID, b.parent = 0, 0
	if fmt.Sprint(c) != fmt.Sprint(b) {
		return fmt.Errorf("%+v, want %+v", c, b)
	}
	return nil
}

func (m *model) check(t testing.TB, tr *Tree, path string) {
	t.Helper()
	n, s, err := tr.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want, ok := m.nodes[path]
	if ok != (s == Present) || s == Cold {
		t.Fatalf("%s: state %d, want present %v", path, s, ok)
	}
	if ok {
		if err := equal(n, want); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
}

func (m *model) checkChildren(t testing.TB, tr *Tree, path string) {
	t.Helper()
	if _, ok := m.nodes[path]; !ok {
		return
	}
	var l *Listing
	for l == nil {
		if _, _, err := tr.Load(path); err != nil {
			t.Fatal(err)
		}
		tr.RLock()
		l = tr.Children(path)
		tr.RUnlock()
	}
	defer l.Close()
	var got []string
	if err := l.Each(func(name string) bool { got = append(got, name); return true }); err != nil {
		t.Fatal(err)
	}
	if want := m.children(path); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("children of %s: %v, want %v", path, got, want)
	}
}

// checkAll compares everything by a walk.
func (m *model) checkAll(t testing.TB, tr *Tree) {
	t.Helper()
	seen := map[string]bool{}
	zxid, err := tr.Walk(context.Background(), "/", func(path string, n *Node) bool {
		if parent, name := split(path); name != "" && !seen[parent] {
			t.Errorf("%s came before its parent", path)
		}
		seen[path] = true
		want, ok := m.nodes[path]
		if !ok {
			t.Errorf("%s is there, and should not be", path)
		} else if err := equal(n, want); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		return true
	})
	if err != nil || zxid != m.zxid || len(seen) != len(m.nodes) {
		t.Fatalf("walked %d nodes at %d, %v; want %d at %d", len(seen), zxid, err, len(m.nodes), m.zxid)
	}
	m.checkSides(t, tr)
}

func (m *model) checkSides(t testing.TB, tr *Tree) {
	t.Helper()
	got := map[string]string{}
	if err := tr.ScanSide("", func(k string, v []byte) bool { got[k] = string(v); return true }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(m.sides) {
		t.Fatalf("side records %v, want %v", got, m.sides)
	}
}

func randomPath(r *rand.Rand) string {
	depth := 1 + r.Intn(4)
	var b strings.Builder
	for range depth {
		fmt.Fprintf(&b, "/%c%d", 'a'+rune(r.Intn(3)), r.Intn(4))
	}
	return b.String()
}

// step does one random thing to tree and model.
func (m *model) step(t testing.TB, r *rand.Rand, tr *Tree) {
	t.Helper()
	path := randomPath(r)
	switch k := r.Intn(100); {
	case k < 35: // create or set, with what is missing above
		for i := 1; i <= len(path); i++ {
			if i == len(path) || path[i] == '/' {
				if _, ok := m.nodes[path[:i]]; !ok || i == len(path) {
					var data []byte
					if r.Intn(4) > 0 {
						data = bytes.Repeat([]byte{byte(r.Int())}, r.Intn(300))
					}
					m.put(tr, path[:i], data)
				}
			}
		}
	case k < 60:
		if n, ok := m.nodes[path]; ok && n.NumChildren == 0 {
			m.del(tr, path)
		}
	case k < 80:
		m.check(t, tr, path)
	case k < 88:
		m.checkChildren(t, tr, path)
	case k < 92:
		m.side(tr, fmt.Sprint("s", r.Intn(20)), strings.Repeat("x", r.Intn(5)))
	case k < 96:
		var p Pin
		if err := tr.Resolve(&p, path); err != nil {
			t.Fatal(err)
		}
		tr.RLock()
		_, s := tr.Get(path)
		tr.RUnlock()
		if s == Cold {
			t.Fatalf("%s is cold although pinned", path)
		}
		p.Release()
	case k < 98:
		if err := tr.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestModel(t *testing.T) {
	for _, cache := range []int64{1, 20_000, 0} {
		t.Run(fmt.Sprint("cache=", cache), func(t *testing.T) {
			for seed := range int64(4) {
				r := rand.New(rand.NewSource(seed))
				store := memnodes.New()
				o := Options{CacheBytes: cache, DirtyBytes: 60_000, maxComplete: int(seed) * 2}
				tr := open(t, store, o)
				m := newModel()
				m.put(tr, "/", nil)
				for i := range 8000 {
					m.step(t, r, tr)
					if i%2000 == 1999 {
						if err := tr.Close(); err != nil {
							t.Fatal(err)
						}
						tr = open(t, store, o)
						if tr.Position() != m.zxid {
							t.Fatalf("opened at %d, want %d", tr.Position(), m.zxid)
						}
						m.checkAll(t, tr)
					}
				}
				m.checkAll(t, tr)
			}
		})
	}
}
