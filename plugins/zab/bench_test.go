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

// BenchmarkAck is an acknowledgement: on the leader it commits one transaction and tells both followers, on a follower it is sent to the leader when the log is durable.
func BenchmarkAck(b *testing.B) {
	b.Run("stage=ack/role=leading/followers=2", func(b *testing.B) {
		c, links := established(b, 2, false)
		c.tail.limit = 1 << 20
		batch := make([]kernel.Record, 64)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%len(batch) == 0 {
				b.StopTimer()
				for i := range batch {
					batch[i] = kernel.Record{Zxid: c.next + kernel.Zxid(i), Data: make([]byte, 100)}
				}
				e := c.Step(0, kernel.Propose{Batch: batch})
				c.Step(0, kernel.Durable{ID: e.Ordered, Zxid: c.last})
				b.StartTimer()
			}
			z := batch[i%len(batch)].Zxid
			c.Step(0, kernel.Received{Link: links[0], Message: kernel.Message{Type: peer.Ack, Zxid: z}})
			if c.committed != z {
				b.Fatal("not committed")
			}
		}
	})
	b.Run("stage=ack/role=following", func(b *testing.B) {
		c := following()
		b.ReportAllocs()
		for b.Loop() {
			c.last++
			if e := c.Step(0, kernel.Durable{ID: kernel.EffectID{Seq: c.appended}, Zxid: c.last}); len(e.Send) != 1 {
				b.Fatalf("sent %d messages", len(e.Send))
			}
		}
	})
}

// BenchmarkRoute is a client's write from a follower to the leader.
func BenchmarkRoute(b *testing.B) {
	b.Run("stage=route/role=following/size=128", func(b *testing.B) {
		c := following()
		reqs := []*kernel.Request{{Session: 1, Op: 5, Body: make([]byte, 128)}}
		b.ReportAllocs()
		for b.Loop() {
			if e := c.Step(0, kernel.Forward{Requests: reqs}); len(e.Send) != 1 {
				b.Fatalf("sent %d messages", len(e.Send))
			}
		}
	})
}

// following makes a follower that serves.
func following() *Core {
	c := New()
	c.Step(0, kernel.Start{Self: 1, Config: kernel.Ensemble{Voters: []kernel.ServerID{1, 2}}})
	c.role, c.phase, c.epoch, c.last, c.appended = kernel.Following, Broadcasting, 1, kernel.MakeZxid(1, 0), 1
	c.learn.link, c.learn.state, c.learn.cumulative = kernel.LinkID{Peer: 2, Purpose: kernel.ForBroadcast, Incarnation: 1}, attached, true
	return c
}
