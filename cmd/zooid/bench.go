package main

import (
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/zooid-project/zooid/bench"
)

func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "bench",
		Short:   "Measure any ZooKeeper server",
		Long:    `Measure a server, of any make, over the ZooKeeper client protocol.`,
		Example: `  zooid bench run --op mixed --read-percent 90 --json`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchRunCommand())
	return cmd
}

func newBenchRunCommand() *cobra.Command {
	o := bench.Defaults()
	server := strings.Join(o.Servers, ",")
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Load a server and print throughput and latencies",
		Long: `Load a server with one kind of operation and print throughput and latencies.

Every connection keeps --inflight requests under way. Nodes are made under a node of this run alone, below the path of --server, and deleted at the end.
  set      writes the nodes                 get      reads them
  create   makes new ones                   mixed    both, by --read-percent
  connect  opens and closes sessions, one after the other per connection

--json prints one object with the keys op, conns, inflight, size, ops_per_s, p50_ms, p99_ms, p999_ms, max_ms, errors.
Ctrl-C ends the load early; what was measured is printed and the nodes are deleted.`,
		Example: `  zooid bench run --op set --connections 64 --inflight 16 --size 128 --duration 10s
  zooid bench run --server zoo1:2181,zoo2:2181/app --op create --ops 100000 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Servers, o.Root, err = bench.ParseServers(server); err == nil {
				err = o.Validate()
			}
			if err != nil {
				return &exitError{exitUsage, err}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			result, err := bench.Run(ctx, o)
			if err != nil {
				return err
			}
			if asJSON {
				return result.WriteJSON(cmd.OutOrStdout())
			}
			return result.WriteText(cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&server, "server", server, "host:port, several with commas, then optionally the path to work under")
	f.StringVar(&o.Op, "op", o.Op, "workload: "+strings.Join(bench.Operations, ", "))
	f.IntVar(&o.Connections, "connections", o.Connections, "connections, each with a session")
	f.IntVar(&o.InFlight, "inflight", o.InFlight, "requests under way per connection")
	f.IntVar(&o.Size, "size", o.Size, "bytes of data per node")
	f.IntVar(&o.Keys, "keys", o.Keys, "nodes that set, get and mixed work on")
	f.IntVar(&o.ReadPercent, "read-percent", o.ReadPercent, "share of reads in mixed")
	f.DurationVar(&o.Duration, "duration", o.Duration, "how long to measure")
	f.Int64Var(&o.Ops, "ops", o.Ops, "stop after so many operations instead; no warm-up then")
	f.DurationVar(&o.Warmup, "warmup", o.Warmup, "load before measuring")
	f.DurationVar(&o.Timeout, "timeout", o.Timeout, "session time-out, and longest wait for a reply")
	f.BoolVar(&o.Keep, "keep", o.Keep, "leave the nodes there")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	_ = cmd.RegisterFlagCompletionFunc("op", cobra.FixedCompletions(bench.Operations, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}
