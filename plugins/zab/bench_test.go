package zab

import (
	"fmt"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// established makes a leader with serving followers 2 and up, and returns their links.
func established(tb testing.TB, followers int, plain bool) (*Core, []kernel.LinkID) {
	c := New()
	config := kernel.Ensemble{Voters: []kernel.ServerID{1}}
	caps := capabilities
	if plain {
		caps = peer.Capabilities{}
	}
	var links []kernel.LinkID
	for i := range followers {
		id := kernel.ServerID(i + 2)
		config.Voters = append(config.Voters, id)
		links = append(links, kernel.LinkID{Peer: id, Purpose: kernel.ForBroadcast, Incarnation: uint64(id)})
	}
	step := func(in ...kernel.Input) {
		for e := c.Step(0, in...); e.SaveWords != nil; {
			e = c.Step(0, kernel.WordsSaved{ID: e.SaveWords.ID})
		}
	}
	step(kernel.Start{Self: 1, Config: config})
	step(kernel.Elected{Leader: 1, Role: kernel.Leading})
	for _, link := range links {
		info := peer.LearnerInfo{Server: link.Peer, Version: peer.ProtocolVersion, Capabilities: caps}
		step(kernel.LinkIsUp{Link: link, Accepted: true}, kernel.Received{Link: link, Message: kernel.Message{Type: peer.FollowerInfo, Payload: info.AppendTo(nil)}})
	}
	for _, link := range links {
		step(kernel.Received{Link: link, Message: kernel.Message{Type: peer.AckEpoch, Payload: peer.AppendAckEpoch(nil, 0)}})
	}
	for _, link := range links {
		step(kernel.Received{Link: link, Message: kernel.Message{Type: peer.Ack, Zxid: kernel.MakeZxid(1, 0)}})
	}
	if _, _, ok := c.Position(); !ok {
		tb.Fatalf("not established: %s", c.phase)
	}
	return c, links
}

// BenchmarkPropose is a batch through the leader's core: proposed, acknowledged, committed.
func BenchmarkPropose(b *testing.B) {
	for _, followers := range []int{0, 1, 2} {
		b.Run(fmt.Sprintf("stage=propose/batch=64/followers=%d", followers), func(b *testing.B) {
			c, links := established(b, followers, false)
			c.tail.limit = 1 << 20
			batch := make([]kernel.Record, 64)
			data := make([]byte, 100)
			b.ReportAllocs()
			for b.Loop() {
				for i := range batch {
					batch[i] = kernel.Record{Zxid: c.next + kernel.Zxid(i), Data: data}
				}
				e := c.Step(0, kernel.Propose{Batch: batch})
				if e.Refused {
					b.Fatal("refused")
				}
				c.Step(0, kernel.Durable{ID: e.Ordered, Zxid: c.last})
				for _, link := range links {
					c.Step(0, kernel.Received{Link: link, Message: kernel.Message{Type: peer.Ack, Zxid: c.last}})
				}
				if c.committed != c.last {
					b.Fatal("not committed")
				}
			}
		})
	}
}
