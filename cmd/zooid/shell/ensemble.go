package shell

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/zooid-project/zooid/sdk/wire"
)

var ensembleCommands = []command{
	{name: "config", usage: "[-c] [-w] [-s]", doc: "print the members of the ensemble", flags: "c w s", max: 0, run: runConfig},
	{name: "reconfig", usage: "[-s] [-v version] -file path | -members lines | [-add line]... [-remove ids]...",
		doc: "change the members of the ensemble", flags: "s", values: "v file members add remove", max: 0, run: runReconfig},
}

func runConfig(ctx context.Context, sh *Shell, a *arguments) error {
	data, stat, err := sh.client.Config(ctx)
	if err != nil {
		return at(wire.ConfigPath, err)
	}
	if a.has("w") {
		_, _, w, err := sh.client.GetW(ctx, wire.ConfigPath)
		if err != nil {
			return at(wire.ConfigPath, err)
		}
		sh.follow(w, wire.ConfigPath, wire.WatcherData)
	}
	return sh.printConfig(data, &stat, a.has("c"), a.has("s"))
}

func (sh *Shell) printConfig(data []byte, stat *wire.Stat, clients, withStat bool) error {
	if sh.JSON {
		return sh.object(nodeOf(wire.ConfigPath, data, stat))
	}
	if clients {
		sh.print("%s", clientAddresses(string(data)))
	} else {
		sh.print("%s", data)
	}
	if withStat {
		sh.printStat(stat)
	}
	return nil
}

// clientAddresses is the version and the client addresses of a configuration, on one line.
func clientAddresses(config string) string {
	version := ""
	var addresses []string
	for line := range strings.Lines(config) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key == "version" {
			version = value
		} else if _, client, ok := strings.Cut(value, ";"); ok && strings.HasPrefix(key, "server.") {
			addresses = append(addresses, client)
		}
	}
	return version + " " + strings.Join(addresses, ",")
}

func runReconfig(ctx context.Context, sh *Shell, a *arguments) error {
	from := int64(-1)
	if a.has("v") {
		v, err := strconv.ParseInt(a.value("v"), 16, 64)
		if err != nil {
			return &usageError{"-v " + a.value("v") + ": a version in hexadecimal"}
		}
		from = v
	}
	joining, leaving := strings.Join(a.flags["add"], ","), strings.Join(a.flags["remove"], ",")
	members := a.value("members")
	if a.has("file") {
		text, err := os.ReadFile(a.value("file"))
		if err != nil {
			return err
		}
		members = strings.Join(strings.Fields(string(text)), ",")
	}
	if (members == "") == (joining == "" && leaving == "") || a.has("file") && a.has("members") {
		return &usageError{"either -add and -remove, or one of -members and -file"}
	}
	data, stat, err := sh.client.Reconfig(ctx, joining, leaving, members, from)
	if err != nil {
		return at("", fmt.Errorf("reconfig: %w", err))
	}
	if !sh.JSON {
		sh.print("Committed new configuration:")
	}
	return sh.printConfig(data, &stat, false, a.has("s"))
}
