package shell

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

var sessionCommands = []command{
	{name: "addauth", usage: "scheme auth", doc: "add credentials to this session", min: 1, max: 2, run: runAddAuth},
	{name: "whoami", doc: "print who the server takes this session for", max: 0, run: runWhoAmI},
	{name: "version", doc: "print the version of this program", max: 0, offline: true, run: runVersion},
	{name: "history", doc: "list the last commands", max: 0, offline: true, run: runHistory},
	{name: "redo", usage: "cmdno", doc: "run a command of the history again", min: 1, max: 1, offline: true, run: runRedo},
	{name: "connect", usage: "host:port", doc: "open a session elsewhere", max: 1, offline: true, run: runConnect},
	{name: "close", doc: "end the session", max: 0, offline: true, run: runClose},
	{name: "quit", doc: "end the session and this program", max: 0, offline: true, run: runQuit},
	{name: "exit", doc: "as quit", max: 0, offline: true, run: runQuit},
	{name: "help", doc: "list commands", max: 0, offline: true, run: runHelp},
}

func runAddAuth(ctx context.Context, sh *Shell, a *arguments) error {
	return at("", sh.client.AddAuth(ctx, a.arg(0), []byte(a.arg(1))))
}

func runWhoAmI(ctx context.Context, sh *Shell, _ *arguments) error {
	identities, err := sh.client.WhoAmI(ctx)
	if err != nil {
		return at("", err)
	}
	if sh.JSON {
		type identity struct {
			Scheme string `json:"scheme"`
			User   string `json:"user"`
		}
		out := []identity{}
		for _, i := range identities {
			out = append(out, identity{i.Scheme, i.User})
		}
		return sh.object(struct {
			Identities []identity `json:"identities"`
		}{out})
	}
	sh.print("Auth scheme: User")
	for _, i := range identities {
		sh.print("%s: %s", i.Scheme, i.User)
	}
	return nil
}

func runVersion(_ context.Context, sh *Shell, _ *arguments) error {
	sh.print("ZooKeeper CLI version: zooid %s", sh.Version)
	return nil
}

// remembered is how many commands history lists.
const remembered = 11

func runHistory(_ context.Context, sh *Shell, _ *arguments) error {
	for i := max(0, len(sh.history)-remembered); i < len(sh.history); i++ {
		sh.print("%d - %s", i, sh.history[i])
	}
	return nil
}

func runRedo(ctx context.Context, sh *Shell, a *arguments) error {
	n, err := strconv.Atoi(a.arg(0))
	if err != nil || n < 0 || n >= len(sh.history) {
		return &usageError{"there is no command number " + a.arg(0)}
	}
	words, err := Words(sh.history[n])
	if err != nil {
		return err
	}
	if len(words) > 0 && words[0] == "redo" {
		return &usageError{"that one was a redo itself"}
	}
	sh.history[len(sh.history)-1] = sh.history[n]
	return sh.execute(ctx, words)
}

func runConnect(ctx context.Context, sh *Shell, a *arguments) error {
	sh.closeSession()
	if a.arg(0) != "" {
		sh.Servers = a.arg(0)
	}
	return sh.connect(ctx)
}

func runClose(_ context.Context, sh *Shell, _ *arguments) error {
	sh.closeSession()
	return nil
}

func runQuit(context.Context, *Shell, *arguments) error { return errQuit }

func runHelp(_ context.Context, sh *Shell, _ *arguments) error {
	sorted := slices.Clone(commands)
	slices.SortFunc(sorted, func(a, b command) int { return strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) })
	for _, c := range sorted {
		sh.print("%s", strings.TrimSpace(fmt.Sprintf("%-22s %s\n    %s", c.name, c.doc, strings.TrimSpace(c.name+" "+c.usage))))
	}
	return nil
}
