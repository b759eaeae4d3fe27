package peers

import (
	"fmt"
	"strings"
	"testing"
)

// A mix is kinds in the order of their ids: the last one leads first, the one before it when the last one was killed.
var mixes = [][]kind{
	{apache38, apache38, zooid},
	{zooid, apache38, apache38},
	{apache38, zooid, zooid},
	{zooid, zooid, apache38},
	{apache38, apache38, zooid, apache38, zooid},
	{zooid, apache38, zooid},
	{apache39, zooid, apache39},
	{zooid, zooid, apache39},
	{apache39, zooid, apache39, apache39, zooid},
}

func mixName(kinds []kind) string {
	var out []string
	for _, k := range kinds {
		out = append(out, strings.ReplaceAll(string(k), " ", ""))
	}
	return strings.Join(out, "-")
}

// TestMix: in every mix clients of every server see the same service, and it goes on when its leader was killed and when that one comes back.
func TestMix(t *testing.T) {
	for _, kinds := range mixes {
		t.Run(mixName(kinds), func(t *testing.T) {
			e := newEnsemble(t, kinds)
			e.startAll()
			e.expectLeader(len(kinds))
			e.compareConfig()

			before := e.fill("before")
			before.checkSessions(t)
			if e.compareTrees() == 0 {
				t.Fatal("no digest was compared")
			}

			leader := e.member(len(kinds))
			leader.kill()
			e.waitServing()
			e.expectLeader(len(kinds) - 1)
			before.checkSessions(t) // those of the killed server too
			without := e.fill("without")
			e.compareTrees()

			leader.start(t)
			e.waitServing()
			e.expectLeader(len(kinds) - 1)
			e.compareConfig()
			back := e.fill("back")
			e.compareTrees()
			for _, c := range []*content{before, without, back} {
				c.checkSessions(t)
			}
			e.compareTrees()
			for _, c := range []*content{before, without, back} {
				c.end(t)
			}
			e.compareTrees()
		})
	}
}

// compareConfig checks that the configuration node is the same on all members.
func (e *ensemble) compareConfig() {
	e.t.Helper()
	first := ""
	for _, m := range e.running() {
		c := e.connect(m)
		text, stat, err := c.Config(within(e.t))
		if err != nil {
			e.t.Fatalf("%s: config: %v", m, err)
		}
		stat.Mtime = 0 // each server's own
		got := fmt.Sprintf("%s %+v", text, stat)
		for _, other := range e.members {
			if !strings.Contains(got, fmt.Sprintf(":%d", other.ports.client)) {
				e.t.Errorf("%s: the configuration node does not name %s: %s", m, other, got)
			}
		}
		if first == "" {
			first = got
		}
		if got != first {
			e.t.Errorf("%s has another configuration node:\n%s\n%s", m, got, first)
		}
		if err := c.Close(within(e.t)); err != nil {
			e.t.Fatal(err)
		}
	}
}
