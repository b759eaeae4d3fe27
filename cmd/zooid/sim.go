package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zooid-project/zooid/cmd/zooid/simulate"
)

func newSimCommand() *cobra.Command {
	var s simulation
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Run whole ensembles in simulation, and check everything that they do",
		Long: `Run ensembles of three to eight servers with clients and faults in one process and in virtual time: real election, broadcast, log and znode tree; simulated network, disks and clocks.
Every step and every answer is checked. What happens follows from the seed alone, so a seed that fails fails again.

Each seed is at least a minute of virtual time with five faults and three elections. "zooid docs simulator" says how to read a trace.`,
		Example: `  zooid sim --seeds 100
  zooid sim --seed 76 --trace | less
  zooid sim --seeds 500 --bug stale-sync`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd.OutOrStdout()) },
	}
	cmd.Flags().Uint64Var(&s.seed, "seed", 1, "the first seed")
	cmd.Flags().IntVar(&s.seeds, "seeds", 1, "how many seeds, one after the other from --seed on")
	cmd.Flags().BoolVar(&s.trace, "trace", false, "print what happens, a line each; for one seed")
	cmd.Flags().StringVar(&s.bug, "bug", "", "plant a bug, to see that it is found; list: print their names")
	return cmd
}

type simulation struct {
	seed  uint64
	seeds int
	trace bool
	bug   string
}

func (s *simulation) run(out io.Writer) error {
	o := simulate.Options{Seed: s.seed}
	switch {
	case s.bug == "list":
		for _, b := range simulate.Bugs {
			fmt.Fprintln(out, b)
		}
		return nil
	case s.seeds < 1:
		return &exitError{exitUsage, fmt.Errorf("--seeds %d: want at least 1", s.seeds)}
	case s.trace && s.seeds > 1:
		return &exitError{exitUsage, fmt.Errorf("--trace prints one seed: leave --seeds away, and name it with --seed")}
	case s.bug != "":
		bug, err := simulate.FindBug(s.bug)
		if err != nil {
			return &exitError{exitUsage, fmt.Errorf("--bug %w", err)}
		}
		o.Bug = bug
	}
	if s.trace {
		o.Trace = out
	}
	began := time.Now()
	total, failed := simulate.Many(o, s.seeds, runtime.GOMAXPROCS(0))
	printSummary(out, total, s.seeds, time.Since(began))
	for _, f := range failed {
		fmt.Fprintf(out, "seed %d: %v\n", f.Seed, f.Err)
		if !s.trace {
			bug := ""
			if s.bug != "" {
				bug = " --bug " + s.bug
			}
			fmt.Fprintf(out, "  again, with what led to it: zooid sim --seed %d%s --trace\n", f.Seed, bug)
		}
	}
	if len(failed) > 0 {
		return &exitError{code: exitFailed, err: fmt.Errorf("%d of %d seeds failed", len(failed), s.seeds)}
	}
	return nil
}

// printSummary says how much was simulated: figures that show whether the seeds reached what they are for.
func printSummary(out io.Writer, r simulate.Result, seeds int, took time.Duration) {
	fmt.Fprintf(out, "%d seeds, %d steps, %v of virtual time, in %v (%.0f steps per second)\n",
		seeds, r.Steps, r.Virtual.Round(time.Second), took.Round(time.Millisecond), float64(r.Steps)/took.Seconds())
	names := make([]string, 0, len(r.Tally))
	width := 0
	for name := range r.Tally {
		names = append(names, name)
		width = max(width, len(name))
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	for _, name := range names {
		fmt.Fprintf(out, "  %-*s %9d\n", width, name, r.Tally[name])
	}
}
