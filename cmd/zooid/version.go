package main

import (
	_ "embed"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// licenseTable names the licence of every module that may be linked in: module, SPDX identifier. A test compares it with go.mod.
//
//go:embed licenses.txt
var licenseTable string

func newVersionCommand() *cobra.Command {
	var licenses bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, and with --licenses what is linked in",
		Long:  `Print version, commit and Go version of this binary. With --licenses, list the modules that are linked in with their versions and licences.`,
		Example: `  zooid version
  zooid version --licenses`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				return fmt.Errorf("this binary was built without module information")
			}
			writeVersion(cmd.OutOrStdout(), info)
			if licenses {
				return writeLicenses(cmd.OutOrStdout(), info)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&licenses, "licenses", false, "list linked modules and their licences")
	return cmd
}

func writeVersion(w io.Writer, info *debug.BuildInfo) {
	version, commit, changed := info.Main.Version, "", ""
	if version == "" || version == "(devel)" {
		version = "development"
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = ", commit " + s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " with changes"
		}
	}
	fmt.Fprintf(w, "zooid %s%s%s, %s\n", version, commit, changed, info.GoVersion)
}

func writeLicenses(out io.Writer, info *debug.BuildInfo) error {
	names := licenseNames(licenseTable)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "github.com/zooid-project/zooid\t\tApache-2.0\n")
	fmt.Fprintf(w, "Go standard library\t%s\tBSD-3-Clause\n", info.GoVersion)
	for _, m := range info.Deps {
		name, ok := names[m.Path]
		if !ok {
			name = "unknown, see https://pkg.go.dev/" + m.Path + "?tab=licenses"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", m.Path, m.Version, name)
	}
	return w.Flush()
}

func licenseNames(table string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0][0] != '#' {
			out[fields[0]] = fields[1]
		}
	}
	return out
}
