package sim

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"

	_ "github.com/zooid-project/zooid/plugins/znode"
	_ "github.com/zooid-project/zooid/stores/file"
)

// The tests of this package run worlds of servers with a real log and a real state machine, and with cores that do nothing by themselves: what happens is what the test asks for and what the simulator does to it.

// puppet is a server's broadcast, and keeps what its election hears: it notes what it is told, and asks for what the test gives it.
type puppet struct {
	world *World
	told  []heard
	next  kernel.Effects // of the next step
	none  kernel.Effects
}

// heard is an input, and when it came.
type heard struct {
	at time.Duration
	in kernel.Input
}

// Step implements kernel.Broadcast.
func (p *puppet) Step(_ time.Duration, in ...kernel.Input) *kernel.Effects {
	for _, i := range in {
		p.told = append(p.told, heard{p.world.now, i})
	}
	p.none = p.next
	p.next = kernel.Effects{}
	return &p.none
}

// Position implements kernel.Broadcast.
func (p *puppet) Position() (kernel.Epoch, kernel.Zxid, bool) { return 0, 0, false }

// MayChange implements kernel.Broadcast.
func (p *puppet) MayChange(kernel.Ensemble) error { return nil }

// idle is an election that asks for nothing, and passes on what it is told.
type idle struct {
	puppet *puppet
	none   kernel.Effects
}

// Step implements kernel.Election.
func (e *idle) Step(_ time.Duration, in ...kernel.Input) *kernel.Effects {
	for _, i := range in {
		e.puppet.told = append(e.puppet.told, heard{e.puppet.world.now, i})
	}
	return &e.none
}

// stage is a world of puppets.
type stage struct {
	t *testing.T
	*World
	puppets map[kernel.ServerID]*puppet
	trace   *bytes.Buffer
}

func newStage(t *testing.T, seed uint64, voters int) *stage {
	t.Helper()
	st := &stage{t: t, puppets: map[kernel.ServerID]*puppet{}, trace: &bytes.Buffer{}}
	st.World = New(Options{Seed: seed, Voters: voters, TickTime: 200 * time.Millisecond, Boot: st.boot, Trace: st.trace})
	t.Cleanup(st.Close)
	st.StartAll()
	st.RunFor(10 * time.Millisecond)
	st.whole()
	return st
}

func (st *stage) boot(b Boot) (parts kernel.Parts, err error) {
	env := b.Env
	if err := env.FS.MkdirAll(env.DataDir, 0o755); err != nil {
		return parts, err
	}
	if parts.Log, err = made(kernel.KindLogStore, "file", env, map[string]string{"segmentSize": "16KiB", "prepareAhead": "false"}); err != nil {
		return parts, err
	}
	parts.Nodes, env.Nodes = b.Nodes, b.Nodes
	if parts.Machine, err = made(kernel.KindStateMachine, "znode", env, map[string]string{"background": "false"}); err != nil {
		return parts, err
	}
	p := &puppet{world: st.World}
	st.puppets[env.Server] = p
	parts.Election, parts.Broadcast = &idle{puppet: p}, p
	return parts, nil
}

// made makes a plugin with some of its options.
func made[T any](kind kernel.Kind[T], name string, env kernel.Env, given map[string]string) (out T, err error) {
	f, err := kernel.Lookup(kind, name)
	if err != nil {
		return out, err
	}
	options, err := kernel.NewOptions(kind.Name, name, f.Options, given, nil)
	if err != nil {
		return out, err
	}
	return f.New(env, options)
}

// whole fails the test if the world has found something wrong.
func (st *stage) whole() {
	st.t.Helper()
	if err := st.Failure(); err != nil {
		st.t.Fatalf("%v\n%s", err, st.trace)
	}
}

// until lets things happen until they are as told.
func (st *stage) until(what string, done func() bool) {
	st.t.Helper()
	if !st.RunUntil(20*time.Second, done) {
		st.t.Fatalf("after 20 s still not: %s; %v\n%s", what, st.Failure(), st.trace)
	}
}

// ask lets a server's core ask for something at its next step, which is at once.
func (st *stage) ask(id kernel.ServerID, e kernel.Effects) {
	st.puppets[id].next = e
	st.Server(id).due[actTick] = st.now + 1
}

// link dials from one server to another and returns both ends, once both have been told.
func (st *stage) link(from, to kernel.ServerID, purpose kernel.Purpose) (near, far kernel.LinkID) {
	st.t.Helper()
	up := func(id kernel.ServerID, link kernel.LinkID) bool {
		return slices.ContainsFunc(st.puppets[id].told, func(h heard) bool {
			x, ok := h.in.(kernel.LinkIsUp)
			return ok && x.Link == link
		})
	}
	t := st.Server(from).transport
	near = t.Dial(to, purpose)
	st.until(fmt.Sprintf("a link from %d to %d", from, to), func() bool {
		if e := t.ends[near]; e != nil {
			far = e.peer.id
		}
		return up(from, near) && up(to, far)
	})
	return near, far
}

// send sends numbered messages.
func (st *stage) send(from kernel.ServerID, link kernel.LinkID, first, count int) {
	for i := range count {
		st.Server(from).transport.Send(link, kernel.Message{Type: int32(first + i)})
	}
}

// got is what has arrived at a server on a link, and when the last of it.
func (st *stage) got(id kernel.ServerID, link kernel.LinkID) (types []int32, last time.Duration) {
	for _, h := range st.puppets[id].told {
		if m, ok := h.in.(kernel.Received); ok && m.Link == link {
			types, last = append(types, m.Message.Type), h.at
		}
	}
	return types, last
}

// down tells whether a server was told that a link is down.
func (st *stage) down(id kernel.ServerID, link kernel.LinkID) bool {
	for _, h := range st.puppets[id].told {
		if d, ok := h.in.(kernel.LinkIsDown); ok && d.Link == link {
			return true
		}
	}
	return false
}

// appendTo has records written to a server's log, and returns once they are confirmed: when.
func (st *stage) appendTo(id kernel.ServerID, from, to kernel.Zxid) time.Duration {
	st.t.Helper()
	st.write(id, from, to)
	st.until(fmt.Sprintf("server %d has %s on disk", id, to), func() bool { return st.confirmed(id) >= to })
	return st.now
}

func (st *stage) write(id kernel.ServerID, from, to kernel.Zxid) {
	var e kernel.Effects
	for z := from; z <= to; z++ {
		e.Append = append(e.Append, kernel.Record{Zxid: z, Data: bytes.Repeat([]byte{byte(z)}, 300)})
	}
	st.ask(id, e)
}

// confirmed is what a server's core was told to be on disk.
func (st *stage) confirmed(id kernel.ServerID) (z kernel.Zxid) {
	for _, h := range st.puppets[id].told {
		if d, ok := h.in.(kernel.Durable); ok {
			z = max(z, d.Zxid)
		}
	}
	return z
}
