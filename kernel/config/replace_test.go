package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReplaceMembers: whatever form the files have, they name the new members afterwards and nothing else has changed. It can be done again.
func TestReplaceMembers(t *testing.T) {
	for name, form := range map[string]struct{ static, dynamic string }{
		"static":  {"tickTime=1000\ninitLimit=5\nsyncLimit=2\ndataDir=DATA\nclientPort=2181\nstandaloneEnabled=true\npeerType=participant\nserver.1=a:1:2\nserver.2=b:1:2:\\\n  participant\nserver.3=c:1:2\ngroup.1=1:2\ngroup.2=3\nweight.1=2", ""},
		"dynamic": {"tickTime=1000\ninitLimit=5\nsyncLimit=2\ndataDir=DATA\nclientPort=2181\nreconfigEnabled=true\ndynamicConfigFile=DIR/zoo.cfg.dynamic.100000000", "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "zoo.cfg")
			static := strings.NewReplacer("DATA", dir, "DIR", dir).Replace(form.static)
			for path, text := range map[string]string{file: static, filepath.Join(dir, "myid"): "2\n", filepath.Join(dir, "zoo.cfg.dynamic.100000000"): form.dynamic} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			next, err := ParseEnsemble("server.2=b:1:2:participant\nserver.7=d:1:2:observer\nversion=0")
			if err != nil {
				t.Fatal(err)
			}
			next.Version = 5 << 32
			for range 2 {
				c, err := Load(file, nil)
				if err != nil {
					t.Fatal(err)
				}
				if written, err := c.ReplaceMembers(next); err != nil || written[len(written)-1] != file {
					t.Fatal(written, err)
				}
			}
			c, err := Load(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			e := c.Membership.Ensemble()
			if len(e.Voters) != 1 || e.Voters[0] != 2 || len(e.Others) != 1 || e.Others[0] != 7 || len(e.Groups) != 0 || c.Mode != Replicated || c.TickTime.Seconds() != 1 {
				t.Errorf("%+v, %v", e, c.Mode)
			}
			if name == "dynamic" && e.Version != 5<<32 {
				t.Errorf("version %s", e.Version)
			}
			if before, err := os.ReadFile(file + ".before-recover"); err != nil || string(before) != static {
				t.Errorf("%q, %v", before, err)
			}
		})
	}
}
