package zab

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// TestLoadIsBatched counts what a write costs under load, between servers of Zooid and with servers of ZooKeeper's as followers: packets, appends and saved words (DESIGN, The hot write path).
func TestLoadIsBatched(t *testing.T) {
	const batches, size = 50, 100
	for _, kind := range []struct {
		name    string
		plain   bool
		packets int // sent by the leader to each follower, for all batches
	}{
		{"zooid", false, 2 * batches}, // PROPOSALS and COMMIT
		{"zookeeper", true, 2 * batches * size},
	} {
		t.Run(kind.name, func(t *testing.T) {
			c, links := established(t, 2, kind.plain)
			sent, appends, saves := map[kernel.LinkID]int{}, 0, 0
			step := func(in ...kernel.Input) *kernel.Effects {
				e := c.Step(0, in...)
				for i := range e.Send {
					sent[e.Send[i].Link]++
				}
				if len(e.Append) > 0 {
					appends++
				}
				if e.SaveWords != nil {
					saves++
				}
				return e
			}
			for range batches {
				batch := make([]kernel.Record, size)
				for i := range batch {
					batch[i] = kernel.Record{Zxid: c.next + kernel.Zxid(i), Data: []byte("data")}
				}
				id := step(kernel.Propose{Batch: batch}).Ordered
				step(kernel.Durable{ID: id, Zxid: c.last})
				if !kind.plain {
					step(kernel.Received{Link: links[0], Message: kernel.Message{Type: peer.Ack, Zxid: c.last}}, kernel.Received{Link: links[1], Message: kernel.Message{Type: peer.Ack, Zxid: c.last}})
					continue
				}
				for i := range batch {
					for _, link := range links {
						step(kernel.Received{Link: link, Message: kernel.Message{Type: peer.Ack, Zxid: batch[i].Zxid}})
					}
				}
			}
			if c.committed != kernel.MakeZxid(1, batches*size) {
				t.Fatalf("committed %s", c.committed)
			}
			for _, link := range links {
				if sent[link] != kind.packets {
					t.Errorf("%d packets to server %d for %d writes, want %d", sent[link], link.Peer, batches*size, kind.packets)
				}
			}
			if appends != batches || saves != 0 {
				t.Errorf("%d appends and %d saved words for %d batches", appends, saves, batches)
			}
		})
	}
}

// TestFollowerAcknowledgesOnce: a follower answers what has queued with one append and one ACK.
func TestFollowerAcknowledgesOnce(t *testing.T) {
	c := New()
	link := kernel.LinkID{Peer: 1, Purpose: kernel.ForBroadcast, Incarnation: 1}
	step := func(in ...kernel.Input) *kernel.Effects {
		e := c.Step(0, in...)
		for e.SaveWords != nil {
			e = c.Step(0, kernel.WordsSaved{ID: e.SaveWords.ID})
		}
		return e
	}
	receive := func(m kernel.Message) kernel.Input { return kernel.Received{Link: link, Message: m} }
	step(kernel.Start{Self: 2, Config: kernel.Ensemble{Voters: []kernel.ServerID{1, 2, 3}}})
	step(kernel.Elected{Leader: 1, Role: kernel.Following})
	step(kernel.LinkIsUp{Link: link})
	step(receive(kernel.Message{Type: peer.LeaderInfo, Zxid: kernel.MakeZxid(1, 0), Payload: peer.AppendLeaderInfo(nil, capabilities)}))
	step(receive(kernel.Message{Type: peer.Diff}), receive(kernel.Message{Type: peer.NewLeader, Zxid: kernel.MakeZxid(1, 0)}))
	step(receive(kernel.Message{Type: peer.UpToDate, Zxid: -1}))
	var in []kernel.Input
	for z := kernel.MakeZxid(1, 1); z <= kernel.MakeZxid(1, 100); z += 10 {
		m := kernel.Message{Type: peer.Proposals, Zxid: z + 9}
		for i := range kernel.Zxid(10) {
			m.Payload = peer.AppendItem(m.Payload, z+i, []byte("data"))
		}
		in = append(in, receive(m))
	}
	e := step(in...)
	if len(e.Append) != 100 || e.Ordered == (kernel.EffectID{}) || len(e.Send) != 0 {
		t.Fatalf("%d appended, %d packets", len(e.Append), len(e.Send))
	}
	e = step(kernel.Durable{ID: e.Ordered, Zxid: kernel.MakeZxid(1, 100)})
	if len(e.Send) != 1 || e.Send[0].Message.Type != peer.Ack || e.Send[0].Message.Zxid != kernel.MakeZxid(1, 100) {
		t.Fatalf("answered with %d packets", len(e.Send))
	}
}
