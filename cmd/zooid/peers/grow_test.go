package peers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/sdk/wire"
)

// configureDynamic writes a member's configuration as an operator of dynamic files does: zoo.cfg names a file that has these members.
func (e *ensemble) configureDynamic(m *member, members ...*member) {
	e.t.Helper()
	static, dynamic := filepath.Join(m.dir, "zoo.cfg"), filepath.Join(m.dir, "members")
	var lines []string
	for _, other := range members {
		lines = append(lines, other.line())
	}
	if err := os.WriteFile(dynamic, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		e.t.Fatal(err)
	}
	lines = append([]string{"# by hand", "dataDir=" + m.data()}, append(e.lines, "dynamicConfigFile="+dynamic, "# the end")...)
	if err := os.WriteFile(static, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		e.t.Fatal(err)
	}
}

// waitFiles returns when a server's files say what is in force: zoo.cfg names the file of the version, which has the members and nothing else, and is otherwise as it was; what it was lies beside it.
func (e *ensemble) waitFiles(m *member, text string) {
	e.t.Helper()
	members, version, found := strings.Cut(text, "version=")
	if !found {
		e.t.Fatalf("%q", text)
	}
	static := filepath.Join(m.dir, "zoo.cfg")
	dynamic := static + ".dynamic." + version
	eventually(e.t, fmt.Sprintf("the files of %s say %q", m, text), func() bool {
		config, err := os.ReadFile(static)
		got, err2 := os.ReadFile(dynamic)
		return err == nil && err2 == nil && string(got) == members && strings.Contains(string(config), "\ndynamicConfigFile="+dynamic+"\n")
	})
	config, err := os.ReadFile(static)
	if err != nil {
		e.t.Fatal(err)
	}
	before, err := os.ReadFile(static + ".bak")
	if err != nil {
		e.t.Fatal(err)
	}
	names := regexp.MustCompile(`(?m)^dynamicConfigFile=.*$`)
	if string(names.ReplaceAll(config, nil)) != string(names.ReplaceAll(before, nil)) || !strings.HasPrefix(string(config), "# by hand\n") || strings.Contains(string(config), "server.") {
		e.t.Errorf("zoo.cfg of %s was\n%s\nand is\n%s", m, before, config)
	}
	eventually(e.t, m.String()+" has no configuration any more that is only proposed", func() bool { // it goes last
		_, err := os.Stat(static + ".dynamic.next")
		return errors.Is(err, os.ErrNotExist)
	})
}

// change makes a change of the members and returns the configuration that is in force on all servers that run.
func (e *ensemble) change(joining, leaving string) string {
	e.t.Helper()
	through := e.connect(e.running()...)
	var text []byte
	eventually(e.t, fmt.Sprintf("the change (%q joins, %q leaves) is made: %s", joining, leaving, e.status()), func() bool {
		var err error
		text, _, err = through.Reconfig(within(e.t), joining, leaving, "", -1)
		if err != nil && !errors.Is(err, wire.ErrNewConfigNoQuorum) && !errors.Is(err, wire.ErrReconfigInProgress) && !errors.Is(err, wire.ErrConnectionLoss) {
			e.t.Fatalf("%q joins, %q leaves: %v", joining, leaving, err)
		}
		return err == nil
	})
	e.waitServing()
	e.waitConfig(string(text))
	if err := through.Close(within(e.t)); err != nil {
		e.t.Fatal(err)
	}
	return string(text)
}

// TestGrowFromOne: a server that is the only voter and may grow (standaloneEnabled=false) becomes three by reconfig, one again, and three again. Its data stays, and a session with an ephemeral node.
// What is in force stands in the files of every server, and from these the ensemble comes back.
func TestGrowFromOne(t *testing.T) {
	beside(t)
	e := newEnsemble(t, []kind{zooid, zooid, zooid}, "standaloneEnabled=false", "reconfigEnabled=true")
	first, second, third := e.member(1), e.member(2), e.member(3)
	e.configureDynamic(first, first)
	first.start(t)
	e.waitServing()
	before := e.fill("before")

	e.configureDynamic(second, first, second)
	second.start(t)
	e.waitServing()
	e.change(second.line(), "")
	e.configureDynamic(third, first, second, third)
	third.start(t)
	e.waitServing()
	text := e.change(third.line(), "")
	if strings.Count(text, ":participant;") != 3 {
		t.Fatalf("%q", text)
	}
	before.checkSessions(t)
	for _, m := range e.members {
		e.waitFiles(m, text)
	}
	e.compareTrees()
	e.votesAgain(third)

	// One after the other, then all at once, from what is written there.
	for _, m := range e.followersFirst() {
		m.stop(t)
		e.waitServing()
		m.start(t)
		e.waitServing()
	}
	killAll(e.members...)
	for _, m := range e.members {
		m.start(t)
	}
	e.waitServing()
	e.waitConfig(text)
	before.checkSessions(t)

	// Two leave: they go on without a vote until they are stopped, and what is left is an ensemble of one.
	text = e.change("", "2,3")
	if strings.Count(text, "server.") != 1 || !strings.HasPrefix(text, first.line()) {
		t.Fatalf("%q", text)
	}
	e.expectLeader(1)
	for _, m := range e.members {
		e.waitFiles(m, text)
	}
	e.compareTrees()
	second.stop(t)
	third.stop(t)
	e.write(e.connect(first), "/alone", 20, 100)
	before.checkSessions(t)
	first.stop(t)
	first.start(t)
	e.waitServing()
	e.expectLeader(1)
	before.checkSessions(t)

	// They come back: one with what it has, once it is given a file that names it, which it asks for; the other with nothing. The file's
	// name says no version: what the ensemble has agreed on counts more.
	mark := second.logLength()
	second.launch(t)
	second.wanted = false // it ends by itself
	eventually(t, second.String()+" refuses to start", func() bool { return !second.running() })
	if !second.loggedSince(mark, fmt.Sprintf("server %d (myid) is not a member", second.id)) {
		t.Errorf("%s does not say why it does not start", second)
	}
	e.configureDynamic(second, first, second)
	second.start(t)
	e.waitServing()
	e.change(second.line(), "")
	third.wipe(t)
	e.configureDynamic(third, first, second, third)
	third.start(t)
	e.waitServing()
	text = e.change(third.line(), "")
	for _, m := range e.members {
		e.waitFiles(m, text)
	}
	first.kill()
	e.waitServing()
	before.checkSessions(t)
	first.start(t)
	e.waitServing()
	e.waitConfig(text)
	before.checkSessions(t)
	before.end(t)
	e.compareTrees()
}

// TestGrowAfterRecover: what `zooid recover` has left of an ensemble grows without a stop, as the page operations says, with two empty servers that know the survivor and themselves.
func TestGrowAfterRecover(t *testing.T) {
	beside(t)
	e := newEnsemble(t, []kind{zooid, zooid, zooid}, "reconfigEnabled=true")
	e.startAll()
	before := e.fill("before")
	e.level()
	killAll(e.members...)
	survivor := e.member(3)
	if out, err := runZooid(t, "recover", filepath.Join(survivor.dir, "zoo.cfg"), "--yes"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	survivor.start(t)
	e.waitServing()
	before.checkSessions(t)
	for _, m := range []*member{e.member(1), e.member(2)} {
		m.wipe(t)
		e.configureAs(m, survivor, m)
		m.start(t)
		e.waitServing()
		if text := e.change(m.line(), ""); !strings.Contains(text, m.line()) {
			t.Fatalf("%q", text)
		}
	}
	before.checkSessions(t)
	e.compareTrees()
	e.votesAgain(e.member(1))
	survivor.kill()
	e.waitServing()
	before.checkSessions(t)
	survivor.start(t)
	e.waitServing()

	// The files know two of them, three, or one: what was agreed on counts.
	want, _, err := e.connect().Get(within(t), wire.ConfigPath)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(want), "server."); n != 3 {
		t.Fatal(strconv.Quote(string(want)))
	}
	killAll(e.members...)
	for _, m := range e.members {
		m.start(t)
	}
	e.waitServing()
	e.waitConfig(string(want))
	before.checkSessions(t)
	before.end(t)
	e.compareTrees()
}
