package tree

import (
	"context"
	"fmt"
	"testing"

	"github.com/zooid-project/zooid/stores/memnodes"
)

// A filter never excludes a name that it was given, excludes nearly all others, and says what it occupies.
func TestFilter(t *testing.T) {
	var f filter
	const names = 100_000
	grown := int64(0)
	for i := range names {
		grown += f.add(fmt.Sprintf("n%08d", i))
	}
	if grown != f.bytes() || grown > 8*names {
		t.Errorf("grown by %d bytes, has %d, for %d names", grown, f.bytes(), names)
	}
	wrong := 0
	for i := range names {
		if f.excludes(fmt.Sprintf("n%08d", i)) {
			t.Fatalf("name %d was added and is excluded", i)
		}
		if !f.excludes(fmt.Sprintf("m%08d", i)) {
			wrong++
		}
	}
	if wrong > names/50 {
		t.Errorf("%d of %d absent names are not excluded", wrong, names)
	}
}

// Below a parent with many children the absence of a name is known without the store, and a child that only the store has is not overlooked.
func TestFilterOfLargeParent(t *testing.T) {
	tr := open(t, memnodes.New(), Options{Manual: true, maxComplete: 10, CacheBytes: 1 << 10})
	m := newModel()
	m.put(tr, "/", nil)
	for i := range 300 {
		m.put(tr, fmt.Sprintf("/n%03d", i), nil)
	}
	if err := tr.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if tr.entries["/"].kids.filter == nil {
		t.Fatal("no filter")
	}
	cold := 0
	for i := range 300 {
		if _, s := tr.Get(fmt.Sprintf("/m%03d", i)); s != Absent {
			cold++
		}
	}
	if cold > 10 {
		t.Errorf("%d of 300 absent children are not known to be", cold)
	}
	m.put(tr, "/n000", nil) // the cache is over its budget: this evicts
	cold = 0
	for i := range 300 {
		path := fmt.Sprintf("/n%03d", i)
		switch _, s := tr.Get(path); s {
		case Absent:
			t.Fatalf("%s is there and counts as absent", path)
		case Cold:
			cold++
			if n, s, err := tr.Load(path); err != nil || s != Present || n == nil {
				t.Fatalf("%s: %v, %v", path, s, err)
			}
		}
	}
	if cold == 0 {
		t.Fatal("nothing was evicted: this shows nothing")
	}
}

// A filter that holds mostly names that went is dropped, so that a queue below a parent that once was large does not grow for ever.
func TestFilterIsDropped(t *testing.T) {
	tr := open(t, memnodes.New(), Options{Manual: true, maxComplete: 10})
	m := newModel()
	m.put(tr, "/", nil)
	for i := range 20 {
		m.put(tr, fmt.Sprintf("/n%03d", i), nil)
	}
	root := tr.entries["/"]
	if root.kids.filter == nil {
		t.Fatal("no filter")
	}
	for i := 0; root.kids.filter != nil; i++ {
		if i > 8*firstLayer {
			t.Fatalf("kept with %d names", root.kids.filter.names)
		}
		path := fmt.Sprintf("/q%08d", i)
		m.put(tr, path, nil)
		m.del(tr, path)
	}
	if got, want := root.kids.bytes, int64(kidsBytes+100*(nameBytes+16)); got > want {
		t.Errorf("the children are counted as %d bytes, want at most %d", got, want)
	}
}

func BenchmarkFilterExcludes(b *testing.B) {
	var f filter
	for i := range 1_000_000 {
		f.add(fmt.Sprintf("n%08d", i))
	}
	b.ReportAllocs()
	for b.Loop() {
		f.excludes("m00000000")
	}
}
