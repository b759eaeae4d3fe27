package plugintest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
)

// OpenNodes opens the node store under test; what it writes goes through env.FS, below env.DataDir, and a permanent failure to env.Fatal.
type OpenNodes func(env kernel.Env) (kernel.NodeStore, error)

const nodesDir = "data"

func openNodes(open OpenNodes, fs vfs.FS, fatal func(error)) (kernel.NodeStore, error) {
	return open(kernel.Env{FS: fs, DataDir: nodesDir, Fatal: fatal})
}

// nodesDisk is a disk with the data directory on it, durably.
func nodesDisk(t testing.TB) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	err := fs.MkdirAll(nodesDir, 0o755)
	root, openErr := fs.OpenDir("/")
	if err = errors.Join(err, openErr); err == nil {
		err = errors.Join(root.Sync(), root.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// NodeStore is the conformance kit of node stores. A store that says Durable is also closed and opened again, crashed, and given a disk that fails or is full.
func NodeStore(t *testing.T, open OpenNodes) {
	t.Helper()
	fresh := func(t *testing.T) kernel.NodeStore {
		t.Helper()
		s, err := openNodes(open, nodesDisk(t), func(err error) { t.Errorf("fatal: %v", err) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	durable := fresh(t).Durable()
	t.Run("basics", func(t *testing.T) { testNodesBasics(t, fresh(t)) })
	t.Run("model", func(t *testing.T) { testNodesModel(t, fresh(t)) })
	t.Run("views", func(t *testing.T) { testNodesViews(t, fresh(t)) })
	t.Run("beside", func(t *testing.T) { testNodesBeside(t, fresh(t)) })
	if durable {
		t.Run("reopen", func(t *testing.T) { testNodesReopen(t, open) })
		t.Run("crash", func(t *testing.T) { testNodesCrash(t, open) })
		t.Run("faults", func(t *testing.T) { testNodesFaults(t, open) })
		t.Run("full disk", func(t *testing.T) { testNodesFull(t, open) })
	}
}

// pairs is the model: an ordered store too simple to be wrong.
type pairs map[string]string

func (p pairs) clone() pairs {
	c := pairs{}
	for k, v := range p {
		c[k] = v
	}
	return c
}

func (p pairs) String() string {
	var keys []string
	for k := range p {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "%q=%q ", k, p[k])
	}
	return b.String()
}

func scan(v kernel.NodeView, from, to []byte) (string, error) {
	var b strings.Builder
	err := v.Scan(from, to, func(key, value []byte) bool {
		fmt.Fprintf(&b, "%q=%q ", key, value)
		return true
	})
	return b.String(), err
}

// highest is above all keys of the kit.
var highest = bytes.Repeat([]byte{0xff}, 20)

func nodeContent(s kernel.NodeStore) (string, error) {
	v := s.View()
	defer v.Close()
	return scan(v, nil, highest)
}

func write(t testing.TB, s kernel.NodeStore, sets pairs, deletes ...string) {
	t.Helper()
	b := s.NewBatch()
	for _, k := range deletes {
		b.Delete([]byte(k))
	}
	for k, v := range sets {
		b.Set([]byte(k), []byte(v))
	}
	if err := s.Write(b); err != nil {
		t.Fatal(err)
	}
}

func testNodesBasics(t *testing.T, s kernel.NodeStore) {
	if _, err := s.Get([]byte("none"), nil); !errors.Is(err, kernel.ErrNotFound) {
		t.Fatalf("a missing key gives %v, want ErrNotFound", err)
	}
	b := s.NewBatch()
	key, value := []byte("k"), []byte("value")
	b.Set(key, value)
	b.Set([]byte("empty"), nil)
	b.Set([]byte("gone"), value)
	b.Delete([]byte("gone"))
	copy(key, "x")
	copy(value, "xxxxx")
	if b.Len() != 4 || b.Bytes() < 20 {
		t.Errorf("a batch of 4 changes says %d changes, %d bytes", b.Len(), b.Bytes())
	}
	if _, err := s.Get([]byte("k"), nil); !errors.Is(err, kernel.ErrNotFound) {
		t.Error("a batch is visible before it is written")
	}
	if err := s.Write(b); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get([]byte("k"), []byte("before "))
	if err != nil || string(got) != "before value" {
		t.Errorf("Get gives %q, %v: the value is appended to dst, and a batch copies what it is given", got, err)
	}
	if got, err := s.Get([]byte("empty"), nil); err != nil || len(got) != 0 {
		t.Errorf("an empty value gives %q, %v", got, err)
	}
	if _, err := s.Get([]byte("gone"), nil); !errors.Is(err, kernel.ErrNotFound) {
		t.Errorf("the changes of a batch are not made in their order: %v", err)
	}
	b = s.NewBatch()
	b.Set([]byte("dropped"), value)
	b.Reset()
	if b.Len() != 0 {
		t.Errorf("after Reset a batch has %d changes", b.Len())
	}
	b.Set([]byte("kept"), value)
	if err := s.Write(b); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get([]byte("dropped"), nil); !errors.Is(err, kernel.ErrNotFound) {
		t.Error("Reset has left a change in the batch")
	}
	if err := s.Clear(); err != nil {
		t.Fatal(err)
	}
	if c, err := nodeContent(s); c != "" || err != nil {
		t.Errorf("after Clear there is %s, %v", c, err)
	}
	write(t, s, pairs{"again": "1"})
	if c, _ := nodeContent(s); c != (pairs{"again": "1"}).String() {
		t.Errorf("after Clear and a write there is %s", c)
	}
}

func randomKey(r *rand.Rand) string {
	k := make([]byte, r.Intn(4))
	for i := range k {
		k[i] = "\x00ab\xff"[r.Intn(4)]
	}
	return "k" + string(k)
}

func randomChanges(r *rand.Rand, b kernel.NodeBatch, m pairs) {
	for range r.Intn(10) {
		k := randomKey(r)
		if r.Intn(3) == 0 {
			b.Delete([]byte(k))
			delete(m, k)
		} else {
			v := strings.Repeat(fmt.Sprint(r.Intn(1000)), r.Intn(50))
			b.Set([]byte(k), []byte(v))
			m[k] = v
		}
	}
}

func testNodesModel(t *testing.T, s kernel.NodeStore) {
	r := rand.New(rand.NewSource(1))
	m := pairs{}
	b := s.NewBatch()
	for i := range 2000 {
		b.Reset()
		randomChanges(r, b, m)
		if err := s.Write(b); err != nil {
			t.Fatal(err)
		}
		k := randomKey(r)
		got, err := s.Get([]byte(k), nil)
		if want, ok := m[k]; ok != (err == nil) || want != string(got) {
			t.Fatalf("step %d: %q is %q, %v; want %q, %v", i, k, got, err, want, ok)
		}
		if i%20 == 0 {
			from, to := randomKey(r), randomKey(r)
			want := pairs{}
			for k, v := range m {
				if from <= k && k < to {
					want[k] = v
				}
			}
			v := s.View()
			got, err := scan(v, []byte(from), []byte(to))
			v.Close()
			if err != nil || got != want.String() {
				t.Fatalf("step %d: from %q to %q there is %s, %v\nwant %s", i, from, to, got, err, want)
			}
		}
		if i%300 == 0 {
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if i == 1500 {
			if err := s.Clear(); err != nil {
				t.Fatal(err)
			}
			clear(m)
		}
	}
}

func testNodesViews(t *testing.T, s kernel.NodeStore) {
	write(t, s, pairs{"a": "1", "b": "1"})
	old := s.View()
	defer old.Close()
	write(t, s, pairs{"b": "2", "c": "2"}, "a")
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	want := pairs{"a": "1", "b": "1"}.String()
	if got, err := scan(old, nil, highest); got != want || err != nil {
		t.Errorf("an open view has changed: %s, %v", got, err)
	}
	if got, err := old.Get([]byte("b"), nil); string(got) != "1" || err != nil {
		t.Errorf("an open view has changed: b is %q, %v", got, err)
	}
	if _, err := old.Get([]byte("c"), nil); !errors.Is(err, kernel.ErrNotFound) {
		t.Errorf("an open view shows a later key: %v", err)
	}
	if err := s.Clear(); err != nil {
		t.Fatal(err)
	}
	if got, err := scan(old, nil, highest); got != want || err != nil {
		t.Errorf("after Clear an open view has changed: %s, %v", got, err)
	}
	n := 0
	if err := old.Scan(nil, highest, func([]byte, []byte) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("Scan went on after yield said false: %d, %v", n, err)
	}
	// A scan within a scan: walks of a tree do that.
	seen := ""
	err := old.Scan(nil, highest, func(key, _ []byte) bool {
		inner, err := scan(old, key, highest)
		seen += inner + "|"
		return err == nil
	})
	if second := (pairs{"b": "1"}).String(); err != nil || seen != want+"|"+second+"|" {
		t.Errorf("scans within a scan saw %s, %v", seen, err)
	}
}

// testNodesBeside reads from several goroutines while batches are written: a batch is seen whole or not at all, and later ones after earlier ones.
func testNodesBeside(t *testing.T, s kernel.NodeStore) {
	write(t, s, pairs{"x": "0", "y": "0"})
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 3 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			last := 0
			for !stop.Load() {
				v := s.View()
				x, errX := v.Get([]byte("x"), nil)
				y, errY := v.Get([]byte("y"), nil)
				v.Close()
				var n int
				if _, err := fmt.Sscan(string(x), &n); err != nil || errX != nil || errY != nil || string(x) != string(y) || n < last {
					t.Errorf("saw x=%q (%v) and y=%q (%v) after %d", x, errX, y, errY, last)
					return
				}
				last = n
			}
		}()
	}
	for i := range 500 {
		write(t, s, pairs{"x": fmt.Sprint(i), "y": fmt.Sprint(i)})
		if i%100 == 99 {
			if err := s.Flush(); err != nil {
				t.Error(err)
			}
			_, _ = s.Size(), s.MemoryBytes()
		}
	}
	stop.Store(true)
	readers.Wait()
}

func testNodesReopen(t *testing.T, open OpenNodes) {
	fs := nodesDisk(t)
	r := rand.New(rand.NewSource(2))
	m := pairs{}
	for i := range 6 {
		s, err := openNodes(open, fs, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		if got, err := nodeContent(s); err != nil || got != m.String() {
			t.Fatalf("opened %d: %s, %v; want %s", i, got, err, m)
		}
		for range 50 {
			b := s.NewBatch()
			randomChanges(r, b, m)
			if err := s.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		if i == 3 {
			if err := s.Clear(); err != nil {
				t.Fatal(err)
			}
			clear(m)
		} else if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
