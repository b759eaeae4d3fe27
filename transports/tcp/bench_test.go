package tcp

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// counting is a sink that counts and wakes whoever waits for a number.
type counting struct {
	links    chan kernel.LinkID
	received atomic.Int64
	want     atomic.Int64
	reached  chan struct{}
}

func newCounting() *counting {
	return &counting{links: make(chan kernel.LinkID, 10), reached: make(chan struct{}, 1)}
}

func (c *counting) LinkUp(link kernel.LinkID, _ bool) { c.links <- link }
func (c *counting) LinkDown(kernel.LinkID, error)     {}
func (c *counting) LinkFlushed(kernel.LinkID)         {}
func (c *counting) Received(kernel.LinkID, kernel.Message) {
	if c.received.Add(1) == c.want.Load() {
		c.reached <- struct{}{}
	}
}

// BenchmarkLink sends proposals over loopback, depth of them under way, and takes an ACK for each batch of them.
func BenchmarkLink(b *testing.B) {
	for _, size := range []int{100, 1000} {
		for _, depth := range []int{1, 100, 1000} {
			b.Run(fmt.Sprintf("size=%d/depth=%d", size, depth), func(b *testing.B) {
				one, two, near, far := benchPair(b)
				msg := kernel.Message{Type: peer.Proposal, Payload: make([]byte, size)}
				ack := kernel.Message{Type: peer.Ack}
				b.SetBytes(int64(size * depth))
				b.ReportAllocs()
				for b.Loop() {
					two.sink.want.Store(two.sink.received.Load() + int64(depth))
					one.sink.want.Store(one.sink.received.Load() + 1)
					for range depth {
						one.Send(near, msg)
					}
					<-two.sink.reached
					two.Send(far, ack)
					<-one.sink.reached
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*depth), "ns/message")
			})
		}
	}
}

type benched struct {
	*Transport
	sink *counting
}

func benchPair(b *testing.B) (one, two *benched, near, far kernel.LinkID) {
	quiet := slog.New(slog.DiscardHandler)
	var members []kernel.Member
	for id := kernel.ServerID(1); id <= 2; id++ {
		p := ports(b, 2)
		members = append(members, line(id, p[0], p[1]))
	}
	var all [2]*benched
	for i := range all {
		sink := newCounting()
		all[i] = &benched{New(kernel.ServerID(i+1), sink, Settings{}, quiet), sink}
		b.Cleanup(func() { all[i].Close() })
		all[i].Configure(members)
		if err := all[i].Listen(); err != nil {
			b.Fatal(err)
		}
	}
	one, two = all[0], all[1]
	one.Dial(2, kernel.ForBroadcast)
	near = <-one.sink.links
	two.sink.want.Store(1)
	one.Send(near, hello(1))
	far = <-two.sink.links
	<-two.sink.reached
	return one, two, near, far
}
