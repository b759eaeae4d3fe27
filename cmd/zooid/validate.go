package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/kernel/server"
)

func newValidateCommand() *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "validate [zoo.cfg | PORT DATADIR [TICKTIME [MAXCLIENTCNXNS]]]",
		Short: "Check a configuration without starting and print what counts",
		Long: `Check a configuration as a server would read it: the file, its dynamic file, myid, -D properties in SERVER_JVMFLAGS and JVMFLAGS, and the plugins that it names with their options.
Values that count are printed with their origin, secrets masked; warnings go to standard error. Without a file the configuration of "zooid serve" without a file is shown.

Exit codes: 0 the configuration can be used, 2 it cannot; all that is wrong is listed with file, line, and what is allowed.`,
		Example: `  zooid validate /etc/zookeeper/zoo.cfg
  SERVER_JVMFLAGS=-Djute.maxbuffer=4194304 zooid validate zoo.cfg --json`,
		Args: cobra.MaximumNArgs(4),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(args)
			if err == nil {
				_, err = server.FromConfig(c)
			}
			if err != nil {
				return &exitError{exitUsage, fmt.Errorf("the configuration cannot be used:\n%w", err)}
			}
			for _, w := range c.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w.Error())
			}
			values := c.Effective()
			if !all {
				values = thatMatter(values)
			}
			if asJSON {
				return writeEffectiveJSON(cmd, c, values)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, v := range values {
				fmt.Fprintf(w, "%s=%s\t# %s\n", v.Key, v.Value, v.Origin)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			file := c.File
			if file == "" {
				file = "no file"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "# %s: can be used; the server runs %s\n", file, c.Mode)
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also print defaults of keys that Zooid does nothing with")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// thatMatter leaves out defaults of keys that have no effect.
func thatMatter(values []config.Effective) []config.Effective {
	var out []config.Effective
	for _, v := range values {
		k, known := config.LookUp(v.Key)
		if known && k.Status != config.Used && v.Origin.Kind == config.FromDefault {
			continue
		}
		out = append(out, v)
	}
	return out
}

func writeEffectiveJSON(cmd *cobra.Command, c *config.Config, values []config.Effective) error {
	type value struct {
		Key    string `json:"key"`
		Value  string `json:"value"`
		Origin string `json:"origin"`
	}
	out := struct {
		Mode     string   `json:"mode"`
		Values   []value  `json:"values"`
		Warnings []string `json:"warnings"`
	}{Mode: c.Mode.String(), Warnings: []string{}}
	for _, v := range values {
		out.Values = append(out.Values, value{v.Key, v.Value, v.Origin.String()})
	}
	for _, w := range c.Warnings {
		out.Warnings = append(out.Warnings, w.Error())
	}
	encoder := json.NewEncoder(cmd.OutOrStdout())
	encoder.SetIndent("", "  ")
	return encoder.Encode(out)
}
