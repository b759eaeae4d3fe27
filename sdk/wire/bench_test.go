package wire

import (
	"testing"
)

var benchOps = []struct {
	name   string
	req    Request
	allocs float64 // per decode: the path's string
	resp   Response
}{
	{"set", Request{Op: Op{Code: OpSetData, Path: "/bench/node-000001", Data: make([]byte, 128), Version: -1}}, 1, Response{Result: Result{Code: OpSetData, Stat: testStat}}},
	{"get", Request{Op: Op{Code: OpGetData, Path: "/bench/node-000001"}}, 1, Response{Result: Result{Code: OpGetData, Data: make([]byte, 128), Stat: testStat}}},
	{"create", Request{Op: Op{Code: OpCreate, Path: "/bench/node-000001", Data: make([]byte, 128), ACL: OpenACL}}, 1, Response{Result: Result{Code: OpCreate, Path: "/bench/node-000001"}}},
}

func TestAllocations(t *testing.T) {
	for _, c := range benchOps {
		body := c.req.AppendTo(nil)
		var r Request
		if n := testing.AllocsPerRun(100, func() { _ = DecodeRequest(c.req.Code, body, &r) }); n > c.allocs {
			t.Errorf("decoding %s allocates %v times, want %v", c.name, n, c.allocs)
		}
		buf := make([]byte, 0, 1024)
		if n := testing.AllocsPerRun(100, func() { buf = c.resp.AppendTo(c.req.AppendTo(buf[:0])) }); n != 0 {
			t.Errorf("encoding %s allocates %v times", c.name, n)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, c := range benchOps {
		body := c.req.AppendTo(nil)
		b.Run("stage=decode/op="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			var r Request
			for b.Loop() {
				if err := DecodeRequest(c.req.Code, body, &r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("stage=encode/op="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf = c.req.AppendTo(buf[:0])
			}
		})
	}
}

func BenchmarkResponse(b *testing.B) {
	for _, c := range benchOps {
		body := c.resp.AppendTo(nil)
		b.Run("stage=decode/op="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			var r Response
			for b.Loop() {
				if err := DecodeResponse(c.resp.Code, body, &r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("stage=encode/op="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf = c.resp.AppendTo(buf[:0])
			}
		})
	}
}
