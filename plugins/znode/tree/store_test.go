package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"
	randv2 "math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/stores/memnodes"
	"github.com/zooid-project/zooid/stores/pebble"
)

func openPebble(t testing.TB, fs vfs.FS) *pebble.Store {
	t.Helper()
	s, err := pebble.Open(pebble.Options{FS: fs, Dir: "nodes", MemTable: 1 << 20, BlockCache: 1 << 20, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStoresAgree runs one random list of operations over both stores, with restarts in between.
func TestStoresAgree(t *testing.T) {
	for seed := range int64(3) {
		r := rand.New(rand.NewSource(seed))
		fs := vfs.NewMem()
		o := Options{CacheBytes: 15_000, DirtyBytes: 40_000, maxComplete: 3}
		m := newModel()
		var store kernel.NodeStore = openPebble(t, fs)
		tr := open(t, store, o)
		m.put(tr, "/", nil)
		for life := range 4 {
			for range 1500 {
				m.step(t, r, tr)
			}
			if err := tr.Close(); err != nil {
				t.Fatal(err)
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			store = openPebble(t, fs)
			tr = open(t, store, o)
			if tr.Position() != m.zxid {
				t.Fatalf("life %d: opened at %d, want %d", life, tr.Position(), m.zxid)
			}
			m.checkAll(t, tr)
		}
		tr.Abandon()
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCrash cuts the power at random moments. What is found is the whole state at its position, which is at least the one that Flushed said.
func TestCrash(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewSource(int64(seed)))
		rng := randv2.New(randv2.NewPCG(seed, 2))
		fs := vfs.NewCrashableMem()
		m := newModel()
		for range 3 {
			store := openPebble(t, fs)
			tr := open(t, store, Options{CacheBytes: 15_000, DirtyBytes: 30_000})
			if tr.Position() == 0 {
				m = newModel()
				m.put(tr, "/", nil)
			}
			states := map[int64]*model{m.zxid: m.clone()}
			m.states = states // a step may be several transactions, and a flush come between them
			for range 100 + r.Intn(300) {
				m.step(t, r, tr)
			}
			flushed := tr.Flushed()
			crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[r.Intn(3)], RNG: rng})
			tr.Abandon()
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}

			fs = crashed
			store = openPebble(t, fs)
			tr = open(t, store, Options{})
			position := tr.Position()
			if position < flushed {
				t.Fatalf("seed %d: position %d after a crash, although %d was flushed", seed, position, flushed)
			}
			if position > 0 {
				m = states[position]
				if m == nil {
					t.Fatalf("seed %d: position %d was never one", seed, position)
				}
				m.checkAll(t, tr)
			}
			tr.Abandon()
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestUnfinishedRestore crashes after a Reset and flushes without an Advance: the store is found empty.
func TestUnfinishedRestore(t *testing.T) {
	store := memnodes.New()
	tr := open(t, store, Options{})
	m := newModel()
	m.put(tr, "/", nil)
	m.put(tr, "/a", nil)
	if err := tr.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	tr.Lock()
	if err := tr.Reset(); err != nil {
		t.Fatal(err)
	}
	if _, s := tr.Get("/a"); s == Present {
		t.Error("/a is there after Reset")
	}
	tr.Put("/", &Node{})
	tr.Unlock()
	if err := tr.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	tr.Abandon()
	tr = open(t, store, Options{})
	if _, s, err := tr.Load("/"); s != Absent || err != nil || tr.Position() != 0 {
		t.Errorf("the root's state is %d, %v, position %d", s, err, tr.Position())
	}
}

// fullStore has no space until told.
type fullStore struct {
	*memnodes.Store
	full atomic.Bool
}

func (s *fullStore) Write(b kernel.NodeBatch) error {
	if s.full.Load() {
		return kernel.ErrNoSpace
	}
	return s.Store.Write(b)
}

func TestNoSpace(t *testing.T) {
	store := &fullStore{Store: memnodes.New()}
	store.full.Store(true)
	tr := open(t, store, Options{DirtyBytes: 30_000})
	m := newModel()
	m.put(tr, "/", nil)
	for i := range 50 {
		m.put(tr, fmt.Sprint("/", i), make([]byte, 1000))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := tr.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || tr.Flushed() != 0 {
		t.Fatalf("flushed %d, %v, without space", tr.Flushed(), err)
	}
	if p := tr.Pressure(); p < 1 {
		t.Errorf("pressure is %f", p)
	}
	m.check(t, tr, "/7")
	store.full.Store(false)
	m.checkAll(t, tr)
	if p := tr.Pressure(); p != 0 {
		t.Errorf("pressure is %f after a flush", p)
	}
}

// TestStoreFails sees a store that fails for good reported once, and Flush return it.
func TestStoreFails(t *testing.T) {
	broken := errors.New("broken")
	store := &brokenStore{Store: memnodes.New(), err: broken}
	var reported atomic.Int32
	tr := open(t, store, Options{Fatal: func(err error) {
		if errors.Is(err, broken) {
			reported.Add(1)
		}
	}})
	newModel().put(tr, "/", nil)
	for range 2 {
		if err := tr.Flush(context.Background()); !errors.Is(err, broken) {
			t.Errorf("Flush says %v", err)
		}
	}
	if err := tr.Close(); err != nil {
		t.Errorf("Close says %v", err)
	}
	if reported.Load() != 1 {
		t.Errorf("reported %d times", reported.Load())
	}
}

type brokenStore struct {
	*memnodes.Store
	err error
}

func (s *brokenStore) Flush() error { return s.err }

// TestBeside runs readers, listers, pins and walks beside apply, flushes and evictions. Every transaction adds a child to one node and sets another to the
// same number, so that a reader who sees half of one finds out.
func TestBeside(t *testing.T) {
	fs := vfs.NewMem()
	store := openPebble(t, fs)
	tr := open(t, store, Options{CacheBytes: 40_000, DirtyBytes: 60_000, maxComplete: 1000})
	put := func(path string, n Node) { tr.Put(path, &n) }
	tr.Lock()
	put("/", Node{NumChildren: 2})
	put("/list", Node{})
	put("/last", Node{Data: []byte("0")})
	tr.Advance(1)
	tr.Unlock()
	const rounds = 3000
	var stop atomic.Bool
	var readers sync.WaitGroup
	start := func(f func(r *rand.Rand)) {
		readers.Add(1)
		r := rand.New(rand.NewSource(1))
		go func() {
			defer readers.Done()
			for !stop.Load() {
				f(r)
			}
		}()
	}
	number := func(n *Node) (i int) {
		_, err := fmt.Sscan(string(n.Data), &i)
		if err != nil {
			t.Error(err)
		}
		return i
	}
	last := func() (n int, l *Listing) {
		for {
			for _, p := range []string{"/list", "/last"} {
				if _, _, err := tr.Load(p); err != nil {
					t.Error(err)
				}
			}
			tr.RLock()
			a, s := tr.Get("/last")
			b, sb := tr.Get("/list")
			if s == Present && sb == Present {
				n := number(a)
				if int(b.NumChildren) != n {
					t.Errorf("half of a transaction: %d children, last is %d", b.NumChildren, n)
				}
				l = tr.Children("/list")
				tr.RUnlock()
				return n, l
			}
			tr.RUnlock()
		}
	}
	start(func(*rand.Rand) {
		n, l := last()
		count := 0
		if err := l.Each(func(string) bool { count++; return true }); err != nil || count != n {
			t.Errorf("listed %d of %d: %v", count, n, err)
		}
		l.Close()
	})
	start(func(r *rand.Rand) {
		n, l := last()
		l.Close()
		i := r.Intn(n + 10)
		path := fmt.Sprintf("/list/%06d", i)
		var p Pin
		if err := tr.Resolve(&p, path); err != nil {
			t.Error(err)
		}
		tr.RLock()
		node, s := tr.Get(path)
		tr.RUnlock()
		p.Release()
		if i > 0 && i <= n && (s != Present || number(node) != i) {
			t.Errorf("%s of %d is in state %d", path, n, s)
		}
	})
	start(func(*rand.Rand) {
		count, want := 0, 0
		_, err := tr.Walk(context.Background(), "/", func(path string, n *Node) bool {
			if path == "/last" {
				want = number(n)
			} else if len(path) > 6 {
				count++
			}
			return true
		})
		if err != nil || count != want {
			t.Errorf("walked %d of %d: %v", count, want, err)
		}
	})
	for i := 1; i <= rounds; i++ {
		data := []byte(fmt.Sprint(i))
		if i%50 == 0 { // a batch boundary
			time.Sleep(time.Millisecond)
		}
		tr.Lock()
		p := *tr.Must("/list")
		p.NumChildren++
		tr.Put("/list", &p)
		put(fmt.Sprintf("/list/%06d", i), Node{Data: data})
		put("/last", Node{Data: data})
		tr.Advance(int64(i + 1))
		tr.Unlock()
	}
	stop.Store(true)
	readers.Wait()
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzDecodeNode(f *testing.F) {
	f.Add(appendNode(nil, &Node{ID: 1}))
	f.Add(appendNode(nil, &Node{ID: 1 << 60, Czxid: 1 << 33, Mzxid: 1<<33 + 5, Pzxid: 7, Ctime: -1, Mtime: 5, Version: -1, Owner: -5, ACL: 3, Hash: 9, Data: []byte{}}))
	f.Add(appendNode(nil, &Node{Data: []byte("data"), NumChildren: 1 << 30}))
	f.Add([]byte{nodeFormat, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := decodeNode(5, b)
		if err != nil {
			return
		}
		again := appendNode(nil, n)
		m, err := decodeNode(5, again)
		if err != nil || fmt.Sprint(*m) != fmt.Sprint(*n) || (m.Data == nil) != (n.Data == nil) || !bytes.Equal(m.Data, n.Data) {
			t.Fatalf("%+v became %+v, %v", n, m, err)
		}
	})
}

// However little is dirty, a flush begins after so many transactions that a restart is quick.
func TestFlushBehind(t *testing.T) {
	tr := open(t, memnodes.New(), Options{DirtyAge: time.Hour})
	m := newModel()
	m.put(tr, "/", nil)
	tr.Lock()
	for z := m.zxid + 1; z <= flushBehind+1; z++ {
		tr.Advance(z)
	}
	tr.Unlock()
	for deadline := time.Now().Add(20 * time.Second); tr.Flushed() < flushBehind; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("flushed up to %d of %d", tr.Flushed(), tr.Position())
		}
	}
}
