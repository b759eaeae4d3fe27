package kernel_test

import (
	"encoding/binary"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/zooid-project/zooid/kernel"
)

// raftCore shows that kernel.Broadcast carries a protocol that it was not cut for: a raft.RawNode. What raft wants on disk becomes Append, Truncate and
// SaveWords; what must wait for it waits for their completions; term and index travel in Record.Meta. It is a proof, not a plugin.
type raftCore struct {
	id      uint64
	node    *raft.RawNode
	storage *raft.MemoryStorage
	ready   raft.Ready
	pending int // completions that the outstanding Ready waits for
	busy    bool
	seq     uint64
	base    map[uint64]uint64 // term -> index before its first entry
	last    uint64            // index of the last record appended
	leading bool
	out     kernel.Effects
}

var _ kernel.Broadcast = (*raftCore)(nil)

func newRaftCore(t *testing.T, id uint64, peers []uint64) *raftCore {
	storage := raft.NewMemoryStorage()
	if err := storage.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		ConfState: &raftpb.ConfState{Voters: peers}, Index: proto.Uint64(1), Term: proto.Uint64(1)}}); err != nil {
		t.Fatal(err)
	}
	node, err := raft.NewRawNode(&raft.Config{ID: id, ElectionTick: 10, HeartbeatTick: 1, Storage: storage, Applied: 1,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, Logger: silent{}, ReadOnlyOption: raft.ReadOnlySafe})
	if err != nil {
		t.Fatal(err)
	}
	return &raftCore{id: id, node: node, storage: storage, base: map[uint64]uint64{}, last: 1}
}

// Position implements kernel.Broadcast: the next entry of the leader's term.
func (c *raftCore) MayChange(kernel.Ensemble) error { return kernel.ErrChanging }

func (c *raftCore) Position() (kernel.Epoch, kernel.Zxid, bool) {
	term := c.node.BasicStatus().GetTerm()
	base, known := c.base[term]
	if !c.leading || !known {
		return 0, 0, false
	}
	return kernel.Epoch(term), kernel.MakeZxid(kernel.Epoch(term), uint32(c.last-base)+1), true
}

// Step implements kernel.Broadcast.
func (c *raftCore) Step(_ time.Duration, in ...kernel.Input) *kernel.Effects {
	c.out.Clear()
	for _, i := range in {
		switch i := i.(type) {
		case kernel.Tick:
			c.node.Tick()
		case kernel.Elected:
			if i.Leader == kernel.ServerID(c.id) {
				c.fatal(c.node.Campaign())
			}
		case kernel.Received:
			m := &raftpb.Message{}
			c.fatal(proto.Unmarshal(i.Message.Payload, m))
			c.fatal(c.node.Step(m))
		case kernel.Propose:
			for _, r := range i.Batch {
				if err := c.node.Propose(r.Data); err != nil {
					c.out.Refused = true
				}
			}
		case kernel.AskBarrier:
			c.node.ReadIndex(binary.BigEndian.AppendUint64(nil, i.ID))
		case kernel.Durable, kernel.WordsSaved, kernel.Truncated:
			c.completed()
		}
	}
	c.take()
	return &c.out
}

func (c *raftCore) fatal(err error) {
	if err != nil {
		panic(err)
	}
}

// take turns the next Ready into effects. While one waits for the disk there is no other: RawNode's rule.
func (c *raftCore) take() {
	for !c.busy && c.node.HasReady() {
		c.ready = c.node.Ready()
		c.busy = true
		if st := c.ready.SoftState; st != nil {
			c.leading = st.RaftState == raft.StateLeader
			role := kernel.Following
			if c.leading {
				role = kernel.Leading
			}
			c.out.Role = &kernel.RoleChange{Role: role, Leader: kernel.ServerID(st.Lead), Established: st.Lead != 0}
		}
		if !raft.IsEmptyHardState(c.ready.HardState) {
			words, err := proto.Marshal(c.ready.HardState)
			c.fatal(err)
			c.out.SaveWords = &kernel.SaveWords{ID: c.effect(), Words: words}
			c.pending++
		}
		if entries := c.ready.Entries; len(entries) > 0 {
			if first := entries[0].GetIndex(); first <= c.last {
				term, err := c.storage.Term(first - 1)
				c.fatal(err)
				c.out.Truncate = &kernel.TruncateLog{ID: c.effect(), To: c.zxid(term, first-1)}
				c.pending++
			}
			for _, e := range entries {
				if _, known := c.base[e.GetTerm()]; !known {
					c.base[e.GetTerm()] = e.GetIndex() - 1
				}
				meta := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, e.GetTerm()), e.GetIndex())
				c.out.Append = append(c.out.Append, kernel.Record{Zxid: c.zxid(e.GetTerm(), e.GetIndex()), Meta: meta, Data: e.Data})
				c.last = e.GetIndex()
			}
			c.out.Ordered = c.effect()
			c.pending++
		}
		if c.pending == 0 {
			c.finish()
		}
	}
}

func (c *raftCore) completed() {
	if c.pending--; c.pending == 0 {
		c.finish()
	}
}

// finish does what had to wait for the disk: raft's messages, commits and read states.
func (c *raftCore) finish() {
	if !raft.IsEmptyHardState(c.ready.HardState) {
		c.fatal(c.storage.SetHardState(c.ready.HardState))
	}
	c.fatal(c.storage.Append(c.ready.Entries))
	for _, m := range c.ready.Messages {
		payload, err := proto.Marshal(m)
		c.fatal(err)
		c.out.Send = append(c.out.Send, kernel.Envelope{Link: kernel.LinkID{Peer: kernel.ServerID(m.GetTo()), Purpose: kernel.ForBroadcast},
			Message: kernel.Message{Type: int32(m.GetType()), Payload: payload}})
	}
	for _, e := range c.ready.CommittedEntries {
		c.out.Commit = c.zxid(e.GetTerm(), e.GetIndex())
	}
	for _, r := range c.ready.ReadStates {
		c.out.Barriers = append(c.out.Barriers, binary.BigEndian.Uint64(r.RequestCtx))
	}
	c.node.Advance(c.ready)
	c.busy = false
}

func (c *raftCore) zxid(term, index uint64) kernel.Zxid {
	return kernel.MakeZxid(kernel.Epoch(term), uint32(index-c.base[term]))
}

func (c *raftCore) effect() kernel.EffectID {
	c.seq++
	return kernel.EffectID{Incarnation: 1, Seq: c.seq}
}

// silent keeps raft's log out of the traces.
type silent struct{}

func (silent) Debug(...any)            {}
func (silent) Debugf(string, ...any)   {}
func (silent) Error(...any)            {}
func (silent) Errorf(string, ...any)   {}
func (silent) Info(...any)             {}
func (silent) Infof(string, ...any)    {}
func (silent) Warning(...any)          {}
func (silent) Warningf(string, ...any) {}
func (silent) Fatal(v ...any)          { panic(fmt.Sprint(v...)) }
func (silent) Fatalf(f string, v ...any) {
	panic(fmt.Sprintf(f, v...))
}
func (silent) Panic(v ...any)            { panic(fmt.Sprint(v...)) }
func (silent) Panicf(f string, v ...any) { panic(fmt.Sprintf(f, v...)) }

// TestRaftThroughBroadcast drives three raft cores by the kernel's inputs and effects alone. Run with -rewrite to accept a new trace.
func TestRaftThroughBroadcast(t *testing.T) {
	ids := []uint64{1, 2, 3}
	cores := map[uint64]*raftCore{}
	for _, id := range ids {
		cores[id] = newRaftCore(t, id, ids)
	}
	type parcel struct {
		from uint64
		kernel.Envelope
	}
	var network []parcel
	disk := map[uint64][]kernel.Input{}
	cut := map[uint64]bool{}
	var trace strings.Builder
	step := func(id uint64, in kernel.Input) {
		e := cores[id].Step(0, in)
		if e.Role != nil {
			fmt.Fprintf(&trace, "%d role %s leader=%d\n", id, e.Role.Role, e.Role.Leader)
		}
		if e.SaveWords != nil {
			fmt.Fprintf(&trace, "%d save words\n", id)
			disk[id] = append(disk[id], kernel.WordsSaved{ID: e.SaveWords.ID})
		}
		if e.Truncate != nil {
			fmt.Fprintf(&trace, "%d truncate to %d:%d\n", id, e.Truncate.To.Epoch(), e.Truncate.To.Counter())
			disk[id] = append(disk[id], kernel.Truncated{ID: e.Truncate.ID})
		}
		for _, r := range e.Append {
			fmt.Fprintf(&trace, "%d append %d:%d %q\n", id, r.Zxid.Epoch(), r.Zxid.Counter(), r.Data)
		}
		if len(e.Append) > 0 {
			disk[id] = append(disk[id], kernel.Durable{ID: e.Ordered, Zxid: e.Append[len(e.Append)-1].Zxid})
		}
		if e.Commit != 0 {
			fmt.Fprintf(&trace, "%d commit %d:%d\n", id, e.Commit.Epoch(), e.Commit.Counter())
		}
		for _, b := range e.Barriers {
			fmt.Fprintf(&trace, "%d barrier %d passed\n", id, b)
		}
		if e.Refused {
			fmt.Fprintf(&trace, "%d refused\n", id)
		}
		for _, m := range e.Send {
			network = append(network, parcel{from: id, Envelope: m})
		}
	}
	settle := func() {
		for len(network) > 0 || len(disk[1])+len(disk[2])+len(disk[3]) > 0 {
			for _, id := range ids {
				done := disk[id]
				disk[id] = nil
				for _, in := range done {
					step(id, in)
				}
			}
			sent := network
			network = nil
			sort.SliceStable(sent, func(i, j int) bool { return sent[i].from < sent[j].from })
			for _, p := range sent {
				to := uint64(p.Link.Peer)
				if cut[p.from] || cut[to] {
					continue
				}
				step(to, kernel.Received{Link: kernel.LinkID{Peer: kernel.ServerID(p.from)}, Message: p.Message})
			}
		}
	}
	datadriven.RunTest(t, "testdata/raft.txt", func(t *testing.T, d *datadriven.TestData) string {
		trace.Reset()
		var id uint64
		if d.HasArg("server") {
			d.ScanArgs(t, "server", &id)
		}
		switch d.Cmd {
		case "elected":
			step(id, kernel.Elected{Leader: kernel.ServerID(id), Role: kernel.Leading})
			settle()
		case "propose":
			_, next, ok := cores[id].Position()
			if !ok {
				return "no position\n"
			}
			var batch []kernel.Record
			for i, line := range strings.Fields(d.Input) {
				batch = append(batch, kernel.Record{Zxid: next + kernel.Zxid(i), Data: []byte(line)})
			}
			step(id, kernel.Propose{Batch: batch})
			settle()
		case "barrier":
			step(id, kernel.AskBarrier{ID: 7})
			settle()
		case "cut":
			cut[id] = true
		case "heal":
			clear(cut)
		case "tick":
			step(id, kernel.Tick{})
			settle()
		}
		return trace.String()
	})
}
