package config

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
)

func TestReconfigure(t *testing.T) {
	current, err := ParseEnsemble("server.1=a:1:2:participant;0.0.0.0:3\nserver.2=b:1:2:participant;0.0.0.0:3\nserver.3=c:1:2:observer;c:3\nversion=100000000")
	if err != nil {
		t.Fatal(err)
	}
	groups, err := ParseEnsemble("server.1=a:1:2\nserver.2=b:1:2\ngroup.1=1:2\nweight.1=2")
	if err != nil {
		t.Fatal(err)
	}
	const one, two, three = "server.1=a:1:2:participant;0.0.0.0:3\n", "server.2=b:1:2:participant;0.0.0.0:3\n", "server.3=c:1:2:observer;c:3\n"
	for _, test := range []struct {
		name                      string
		from                      kernel.Ensemble
		joining, leaving, members string
		want                      string // without the version; "": refused
	}{
		{"nothing", current, "", "", "", one + two + three},
		{"one leaves", current, "", "2", "", one + three},
		{"one that is not there leaves", current, "", "9", "", one + two + three},
		{"one joins, one leaves", current, "server.4=d:1:2;3", " 1 , 3", "", two + "server.4=d:1:2:participant;0.0.0.0:3\n"},
		{"two join", current, "server.5=e:1:2:observer;e:3,server.4=d:1:2;3", "", "", one + two + three + "server.4=d:1:2:participant;0.0.0.0:3\nserver.5=e:1:2:observer;e:3\n"},
		{"one changes its role", current, "server.3=c:1:2:participant;c:3", "", "", one + two + "server.3=c:1:2:participant;c:3\n"},
		{"one takes the address of one that leaves", current, "server.4=a:1:2;3", "1", "", two + three + "server.4=a:1:2:participant;0.0.0.0:3\n"},
		{"the whole configuration", current, "", "", "server.7=g:1:2,server.8=h:1:2;3\nversion=77", "server.7=g:1:2:participant\nserver.8=h:1:2:participant;0.0.0.0:3\n"},
		{"groups", current, "", "", "server.7=g:1:2,group.1=7,weight.7=3", "server.7=g:1:2:participant\ngroup.1=7\nweight.7=3\n"},
		{"away from groups", groups, "", "", "server.7=g:1:2", "server.7=g:1:2:participant\n"},
		{"one leaves groups", groups, "", "2", "", ""},
		{"all voters leave", current, "", "1,2", "", ""},
		{"not an id", current, "", "x", "", ""},
		{"no client port", current, "server.4=d:1:2", "", "", ""},
		{"no election port", current, "server.4=d:1;3", "", "", ""},
		{"not a server", current, "weight.4=d:1:2;3", "", "", ""},
		{"no equals sign", current, "server.4", "", "", ""},
		{"the address of another", current, "server.4=b:7:2;3", "", "", ""},
		{"the client address of another", current, "server.4=c:3:9;4", "", "", ""},
		{"a configuration with another key", current, "", "", "server.7=g:1:2,dataDir=/x", ""},
		{"a configuration without servers", current, "", "", "version=5", ""},
	} {
		e, err := Reconfigure(test.from, test.joining, test.leaving, test.members, kernel.MakeZxid(2, 0x1f))
		switch want := test.want + "version=20000001f"; {
		case test.want == "" && err == nil:
			t.Errorf("%s: made\n%s", test.name, e.Text)
		case test.want != "" && (err != nil || e.Text != want || e.Version != kernel.MakeZxid(2, 0x1f)):
			t.Errorf("%s: %v\n%s\nwant\n%s", test.name, err, e.Text, want)
		}
	}
}
