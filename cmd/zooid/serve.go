package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sort"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/kernel/server"
)

const (
	// startTimeout bounds how long a server may take from start to serving. Replay of a long log is part of it.
	startTimeout = 10 * time.Minute
	// drainTimeout is how long a stopping server lets answers leave.
	drainTimeout = 5 * time.Second
	// waitingForDisk is how many of Go's processors are not really there: one whose thread waits in a sync is given to another thread late, and both the log and
	// the flushes of the node store sync all the time. GOMAXPROCS overrides it.
	waitingForDisk = 2
)

func newServeCommand() *cobra.Command {
	profile := ""
	cmd := &cobra.Command{
		Use:   "serve [zoo.cfg | PORT DATADIR [TICKTIME [MAXCLIENTCNXNS]]]",
		Short: "Run a server",
		Long: `Run a server in the foreground. With a zoo.cfg of ZooKeeper it does what that file says. Without one it is a single server on 127.0.0.1:2181 that
keeps its data in ./data.

SIGTERM or Ctrl-C ends it cleanly: answers that are under way leave, the state is flushed.

Exit codes: 0 stopped cleanly, 1 failed while running, 2 bad arguments or configuration, 3 the data directory cannot be used.`,
		Example: `  zooid serve
  zooid serve /etc/zookeeper/conf/zoo.cfg
  zooid serve 2181 /var/lib/zooid`,
		Args: cobra.MaximumNArgs(4),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(args)
			if err != nil {
				return &exitError{code: exitUsage, err: err}
			}
			if profile != "" {
				stop, err := serveProfiles(profile)
				if err != nil {
					return &exitError{code: exitUsage, err: err}
				}
				defer stop()
			}
			return serve(cmd.Context(), cfg)
		},
	}
	cmd.Flags().StringVar(&profile, "pprof", "", "serve Go profiles over HTTP on this address, for instance 127.0.0.1:6060")
	return cmd
}

// loadConfig reads what the arguments name: nothing, a file, or ZooKeeper's bare form.
func loadConfig(args []string) (cfg *config.Config, err error) {
	switch len(args) {
	case 0:
		cfg, err = config.Default(os.Environ())
	case 1:
		cfg, err = config.Load(args[0], os.Environ())
	default:
		cfg, err = config.FromArguments(args, os.Environ())
	}
	if err != nil {
		return nil, err
	}
	return cfg, checkPlugins(cfg)
}

// serve runs a server until a signal, a failure, or the end of ctx.
func serve(ctx context.Context, cfg *config.Config) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if os.Getenv("GOGC") == "" { // whoever sets it knows better
		defer paceCollector()()
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + waitingForDisk)
	}
	for _, w := range cfg.Warnings {
		logger.Warn(w.Error())
	}
	settings, err := server.FromConfig(cfg)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	if cfg.File == "" {
		fmt.Fprintf(os.Stderr, "Zooid: one server on %s, data in %s, no configuration file. Try: zooid shell -server %s ls /\n", cfg.ClientListenAddress(), cfg.DataDir, fromHere(cfg.ClientListenAddress()))
	}
	s, err := server.New(server.Config{Settings: settings, Logger: logger})
	var wrong *server.SettingError
	if errors.As(err, &wrong) {
		return &exitError{code: exitUsage, err: err}
	}
	if err != nil {
		return &exitError{code: exitData, err: err}
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	err = s.Start(starting)
	cancel()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	logger.Info("serving", addresses(s)...)
	select {
	case <-ctx.Done():
		logger.Info("stopping: draining clients, then flushing")
	case err = <-s.Fatal():
	}
	draining, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if stopErr := s.Shutdown(draining); err == nil {
		err = stopErr
	}
	if err == nil {
		logger.Info("stopped")
	}
	return err
}

// fromHere is what a client on this machine gives for a listener: an address that it can also hand to other tools.
func fromHere(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}

// addresses are the listeners as log attributes, in a fixed order.
func addresses(s *server.Server) []any {
	all := s.Addrs()
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	attrs := make([]any, 0, 2*len(names))
	for _, name := range names {
		attrs = append(attrs, name, all[name].String())
	}
	return attrs
}
