package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// Gateway serves ZooKeeper clients. See doc.go for its goroutines.
type Gateway struct {
	cfg    config
	env    kernel.Env
	log    *slog.Logger
	host   kernel.Host
	stages *kernel.StageObserver
	auth   map[string]kernel.Authenticator

	stop chan struct{}
	done sync.WaitGroup

	budget    budget // of requests
	outgoing  budget // of replies and events
	traceMask atomic.Int64
	throttle  throttle
	sessions  openSessions
	load      load
	stats     serverStats

	mu        sync.Mutex
	listeners map[string]net.Listener
	conns     map[*conn]struct{}
	perHost   map[string]int
	stopping  bool
	draining  bool
	refusedAt time.Time // when a refusal of writes was last logged
}

var _ kernel.Gateway = (*Gateway)(nil)

func newGateway(env kernel.Env, cfg config) *Gateway {
	g := &Gateway{
		cfg: cfg, env: env, log: env.Logger, stop: make(chan struct{}), listeners: map[string]net.Listener{},
		conns: map[*conn]struct{}{}, perHost: map[string]int{},
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	g.budget.limit, g.outgoing.limit = int64(cfg.budget), int64(cfg.outputBudget)
	g.load.inPath.limit, g.load.large.limit = cfg.maxRequests, cfg.largeMaxBytes
	g.sessions.limit, g.sessions.by = cfg.maxSessions, map[netip.Prefix]*addressSessions{}
	g.throttle.init(cfg.throttleTokens, cfg.throttleFillTime, cfg.throttleFillCount)
	g.stats.init()
	g.traceMask.Store(306)
	return g
}

// listen leaves keep-alive off: each of its settings is a system call per connection, and who wants it sets it in admit.
var listen = net.ListenConfig{KeepAlive: -1}

// Start implements kernel.Gateway.
func (g *Gateway) Start(host kernel.Host) error {
	g.host, g.stages, g.auth = host, host.Stages(), host.Authenticators()
	g.shareOutstanding(host.Status())
	if g.cfg.maxCnxns <= 0 {
		g.cfg.maxCnxns = openFilesForClients()
	}
	for _, scheme := range g.cfg.enforced {
		if _, ok := g.auth[scheme]; !ok {
			return fmt.Errorf("enforce.auth.schemes names %q but no such authentication scheme is configured", scheme)
		}
	}
	for _, l := range []struct {
		name, address string
		port          int64
	}{
		{"client", g.cfg.address, g.cfg.port},
		{"secure-client", g.cfg.secureAddress, g.cfg.securePort},
	} {
		if l.port < 0 {
			continue
		}
		listener, err := open(l.name, net.JoinHostPort(l.address, strconv.FormatInt(l.port, 10)))
		if err != nil {
			g.closeListeners()
			return err
		}
		g.listeners[l.name] = listener
	}
	for name, listener := range g.listeners {
		g.done.Add(1)
		go g.accept(listener, name == "secure-client")
	}
	g.done.Add(1)
	go g.sweep()
	return nil
}

// Addrs implements kernel.Gateway.
func (g *Gateway) Addrs() map[string]net.Addr {
	addrs := map[string]net.Addr{}
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, l := range g.listeners {
		addrs[name] = l.Addr()
	}
	return addrs
}

func (g *Gateway) closeListeners() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.listeners {
		l.Close()
	}
}

// accept runs for one listener until it is closed.
func (g *Gateway) accept(listener net.Listener, secure bool) {
	defer g.done.Done()
	for {
		socket, err := listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, or the client went away: those that are connected go on being served.
			g.log.Warn("cannot accept a connection", "listener", listener.Addr().String(), "err", err)
			select {
			case <-g.stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		g.admit(socket, secure)
	}
}

// admit starts to serve a connection unless there are too many.
func (g *Gateway) admit(socket net.Conn, secure bool) {
	host := ""
	if tcp, ok := socket.RemoteAddr().(*net.TCPAddr); ok {
		host = ipText(tcp.IP)
	}
	c := newConn(g, socket, host, secure)
	g.mu.Lock()
	var limit int
	switch {
	case g.stopping || g.draining:
		limit = -1
	case g.cfg.maxCnxns > 0 && len(g.conns) >= g.cfg.maxCnxns:
		limit = g.cfg.maxCnxns
	case g.cfg.maxClientCnxns > 0 && g.perHost[host] >= g.cfg.maxClientCnxns:
		limit = g.cfg.maxClientCnxns
	default:
		g.conns[c] = struct{}{}
		g.perHost[host]++
		g.done.Add(1)
	}
	g.mu.Unlock()
	if limit != 0 {
		socket.Close()
		if limit > 0 {
			g.stats.rejected.Add(1)
			g.log.Warn("Too many connections from " + host + " - max is " + strconv.Itoa(limit))
		}
		return
	}
	if tcp, ok := socket.(*net.TCPConn); ok && g.cfg.keepAlive { // Go sets TCP_NODELAY itself
		tcp.SetKeepAlive(true)
	}
	go c.serve()
}

// remove forgets a connection that has ended.
func (g *Gateway) remove(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
	if g.perHost[c.host]--; g.perHost[c.host] <= 0 {
		delete(g.perHost, c.host)
	}
}

// snapshot lists the open connections.
func (g *Gateway) snapshot() []*conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]*conn, 0, len(g.conns))
	for c := range g.conns {
		list = append(list, c)
	}
	return list
}

// detachLater takes a connection that was lost during its handshake back from its session. It does so on a goroutine of its own because the state machine is calling us.
func (g *Gateway) detachLater(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopping {
		return
	}
	g.done.Add(1)
	go func() {
		defer g.done.Done()
		g.host.Machine().Sessions().Detach(c)
	}()
}

// refused logs that the node takes no writes, once a minute.
func (g *Gateway) refused(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Sub(g.refusedAt) > time.Minute {
		g.refusedAt = now
		g.log.Error("writes are refused, reads are served", "err", err)
	}
}

// Drain implements kernel.Gateway. Nothing more is read from a connection; when what it has asked for is answered, it ends, and its client goes on elsewhere with its session.
func (g *Gateway) Drain(ctx context.Context) {
	g.mu.Lock()
	g.draining = true
	g.mu.Unlock()
	g.closeListeners()
	for _, c := range g.snapshot() {
		c.part()
	}
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		gone := true
		for _, c := range g.snapshot() {
			gone = gone && c.gone()
		}
		if gone {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// drainPoll is how often a draining gateway looks for connections that are left.
const drainPoll = 2 * time.Millisecond

// Stop implements kernel.Gateway.
func (g *Gateway) Stop() {
	g.mu.Lock()
	if g.stopping {
		g.mu.Unlock()
		return
	}
	g.stopping = true
	g.mu.Unlock()
	close(g.stop)
	g.closeListeners()
	for _, c := range g.snapshot() {
		c.kill()
	}
	g.done.Wait()
}

// splitList cuts a comma list, without blanks and empty parts.
func splitList(s string) []string {
	var list []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}
