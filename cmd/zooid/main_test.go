package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
)

// zooid runs one command line.
func zooid(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.cfg"), filepath.Join(dir, "bad.cfg")
	if err := os.WriteFile(good, []byte("dataDir="+dir+"\nclientPort=2181\nsnapCuont=1\nssl.keyStore.password=hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bad, []byte("tickTime=soon\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args             string
		code             int
		out, errOut, not string
	}{
		{"validate " + good, 0, "clientPort=2181", "Did you mean snapCount?", "hunter2"},
		{"validate " + bad, 2, "", "tickTime=soon: not a whole number", ""},
		{"validate", 0, "clientPortAddress=127.0.0.1", "", ""},
		{"validate --jsn", 2, "", "Did you mean --json?", ""},
		{"validate a b c d e", 2, "", "at most 4", ""},
		{"valdate", 2, "", "validate", ""},
		{"version", 0, "zooid ", "", ""},
		{"version --licenses", 0, "Apache-2.0", "", "unknown, see"},
		{"help config", 0, "tickTime (3000 ms)", "", ""},
		{"help config tickTime", 0, "a whole number from 1 to 2147483647 (ms)", "", ""},
		{"help config ticktime", 2, "", "Did you mean tickTime?", ""},
		{"help bench run", 0, "--inflight", "", ""},
		{"help nothing", 2, "", "nothing", ""},
		{"docs", 0, "differences", "", ""},
		{"docs differences", 0, "# Differences", "", ""},
		{"docs diferences", 2, "", "Did you mean differences?", ""},
		{"bench run --op sett", 2, "", "there are set, create", ""},
		{"bench run --server 127.0.0.1:1 --duration 1s", 1, "", "connection refused", ""},
		{"completion bash", 0, "bash completion", "", ""},
		{"completion zsh", 0, "zsh completion", "", ""},
		{"completion fish", 0, "fish completion", "", ""},
	} {
		code, out, errOut := zooid(t, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errOut, c.errOut) {
			t.Errorf("zooid %s: code %d, want %d\nstdout %.300s\nstderr %.300s", c.args, code, c.code, out, errOut)
		}
		if c.not != "" && strings.Contains(out+errOut, c.not) {
			t.Errorf("zooid %s printed %q", c.args, c.not)
		}
	}
}

func TestPluginProblemsNameTheLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zoo.cfg")
	text := "dataDir=/absent\nclientPort=2181\nplugin.log=flie\nplugin.lgo=file\nplugin.machine.skipACl=yes\nplugin.machine.enforceQuota=maybe\nplugin.gateway.zookeeper.prot=1\nplugin.gateway.zookeeper.port=x\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errOut := zooid(t, "validate", file)
	for _, want := range []string{":3: plugin.log=flie: no such plugin. Did you mean file? Allowed: file, memory", ":4: plugin.lgo=file: no such kind of plugin. Did you mean log?", ":5: plugin.machine.skipACl: no such option. Did you mean skipACL?",
		":6: plugin.machine.enforceQuota=maybe: ", ":7: plugin.gateway.zookeeper.prot: no such option. Did you mean zookeeper.port?", ":8: plugin.gateway.zookeeper.port=x: "} {
		if !strings.Contains(errOut, file+want) {
			t.Errorf("%q is missing in\n%s", want, errOut)
		}
	}
	if code != exitUsage {
		t.Errorf("code %d", code)
	}
}

func TestShellOptions(t *testing.T) {
	for _, c := range []struct {
		args         string
		code         int
		out, errWant string
	}{
		{"shell -server 127.0.0.1:1 ls /", 1, "", "connection refused"},
		{"shell --server=127.0.0.1:1 -timeout 300 -waitforconnection ls /", 1, "", "cannot connect to 127.0.0.1:1"},
		{"shell -sevrer x ls /", 2, "", "Did you mean -server?"},
		{"shell -timeout soon ls /", 2, "", "milliseconds"},
		{"shell -auth nothing ls /", 2, "", "scheme:auth"},
		{"shell -server", 2, "", "needs a value"},
		{"shell -ca /absent -server 127.0.0.1:1 version", 0, "zooid", ""},
		{"shell --help", 0, "Commands: ls, get", ""},
		{"shell help", 0, "addWatch", ""},
		{"shell nothing", 127, "", "Command not found"},
		{"shell ls", 2, "", "usage: ls"},
		{"shell nothing --json", 127, "", "UNKNOWNCOMMAND"},
	} {
		code, out, errOut := zooid(t, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errOut, c.errWant) {
			t.Errorf("zooid %s: code %d, want %d\nstdout %.300s\nstderr %.300s", c.args, code, c.code, out, errOut)
		}
	}
}

func TestValidateJSON(t *testing.T) {
	code, out, _ := zooid(t, "validate", "--json")
	var got struct {
		Mode   string
		Values []struct{ Key, Value, Origin string }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || got.Mode != "standalone" || len(got.Values) == 0 {
		t.Errorf("%d %v %+v", code, err, got)
	}
}

// Every command has an example, and every example is a command line that exists.
func TestExamples(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Name() == "completion" {
			return
		}
		if c.Example == "" || c.Short == "" {
			t.Errorf("%s has no example or no description", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			words := strings.Fields(line)
			for len(words) > 0 && strings.Contains(words[0], "=") {
				words = words[1:]
			}
			if len(words) == 0 || words[0] != "zooid" {
				t.Errorf("%s: example %q", c.CommandPath(), line)
				continue
			}
			if found, _, err := c.Root().Find(words[1:]); err != nil || found == c.Root() && len(words) > 1 {
				t.Errorf("%s: example %q names no command: %v", c.CommandPath(), line, err)
			}
		}
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(newRootCommand())
}

// The table of licences has what go.mod requires.
func TestLicensesAreComplete(t *testing.T) {
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	names := licenseNames(licenseTable)
	requires := regexp.MustCompile(`(?m)^(?:require )?\s*([a-z][^\s]*\.[^\s]*) v`).FindAllStringSubmatch(string(text), -1)
	if len(requires) == 0 {
		t.Fatal("found no modules in go.mod")
	}
	for _, m := range requires {
		if names[m[1]] == "" {
			t.Errorf("%s is not in licenses.txt: add a line with its SPDX identifier", m[1])
		}
	}
}

var updateDocs = flag.Bool("update-docs", false, "write docs/configuration.md")

// docs/configuration.md is what the table of keys says. With -update-docs it is written.
func TestConfigDoc(t *testing.T) {
	const file = "docs/configuration.md"
	var b bytes.Buffer
	writeConfigDoc(&b)
	if *updateDocs {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := docFiles.ReadFile(file); !*updateDocs && (err != nil || !bytes.Equal(text, b.Bytes())) {
		t.Errorf("%s does not fit the table of keys: go test ./cmd/zooid -run TestConfigDoc -update-docs", file)
	}
}

// What the pages say can be set can be set.
func TestDocsNameOptionsThatExist(t *testing.T) {
	exists := map[string]bool{}
	for _, p := range kernel.Plugins() {
		exists["plugin."+p.Kind] = true
		for _, o := range p.Options {
			exists["plugin."+p.Kind+"."+o.Key] = true
			exists["plugin."+p.Kind+"."+p.Name+"."+o.Key] = true
		}
	}
	pages, err := filepath.Glob("docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	named := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`plugin(\.[a-z][A-Za-z]*)+`).FindAllString(string(text), -1) {
			if named++; !exists[name] {
				t.Errorf("%s: there is no %s", page, name)
			}
		}
	}
	if named == 0 {
		t.Error("no page names an option: the pattern is wrong")
	}
}

// readByServe are the keys whose fields serve reads itself, or that package config has done with.
var readByServe = []string{"dataDir", "dataLogDir", "dynamicConfigFile", "snapCount", "autopurge.snapRetainCount", "fsync.warningthresholdms", "tickTime", "standaloneEnabled", "electionAlg", "peerType", "superUser"}

// A key that is said to be used is read by somebody.
func TestUsedKeysAreRead(t *testing.T) {
	read := map[string]bool{}
	for _, name := range readByServe {
		read[name] = true
	}
	for _, p := range kernel.Plugins() {
		for _, o := range p.Options {
			read[o.Config] = true
		}
	}
	for _, k := range config.Keys {
		if k.Status == config.Used && k.Refuse == "" && !read[k.Name] {
			t.Errorf("%s is said to be used, but nobody reads it", k.Name)
		}
		if k.Status == config.Later && read[k.Name] {
			t.Errorf("%s is said to be %s, but somebody reads it", k.Name, k.Status)
		}
	}
}
