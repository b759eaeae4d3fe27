package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zooid-project/zooid/sdk/client"
)

// sessionsOptions are the flags of zooid sessions: how to reach a server as its administrator.
type sessionsOptions struct {
	shellOptions
	credentials string
}

func newSessionsCommand() *cobra.Command {
	o := &sessionsOptions{}
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List sessions, or end one, as the administrator (super)",
		Long: `List the sessions of a Zooid server and, if it belongs to an ensemble, of all its servers, or end one with "sessions end": its ephemeral nodes go in one transaction and its
client finds the session expired. Any server does for any session. Servers are asked where the configuration node says that they take clients, else at the port of --server.
Of a server that cannot be asked the addresses of its clients are missing, and its local sessions; standard error says so. The leader alone knows when a session expires that is not connected.

It needs the super user: servers whose configuration has DigestAuthenticationProvider.superDigest=NAME:HASH, and --auth NAME:PASSWORD here.
Exit codes: 0 done, 1 refused or failed, 2 wrong arguments.`,
		Example: `  zooid sessions --server 127.0.0.1:2181 --auth super:secret
  zooid sessions end 0x1000012a4b00003 --auth super:secret`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.with(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				places, err := o.places(ctx, c)
				if err != nil {
					return err
				}
				answers := o.askAll(ctx, places)
				return printSessions(answers, c.SessionID(), cmd.OutOrStdout(), cmd.ErrOrStderr(), o.json)
			})
		},
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&o.servers, "server", "127.0.0.1:2181", "host:port of a server, several with commas")
	flags.StringVar(&o.credentials, "auth", "", "NAME:PASSWORD of the super user (digest)")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Second, "longest wait")
	flags.BoolVar(&o.json, "json", false, "one JSON object a line")
	flags.BoolVar(&o.tls, "tls", false, "connect with TLS")
	flags.StringVar(&o.ca, "ca", "", "file of certificate authorities in PEM")
	flags.StringVar(&o.cert, "cert", "", "file of the client's certificate in PEM")
	flags.StringVar(&o.key, "key", "", "file of the certificate's key in PEM")
	cmd.AddCommand(&cobra.Command{
		Use:     "end ID",
		Short:   "End a session",
		Example: `  zooid sessions end 0x1000012a4b00003 --auth super:secret`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(strings.TrimPrefix(args[0], "0x"), 16, 64)
			if err != nil {
				return &exitError{exitUsage, fmt.Errorf("%s is no session id: give it in hexadecimal, as the list shows it", args[0])}
			}
			return o.with(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if err := o.endAnywhere(ctx, c, int64(id)); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "session 0x%x has ended\n", id)
				return nil
			})
		},
	})
	return cmd
}

// with runs do over a connection to one of the servers that were given.
func (o *sessionsOptions) with(ctx context.Context, do func(context.Context, *client.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	servers, _, _ := strings.Cut(o.servers, "/") // what is looked at lies outside of anybody's root
	return o.connected(ctx, servers, do)
}

func (o *sessionsOptions) usesTLS() bool { return o.tls || o.ca != "" || o.cert != "" }

// connected runs do over a connection that has the administrator's identity.
func (o *sessionsOptions) connected(ctx context.Context, servers string, do func(context.Context, *client.Client) error) error {
	if err := reachable(ctx, servers); err != nil {
		return err
	}
	options := client.Options{SessionTimeout: o.timeout}
	if o.credentials != "" {
		options.Auth = []client.Auth{{Scheme: "digest", Data: []byte(o.credentials)}}
	}
	if o.usesTLS() {
		var err error
		if options.TLS, err = o.tlsConfig(); err != nil {
			return err
		}
	}
	c, err := client.Dial(ctx, servers, options)
	if err != nil {
		return err
	}
	err = do(ctx, c)
	if closeErr := c.Close(ctx); err == nil {
		err = closeErr
	}
	return err
}

// sessionLine is one session as --json prints it.
type sessionLine struct {
	ID         string `json:"id"`
	TimeoutMs  int32  `json:"timeout_ms"`
	ExpiresMs  int64  `json:"expires_ms"` // negative: overdue, or not known to any server that was asked
	Ephemerals int32  `json:"ephemerals"`
	Local      bool   `json:"local"`
	Client     string `json:"client"`
	Server     int64  `json:"server,omitempty"`
}

func printSessions(answers []answer, own int64, out, problems io.Writer, asJSON bool) error {
	silent := 0
	for _, a := range answers {
		if a.err != nil {
			silent++
			if silent == len(answers) {
				return a.err
			}
			fmt.Fprintf(problems, "server %d could not be asked at %s, so what only it knows is missing: %v\n", a.server, a.address, a.err)
		}
	}
	if !asJSON {
		fmt.Fprintf(out, "%-18s %9s %10s %10s  %-21s %s\n", "session", "timeout", "expires", "ephemerals", "client", "server")
	}
	for _, f := range merge(answers, own) {
		if err := printSession(out, f, asJSON); err != nil {
			return err
		}
	}
	return nil
}

func printSession(out io.Writer, f found, asJSON bool) error {
	id := fmt.Sprintf("0x%x", uint64(f.ID))
	if asJSON {
		return json.NewEncoder(out).Encode(sessionLine{id, f.TimeoutMs, f.ExpiresMs, f.Ephemerals, f.Local, f.Client, f.server})
	}
	where, server, expires := f.Client, "-", "-"
	if where == "" {
		where = "not connected"
	}
	if f.server != 0 {
		server = strconv.FormatInt(f.server, 10)
	}
	if f.Local {
		server += " (local)"
	}
	if f.ExpiresMs >= 0 {
		expires = fmt.Sprintf("%dms", f.ExpiresMs)
	}
	_, err := fmt.Fprintf(out, "%-18s %7dms %10s %10d  %-21s %s\n", id, f.TimeoutMs, expires, f.Ephemerals, where, server)
	return err
}
