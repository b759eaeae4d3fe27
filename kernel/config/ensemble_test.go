package config

import (
	"strings"
	"testing"

	"github.com/zooid-project/zooid/kernel"
)

func TestEnsembleText(t *testing.T) {
	text := "server.1=10.0.0.1:2888:3888:participant;0.0.0.0:2181\nserver.2=10.0.0.2:2888:3888:participant;0.0.0.0:2181\nserver.3=[::1]:2888:3888:observer\nversion=100000000"
	e, err := ParseEnsemble(text)
	if err != nil {
		t.Fatal(err)
	}
	if e.Text != text {
		t.Errorf("wrote\n%s\nfor\n%s", e.Text, text)
	}
	if e.Version != kernel.MakeZxid(1, 0) || len(e.Voters) != 2 || len(e.Others) != 1 || !e.IsVoter(2) || e.IsVoter(3) || !e.IsMember(3) || e.IsMember(4) {
		t.Errorf("read %+v", e)
	}
	if e, err := ParseEnsemble("server.1=h:1:2\n"); err != nil || e.Text != "server.1=h:1:2:participant\nversion=0" {
		t.Errorf("%q, %v", e.Text, err)
	}
}

func TestHierarchicalQuorum(t *testing.T) {
	var lines []string
	for _, id := range "123456789" {
		lines = append(lines, "server."+string(id)+"=h"+string(id)+":1:2")
	}
	lines = append(lines, "group.1=1:2:3", "group.2=4:5:6", "group.3=7:8:9", "weight.7=0", "weight.8=0", "weight.9=0")
	e, err := ParseEnsemble(strings.Join(lines, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for ids, want := range map[string]bool{"12": false, "1245": true, "123456": true, "124": false, "12789": false, "123789": false, "456": false, "1356": true} {
		if got := e.IsQuorum(func(id kernel.ServerID) bool { return strings.Contains(ids, string(rune('0'+id))) }); got != want {
			t.Errorf("quorum of %s: %v", ids, got)
		}
	}
	// The weights that were left out are written too.
	if want := "weight.1=1\nweight.2=1\nweight.3=1\nweight.4=1\nweight.5=1\nweight.6=1\nweight.7=0\nweight.8=0\nweight.9=0\nversion=0"; !strings.HasSuffix(e.Text, "group.3=7:8:9\n"+want) {
		t.Errorf("%s", e.Text)
	}
	if again, err := ParseEnsemble(e.Text); err != nil || again.Text != e.Text {
		t.Errorf("%v:\n%s\n%s", err, again.Text, e.Text)
	}
}

func TestEnsembleTextThatIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "version only": "version=1", "observers only": "server.1=h:1:2:observer", "no equals sign": "server.1=h:1:2\nfoo", "another key": "server.1=h:1:2\ndataDir=/x",
		"no port": "server.1=h", "version not hexadecimal": "server.1=h:1:2\nversion=xyz", "negative version": "server.1=h:1:2\nversion=ffffffffffffffff",
		"twice": "server.1=h:1:2\nserver.1=h:1:3", "voter in no group": "server.1=h:1:2\nserver.2=h:1:2\ngroup.1=1",
	} {
		if _, err := ParseEnsemble(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzEnsemble(f *testing.F) {
	f.Add("server.1=10.0.0.1:2888:3888:participant;0.0.0.0:2181\nserver.3=h:1:2:observer\ngroup.1=1\nweight.1=3\nversion=100000000")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseEnsemble(text)
		if err != nil {
			return
		}
		again, err := ParseEnsemble(e.Text)
		if err != nil || again.Text != e.Text {
			t.Fatalf("%q is written as %q, which reads as %q: %v", text, e.Text, again.Text, err)
		}
	})
}
