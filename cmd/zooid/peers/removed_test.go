package peers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRemovedServer: a server that was removed says so while it runs on, and why it does not start again. Whoever adds it to the file of the version that does not have it gets what the ensemble has agreed on, and hears that,
// too; who does as it is told, or as the page operations says, has it back.
func TestRemovedServer(t *testing.T) {
	e := newEnsemble(t, []kind{zooid, zooid, zooid, zooid}, "reconfigEnabled=true")
	for _, m := range e.members {
		e.configureDynamic(m, e.members...)
		m.start(t)
	}
	e.waitServing()
	removed := e.member(4)
	stranger := func(mark int64) {
		t.Helper()
		eventually(t, removed.String()+" says that it is no member", func() bool {
			return removed.loggedSince(mark, "this server is not a member of the configuration in force")
		})
	}
	mark := removed.logLength()
	text := e.change("", "4")
	for _, m := range e.members {
		e.waitFiles(m, text)
	}
	stranger(mark)
	removed.stop(t)

	_, version, _ := strings.Cut(text, "version=")
	mark = removed.logLength()
	removed.launch(t)
	removed.wanted = false // it ends by itself
	eventually(t, removed.String()+" refuses to start", func() bool { return !removed.running() })
	if !removed.loggedSince(mark, "is not a member of configuration version "+version) || !removed.loggedSince(mark, "whose name does not end with a version") {
		t.Errorf("%s does not say why it does not start, and what to do", removed)
	}

	file := filepath.Join(removed.dir, "zoo.cfg.dynamic."+version)
	agreed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(agreed, removed.line()+"\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	mark = removed.logLength()
	removed.start(t)
	e.waitServing()
	stranger(mark)
	e.waitConfig(text)
	e.waitFiles(removed, text)
	removed.stop(t)

	e.configureDynamic(removed, e.members...)
	removed.start(t)
	e.waitServing()
	if text := e.change(removed.line(), ""); strings.Count(text, ":participant;") != 4 {
		t.Errorf("%q", text)
	}
}
