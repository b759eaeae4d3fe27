package peers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestReconfig takes an ensemble through changes of its members while clients write through every server of Zooid: a fourth server joins that is in nobody's file, the leader leaves and comes
// back, a follower leaves in a change of the whole, becomes an observer and a voter again. All servers run on and serve; those that have no vote follow. Among servers of Zooid alone no client
// loses its connection.
func TestReconfig(t *testing.T) {
	beside(t)
	mixes := [][]kind{{zooid, zooid, zooid, zooid}, {apache38, apache38, zooid, zooid}, {zooid, zooid, apache38, apache38}, {zooid, apache38, apache38, zooid},
		{zooid, zooid, apache39, zooid}, {apache39, apache39, zooid, zooid}, {zooid, zooid, apache39, apache39}, {zooid, apache39, apache39, zooid}}
	for _, kinds := range mixes {
		t.Run(mixName(kinds), func(t *testing.T) {
			e := newEnsemble(t, kinds, "reconfigEnabled=true", "-Dzookeeper.DigestAuthenticationProvider.superDigest="+superDigest)
			joiner := e.member(4)
			for _, m := range e.members[:3] {
				e.configureAs(m, e.members[:3]...)
			}
			for _, m := range []*member{e.member(3), e.member(2), e.member(1)} {
				m.start(t)
			}
			e.waitServing()
			alone := true
			var residents []*resident
			watch := func(m *member) {
				if m.kind.apache() {
					alone = false
				} else {
					residents = append(residents, e.reside(m))
				}
			}
			for _, m := range e.members[:3] {
				watch(m)
			}
			joiner.start(t)
			e.waitServing() // it follows without a vote
			watch(joiner)

			through := e.connect()
			changed := func(joining, leaving, members string) string {
				t.Helper()
				var text []byte
				eventually(t, "the change is made: "+e.status(), func() bool {
					var err error
					text, _, err = through.Reconfig(within(t), joining, leaving, members, -1)
					if err != nil && !errors.Is(err, wire.ErrNewConfigNoQuorum) && !errors.Is(err, wire.ErrReconfigInProgress) && !errors.Is(err, wire.ErrConnectionLoss) {
						t.Fatalf("%q %q %q: %v", joining, leaving, members, err)
					}
					return err == nil
				})
				e.waitServing()
				e.waitConfig(string(text))
				for _, r := range residents {
					r.settle()
				}
				return string(text)
			}

			if text := changed(joiner.line(), "", ""); !strings.Contains(text, joiner.line()) {
				t.Fatalf("%q", text)
			}
			leader := e.waitLeader()
			if text := changed("", fmt.Sprint(leader.id), ""); strings.Contains(text, leader.line()) {
				t.Fatalf("%q", text)
			}
			if now := e.waitLeader(); now == leader || leader.mode() != "follower" {
				t.Fatalf("%s leads, and %s is %s", now, leader, leader.mode())
			}
			changed(leader.line(), "", "")

			leader = e.waitLeader()
			var leaves *member
			var stay []string
			for _, m := range e.members {
				if leaves == nil && m != leader && m != joiner {
					leaves = m
				} else {
					stay = append(stay, m.line())
				}
			}
			changed("", "", strings.Join(stay, ","))
			leaves.observer = true
			changed(leaves.line(), "", "")
			eventually(t, leaves.String()+" observes", func() bool { return leaves.mode() == "observer" })
			leaves.observer = false
			if leaves.kind.apache() { // what observes is not counted before it votes, and is sent no proposals
				changed("", fmt.Sprint(leaves.id), "")
			}
			changed(leaves.line(), "", "")
			eventually(t, leaves.String()+" votes", func() bool { return leaves.mode() == "follower" })

			for _, r := range residents {
				if lost := r.lost.Load(); alone && lost != 0 {
					s := r.reason.Load()
					t.Errorf("%s was disconnected %d times, the last time at %s: %v", r.path, lost, s.Time.UTC().Format("15:04:05.000"), s.Err)
				}
				r.end()
			}
			e.compareTrees()

			// What they have agreed on outlives their files, which know nothing of it.
			want, _, err := through.Get(within(t), wire.ConfigPath)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range e.members {
				m.kill()
			}
			for _, m := range e.members {
				m.start(t)
			}
			e.waitServing()
			e.waitConfig(string(want))
			c := e.connect(joiner)
			if _, err := c.Create(within(t), "/after", nil, client.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// configureAs writes a member's zoo.cfg with these members in it.
func (e *ensemble) configureAs(m *member, members ...*member) {
	e.t.Helper()
	lines := append([]string{"dataDir=" + m.data()}, e.lines...)
	for _, other := range members {
		lines = append(lines, other.line())
	}
	if err := os.WriteFile(filepath.Join(m.dir, "zoo.cfg"), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		e.t.Fatal(err)
	}
}

// waitConfig returns when all members that run have this configuration in force.
func (e *ensemble) waitConfig(text string) {
	e.t.Helper()
	for _, m := range e.running() {
		c := e.connect(m)
		eventually(e.t, fmt.Sprintf("%s has the configuration %q: %s", m, text, e.status()), func() bool {
			got, _, err := c.Get(within(e.t), wire.ConfigPath)
			return err == nil && string(got) == text
		})
	}
}
