package tree

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// maker makes nodes, one to a transaction.
type maker struct {
	*Tree
	zxid int64
}

// create makes one node, as one transaction. Lock held.
func (s *maker) create(path string, data []byte) {
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

// BenchmarkGet is a hit: the lock's read side, once for the burst, a look-up by path and the mark.
func BenchmarkGet(b *testing.B) {
	for _, nodes := range []int{1000, 200_000} {
		b.Run(fmt.Sprint("nodes=", nodes), func(b *testing.B) {
			tr := open(b, openPebble(b, vfs.NewMem()), Options{DirtyBytes: 1 << 30})
			s := &maker{Tree: tr}
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
	s := &maker{Tree: tr}
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
