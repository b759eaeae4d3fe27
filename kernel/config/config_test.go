package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestGolden runs testdata/*.txt. Directives:
//
//	file NAME      write the input to NAME in the directory of the case
//	load [NAME]    read NAME (default zoo.cfg); the input holds environment variables, one a line
//	arguments A B  the form without a file
//	default        no file
//
// What is printed: mode, values that are not mere defaults, plugins, members, warnings; or all errors.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		dir := t.TempDir()
		here := strings.NewReplacer(dir, "DIR")
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var c *Config
			var err error
			env := strings.Split(d.Input, "\n")
			switch d.Cmd {
			case "file":
				name := filepath.Join(dir, d.CmdArgs[0].Key)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(strings.ReplaceAll(d.Input, "DIR", dir)+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return ""
			case "load":
				name := "zoo.cfg"
				if len(d.CmdArgs) > 0 {
					name = d.CmdArgs[0].Key
				}
				c, err = Load(filepath.Join(dir, name), env)
			case "arguments":
				var args []string
				for _, a := range d.CmdArgs {
					args = append(args, a.Key)
				}
				c, err = FromArguments(args, env)
			case "default":
				c, err = Default(env)
			default:
				t.Fatalf("no directive %s", d.Cmd)
			}
			return here.Replace(describe(c, err))
		})
	})
}

func describe(c *Config, err error) string {
	if err != nil {
		return "error\n" + err.Error() + "\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s", c.Mode)
	if c.ServerID != 0 {
		fmt.Fprintf(&b, " id=%d", c.ServerID)
	}
	fmt.Fprintf(&b, " clients=%s", c.ClientListenAddress())
	if c.SecureClientPort != 0 {
		fmt.Fprintf(&b, " tls=%s", c.SecureClientListenAddress())
	}
	b.WriteByte('\n')
	for _, e := range c.Effective() {
		if e.Origin != (Origin{}) {
			fmt.Fprintf(&b, "%s=%s (%s)\n", e.Key, e.Value, e.Origin)
		}
	}
	if c.Proposed != nil {
		fmt.Fprintf(&b, "proposed: %d members\n", len(c.Proposed.Members))
	}
	for _, w := range c.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w.Error())
	}
	return b.String()
}

func TestErrorsAreTyped(t *testing.T) {
	_, err := Parse("zoo.cfg", strings.NewReader("dataDir=/d\ntickTime=soon\nclientPort=99999\n"), nil)
	var all Errors
	if !errors.As(err, &all) || len(all) != 2 {
		t.Fatalf("got %v, want two problems", err)
	}
	var first *Problem
	if !errors.As(err, &first) || first.Origin.Line != 3 && first.Origin.Line != 2 || first.Allowed == "" {
		t.Fatalf("got %+v", first)
	}
}

func TestTableIsComplete(t *testing.T) {
	for _, k := range Keys {
		if k.Doc == "" || k.Group == "" {
			t.Errorf("%s has no description or no group", k.Name)
		}
		if k.Status == Used && k.field == nil && k.Refuse == "" && k.Name != "electionAlg" {
			t.Errorf("%s is said to be used, but no field holds it", k.Name)
		}
		if (k.Kind == Choice || k.Kind == ClassName) && len(k.Choices) == 0 {
			t.Errorf("%s has no choices", k.Name)
		}
		if k.Default == "" {
			continue
		}
		l := &loader{c: &Config{}}
		if raised, what := l.assign(&k, k.Default); raised != "" || what != "" {
			t.Errorf("default of %s: %s%s", k.Name, raised, what)
		}
	}
}

// Every field that the table names is one that assign can store, and gets what was written.
func TestFieldsTakeValues(t *testing.T) {
	text := map[Kind]string{Text: "x", Path: "/x", Whole: "600", Decimal: "0.5", Port: "600", Strict: "true", Lenient: "true", UnlessNo: "yes", OnlyYes: "yes", List: "x, y"}
	for _, k := range Keys {
		if k.field == nil {
			continue
		}
		value := text[k.Kind]
		if len(k.Choices) > 0 {
			value = k.Choices[0]
		}
		c := &Config{}
		if _, what := (&loader{c: c}).assign(&k, value); what != "" {
			t.Errorf("%s=%s: %s", k.Name, value, what)
		}
		if fmt.Sprintf("%+v", c) == fmt.Sprintf("%+v", &Config{}) {
			t.Errorf("%s=%s changed no field", k.Name, value)
		}
	}
}

func TestMemberRoundTrip(t *testing.T) {
	for text, want := range map[string]string{
		"zoo1:2888:3888":                             "zoo1:2888:3888:participant",
		"zoo4:2888:3888:OBSERVER":                    "zoo4:2888:3888:observer",
		"zoo1:2888:3888;2181":                        "zoo1:2888:3888:participant;0.0.0.0:2181",
		"zoo1:2888:3888:participant;10.0.0.1:2181":   "zoo1:2888:3888:participant;10.0.0.1:2181",
		"[2001:db8::1]:2888:3888;[2001:db8::1]:2181": "[2001:db8::1]:2888:3888:participant;[2001:db8::1]:2181",
		"a:2888:3888|b:2889:3889;2181":               "a:2888:3888|b:2889:3889:participant;0.0.0.0:2181",
		"a:1:2|b:1:2:observer":                       "a:1:2|b:1:2:observer", // what is printed is read back, also from ZooKeeper's servers
		"a:1:2:observer|b:1:2:observer":              "a:1:2|b:1:2:observer",
		"a:2888:3888;;2281":                          "a:2888:3888:participant;;0.0.0.0:2281",
		"a:2888:3888;10.0.0.1:2181;10.0.0.1:2281":    "a:2888:3888:participant;10.0.0.1:2181;10.0.0.1:2281",
	} {
		m, err := ParseMember(1, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if m.String() != want {
			t.Errorf("%s printed as %s, want %s", text, m, want)
		}
		if again, err := ParseMember(1, m.String()); err != nil || again.String() != want {
			t.Errorf("%s does not read back: %v", m, err)
		}
	}
	for _, text := range []string{"", "zoo1", "zoo1:2888", ":2888:3888", "zoo1:2888:2888", "zoo1:2888:3888:leader", "zoo1:0:3888", "zoo1:2888:70000", "2001:db8::1:2888:3888",
		"[2001:db8::1:2888:3888", "[zoo1]:2888:3888", "[::1]", "zoo1:2888:3888;", "zoo1:2888:3888;:2181", "zoo1:2888:3888;a:b:2181", "a:1:2:participant|b:1:2:observer", "a:1:2;1;2;3"} {
		if m, err := ParseMember(1, text); err == nil {
			t.Errorf("%q was read as %s", text, m)
		}
	}
}
