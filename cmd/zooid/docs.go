package main

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

//go:embed docs/*.md
var docFiles embed.FS

func newDocsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "docs [TOPIC]",
		Short: "Read the documentation that is built in",
		Long:  `Print a topic of the documentation as Markdown. Without a topic, list what there is.`,
		Example: `  zooid docs
  zooid docs differences | less`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return docTopics(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			topics := docTopics()
			if len(args) == 0 {
				for _, topic := range topics {
					fmt.Fprintf(cmd.OutOrStdout(), "%-20s %s\n", topic, docTitle(topic))
				}
				return nil
			}
			text, err := docFiles.ReadFile("docs/" + args[0] + ".md")
			if err != nil {
				return &exitError{exitUsage, fmt.Errorf("no topic %s; there are %s%s", args[0], strings.Join(topics, ", "), didYouMean(args[0], topics))}
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}

func docTopics() []string {
	var out []string
	entries, _ := fs.ReadDir(docFiles, "docs") // an embedded directory can be read
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".md"))
	}
	slices.Sort(out)
	return out
}

// docTitle is the first heading.
func docTitle(topic string) string {
	text, _ := docFiles.ReadFile("docs/" + topic + ".md")
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(strings.TrimLeft(line, "# "))
}
