package zookeeper

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// discardConn is a socket that takes everything.
type discardConn struct{ net.Conn }

func (discardConn) Write(b []byte) (int, error)      { return len(b), nil }
func (discardConn) Close() error                     { return nil }
func (discardConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (discardConn) SetReadDeadline(time.Time) error  { return nil }
func (discardConn) SetWriteDeadline(time.Time) error { return nil }

// benchConn is a served connection without a reader.
func benchConn(b *testing.B, n *fakeNode) *conn {
	g := startGateway(b, n, nil)
	c := newConn(g, discardConn{}, "127.0.0.1", false)
	c.session.Store(1)
	n.sessions[1] = &fakeSession{conn: c}
	c.phase = phaseServing
	c.timeout = time.Minute
	return c
}

// Decode allocates the path string and, in a create, the strings of unusual ACLs: what the machine keeps. Everything else is used again.
func BenchmarkDecode(b *testing.B) {
	for name, req := range map[string]wire.Request{
		"get":    {Op: wire.Op{Code: wire.OpGetData, Path: "/bench/node-000123"}},
		"set":    {Op: wire.Op{Code: wire.OpSetData, Path: "/bench/node-000123", Data: make([]byte, 128), Version: -1}},
		"create": {Op: wire.Op{Code: wire.OpCreate, Path: "/bench/node-000123", Data: make([]byte, 128), ACL: wire.OpenACL}},
		"ping":   {Op: wire.Op{Code: wire.OpPing}},
	} {
		b.Run("stage=decode/op="+name, func(b *testing.B) {
			n := newFakeNode(b)
			c := benchConn(b, n)
			payload := protocoltest.Request(1, req)[4:]
			b.ReportAllocs()
			for b.Loop() {
				bu := burst{touched: true, alive: true}
				if err := c.decode(&bu, payload, false); err != nil {
					b.Fatal(err)
				}
				if bu.first != nil {
					bu.first.recycle()
				}
			}
		})
	}
}

// Reply copies the answer into the output and writes a burst of 16 at once.
func BenchmarkReply(b *testing.B) {
	for counted, stages := range countedOrNot {
		b.Run("stage=reply/burst=16/size=200/counted="+counted, func(b *testing.B) { benchmarkReply(b, stages()) })
	}
}

// countedOrNot is who observes the stages: nobody, or the counters that a server has unless it is told otherwise.
var countedOrNot = map[string]func() *kernel.StageObserver{
	"no":  func() *kernel.StageObserver { return nil },
	"yes": func() *kernel.StageObserver { return kernel.NewStageObserver(nil) },
}

func benchmarkReply(b *testing.B, stages *kernel.StageObserver) {
	n := newFakeNode(b)
	n.stages = stages
	c := benchConn(b, n)
	body := make([]byte, 200)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := newRequest()
		r.Request = kernel.Request{Cxid: int32(i), Op: int32(wire.OpSetData), Conn: c}
		r.kind = kindWrite
		c.mu.Lock()
		c.queue.append(r, r, 1)
		c.queue.ready = nil
		c.queue.running++
		c.queue.reading = true // the writer is this goroutine
		c.mu.Unlock()
		c.Reply(&r.Request, kernel.Reply{Zxid: 1, Body: body})
		if i%16 == 15 {
			c.mu.Lock()
			c.queue.reading = false
			c.drive()
			c.mu.Unlock()
		}
	}
}

// BenchmarkServe measures a whole request over loopback, the client included: 64 connections with 16 reads or writes in flight each, over a machine that costs next to nothing.
func BenchmarkServe(b *testing.B) {
	for name, req := range map[string]wire.Request{
		"get": {Op: wire.Op{Code: wire.OpGetData, Path: "/bench"}},
		"set": {Op: wire.Op{Code: wire.OpSetData, Path: "/bench", Data: make([]byte, 128), Version: -1}},
	} {
		for _, inflight := range []int{1, 16} {
			b.Run(fmt.Sprintf("op=%s/conns=64/inflight=%d", name, inflight), func(b *testing.B) {
				n := newFakeNode(b)
				n.stages = kernel.NewStageObserver(nil) // as in a server that nothing else was said to
				n.nodes["/bench"] = make([]byte, 128)
				addr := clientAddr(startGateway(b, n, nil))
				var raws []*protocoltest.Raw
				for range 64 {
					raws = append(raws, protocoltest.Connect(b, addr))
				}
				var burst []byte
				for i := range inflight {
					burst = append(burst, protocoltest.Request(int32(i), req)...)
				}
				b.ReportAllocs()
				b.ResetTimer()
				var wg sync.WaitGroup
				rounds := b.N/(64*inflight) + 1
				for _, r := range raws {
					r.Conn.SetDeadline(time.Time{})
					wg.Go(func() {
						in := bufio.NewReader(r.Conn)
						var head [4]byte
						for range rounds {
							r.Conn.Write(burst)
							for range inflight {
								io.ReadFull(in, head[:])
								in.Discard(int(binary.BigEndian.Uint32(head[:])))
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(rounds*64*inflight)/b.Elapsed().Seconds(), "ops/s")
			})
		}
	}
}

// BenchmarkIdle reports what an idle connection costs: heap and stack of the process, this client's end included.
func BenchmarkIdle(b *testing.B) {
	n := newFakeNode(b)
	g := startGateway(b, n, nil)
	addr := clientAddr(g)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		const count = 2000
		var conns []net.Conn
		connect := protocoltest.FrameOf((&wire.ConnectRequest{TimeoutMs: 40000, Password: make([]byte, 16)}).AppendTo(nil))
		ping := protocoltest.Encode(-2, wire.OpPing, nil)
		get := protocoltest.Request(1, getData("/", false))
		for range count {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			conns = append(conns, c)
			c.Write(connect)
			io.ReadFull(c, make([]byte, 40))
			c.Write(append(ping, get...))
			io.ReadFull(c, make([]byte, 20+20+4+68))
		}
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/count, "heap-bytes/conn")
		b.ReportMetric(float64(int64(after.StackInuse)-int64(before.StackInuse))/count, "stack-bytes/conn")
		for _, c := range conns {
			c.Close()
		}
	}
}
