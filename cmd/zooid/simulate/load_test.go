package simulate

import (
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
	"github.com/zooid-project/zooid/sdk/wire"
)

// costs counts what writes cost whole servers beside time: packets between them, by type, and syncs of their disks.
type costs struct {
	story *story
	sent  map[route]map[int32]int
	syncs map[kernel.ServerID]int // of before
}

// route is from one server to another.
type route struct{ from, to kernel.ServerID }

// counted counts what the servers of a story do from their start on.
func (s *story) counted() *costs {
	c := &costs{story: s}
	s.bug.wrap = func(_ *run, env kernel.Env, p *kernel.Parts) {
		p.Broadcast = &countedBroadcast{p.Broadcast, env.Server, c}
	}
	c.reset()
	return c
}

func (c *costs) reset() {
	c.sent, c.syncs = map[route]map[int32]int{}, map[kernel.ServerID]int{}
	for _, s := range c.story.w.Servers() {
		c.syncs[s.ID()] = s.Syncs()
	}
}

// synced is how often a server's disk has synced since the reset.
func (c *costs) synced(id kernel.ServerID) int { return c.story.w.Server(id).Syncs() - c.syncs[id] }

type countedBroadcast struct {
	kernel.Broadcast
	self  kernel.ServerID
	costs *costs
}

func (b *countedBroadcast) Step(now time.Duration, in ...kernel.Input) *kernel.Effects {
	e := b.Broadcast.Step(now, in...)
	for i := range e.Send {
		way := route{b.self, e.Send[i].Link.Peer}
		if b.costs.sent[way] == nil {
			b.costs.sent[way] = map[int32]int{}
		}
		b.costs.sent[way][e.Send[i].Message.Type]++
	}
	return e
}

// loaded is three voters, the third of which leads, and an observer, in a log that needs no second file: making one costs syncs of its own.
func loaded(t *testing.T) (*story, *costs) {
	s := tell(t, 3, 1)
	s.segment = "4MiB"
	c := s.counted()
	s.start(1, 2, 3, 4)
	s.leads(3)
	s.serves(1, 2, 3, 4)
	return s, c
}

// TestLoadIsBatched counts packets and syncs of whole servers under the load of many clients that write one after the other: both go by batches, not by writes (DESIGN, The hot write path).
func TestLoadIsBatched(t *testing.T) {
	const clients, each = 200, 20
	s, c := loaded(t)
	var all []*client
	for i := range clients {
		all = append(all, s.client(kernel.ServerID(1+i%4)))
	}
	s.do(all[0], create("/a"))
	s.serves(1, 2, 3, 4)
	c.reset()
	left := 0
	for _, client := range all {
		left += each
		more := each
		var act func()
		act = func() {
			if len(client.flight) == 0 && more > 0 {
				more, left = more-1, left-1
				client.ask(wire.Request{Op: wire.Op{Code: wire.OpSetData, Path: "/a", Data: make([]byte, 100), Version: -1}})
			}
			if more > 0 || len(client.flight) > 0 {
				s.w.After(500*time.Microsecond, act)
			} else {
				left--
			}
		}
		left++
		act()
	}
	s.until("all writes are answered", func() bool { return left == 0 })
	s.serves(1, 2, 3, 4)

	const writes = clients * each
	batches := c.sent[route{3, 1}][peer.Proposals]
	for id := kernel.ServerID(1); id <= 4; id++ {
		t.Logf("server %d: %d syncs for %d writes in %d batches", id, c.synced(id), writes, batches)
		if c.synced(id) > batches || c.synced(id) > writes/8 {
			t.Errorf("server %d has synced %d times for %d writes in %d batches", id, c.synced(id), writes, batches)
		}
		if id == 3 {
			continue
		}
		down, up := c.sent[route{3, id}], c.sent[route{id, 3}]
		data, commits := down[peer.Proposals], down[peer.Commit]
		if id == 4 {
			data, commits = down[peer.Informs], 0
		}
		t.Logf("server %d: %d packets with transactions, %d commits, %d acknowledgements", id, data, commits, up[peer.Ack])
		if data == 0 || data > batches || commits > batches || up[peer.Ack] > batches {
			t.Errorf("server %d: more packets than batches", id)
		}
		if single := down[peer.Proposal] + down[peer.Inform]; single != 0 {
			t.Errorf("server %d: %d transactions in packets of their own", id, single)
		}
		if all := data + commits + up[peer.Ack]; all >= writes/2 {
			t.Errorf("server %d: %d packets for %d writes", id, all, writes)
		}
	}
	s.finish()
}

// TestLoneWriteSyncsOnce: the write of a lone client costs each server one sync, and each learner one packet with the write, whichever server its client is at.
func TestLoneWriteSyncsOnce(t *testing.T) {
	s, c := loaded(t)
	for id := kernel.ServerID(1); id <= 4; id++ {
		client := s.client(id)
		s.until("what it asks for by itself is answered", func() bool { return len(client.flight) == 0 })
		s.serves(1, 2, 3, 4)
		const writes = 10
		c.reset()
		for range writes {
			s.write(client, 1)
			s.serves(1, 2, 3, 4)
		}
		for x := kernel.ServerID(1); x <= 4; x++ {
			if c.synced(x) != writes {
				t.Errorf("client at server %d: server %d has synced %d times for %d writes", id, x, c.synced(x), writes)
			}
		}
		for _, x := range []kernel.ServerID{1, 2} {
			down, up := c.sent[route{3, x}], c.sent[route{x, 3}]
			if got := down[peer.Proposals] + down[peer.Proposal]; got != writes || down[peer.Commit] != writes || up[peer.Ack] != writes {
				t.Errorf("client at server %d: server %d gets %d proposals and %d commits, and acknowledges %d times, for %d writes", id, x, got, down[peer.Commit], up[peer.Ack], writes)
			}
		}
		if got := c.sent[route{3, 4}][peer.Informs] + c.sent[route{3, 4}][peer.Inform]; got != writes {
			t.Errorf("client at server %d: the observer gets %d packets for %d writes", id, got, writes)
		}
	}
	s.finish()
}
