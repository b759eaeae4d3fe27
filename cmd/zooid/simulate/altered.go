package simulate

import (
	"fmt"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/sim"
	"github.com/zooid-project/zooid/sdk/wire"
)

// In some seeds one server comes to have another state than the others, once, without a fault of its disk that it could find: it gives a new node another ACL. No client reads ACLs, and ZooKeeper's digest does not cover them,
// so that nothing but the comparison of states can find it. What it must come to: all are equal again.

// chooseAltered says when a server is altered, in a seed that has such a fault. Where servers of ZooKeeper's kind are, or members change, there need not be a quorum that knows better.
func (r *run) chooseAltered(seed uint64) {
	choice := sim.Choices(seed + 2<<32)
	if choice.IntN(2) == 0 || r.changing {
		return
	}
	for _, plain := range r.plain {
		if plain {
			return
		}
	}
	r.alters = time.Second + time.Duration(choice.Int64N(int64(faultTime-5*time.Second)))
}

// alteringMachine is one that the fault may meet.
type alteringMachine struct {
	kernel.StateMachine
	kernel.Digester
	run    *run
	server kernel.ServerID
}

func (m *alteringMachine) Apply(txns []kernel.Committed) {
	for i := range txns {
		if m.run.world.Now() < m.run.alters || m.run.altered || txns[i].Note != nil || txns[i].Zxid <= m.Position() {
			continue
		}
		var e wire.Entry
		if wire.DecodeEntry(txns[i].Data, &e) == nil && (e.Header.Type == wire.OpCreate || e.Header.Type == wire.OpCreate2) {
			e.Txn.ACL = append([]wire.ACL{{Perms: wire.PermRead, ID: wire.ID{Scheme: "ip", ID: "10.0.0.1"}}}, wire.OpenACL...)
			txns[i].Data = e.AppendTo(nil)
			m.run.altered = true
			m.run.tally("altered states")
			m.run.world.Altered()
			m.run.world.Logf("server %d is altered: %s has another ACL there", m.server, e.Txn.Path)
		}
	}
	m.StateMachine.Apply(txns)
}

// comparingBroadcast counts what comes of it.
type comparingBroadcast struct {
	kernel.Broadcast
	run *run
}

func (b *comparingBroadcast) Step(now time.Duration, in ...kernel.Input) *kernel.Effects {
	e := b.Broadcast.Step(now, in...)
	if e.GiveUp {
		b.run.tally("states given up")
	}
	return e
}

// alter gives a server's parts the fault.
func (r *run) alter(server kernel.ServerID, p *kernel.Parts) {
	if r.alters == 0 {
		return
	}
	p.Machine = &alteringMachine{StateMachine: p.Machine, Digester: p.Machine.(kernel.Digester), run: r, server: server}
	p.Broadcast = &comparingBroadcast{Broadcast: p.Broadcast, run: r}
}

// sameStates says which servers' states differ, "" if none do. They are at the same position.
func (r *run) sameStates() string {
	var want uint64
	known := kernel.ServerID(0)
	for _, s := range r.world.Members() {
		at, digest, ok := s.Host().Machine().(kernel.Digester).StateDigest()
		switch {
		case !ok:
		case known == 0:
			known, want = s.ID(), digest
		case digest != want:
			return fmt.Sprintf("the states of servers %d and %d differ at %s", known, s.ID(), at)
		}
	}
	return ""
}
