package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
)

// Config is everything that a server is made from.
type Config struct {
	Settings Settings
	FS       vfs.FS // nil: the disk
	Logger   *slog.Logger
	Hook     kernel.StageHook // is told of every stage of the write path; nil: nobody is
}

// Server is one server: a node and its plugins. Start it once, Stop it once.
type Server struct {
	node     *kernel.Node
	gateways []kernel.Gateway
	changes  *changes
	stores   *stores
}

// New makes the plugins and the node. On an error nothing is left running or open.
func New(cfg Config) (_ *Server, err error) {
	if cfg.FS == nil {
		cfg.FS = vfs.Default
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := cfg.Settings
	if s.LogDir == "" {
		s.LogDir = s.DataDir
	}
	var node *kernel.Node
	early := make(chan error, 1) // failures of plugins before the node exists
	env := kernel.Env{FS: cfg.FS, DataDir: s.DataDir, LogDir: s.LogDir, Server: s.Self, Logger: cfg.Logger, Auth: map[string]kernel.Authenticator{},
		Refuse: func(reason error) {
			if node != nil { // nothing is refused before clients can come
				node.Refuse(reason)
			}
		},
		Fatal: func(reason error) {
			if node != nil {
				node.Fail(reason)
				return
			}
			select {
			case early <- reason:
			default:
			}
		}}
	for _, dir := range []string{s.DataDir, s.LogDir} {
		if err := cfg.FS.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("data directory %s: %w: choose a writable one (dataDir in zoo.cfg)", dir, err)
		}
	}
	for _, p := range kernel.Plugins() {
		if p.Kind != kernel.KindAuthenticator.Name {
			continue
		}
		a, err := buildNamed(s, kernel.KindAuthenticator, p.Name, env)
		if err != nil {
			return nil, err
		}
		if a != nil { // a scheme that the configuration switches off
			env.Auth[a.Scheme()] = a
		}
	}
	d := &stores{fs: cfg.FS, dataDir: s.DataDir, logDir: s.LogDir, self: s.Self, logger: cfg.Logger, peers: slices.ContainsFunc(s.Ensemble.Voters, func(id kernel.ServerID) bool { return id != s.Self })}
	if err := d.open(s, env, early); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	parts := d.Parts
	parts.Auth = env.Auth
	env.Nodes = parts.Nodes
	env.Inspect = parts.Machine.Inspect
	if parts.Election, err = build(s, kernel.KindElection, env); err != nil {
		return nil, err
	}
	if parts.Broadcast, err = build(s, kernel.KindBroadcast, env); err != nil {
		return nil, err
	}
	parts.NewTransport = func(sink kernel.TransportSink) (kernel.Transport, error) {
		env := env
		env.Sink = sink
		return build(s, kernel.KindTransport, env)
	}
	for _, name := range s.Gateways {
		g, err := buildNamed(s, kernel.KindGateway, name, env)
		if err != nil {
			return nil, err
		}
		if g != nil {
			parts.Gateways = append(parts.Gateways, g)
		}
	}
	nodeConfig := kernel.NodeConfig{Self: s.Self, Ensemble: s.Ensemble, TickTime: s.TickTime, SnapshotEvery: s.SnapCount,
		SnapshotsKept: s.SnapshotsKept, SlowSync: s.SlowSync, Cluster: d.directory.Cluster, Repair: d.forNode(), ReadOnlyMode: s.ReadOnlyMode, Stages: stages(cfg), Logger: cfg.Logger, Warnings: warnings(parts)}
	changes := newChanges()
	if s.DynamicFiles != nil {
		changes.do = append(changes.do, writeFiles(s.DynamicFiles, cfg.Logger))
	}
	changes.do = append(changes.do, moveListeners(s, parts.Gateways, cfg.Logger))
	nodeConfig.Configured = changes.configured
	for _, w := range nodeConfig.Warnings {
		cfg.Logger.Warn(w)
	}
	if node, err = kernel.NewNode(nodeConfig, parts); err != nil {
		return nil, err
	}
	select {
	case reason := <-early:
		return nil, reason
	default:
	}
	return &Server{node: node, gateways: parts.Gateways, changes: changes, stores: d}, nil
}

// stages is the observer of the write path: its counters, unless the configuration wants no metrics, and who else wants to know.
func stages(cfg Config) *kernel.StageObserver {
	if cfg.Settings.NoMetrics && cfg.Hook == nil {
		return nil
	}
	return kernel.NewStageObserver(cfg.Hook)
}

// warnings are what an operator must know about the chosen plugins.
func warnings(p kernel.Parts) []string {
	var all []string
	g := p.Log.Guarantees()
	if !g.Durable {
		all = append(all, "the log does not reach stable storage (forceSync=no, or a log in memory): a crash may lose writes that clients were told had succeeded")
	}
	if !g.Checksums {
		all = append(all, "the log has no checksums: damage on the disk is not found")
	}
	return all
}

// Start begins to serve; it returns when clients can connect.
func (s *Server) Start(ctx context.Context) error {
	defer s.changes.begin()
	return s.node.Start(ctx)
}

// Addrs are the addresses that the gateways listen on, by listener name.
func (s *Server) Addrs() map[string]net.Addr {
	all := map[string]net.Addr{}
	for _, g := range s.gateways {
		for name, a := range g.Addrs() {
			all[name] = a
		}
	}
	return all
}

// Host is the running node, for tests and embedders.
func (s *Server) Host() kernel.Host { return s.node }

// Fatal delivers the reason when the server cannot go on; the caller then stops it.
func (s *Server) Fatal() <-chan error { return s.node.Fatal() }

// Shutdown drains until ctx ends, then stops.
func (s *Server) Shutdown(ctx context.Context) error {
	s.node.Drain(ctx)
	return s.Kill()
}

// Kill stops without draining.
func (s *Server) Kill() error {
	err := s.node.Stop()
	s.changes.wait()
	return errors.Join(err, s.stores.closeWords())
}
