package memory

import (
	"sync"

	"github.com/zooid-project/zooid/kernel"
)

// Network joins the servers of one ensemble. The zero value is not usable; see NewNetwork.
type Network struct {
	mu          sync.Mutex
	servers     map[kernel.ServerID]*Transport
	incarnation uint64
	faults      faults
}

// NewNetwork returns a network without servers and without faults.
func NewNetwork() *Network {
	return &Network{servers: make(map[kernel.ServerID]*Transport)}
}

// named are the networks that configurations ask for by name, so that servers built from the registry meet.
var named struct {
	sync.Mutex
	networks map[string]*Network
}

// Named returns the network of a name, the same one for the whole process.
func Named(name string) *Network {
	named.Lock()
	defer named.Unlock()
	if named.networks == nil {
		named.networks = make(map[string]*Network)
	}
	if named.networks[name] == nil {
		named.networks[name] = NewNetwork()
	}
	return named.networks[name]
}

// nextIncarnation is called with mu held.
func (n *Network) nextIncarnation() uint64 {
	n.incarnation++
	return n.incarnation
}

func init() {
	kernel.Register(kernel.KindTransport, "memory", kernel.Factory[kernel.Transport]{
		Doc: "links between servers of the same process",
		Options: []kernel.Option{
			{Key: "network", Default: "", Doc: "servers meet on the network of the same name"},
			{Key: "queue", Type: kernel.TypeBytes, Default: "64MiB", Doc: "bytes that may wait on a link in one direction before it is taken down"},
		},
		New: func(env kernel.Env, o kernel.Options) (kernel.Transport, error) {
			return Named(o.String("network")).Join(env.Server, env.Sink, int(o.Bytes("queue"))), nil
		},
	})
}
