package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/kernel/config"
)

// TestDifferencesNameWhatIsMissing: the page names every key that Zooid does not support, or refuses. A family may stand for its keys, as in pathStats.*.
func TestDifferencesNameWhatIsMissing(t *testing.T) {
	page, err := os.ReadFile("docs/differences.md")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, m := range regexp.MustCompile("`([A-Za-z0-9_.*]+)(?:=[^`]*)?`").FindAllStringSubmatch(string(page), -1) {
		named = append(named, m[1])
	}
	for _, k := range config.Keys {
		if k.Status != config.Later && k.Refuse == "" {
			continue
		}
		if !slices.ContainsFunc(named, func(pattern string) bool {
			match, err := path.Match(pattern, k.Name)
			return err == nil && match
		}) {
			t.Errorf("docs/differences.md does not name %s", k.Name)
		}
	}
}

// What the pages show of servers' logs and of commands is what these say: every message stands in the source, every command is one.
func TestShownOutputIsReal(t *testing.T) {
	var source strings.Builder
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		source.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]bool{}
	for _, c := range newRootCommand().Commands() {
		commands[c.Name()] = true
	}
	messages, shown := 0, 0
	for _, page := range []string{"docs/operations.md", "docs/migration.md", "../../README.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`level=[A-Z]+ msg=("[^"]+"|\S+)`).FindAllStringSubmatch(string(text), -1) {
			message := strings.Trim(m[1], `"`)
			if messages++; !strings.Contains(source.String(), strconv.Quote(message)) {
				t.Errorf("%s: no server says %q", page, message)
			}
		}
		for _, m := range regexp.MustCompile(`(?m)^\s*\$ zooid ([a-z-]+)`).FindAllStringSubmatch(string(text), -1) {
			if shown++; !commands[m[1]] {
				t.Errorf("%s: there is no command %s", page, m[1])
			}
		}
	}
	if messages < 20 || shown < 5 {
		t.Errorf("only %d messages and %d commands: the patterns are wrong", messages, shown)
	}
}
