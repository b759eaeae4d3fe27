package zab

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// FuzzStep gives a core arbitrary packets on arbitrary links, and completions in any order. It must not panic, append out of order, or say that anything is durable, committed or applied that is
// not; and whatever a peer does costs its link at most.
func FuzzStep(f *testing.F) {
	// A follower and a leader that come to serve.
	f.Add([]byte{1, 0, 8, 2, 1, 2, 0, 1, 2, 1, 17, 1, 0, 1, 0, 6, 2, 1, 13, 0, 0, 4, 2, 1, 2, 1, 1, 4, 0, 6, 0, 6, 2, 1, 10, 1, 0, 3, 0, 6, 2, 1, 12, 0, 0, 3, 2, 1, 2, 1, 2, 4, 0, 6, 2, 1, 4, 1, 2, 3}, []byte("data"))
	f.Add([]byte{1, 0, 8, 1, 2, 2, 0, 0, 2, 1, 11, 0, 0, 0, 0, 6, 2, 1, 18, 0, 0, 2, 1, 0, 6, 2, 1, 3, 1, 0, 3, 0, 9, 3, 0, 6, 2, 1, 3, 1, 3, 3, 0, 10, 0, 3, 0, 0, 3, 1, 11, 0, 0, 0, 3, 1, 18, 0, 0, 2, 1, 0, 6, 0, 6}, []byte{})
	f.Add([]byte{1, 0, 8, 2, 1, 2, 0, 1, 2, 1, 17, 1, 0, 1, 0, 6, 2, 1, 67, 0, 9, 4, 0, 6, 0, 6, 2, 1, 10, 1, 0, 3, 0, 6}, []byte{})
	f.Fuzz(func(t *testing.T, script, payload []byte) {
		c := NewCore(Settings{InitLimit: 2, SyncLimit: 1, TailBytes: 200})
		c.limit, c.roll = 40, 30
		config := kernel.Ensemble{Voters: []kernel.ServerID{1, 2, 3}, Others: []kernel.ServerID{4}}
		next := func() int {
			if len(script) == 0 {
				return 0
			}
			b := script[0]
			script = script[1:]
			return int(b)
		}
		// What the disk was asked for, in order; how far it has come is the script's.
		var pending []kernel.Input
		var log, synced kernel.Zxid
		changes := map[kernel.EffectID]kernel.Zxid{} // truncations and restorations under way, and where the log ends when they are done
		now := time.Duration(0)
		step := func(in ...kernel.Input) {
			now += 10 * time.Millisecond
			applied := c.applied
			e := c.Step(now, in...)
			if e.Fatal != nil && strings.Contains(e.Fatal.Error(), "bug") {
				t.Fatal(e.Fatal)
			}
			for i := range e.Append {
				if !follows(log, e.Append[i].Zxid) {
					t.Fatalf("appends %s behind %s", e.Append[i].Zxid, log)
				}
				log = e.Append[i].Zxid
			}
			if len(e.Append) > 0 {
				pending = append(pending, kernel.Durable{ID: e.Ordered, Zxid: log})
			}
			if e.SaveWords != nil {
				if _, err := decodeWords(e.SaveWords.Words); err != nil {
					t.Fatal(err)
				}
				pending = append(pending, kernel.WordsSaved{ID: e.SaveWords.ID})
			}
			if e.Truncate != nil {
				changes[e.Truncate.ID] = e.Truncate.To
				pending = append(pending, kernel.Truncated{ID: e.Truncate.ID})
			}
			if e.Restore != nil {
				changes[e.Restore.ID] = e.Restore.Zxid
				pending = append(pending, kernel.Restored{ID: e.Restore.ID})
			}
			for _, r := range e.ReadLog {
				pending = append(pending, kernel.LogRead{ID: r.ID, Done: true, Records: []kernel.Record{{Zxid: r.From}}})
			}
			for _, s := range e.Snapshots {
				pending = append(pending, kernel.SnapshotBegun{ID: s.ID, Zxid: c.applied})
			}
			for _, l := range e.Flush {
				pending = append(pending, kernel.LinkFlushed{Link: l})
			}
			if e.Commit != 0 && (e.Commit > synced || e.Commit < applied && e.Role == nil) {
				t.Fatalf("commits %s with %s synced and %s applied", e.Commit, synced, applied)
			}
			// What a change under way takes away may still count as durable, but nobody is told so.
			if c.durable > synced && len(changes) == 0 {
				t.Fatalf("takes %s for durable, %s is", c.durable, synced)
			}
			for _, s := range e.Send {
				if m := s.Message; m.Type == peer.Ack && m.Zxid > synced && m.Zxid.Counter() != 0 {
					t.Fatalf("acknowledges %s, %s is durable", m.Zxid, synced)
				}
			}
		}
		step(kernel.Start{Self: 1, Config: config, Empty: next()%2 == 0})
		for len(script) > 0 {
			link := kernel.LinkID{Peer: kernel.ServerID(next() % 6), Purpose: kernel.ForBroadcast}
			link.Incarnation = uint64(link.Peer)
			switch op := next() % 12; op {
			case 0:
				step(kernel.LinkIsUp{Link: link, Accepted: next()%2 == 0})
			case 1, 2, 3, 4:
				m := kernel.Message{Type: int32(next() % 70), Zxid: kernel.MakeZxid(kernel.Epoch(next()%5), uint32(next()%20)), Payload: payload}
				switch next() % 5 {
				case 0:
					info := peer.LearnerInfo{Server: link.Peer, Version: peer.ProtocolVersion, Capabilities: capabilities}
					m.Payload = info.AppendTo(nil)
				case 1:
					m.Payload = peer.AppendLeaderInfo(nil, capabilities)
				case 2:
					m.Payload = peer.AppendAckEpoch(nil, kernel.Epoch(next()%4-1))
				case 3:
					m.Payload = nil
				}
				if m.Type == peer.Snap || m.Type == peer.ChunkedSnap {
					m.Body = strings.NewReader("")
				}
				step(kernel.Received{Link: link, Message: m})
			case 5:
				step(kernel.LinkIsDown{Link: link, Err: errors.New("down")})
			case 6:
				if len(pending) > 0 {
					in := pending[0]
					pending = pending[1:]
					switch in := in.(type) {
					case kernel.Durable:
						synced = max(synced, in.Zxid)
					case kernel.Truncated:
						log, synced = changes[in.ID], min(synced, changes[in.ID])
						delete(changes, in.ID)
					case kernel.Restored:
						log, synced = changes[in.ID], changes[in.ID]
						delete(changes, in.ID)
					}
					step(in)
				}
			case 7:
				step(kernel.Tick{Half: next()%2 == 0})
			case 8:
				step(kernel.Elected{Leader: kernel.ServerID(next() % 4), Role: kernel.Role(next() % 4)})
			case 9:
				_, z, _ := c.Position()
				batch := make([]kernel.Record, next()%4)
				for i := range batch {
					batch[i].Zxid = z + kernel.Zxid(i)
				}
				step(kernel.Propose{Batch: batch})
			case 10:
				step(kernel.AskBarrier{ID: 1, Request: &kernel.Request{From: kernel.ServerID(next() % 3)}})
			case 11:
				step(kernel.Retire{})
			}
		}
	})
}
