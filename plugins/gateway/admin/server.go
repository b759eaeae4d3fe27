package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// Gateway serves administrators.
type Gateway struct {
	cfg      config
	log      *slog.Logger
	host     kernel.Host
	listener net.Listener // nil when the port was taken
	server   *http.Server
	done     sync.WaitGroup
}

var _ kernel.Gateway = (*Gateway)(nil)

func newGateway(env kernel.Env, cfg config) *Gateway {
	g := &Gateway{cfg: cfg, log: env.Logger}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	return g
}

// Start implements kernel.Gateway. A port that cannot be had is no error: clients come first.
func (g *Gateway) Start(host kernel.Host) error {
	g.host = host
	address := net.JoinHostPort(g.cfg.address, strconv.FormatInt(g.cfg.port, 10))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		g.log.Warn("no admin server: choose another port with admin.serverPort, or switch it off with admin.enableServer=false", "address", address, "err", err)
		return nil
	}
	g.listener = listener
	g.server = &http.Server{
		Handler: g.handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 2 * time.Minute, IdleTimeout: g.cfg.idleTimeout,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	g.done.Add(1)
	go func() {
		defer g.done.Done()
		if err := g.server.Serve(bound(listener, g.cfg.maxConnections)); !errors.Is(err, http.ErrServerClosed) {
			g.log.Error("the admin server has stopped", "err", err)
		}
	}()
	return nil
}

// Addrs implements kernel.Gateway.
func (g *Gateway) Addrs() map[string]net.Addr {
	if g.listener == nil {
		return nil
	}
	return map[string]net.Addr{"admin": g.listener.Addr()}
}

// Drain implements kernel.Gateway. The endpoint stays: whoever asks for readiness is to hear about the drain.
func (g *Gateway) Drain(context.Context) {}

// Stop implements kernel.Gateway.
func (g *Gateway) Stop() {
	if g.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if g.server.Shutdown(ctx) != nil {
		g.server.Close()
	}
	g.done.Wait()
}

func (g *Gateway) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/livez", g.livez)
	mux.HandleFunc("/readyz", g.readyz)
	mux.HandleFunc(g.cfg.commandURL, g.index)
	mux.HandleFunc(strings.TrimSuffix(g.cfg.commandURL, "/")+"/", g.command)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			mux.ServeHTTP(w, r)
		case http.MethodTrace:
			http.Error(w, "TRACE is not allowed", http.StatusForbidden)
		default:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET is allowed here", http.StatusMethodNotAllowed)
		}
	})
}

// bound lets at most n connections be open at a time.
func bound(l net.Listener, n int) net.Listener {
	return &boundListener{Listener: l, free: make(chan struct{}, n), closed: make(chan struct{})}
}

type boundListener struct {
	net.Listener
	free   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (b *boundListener) Accept() (net.Conn, error) {
	select {
	case b.free <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.free
		return nil, err
	}
	return &boundConn{Conn: c, release: sync.OnceFunc(func() { <-b.free })}, nil
}

func (b *boundListener) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

type boundConn struct {
	net.Conn
	release func()
}

func (c *boundConn) Close() error {
	c.release()
	return c.Conn.Close()
}
