package zooidtest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/kernel/server"
)

const (
	startTimeout = time.Minute
	drainTimeout = 5 * time.Second
)

// started counts servers: each has a network of its own, for all of them are server 1.
var started atomic.Int64

// Server is a running server. Its methods are for the test's goroutine and end the test when they fail.
type Server struct {
	t    testing.TB
	o    options
	disk *disk // nil with OnDisk and OnFS
	host string

	running *server.Server
}

// Start runs a server until the end of the test. Default settings are those of zoo.cfg, but for the address, 127.0.0.1 with a free port, and no HTTP.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s, err := TryStart(t, opts...)
	if err != nil {
		t.Fatalf("zooidtest: %v", err)
	}
	return s
}

// TryStart is Start for tests of servers that do not start: the error is what the command would print.
func TryStart(t testing.TB, opts ...Option) (*Server, error) {
	t.Helper()
	s := &Server{t: t, o: options{dataDir: "/data"}}
	s.o.lines = []string{fmt.Sprintf("plugin.transport.network=zooidtest-%d", started.Add(1))}
	for _, opt := range opts {
		opt(&s.o)
	}
	switch {
	case s.o.fs != nil:
	case s.o.onDisk:
		s.o.fs = vfs.Default
		if s.o.dataDir == "" {
			s.o.dataDir = t.TempDir()
		}
	default:
		s.disk = newDisk(vfs.NewCrashableMem())
	}
	t.Cleanup(s.Stop)
	return s, s.start()
}

// Addr is the address for clients, host:port. It stays the same over Restart.
func (s *Server) Addr() string { return s.host }

// ConnectString is Addr: what a client is given. A chroot may be appended.
func (s *Server) ConnectString() string { return s.host }

// AdminURL is the root of the administration over HTTP, "" without the option AdminHTTP.
func (s *Server) AdminURL() string {
	if a, ok := s.running.Addrs()["admin"]; ok {
		return "http://" + a.String()
	}
	return ""
}

// DataDir is where the server's data is: on the disk of this machine with OnDisk, else in a file system of its own.
func (s *Server) DataDir() string { return s.o.dataDir }

// Host is the running node (do not call it on a stopped server), for what no client can see: its status and its state machine.
func (s *Server) Host() kernel.Host { return s.running.Host() }

// Fatal delivers the reason when the server cannot go on by itself, as on a failed disk. It then has to be stopped.
func (s *Server) Fatal() <-chan error { return s.running.Fatal() }

// Stop ends the server cleanly: answers under way leave, the state is flushed. It may be stopped twice.
func (s *Server) Stop() {
	s.t.Helper()
	if err := s.TryStop(); err != nil {
		s.t.Errorf("zooidtest: stop: %v", err)
	}
}

// TryStop is Stop for tests of servers that cannot end cleanly.
func (s *Server) TryStop() error {
	if s.running == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	r := s.running
	s.running = nil
	return r.Shutdown(ctx)
}

// Kill ends the server as kill -9 does: connections break, nothing is flushed, and the disk keeps what was written. Restart goes on from there.
// With OnDisk and OnFS the state is flushed all the same.
func (s *Server) Kill() { s.end(false) }

// PowerCut ends the server and its machine: what was not synced to disk is gone. It needs the disk in memory, that is neither OnDisk nor OnFS.
func (s *Server) PowerCut() {
	s.t.Helper()
	if s.disk == nil {
		s.t.Fatal("zooidtest: only the disk in memory can lose its power")
	}
	s.end(true)
}

func (s *Server) end(powerCut bool) {
	if s.running == nil {
		return
	}
	if s.disk != nil {
		s.disk = s.disk.end(powerCut)
	}
	_ = s.running.Kill() // that it cannot close its log properly is the point
	s.running = nil
}

// Restart stops the server unless that has happened, and starts it again at the same address with the same data.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if err := s.start(); err != nil {
		s.t.Fatalf("zooidtest: restart: %v", err)
	}
}

// TryRestart is Restart for tests of servers that do not start again. opts are added to those of Start.
func (s *Server) TryRestart(opts ...Option) error {
	s.t.Helper()
	s.Stop()
	for _, opt := range opts {
		opt(&s.o)
	}
	return s.start()
}

func (s *Server) start() error {
	_, port, bound := strings.Cut(s.host, ":")
	if !bound {
		port = "0"
	}
	lines := append([]string{"dataDir=" + strings.ReplaceAll(s.o.dataDir, `\`, `\\`), "plugin.gateway.zookeeper.address=127.0.0.1", "plugin.gateway.zookeeper.port=" + port, "admin.enableServer=false"}, s.o.lines...)
	cfg, err := config.Parse("zoo.cfg", strings.NewReader(strings.Join(lines, "\n")), []string{"JVMFLAGS=" + strings.Join(s.o.flags, " ")})
	if err != nil {
		return err
	}
	settings, err := server.FromConfig(cfg)
	if err != nil {
		return err
	}
	if s.o.self != 0 {
		settings.Self, settings.Ensemble = s.o.self, s.o.ensemble
	}
	c := server.Config{Settings: settings, Logger: slog.New(slog.NewTextHandler(logWriter{s.t}, nil)), Hook: s.o.hook}
	if c.FS = s.o.fs; s.disk != nil {
		c.FS = s.disk
	}
	r, err := server.New(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := r.Start(ctx); err != nil {
		return err
	}
	s.running, s.host = r, r.Addrs()["client"].String()
	return nil
}

// logWriter gives the server's log to the test. The server has no goroutine left when the test ends.
type logWriter struct{ t testing.TB }

func (w logWriter) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}
