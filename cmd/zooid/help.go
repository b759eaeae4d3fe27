package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
)

// newHelpCommand is cobra's help with one topic more: the keys of zoo.cfg and the plugins with their options.
func newHelpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command | config [KEY | KIND]]",
		Short: "Help about a command, or about the configuration",
		Long: `Help about a command. "help config" lists the keys of zoo.cfg and the plugins of this build; with a key it describes that key, with a kind of plugin
(log, nodes, gateway ...) that kind's plugins and their options.`,
		Example: `  zooid help bench run
  zooid help config tickTime
  zooid help config log`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var out []string
			if len(args) == 0 {
				for _, c := range root.Commands() {
					out = append(out, c.Name())
				}
				out = append(out, "config")
			} else if args[0] == "config" {
				for _, k := range config.Keys {
					out = append(out, k.Name)
				}
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && args[0] == "config" {
				return helpConfig(cmd.OutOrStdout(), args[1:])
			}
			target, rest, err := root.Find(args)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			if len(rest) > 0 {
				return &exitError{exitUsage, fmt.Errorf("no command %q in %s", rest[0], target.CommandPath())}
			}
			return target.Help()
		},
	}
}

func helpConfig(w io.Writer, args []string) error {
	switch len(args) {
	case 0:
		listKeys(w)
		fmt.Fprintf(w, "\nPlugins (plugin.KIND=NAME; zooid help config KIND shows options)\n")
		for _, kind := range pluginKinds() {
			fmt.Fprintf(w, "  plugin.%-14s %s\n", kind, strings.Join(pluginNames(kind), ", "))
		}
		return nil
	case 1:
		if k, ok := config.LookUp(args[0]); ok {
			describeKey(w, k)
			return nil
		}
		kind := strings.TrimPrefix(args[0], "plugin.")
		if slices.Contains(pluginKinds(), kind) {
			describePlugins(w, kind)
			return nil
		}
		known := pluginKinds()
		for _, k := range config.Keys {
			known = append(known, k.Name)
		}
		return &exitError{exitUsage, fmt.Errorf("no key and no kind of plugin named %s%s", args[0], didYouMean(args[0], known))}
	}
	return &exitError{exitUsage, fmt.Errorf("one key or kind of plugin at a time")}
}

func listKeys(w io.Writer) {
	for _, group := range config.Groups {
		fmt.Fprintf(w, "%s\n", group)
		for _, k := range config.Keys {
			if k.Group != group {
				continue
			}
			remark := ""
			if k.Status != config.Used {
				remark = " [" + k.Status.String() + "]"
			} else if k.Refuse != "" {
				remark = " [refused unless default]"
			}
			fmt.Fprintf(w, "  %-40s %s%s\n", k.Name+defaultText(k), k.Doc, remark)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "Open-ended keys")
	for _, f := range config.Families {
		fmt.Fprintf(w, "  %-40s %s\n", f.Form, f.Doc)
	}
}

func defaultText(k config.Key) string {
	switch {
	case k.Derived != "" && (k.Default == "" || k.Default == "-1" || k.Default == "0"):
		return " (" + k.Derived + ")"
	case k.Default == "":
		return ""
	case k.Unit != "":
		return " (" + k.Default + " " + k.Unit + ")"
	}
	return " (" + k.Default + ")"
}

func describeKey(w io.Writer, k config.Key) {
	fmt.Fprintf(w, "%s\n  %s\n", k.Name, k.Doc)
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "  %-9s %s\n", name+":", text)
		}
	}
	row("default", strings.Trim(strings.TrimSpace(defaultText(k)), "()"))
	row("allowed", k.Allowed())
	row("status", k.Status.String())
	row("refused", k.Refuse)
	switch k.Reach {
	case config.FileOrFlag:
		row("set by", "the file, or -Dzookeeper."+k.Name+" in SERVER_JVMFLAGS or JVMFLAGS; the file wins")
	case config.FileOnly:
		row("set by", "the file")
	case config.FlagOnly:
		row("set by", "-D"+k.Name+" in SERVER_JVMFLAGS or JVMFLAGS, or the file; the flag wins")
	}
	row("also", strings.Join(k.Aliases, ", "))
}

func pluginKinds() []string {
	var out []string
	for _, p := range kernel.Plugins() {
		if !slices.Contains(out, p.Kind) {
			out = append(out, p.Kind)
		}
	}
	return out
}

func pluginNames(kind string) []string {
	var out []string
	for _, p := range kernel.Plugins() {
		if p.Kind == kind {
			out = append(out, p.Name)
		}
	}
	return out
}

func describePlugins(w io.Writer, kind string) {
	for _, p := range kernel.Plugins() {
		if p.Kind != kind {
			continue
		}
		fmt.Fprintf(w, "plugin.%s=%s\n  %s\n", kind, p.Name, p.Doc)
		for _, o := range p.Options {
			text := o.Doc
			if o.Default != "" {
				text += " Default: " + o.Default + "."
			}
			if o.Config != "" {
				text += " Taken from " + o.Config + " if not set."
			}
			if len(o.Allowed) > 0 {
				text += " One of " + strings.Join(o.Allowed, ", ") + "."
			}
			fmt.Fprintf(w, "  plugin.%s.%s (%s)\n      %s\n", kind, o.Key, o.Type, text)
		}
	}
}
