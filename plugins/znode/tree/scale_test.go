package tree

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/stores/pebble"
)

// The scale tests take minutes and gigabytes, so they run only when asked for, one at a time:
//
//	CGO_ENABLED=0 ZOOID_SCALE=1 go test -run TestScale/nodes=1000000 -v -timeout 20m ./plugins/znode/tree

// resident is the process's resident memory in MiB.
func resident(t testing.TB, key string) int {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == key+":" {
			n, _ := strconv.Atoi(f[1])
			return n >> 10
		}
	}
	t.Fatal("no " + key)
	return 0
}

// waits collects how long a client in the background waited for the lock and an answer.
type waits struct {
	stop atomic.Bool
	done sync.WaitGroup
	all  []time.Duration
}

// watch reads path every half millisecond, as a client that has nothing to do with what else goes on.
func watch(t testing.TB, tr *Tree, path string) *waits {
	w := &waits{}
	w.done.Add(1)
	go func() {
		defer w.done.Done()
		for !w.stop.Load() {
			start := time.Now()
			tr.RLock()
			_, s := tr.Get(path)
			tr.RUnlock()
			if s == Cold {
				if _, _, err := tr.Load(path); err != nil {
					t.Error(err)
				}
			}
			w.all = append(w.all, time.Since(start))
			time.Sleep(500 * time.Microsecond)
		}
	}()
	return w
}

func (w *waits) report(t testing.TB, what string) {
	w.stop.Store(true)
	w.done.Wait()
	sort.Slice(w.all, func(i, j int) bool { return w.all[i] < w.all[j] })
	at := func(q float64) time.Duration { return w.all[int(q*float64(len(w.all)-1))] }
	t.Logf("%s: another client's waits: p50 %v p99 %v p99.9 %v max %v (%d)", what, at(.5), at(.99), at(.999), at(1), len(w.all))
}

type scale struct {
	*Tree
	t    testing.TB
	zxid int64
}

// pace keeps the dirty set in bounds, as the state machine's admission does.
func (s *scale) pace() {
	for s.Pressure() > 0.9 {
		time.Sleep(time.Millisecond)
	}
}

// create makes one node, as one transaction. Lock held.
func (s *scale) create(path string, data []byte) {
	s.zxid++
	if parent, name := split(path); name != "" {
		p := *s.Must(parent)
		p.NumChildren++
		p.Creates++
		p.Pzxid = s.zxid
		s.Put(parent, &p)
	}
	s.Put(path, &Node{Czxid: s.zxid, Mzxid: s.zxid, Pzxid: s.zxid, Ctime: 1.7e12, Mtime: 1.7e12, Data: data, ACL: 1})
	s.Advance(s.zxid)
}

func (s *scale) remove(path string) {
	s.zxid++
	parent, _ := split(path)
	p := *s.Must(parent)
	p.NumChildren--
	p.Pzxid = s.zxid
	s.Put(parent, &p)
	s.Delete(path)
	s.Advance(s.zxid)
}

// batches calls f for each i in steps of 20 to a lock, with room for others in between.
func (s *scale) batches(n int, f func(i int)) time.Duration {
	start := time.Now()
	for i := 0; i < n; {
		s.pace()
		s.Lock()
		for end := min(i+20, n); i < end; i++ {
			f(i)
		}
		s.Unlock()
	}
	return time.Since(start)
}

func (s *scale) memory(what string) {
	rss, peak := resident(s.t, "VmRSS"), resident(s.t, "VmHWM")
	runtime.GC()
	var live runtime.MemStats
	runtime.ReadMemStats(&live)
	s.RLock()
	used, entries := s.used, len(s.entries)
	s.RUnlock()
	s.t.Logf("%s: resident %d MiB (peak %d), live heap %d MiB, cache says %d MiB in %d entries, store %d MiB",
		what, rss, peak, live.HeapAlloc>>20, used>>20, entries, s.store.MemoryBytes()>>20)
}

func openScale(t testing.TB, dir string, o Options) *scale {
	start := time.Now()
	o.Fatal = func(err error) { t.Error(err) }
	store, err := pebble.Open(pebble.Options{FS: vfs.Default, Dir: dir, Fatal: o.Fatal})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := Open(store, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("opened at %d in %v, %d MiB on disk", tr.Position(), time.Since(start), store.Size()>>20)
	return &scale{Tree: tr, t: t, zxid: tr.Position()}
}

func (s *scale) close() {
	if err := s.Close(); err != nil {
		s.t.Error(err)
	}
	if err := s.store.Close(); err != nil {
		s.t.Error(err)
	}
}

func TestScale(t *testing.T) {
	if os.Getenv("ZOOID_SCALE") == "" {
		t.Log("takes minutes: set ZOOID_SCALE=1 and choose one with -run")
		return
	}
	for _, c := range []struct{ nodes, cache int }{{200_000, 32 << 20}, {1_000_000, 128 << 20}, {5_000_000, 256 << 20}} {
		t.Run(fmt.Sprint("nodes=", c.nodes), func(t *testing.T) { scaleNodes(t, c.nodes, int64(c.cache)) })
	}
	t.Run("children", func(t *testing.T) { scaleChildren(t, 2_000_000) })
}

// settings are those that a server should use: the heap is mostly the cache, which would otherwise be paid for twice.
func settings(cache int64) {
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(cache + cache/4 + 128<<20)
}

func scaleNodes(t *testing.T, nodes int, cache int64) {
	settings(cache)
	dir := t.TempDir() + "/nodes"
	o := Options{CacheBytes: cache}
	s := openScale(t, dir, o)
	path := func(i int) string { return fmt.Sprintf("/app/d%04d/node-%07d", i/1000, i) }
	s.Lock()
	s.create("/", nil)
	s.create("/app", nil)
	for i := range nodes / 1000 {
		s.create(fmt.Sprintf("/app/d%04d", i), nil)
	}
	s.Unlock()
	w := watch(t, s.Tree, "/app")
	took := s.batches(nodes, func(i int) { s.create(path(i), make([]byte, 100)) })
	t.Logf("created %d in %v: %v each", nodes, took, took/time.Duration(nodes))
	s.memory("created")
	start := time.Now()
	if err := s.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Logf("flushed in %v", time.Since(start))
	w.report(t, "create")

	w = watch(t, s.Tree, "/app")
	const reads = 100_000
	start = time.Now()
	var readers sync.WaitGroup
	for g := range 4 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			r := rand.New(rand.NewSource(int64(g)))
			for range reads / 4 {
				if n, st, err := s.Load(path(r.Intn(nodes))); err != nil || st != Present || len(n.Data) != 100 {
					t.Errorf("state %d, %v", st, err)
					return
				}
			}
		}()
	}
	readers.Wait()
	took = time.Since(start)
	t.Logf("%d random reads in %v: %v each, %d store look-ups", reads, took, took/reads, s.loads.Load())
	w.report(t, "random reads")
	s.memory("read")

	start = time.Now()
	count := 0
	if _, err := s.Walk(context.Background(), "/", func(string, *Node) bool { count++; return true }); err != nil {
		t.Fatal(err)
	}
	t.Logf("walked %d in %v", count, time.Since(start))
	s.close()
	s = openScale(t, dir, o)
	s.memory("reopened")
	time.Sleep(time.Second)
	s.close()
}

func scaleChildren(t *testing.T, children int) {
	settings(128 << 20)
	s := openScale(t, t.TempDir()+"/nodes", Options{})
	s.Lock()
	s.create("/", nil)
	s.create("/other", nil)
	s.create("/big", nil)
	s.Unlock()
	path := func(i int) string { return fmt.Sprintf("/big/child-%010d", i) }
	w := watch(t, s.Tree, "/other")
	took := s.batches(children, func(i int) { s.create(path(i), nil) })
	t.Logf("created %d children in %v", children, took)
	w.report(t, "create")
	s.memory("created")

	w = watch(t, s.Tree, "/other")
	start := time.Now()
	s.RLock()
	l := s.Children("/big")
	s.RUnlock()
	took = time.Since(start)
	count := 0
	if err := l.Each(func(string) bool { count++; return true }); err != nil || count != children {
		t.Fatalf("listed %d: %v", count, err)
	}
	l.Close()
	t.Logf("listed in %v, of which %v under the lock", time.Since(start), took)
	w.report(t, "list")

	w = watch(t, s.Tree, "/other")
	took = s.batches(children, func(i int) { s.remove(path(i)) })
	t.Logf("deleted in %v", took)
	w.report(t, "delete")
	s.memory("deleted")
	s.close()
}

// BenchmarkGet is a hit: the lock's read side, once for the burst, a look-up by path and the mark.
func BenchmarkGet(b *testing.B) {
	for _, nodes := range []int{1000, 200_000} {
		b.Run(fmt.Sprint("nodes=", nodes), func(b *testing.B) {
			tr := open(b, openPebble(b, vfs.NewMem()), Options{DirtyBytes: 1 << 30})
			s := &scale{Tree: tr, t: b}
			paths := make([]string, nodes)
			tr.Lock()
			s.create("/", nil)
			s.create("/app", nil)
			for i := range paths {
				paths[i] = fmt.Sprintf("/app/node-%07d", i)
				s.create(paths[i], make([]byte, 100))
			}
			tr.Unlock()
			rand.Shuffle(nodes, func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := rand.Intn(nodes); pb.Next(); i++ {
					tr.RLock()
					if _, st := tr.Get(paths[i%nodes]); st != Present {
						b.Error("not present")
					}
					tr.RUnlock()
				}
			})
		})
	}
}

// BenchmarkSet is the tree's share of applying one set, flushes included.
func BenchmarkSet(b *testing.B) {
	tr := open(b, openPebble(b, vfs.NewMem()), Options{})
	s := &scale{Tree: tr, t: b}
	const nodes = 10_000
	paths := make([]string, nodes)
	tr.Lock()
	s.create("/", nil)
	for i := range paths {
		paths[i] = fmt.Sprintf("/node-%07d", i)
		s.create(paths[i], make([]byte, 100))
	}
	tr.Unlock()
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		path := paths[i%nodes]
		tr.Lock()
		n := *tr.Must(path)
		n.Version++
		tr.Put(path, &n)
		tr.Advance(int64(i))
		tr.Unlock()
	}
}
