package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/zooid-project/zooid/kernel/config"
)

// configDocHead is the part of docs/configuration.md that no table can say.
const configDocHead = `# Configuration

A zoo.cfg of ZooKeeper works as it is. ` + "`zooid validate zoo.cfg`" + ` checks one without starting, and prints every value that counts with its origin; ` + "`zooid help config KEY`" + ` describes one key.

- The file is a Java properties file: ` + "`key=value`, `key: value` or `key value`" + `, comments with # or !, a backslash at the end of a line joins the next. A key that stands twice counts where it stands last.
- ` + "`-D`" + ` properties in the variables SERVER_JVMFLAGS and JVMFLAGS count as they do for ZooKeeper; of the two JVMFLAGS wins. A line in the file beats a property, except for keys that ZooKeeper takes from properties only.
- An unknown key is a warning that names the nearest known one. A value that cannot be right is an error with file, line, and what is allowed; all errors are reported together.
- Without a file: one server on 127.0.0.1:2181 with its data in ./data. ` + "`zooid serve PORT DATADIR [TICKTIME [MAXCLIENTCNXNS]]`" + ` needs none either.
- Zooid's own keys start with ` + "`plugin.`" + `: ` + "`plugin.KIND=NAME`" + ` picks the plugin of a layer, ` + "`plugin.KIND.OPTION=VALUE`" + ` sets one of its options. ` + "`zooid help config`" + ` lists what this build has.

This page is made from the table in kernel/config. "Set by" is "file" for a line only, "both" for a line or the property zookeeper.KEY, "flag" for the property KEY.
`

// writeConfigDoc writes docs/configuration.md.
func writeConfigDoc(w io.Writer) {
	fmt.Fprint(w, configDocHead)
	cell := strings.NewReplacer("|", `\|`)
	for _, group := range config.Groups {
		fmt.Fprintf(w, "\n## %s\n\n| Key | Default | Set by | Meaning |\n|---|---|---|---|\n", group)
		for _, k := range config.Keys {
			if k.Group != group {
				continue
			}
			doc := k.Doc
			switch {
			case k.Status != config.Used:
				doc += " *" + strings.ToUpper(k.Status.String()[:1]) + k.Status.String()[1:] + ".*"
			case k.Refuse != "":
				doc += " *Refused unless it has its default: " + k.Refuse + ".*"
			}
			if len(k.Choices) > 0 && k.Kind == config.Choice {
				doc += " One of " + strings.Join(k.Choices, ", ") + "."
			}
			if len(k.Aliases) > 0 {
				doc += " Also read as " + strings.Join(k.Aliases, ", ") + "."
			}
			reach := [...]string{config.FileOrFlag: "both", config.FileOnly: "file", config.FlagOnly: "flag"}[k.Reach]
			value := strings.Trim(strings.TrimSpace(defaultText(k)), "()")
			fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", k.Name, cell.Replace(value), reach, cell.Replace(doc))
		}
	}
	fmt.Fprintf(w, "\n## Open-ended keys\n\n| Key | Meaning |\n|---|---|\n")
	for _, f := range config.Families {
		fmt.Fprintf(w, "| `%s` | %s |\n", f.Form, cell.Replace(f.Doc))
	}
}
