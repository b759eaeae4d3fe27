package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zooid-project/zooid/bench"
	"github.com/zooid-project/zooid/cmd/zooid/shell"
	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/client"
)

func newShellCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "shell [options] [command [arguments]]",
		Short: "Look at and change nodes, interactively or with one command",
		Long: `Run one command against a server, or read commands from standard input; on a terminal with history and completion (Tab).
Commands, output and exit codes are those of zkCli.sh of ZooKeeper. Results go to standard output; "Created ...", errors and usage to standard error.

Options, before the command:
  -server HOSTS        host:port, several with commas, then optionally a path to work under (localhost:2181)
  -timeout MS          session time-out, and longest wait for a command that does not visit a subtree (30000)
  -r                   also connect to a server that can only read
  -auth SCHEME:AUTH    add credentials, as -auth digest:user:password; may be repeated
  -tls                 connect with TLS; with -ca FILE, -cert FILE and -key FILE in PEM
  --json               print results, events and errors as JSON, one object a line (also after the command)
  -waitforconnection   wait for a server that is not there yet, as long as -timeout says; otherwise that is an error at once

Commands: ` + strings.Join(shell.Names(), ", ") + `
"zooid shell help" lists them with their arguments.

Exit codes: 0 done, 1 the command failed, 2 wrong arguments, 127 no such command; reading commands from standard input, that of the last one.`,
		Example: `  zooid shell ls -R /
  zooid shell -server zoo1:2181,zoo2:2181/app create -s -e /queue/job- "some data"
  zooid shell get /a --json`,
		DisableFlagParsing: true,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return shell.Names(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o, words, err := parseShellOptions(args)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			if o.help {
				return cmd.Help()
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			sh := shell.New(cmd.OutOrStdout(), cmd.ErrOrStderr())
			defer sh.Close()
			sh.Servers, sh.Timeout, sh.JSON, sh.Version = o.servers, o.timeout, o.json, versionName()
			sh.Connect = o.connect
			code := 0
			if len(words) > 0 {
				code = sh.Run(ctx, words)
			} else {
				code = sh.Interactive(ctx, cmd.InOrStdin())
			}
			if code != 0 {
				return &exitError{code: code}
			}
			return nil
		},
	}
}

// shellOptions are what stands before the command, with one dash as zkCli.sh has it or with two.
type shellOptions struct {
	servers       string
	timeout       time.Duration
	readOnly      bool
	wait          bool
	auth          []client.Auth
	tls           bool
	ca, cert, key string
	json, help    bool
}

var (
	shellSwitches = []string{"r", "tls", "json", "help", "h", "waitforconnection"}
	shellValues   = []string{"server", "timeout", "auth", "ca", "cert", "key", "client-configuration"}
)

func parseShellOptions(args []string) (o shellOptions, words []string, err error) {
	o = shellOptions{servers: "localhost:2181", timeout: 30 * time.Second}
	for i := 0; i < len(args); i++ {
		name := strings.TrimLeft(args[i], "-")
		if len(name) == len(args[i]) || name == "" {
			words = args[i:]
			break
		}
		name, value, inOne := strings.Cut(name, "=")
		switch {
		case slices.Contains(shellSwitches, name) && !inOne:
		case slices.Contains(shellValues, name):
			if !inOne {
				if i++; i == len(args) {
					return o, nil, fmt.Errorf("%s needs a value", args[i-1])
				}
				value = args[i]
			}
		default:
			message := "shell has no option " + args[i]
			if near := kernel.Nearest(name, append(shellSwitches, shellValues...)); near != "" {
				message += ". Did you mean -" + near + "?"
			}
			return o, nil, fmt.Errorf("%s", message)
		}
		if err := o.set(name, value); err != nil {
			return o, nil, err
		}
	}
	if at := slices.Index(words, "--json"); at > 0 && !slices.Contains(words[:at], "--") {
		words, o.json = slices.Delete(slices.Clone(words), at, at+1), true
	}
	return o, words, nil
}

func (o *shellOptions) set(name, value string) error {
	switch name {
	case "server":
		o.servers = value
	case "timeout":
		ms, err := strconv.Atoi(value)
		if err != nil || ms < 1 {
			return fmt.Errorf("-timeout %s: a number of milliseconds", value)
		}
		o.timeout = time.Duration(ms) * time.Millisecond
	case "r":
		o.readOnly = true
	case "auth":
		scheme, data, ok := strings.Cut(value, ":")
		if !ok || scheme == "" {
			return fmt.Errorf("-auth has the form scheme:auth, as digest:user:password")
		}
		o.auth = append(o.auth, client.Auth{Scheme: scheme, Data: []byte(data)})
	case "tls":
		o.tls = true
	case "ca", "cert", "key":
		o.tls = true
		*map[string]*string{"ca": &o.ca, "cert": &o.cert, "key": &o.key}[name] = value
	case "waitforconnection":
		o.wait = true
	case "json":
		o.json = true
	case "help", "h":
		o.help = true
	case "client-configuration":
		return fmt.Errorf("-client-configuration is not supported: use -tls, -ca, -cert and -key")
	}
	return nil
}

func (o *shellOptions) connect(ctx context.Context, servers string) (shell.Client, error) {
	if !o.wait {
		if err := reachable(ctx, servers); err != nil {
			return nil, err
		}
	}
	options := client.Options{SessionTimeout: o.timeout, ReadOnly: o.readOnly, Auth: o.auth}
	if o.tls {
		var err error
		if options.TLS, err = o.tlsConfig(); err != nil {
			return nil, err
		}
	}
	c, err := client.Dial(ctx, servers, options)
	if err != nil {
		return nil, err
	}
	return shell.NewClient(c), nil
}

// reachable fails if no server accepts a TCP connection, with the reason of the last one.
func reachable(ctx context.Context, servers string) error {
	hosts, _, err := bench.ParseServers(servers)
	if err != nil {
		return err
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	for _, host := range hosts {
		var probe net.Conn
		if probe, err = dialer.DialContext(ctx, "tcp", host); err == nil {
			return probe.Close()
		}
	}
	return err
}

func (o *shellOptions) tlsConfig() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.ca != "" {
		pem, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", o.ca)
		}
	}
	if o.cert != "" || o.key != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func versionName() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}
