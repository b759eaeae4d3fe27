package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/zooid-project/zooid/kernel"
)

var _ kernel.MovableGateway = (*Gateway)(nil)

// Move implements kernel.MovableGateway. The new place is opened before the old one is closed, unless they differ in the address only: then the port is free for a moment.
func (g *Gateway) Move(name, address string) error {
	secure := name == "secure-client"
	if secure && g.cfg.tls == nil {
		return errors.New("this server has no certificate for clients (ssl.keyStore.location)")
	}
	g.mu.Lock()
	old := g.listeners[name]
	g.mu.Unlock()
	if old != nil && listensAt(old, address) {
		return nil
	}
	next, err := open(name, address)
	if old != nil && errors.Is(err, syscall.EADDRINUSE) && samePort(old, address) {
		old.Close()
		if next, err = open(name, address); err != nil {
			var lost error
			if next, lost = open(name, old.Addr().String()); lost != nil {
				g.mu.Lock()
				delete(g.listeners, name)
				g.mu.Unlock()
				return errors.Join(err, lost)
			}
		}
	}
	if next == nil {
		return err
	}
	g.mu.Lock()
	if g.stopping || g.draining {
		g.mu.Unlock()
		next.Close()
		return nil
	}
	g.listeners[name] = next
	g.done.Add(1)
	g.mu.Unlock()
	go g.accept(next, secure)
	if old != nil {
		old.Close()
	}
	if err == nil {
		g.log.Info("clients are taken at another address", "listener", name, "address", next.Addr().String())
	}
	return err
}

// open begins to listen for clients.
func open(name, address string) (net.Listener, error) {
	key := "clientPort"
	if name == "secure-client" {
		key = "secureClientPort"
	}
	listener, err := listen.Listen(context.Background(), "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: another process listens on %s; stop it, or choose another port: %w", key, address, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return listener, nil
}

// listensAt says whether a listener takes connections at host:port already.
func listensAt(l net.Listener, address string) bool {
	host, _, _ := net.SplitHostPort(address)
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok || !samePort(l, address) {
		return false
	}
	ip := net.ParseIP(host)
	return tcp.IP.Equal(ip) || tcp.IP.IsUnspecified() && (host == "" || ip != nil && ip.IsUnspecified())
}

func samePort(l net.Listener, address string) bool {
	_, port, _ := net.SplitHostPort(address)
	tcp, ok := l.Addr().(*net.TCPAddr)
	return ok && strconv.Itoa(tcp.Port) == port
}
