package simulate

import (
	"fmt"
	"slices"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/sim"
	"github.com/zooid-project/zooid/sdk/wire"
)

// registers are the nodes that clients set, create and delete; below parent they make nodes with a number.
const (
	registers = 4
	parent    = "/p"
	numbered  = parent + "/n-"
)

func register(i int) string { return fmt.Sprintf("/r%d", i) }

// work sends one operation, or two that belong together.
func (c *client) work() {
	rng := c.run.world.Rand()
	path := register(rng.IntN(registers))
	c.made++
	value := fmt.Appendf(nil, "%d-%d", c.id, c.made)
	one := func(op wire.Op) { c.ask(wire.Request{Op: op}) }
	watch := rng.IntN(3) == 0 && !c.watched(path)
	if c.run.changing && rng.IntN(40) == 0 {
		c.change()
		return
	}
	switch rng.IntN(16) {
	case 0, 1, 2, 3:
		version := int32(-1)
		if rng.IntN(3) == 0 {
			version = c.run.model.now(path).stat.Version
		}
		one(wire.Op{Code: wire.OpSetData, Path: path, Data: value, Version: version})
	case 4:
		one(wire.Op{Code: wire.OpCreate2, Path: path, Data: value, ACL: wire.OpenACL})
	case 5:
		one(wire.Op{Code: wire.OpDelete, Path: path, Version: -1})
	case 6:
		one(wire.Op{Code: wire.OpCreate2, Path: fmt.Sprintf("/e%d", rng.IntN(6)), Data: value, ACL: wire.OpenACL, Mode: wire.Ephemeral})
	case 7:
		one(wire.Op{Code: wire.OpCreate2, Path: numbered, Data: value, ACL: wire.OpenACL, Mode: wire.CreateMode(2 + rng.IntN(2))})
	case 8:
		c.multi(value)
	case 9, 10:
		one(wire.Op{Code: wire.OpGetData, Path: path, Watch: watch})
	case 11:
		one(wire.Op{Code: wire.OpExists, Path: path, Watch: watch})
	case 12:
		one(wire.Op{Code: wire.OpGetChildren2, Path: parent, Watch: rng.IntN(2) == 0 && !c.watched(parent)})
	default:
		s := c.ask(wire.Request{Op: wire.Op{Code: wire.OpSync, Path: path}})
		o := c.ask(wire.Request{Op: wire.Op{Code: wire.OpGetData, Path: path}})
		o.synced, o.floor, o.called = true, s.floor, s.called
	}
	if kids := c.run.model.now(parent).children; len(kids) > 12 {
		one(wire.Op{Code: wire.OpDelete, Path: parent + "/" + kids[0], Version: -1})
	}
}

// change gives the ensemble other members: any of the servers that there are, three voters at least, in any role; or takes one server out or in. As for a careful operator, nothing is changed while a server that
// is to vote has lost its disk and is not back: with one more that is away, or that is of ZooKeeper's and observes until the change is in force, there would never be a quorum of the new voters.
func (c *client) change() {
	w := c.run.world
	rng := w.Rand()
	now := w.Ensemble()
	r := wire.Request{Op: wire.Op{Code: wire.OpReconfig}, ConfigID: -1}
	one := kernel.ServerID(1 + rng.IntN(len(w.Servers())))
	voters := now.Voters
	switch {
	case rng.IntN(4) == 0:
		var others []kernel.ServerID
		voters = nil
		for _, i := range rng.Perm(len(w.Servers())) {
			switch id := w.Servers()[i].ID(); {
			case len(voters) < 3 || rng.IntN(2) == 0:
				voters = append(voters, id)
			case rng.IntN(2) == 0:
				others = append(others, id)
			}
		}
		r.NewMembers = sim.Lines(voters, others)
	case now.IsMember(one) && (len(now.Voters) > 3 || !now.IsVoter(one)):
		r.Leaving = fmt.Sprint(one)
	case rng.IntN(3) == 0 && !now.IsVoter(one):
		r.Joining = sim.Lines(nil, []kernel.ServerID{one})
	default:
		r.Joining = sim.Lines([]kernel.ServerID{one}, nil)
		voters = append(slices.Clone(voters), one)
	}
	if !slices.ContainsFunc(voters, w.Lacks) {
		c.ask(r)
	}
}

// multi changes two registers together, or checks one and changes the other.
func (c *client) multi(value []byte) {
	rng := c.run.world.Rand()
	i := rng.IntN(registers)
	a, b := register(i), register((i+1)%registers)
	first := wire.Op{Code: wire.OpSetData, Path: a, Data: value, Version: -1}
	switch rng.IntN(3) {
	case 0:
		first = wire.Op{Code: wire.OpCheck, Path: a, Version: c.run.model.now(a).stat.Version}
	case 1:
		first = wire.Op{Code: wire.OpDelete, Path: a, Version: -1}
	}
	c.ask(wire.Request{Op: wire.Op{Code: wire.OpMulti}, Ops: []wire.Op{first, {Code: wire.OpSetData, Path: b, Data: value, Version: -1}}})
}

// watched tells whether the client has a watch on a path, or asks for one: it has one at a time.
func (c *client) watched(path string) bool {
	for _, w := range c.watches {
		if w.path == path {
			return true
		}
	}
	for _, o := range c.flight {
		if o.request.Path == path && o.request.Watch {
			return true
		}
	}
	return false
}
