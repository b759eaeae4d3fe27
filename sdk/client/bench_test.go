package client

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/zooid-project/zooid/sdk/wire"
)

// echoServer answers everything at once with the same stat, so that what is measured is the client.
func echoServer(b *testing.B) (addr string) {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		br, bw := bufio.NewReaderSize(nc, 64<<10), bufio.NewWriterSize(nc, 64<<10)
		if _, err := readFrame(br); err != nil {
			return
		}
		frame, start := wire.StartFrame(nil)
		frame = (&wire.ConnectResponse{TimeoutMs: 10000, SessionID: 1, HasReadOnly: true}).AppendTo(frame)
		wire.FinishFrame(frame, start)
		_, _ = bw.Write(frame)
		bw.Flush()
		in := make([]byte, 64<<10)
		for {
			if _, err := io.ReadFull(br, in[:4]); err != nil {
				return
			}
			n := binary.BigEndian.Uint32(in)
			if _, err := io.ReadFull(br, in[:n]); err != nil {
				return
			}
			frame, start = wire.StartFrame(frame[:0])
			h := wire.ReplyHeader{Xid: int32(binary.BigEndian.Uint32(in)), Zxid: 1}
			frame = h.AppendTo(frame)
			if wire.OpCode(binary.BigEndian.Uint32(in[4:])) == wire.OpSetData {
				frame = (&wire.Stat{}).AppendTo(frame)
			}
			wire.FinishFrame(frame, start)
			_, _ = bw.Write(frame)
			if br.Buffered() == 0 {
				bw.Flush()
			}
		}
	}()
	return ln.Addr().String()
}

func BenchmarkClient(b *testing.B) {
	ctx := context.Background()
	data := make([]byte, 128)
	b.Run("form=async/op=set/inflight=64", func(b *testing.B) {
		c, err := Dial(ctx, echoServer(b), Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close(ctx)
		b.ReportAllocs()
		req := &wire.Request{Op: SetOp("/bench/node-000001", data, AnyVersion)}
		slots := make(chan struct{}, 64)
		done := func(r Reply) {
			if r.Err != nil {
				b.Error(r.Err)
			}
			<-slots
		}
		for b.Loop() {
			slots <- struct{}{}
			c.Go(req, done)
		}
		for range cap(slots) {
			slots <- struct{}{}
		}
	})
	b.Run("form=sync/op=set/goroutines=64", func(b *testing.B) {
		c, err := Dial(ctx, echoServer(b), Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close(ctx)
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := c.Set(ctx, "/bench/node-000001", data, AnyVersion); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
