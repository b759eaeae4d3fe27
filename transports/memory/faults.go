package memory

import (
	"errors"
	"math/rand/v2"

	"github.com/zooid-project/zooid/kernel"
)

// ErrReset is the reason of LinkDown when a fault has struck.
var ErrReset = errors.New("the link was reset")

// faults is what goes wrong on a network. Guarded by its mutex.
type faults struct {
	cut    map[[2]kernel.ServerID]bool // pairs, the smaller id first
	random *rand.Rand
	chance float64
}

// Lose makes every send break its link with the given chance: the message and a random part of what waits at the other end are lost, then
// the link is down at both ends. The same seed loses at the same sends. Chance 0 ends it.
func (n *Network) Lose(chance float64, seed uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults.chance = chance
	n.faults.random = rand.New(rand.NewPCG(seed, 0))
}

// Reset breaks every link between two servers. They may dial again.
func (n *Network) Reset(a, b kernel.ServerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reset(a, b)
}

// Cut breaks every link between two servers and refuses new ones until Heal.
func (n *Network) Cut(a, b kernel.ServerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.faults.cut == nil {
		n.faults.cut = make(map[[2]kernel.ServerID]bool)
	}
	n.faults.cut[pair(a, b)] = true
	n.reset(a, b)
}

// Heal ends a Cut.
func (n *Network) Heal(a, b kernel.ServerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.faults.cut, pair(a, b))
}

func (n *Network) reset(a, b kernel.ServerID) {
	t := n.servers[a]
	if t == nil {
		return
	}
	for _, e := range t.ends {
		if e.id.Peer == b && e.down == nil {
			e.takeDown(ErrReset)
		}
	}
}

// apart tells whether two servers are cut off from each other.
func (f *faults) apart(a, b kernel.ServerID) bool { return f.cut[pair(a, b)] }

// breaks throws the dice for a send to far, and drops the part of its queue that is lost with it.
func (f *faults) breaks(far *end) bool {
	if f.chance == 0 || f.random.Float64() >= f.chance {
		return false
	}
	keep := f.random.IntN(len(far.queue) + 1)
	for _, q := range far.queue[keep:] {
		far.bytes -= q.size()
		if q.stream != nil {
			q.stream.fail(ErrReset)
		}
	}
	far.queue = drop(far.queue, keep)
	return true
}

func pair(a, b kernel.ServerID) [2]kernel.ServerID {
	if a > b {
		a, b = b, a
	}
	return [2]kernel.ServerID{a, b}
}
