package server

import (
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
)

// changes does what follows from another configuration of the ensemble, beside the node's loop: disks and names may be slow. Only the newest counts.
type changes struct {
	do      []func(inForce kernel.Ensemble, next *kernel.Ensemble) // one after the other
	started chan struct{}                                          // closed when the gateways listen, or never will
	once    sync.Once

	mu      sync.Mutex
	inForce *kernel.Ensemble // to be dealt with, nil if nothing is
	next    *kernel.Ensemble
	running bool
	done    sync.WaitGroup
}

func newChanges() *changes { return &changes{started: make(chan struct{})} }

// begin lets work start.
func (c *changes) begin() { c.once.Do(func() { close(c.started) }) }

// configured is kernel.NodeConfig's Configured.
func (c *changes) configured(inForce kernel.Ensemble, proposed *kernel.Ensemble) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inForce, c.next = &inForce, proposed
	if !c.running {
		c.running = true
		c.done.Add(1)
		go c.work()
	}
}

func (c *changes) work() {
	defer c.done.Done()
	<-c.started
	for {
		c.mu.Lock()
		inForce, next := c.inForce, c.next
		c.inForce, c.next = nil, nil
		if inForce == nil {
			c.running = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		for _, do := range c.do {
			do(*inForce, next)
		}
	}
}

// wait returns when everything is done that was told before.
func (c *changes) wait() {
	c.begin()
	c.done.Wait()
}

// writeFiles keeps the configuration files of an ensemble up to date.
func writeFiles(files *config.DynamicFiles, logger *slog.Logger) func(kernel.Ensemble, *kernel.Ensemble) {
	return func(inForce kernel.Ensemble, next *kernel.Ensemble) {
		if err := files.Write(inForce, next); err != nil {
			logger.Error("the configuration files are out of date; this server knows its ensemble from its data directory, but others who read them do not", "version", inForce.Version.String(), "err", err)
		}
	}
}

// moveListeners takes clients where the configuration in force says, when that says something else than before. What it says at the start stands in the configuration file as well, or is
// overridden there.
func moveListeners(s Settings, gateways []kernel.Gateway, logger *slog.Logger) func(kernel.Ensemble, *kernel.Ensemble) {
	before, _ := ownMember(s.Ensemble, s.Self)
	return func(inForce kernel.Ensemble, _ *kernel.Ensemble) {
		now, ok := ownMember(inForce, s.Self)
		if !ok {
			return
		}
		move := func(listener, host string, port int) {
			address := net.JoinHostPort(host, strconv.Itoa(port))
			for _, g := range gateways {
				m, ok := g.(kernel.MovableGateway)
				if !ok {
					continue
				}
				if err := m.Move(listener, address); err != nil {
					logger.Error("clients are not taken where the configuration says: make the address free, then restart this server or change the configuration again", "listener", listener, "address", address, "err", err)
				}
			}
		}
		if now.ClientPort != 0 && (now.ClientPort != before.ClientPort || now.ClientHost != before.ClientHost) {
			move("client", now.ClientHost, now.ClientPort)
		}
		if now.SecureClientPort != 0 && (now.SecureClientPort != before.SecureClientPort || now.SecureClientHost != before.SecureClientHost) {
			move("secure-client", now.SecureClientHost, now.SecureClientPort)
		}
		before = now
	}
}

// ownMember is what a configuration says of one server; false if it says nothing.
func ownMember(e kernel.Ensemble, self kernel.ServerID) (config.Member, bool) {
	i := slices.IndexFunc(e.Members, func(m kernel.Member) bool { return m.ID == self })
	if i < 0 {
		return config.Member{}, false
	}
	m, err := config.ParseMember(int64(self), e.Members[i].Text)
	return m, err == nil // the ensemble has agreed on nothing that cannot be read
}
