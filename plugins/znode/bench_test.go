package znode

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// silent is a connection that only counts, for benchmarks.
type silent struct {
	conn
	replies int
}

func (s *silent) Reply(*kernel.Request, kernel.Reply) { s.replies++ }
func (s *silent) Deliver(kernel.Event)                {}

// request makes a request of this connection.
func (s *silent) request(w wire.Request) *kernel.Request {
	r := s.conn.request(w)
	r.Conn = s
	return r
}

// quiet opens a session on a connection that keeps nothing.
func (d *driver) quiet() *silent {
	c := d.client()
	s := &silent{conn: conn{d: d, session: c.session}}
	d.m.Sessions().Established(c.session, 1e10, s)
	return s
}

const benchBatch = 64

// BenchmarkWrite measures prepare and apply of 128 bytes each, in batches.
func BenchmarkWrite(b *testing.B) {
	data := string(make([]byte, 128))
	for _, kind := range []string{"set", "create"} {
		for _, stage := range []string{"prepare", "apply"} {
			b.Run(fmt.Sprintf("stage=%s/op=%s/batch=%d/size=128", stage, kind, benchBatch), func(b *testing.B) {
				d := newDriver(b, nil)
				s := d.quiet()
				d.m.Apply(d.prepare(s.request(create("/parent", ""))))
				var sets []*kernel.Request
				for i := range benchBatch {
					path := fmt.Sprintf("/parent/node-%d", i)
					d.m.Apply(d.prepare(s.request(create(path, data))))
					sets = append(sets, s.request(set(path, data, -1)))
				}
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; i += benchBatch {
					reqs := sets
					if kind == "create" {
						b.StopTimer()
						reqs = make([]*kernel.Request, 0, benchBatch)
						for j := range benchBatch {
							reqs = append(reqs, s.request(create(fmt.Sprintf("/parent/new-%d-%d", i, j), data)))
						}
						b.StartTimer()
					}
					if stage == "apply" {
						b.StopTimer()
					}
					txns := d.prepare(reqs...)
					if stage == "apply" {
						b.StartTimer()
					} else {
						b.StopTimer()
					}
					d.m.Apply(txns)
					if stage == "prepare" {
						b.StartTimer()
					}
				}
			})
		}
	}
}

func BenchmarkRead(b *testing.B) {
	d := newDriver(b, nil)
	s := d.quiet()
	d.m.Apply(d.prepare(s.request(create("/parent", "")), s.request(create("/parent/node", string(make([]byte, 128))))))
	for _, op := range []wire.OpCode{wire.OpGetData, wire.OpExists, wire.OpGetChildren} {
		b.Run(fmt.Sprintf("stage=read/op=%v/batch=%d/size=128", op, benchBatch), func(b *testing.B) {
			var reqs []*kernel.Request
			for range benchBatch {
				reqs = append(reqs, s.request(get(op, "/parent/node", false)))
			}
			b.ReportAllocs()
			for i := 0; i < b.N; i += benchBatch {
				d.m.Read(reqs)
			}
		})
	}
}

// BenchmarkCloseSession ends sessions with many ephemeral nodes: what matters is the longest time for which others wait.
func BenchmarkCloseSession(b *testing.B) {
	const owned = 100_000
	b.Run(fmt.Sprintf("ephemerals=%d", owned), func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			d := newDriver(b, nil)
			s := d.quiet()
			d.m.Apply(d.prepare(s.request(create("/parent", ""))))
			for i := 0; i < owned; i += 1000 {
				var reqs []*kernel.Request
				for j := range 1000 {
					reqs = append(reqs, s.request(createMode(fmt.Sprintf("/parent/e-%d", i+j), wire.Ephemeral)))
				}
				d.m.Apply(d.prepare(reqs...))
			}
			r := s.request(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})
			b.StartTimer()
			start := time.Now()
			txns := d.prepare(r)
			prepared := time.Now()
			d.m.Apply(txns)
			b.ReportMetric(float64(prepared.Sub(start).Milliseconds()), "prepare-ms")
			b.ReportMetric(float64(time.Since(prepared).Milliseconds()), "apply-ms")
		}
	})
}

// BenchmarkWatchMemory reports what one watch of one connection on one path costs, the path's own bytes included.
func BenchmarkWatchMemory(b *testing.B) {
	for _, conns := range []int{1, 10} {
		b.Run(fmt.Sprintf("connections=%d", conns), func(b *testing.B) {
			d := newDriver(b, nil)
			var all []*silent
			for range conns {
				all = append(all, d.quiet())
			}
			const paths = 50_000
			for range b.N {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				for i := range paths {
					path := fmt.Sprintf("/namespace/node-%08d", i)
					for _, s := range all {
						d.m.watches.add(s, path, watchData)
					}
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(paths*conns), "B/watch")
				for _, s := range all {
					d.m.watches.drop(s)
					d.m.watches.attach(s)
				}
			}
		})
	}
}
