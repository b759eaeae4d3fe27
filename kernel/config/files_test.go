package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/zooid-project/zooid/kernel"
)

// TestDynamicFiles follows an installation through a change of its members: what is written is what Load, and ZooKeeper's servers, read.
func TestDynamicFiles(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(at(name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if err := os.Mkdir(at("data"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("data/myid", "1\n")
	static := "# kept\ndataDir=" + at("data") + "\ninitLimit=10\nsyncLimit=5\nreconfigEnabled=true\ndynamicConfigFile=" + at("zoo.cfg.dynamic") + "\n# kept, too\n"
	write("zoo.cfg", static)
	one := "server.1=a:1:2:participant;0.0.0.0:3\n"
	write("zoo.cfg.dynamic", one+"server.2=b:1:2:participant;0.0.0.0:3\n")
	load := func() *Config {
		t.Helper()
		c, err := Load(at("zoo.cfg"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ensemble := func(text string) kernel.Ensemble {
		t.Helper()
		e, err := ParseEnsemble(text)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	files := load().DynamicFiles()
	if files == nil {
		t.Fatal("no dynamic files")
	}
	first := load().Membership.Ensemble()
	next := ensemble(one + "server.3=c:1:2:participant;0.0.0.0:3\nversion=10000001f")
	if err := files.Write(ensemble(one+"server.2=b:1:2:participant;0.0.0.0:3\nversion=100000000"), &next); err != nil {
		t.Fatal(err)
	}
	if read("zoo.cfg.dynamic.100000000") != one+"server.2=b:1:2:participant;0.0.0.0:3\n" || read("zoo.cfg.dynamic.next") != next.Text+"\n" || read("zoo.cfg.bak") != static {
		t.Errorf("%q, %q, %q", read("zoo.cfg.dynamic.100000000"), read("zoo.cfg.dynamic.next"), read("zoo.cfg.bak"))
	}
	if c := load(); c.Membership.Version != 1<<32 || c.Proposed == nil || c.Proposed.Version != 1<<32|0x1f || len(c.Membership.Members) != len(first.Members) {
		t.Errorf("%+v, %+v", c.Membership, c.Proposed)
	}

	if err := files.Write(next, nil); err != nil {
		t.Fatal(err)
	}
	want := "# kept\ndataDir=" + at("data") + "\ninitLimit=10\nsyncLimit=5\nreconfigEnabled=true\ndynamicConfigFile=" + at("zoo.cfg.dynamic.10000001f") + "\n# kept, too\n"
	if read("zoo.cfg") != want {
		t.Errorf("%q", read("zoo.cfg"))
	}
	if info, err := os.Stat(at("zoo.cfg")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if c := load(); c.Membership.Version != 1<<32|0x1f || c.Proposed != nil || c.Membership.Ensemble().Text != next.Text {
		t.Errorf("%+v, %+v", c.Membership, c.Proposed)
	}
	left, err := filepath.Glob(at("*.tmp*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	// A static file that lists its members itself is nobody's to change.
	write("zoo.cfg", "dataDir="+at("data")+"\ninitLimit=10\nsyncLimit=5\nreconfigEnabled=true\n"+one+"server.2=b:1:2\n")
	if load().DynamicFiles() != nil {
		t.Error("dynamic files without a dynamic file")
	}
}
