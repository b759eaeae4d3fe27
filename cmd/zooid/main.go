package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/zooid-project/zooid/kernel"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// commands make the command tree, in the order of help.
var commands = []func() *cobra.Command{
	newServeCommand,
	newDevCommand,
	newShellCommand,
	newBenchCommand,
	newSimCommand,
	newSessionsCommand,
	newLogCommand,
	newRecoverCommand,
	newValidateCommand,
	newInitTLSCommand,
	newDocsCommand,
	newVersionCommand,
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{code: exitFailed, err: err}
		if !started {
			exit.code = exitUsage
		}
	}
	if exit.err != nil {
		fmt.Fprintln(errOut, "zooid: "+exit.err.Error())
	}
	return exit.code
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "zooid",
		Short: "A modular coordination service that every ZooKeeper client can use",
		Long: `Zooid is a coordination service made of plugins. To the outside it is ZooKeeper: clients, tools and configuration files work with it unchanged.

Exit codes: ` + exitCodes,
		Example: `  zooid validate /etc/zookeeper/zoo.cfg
  zooid shell -server 127.0.0.1:2181 ls -R /
  zooid bench run --op set --connections 64 --inflight 16 --duration 10s`,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 3,
		CompletionOptions:          cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	for _, newCommand := range commands {
		root.AddCommand(newCommand())
	}
	root.SetHelpCommand(newHelpCommand(root))
	root.SetFlagErrorFunc(wrongFlag)
	return root
}

// wrongFlag names the flag that was probably meant.
func wrongFlag(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if errors.As(err, &missing) {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := kernel.Nearest(missing.GetSpecifiedName(), names); near != "" {
			err = fmt.Errorf("%w. Did you mean --%s?", err, near)
		}
	}
	return &exitError{exitUsage, fmt.Errorf("%w (zooid %s --help shows all flags)", err, strings.TrimPrefix(cmd.CommandPath(), "zooid "))}
}
