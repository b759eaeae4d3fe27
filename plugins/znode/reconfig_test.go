package znode

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/sdk/wire"
)

const threeServers = "server.1=a:1:2:participant;0.0.0.0:3\nserver.2=b:1:2:participant;0.0.0.0:3\nserver.3=c:1:2:participant;0.0.0.0:3\nversion=100000000"

func parsed(t testing.TB, text string) kernel.Ensemble {
	t.Helper()
	e, err := config.ParseEnsemble(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func reconfig(joining, leaving, members string, from int64) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpReconfig}, Joining: joining, Leaving: leaving, NewMembers: members, ConfigID: from}
}

var super = kernel.Identity{Scheme: "super"}

// TestReconfigErrors is the order of the checks of spec client-protocol, 4.2: each request has everything wrong that is checked later, too.
func TestReconfigErrors(t *testing.T) {
	d := newDriver(t, map[string]string{"reconfigEnabled": "true"})
	d.m.Configure(parsed(t, threeServers))
	c := d.client()
	const version = 1 << 32
	for _, test := range []struct {
		name  string
		state string
		w     wire.Request
		want  wire.ErrorCode
	}{
		{"disabled", "disabled gone lone", reconfig("x", "", "", 7), wire.ErrReconfigDisabled},
		{"no session", "gone lone", reconfig("x", "", "", 7), wire.ErrSessionExpired},
		{"no ensemble", "lone", reconfig("x", "", "", 7), wire.ErrUnimplemented},
		{"under way", "changing", reconfig("", "3", "", 7), wire.ErrReconfigInProgress},
		{"another version", "alone", reconfig("x", "", "", 7), wire.ErrBadVersion},
		{"no configuration", "alone", reconfig("server.4=d:1:2", "", "", version), wire.ErrBadArguments},
		{"an address twice", "alone", reconfig("server.4=a:1:9;3", "", "", -1), wire.ErrBadArguments},
		{"one voter", "alone", reconfig("", "2,3", "", -1), wire.ErrBadArguments},
		{"no quorum", "alone", reconfig("", "3", "", version), wire.ErrNewConfigNoQuorum},
		{"no right", "", reconfig("", "3", "", version), wire.ErrNoAuth},
	} {
		d.mayChange = func(kernel.Ensemble) error { return nil }
		d.m.set.reconfig = true
		session := c.session
		for _, s := range strings.Fields(test.state) {
			switch s {
			case "disabled":
				d.m.set.reconfig = false
			case "gone":
				session = 4711
			case "lone":
				d.mayChange = nil
			case "changing":
				d.mayChange = func(kernel.Ensemble) error { return kernel.ErrChanging }
			case "alone":
				d.mayChange = func(kernel.Ensemble) error { return kernel.ErrNoNewQuorum }
			}
		}
		r := c.request(test.w)
		r.Session = session
		d.apply(d.prepare(r))
		if got := c.take(); len(got) != 1 || got[0].err != test.want || len(got[0].body) != 0 {
			t.Errorf("%s: %+v, want %v", test.name, got, test.want)
		}
	}
	d.m.set.reconfig, d.m.set.fewestVoters, d.mayChange = true, 1, func(kernel.Ensemble) error { return errors.New("other") }
	d.apply(d.prepare(c.request(reconfig("", "2,3", "", -1))))
	if got := c.take(); got[0].err != wire.ErrNewConfigNoQuorum {
		t.Errorf("one voter, where that is allowed: %v", got[0].err)
	}
}

// TestReconfig changes the membership: the leader asks the broadcast, the transaction holds the text with its own zxid as the version, every server's node has it, and those who watch it hear.
func TestReconfig(t *testing.T) {
	e := newEnsemble(t, map[string]string{"reconfigEnabled": "true"}, 1)
	var asked []string
	for _, d := range e.servers {
		d.m.Configure(parsed(t, threeServers))
		d.mayChange = func(to kernel.Ensemble) error {
			asked = append(asked, to.Text)
			return nil
		}
	}
	admin, watcher := e.client(2), e.client(2)
	admin.ids = []kernel.Identity{super}
	watcher.d.m.Read([]*kernel.Request{watcher.request(get(wire.OpGetData, wire.ConfigPath, true))})
	var before wire.Response
	if got := watcher.take(); wire.DecodeResponse(wire.OpGetData, got[0].body, &before) != nil || string(before.Data) != threeServers || before.Stat.Version != -1 || before.Stat.Mzxid != 1<<32 || before.Stat.Aversion != -1 {
		t.Fatalf("%q %+v", before.Data, before.Stat)
	}

	z := e.leader.next
	want := strings.ReplaceAll(threeServers, "server.3=c:1:2:participant;0.0.0.0:3\nversion=100000000", "server.4=d:1:2:observer;0.0.0.0:3\nversion=") + strings.TrimPrefix(z.String(), "0x")
	e.run(admin.request(reconfig("server.4=d:1:2:observer;3", "3", "", 1<<32)), admin.request(reconfig("", "4", "", -1)), admin.request(create("/beside", "")))
	got := admin.take()
	var r wire.Response
	if len(got) != 3 || got[0].err != 0 || wire.DecodeResponse(wire.OpReconfig, got[0].body, &r) != nil || string(r.Data) != want || r.Stat.Version != -1 || r.Stat.Mzxid != int64(z) {
		t.Fatalf("%+v\n%q %+v\nwant %q", got, r.Data, r.Stat, want)
	}
	if got[1].err != wire.ErrReconfigInProgress || got[2].err != 0 {
		t.Fatalf("the second in a batch: %v, a write behind it: %v", got[1].err, got[2].err)
	}
	if len(asked) != 1 || asked[0] != want {
		t.Fatalf("the broadcast was asked about %q", asked)
	}
	if got := watcher.take(); len(got) != 1 || got[0].event != wire.EventNodeDataChanged || got[0].path != wire.ConfigPath || got[0].zxid != z {
		t.Fatalf("the watcher was told %+v", got)
	}
	info, err := e.leader.m.Inspect(e.leader.log[len(e.leader.log)-3].Data)
	if err != nil || string(info.Config) != want {
		t.Fatalf("%q, %v", info.Config, err)
	}
	e.same()

	// The next one goes on from there, once the node has said that it is in force.
	for _, d := range e.servers {
		d.m.Configure(parsed(t, want))
	}
	if got := watcher.take(); len(got) != 0 {
		t.Fatalf("told again: %+v", got)
	}
	if s, ok := e.do(admin, reconfig("", "4", "", 1<<32)); !ok || s.err != wire.ErrBadVersion {
		t.Fatalf("from a version that is over: %+v", s)
	}
	if s, ok := e.do(admin, reconfig("", "4", "", int64(z))); !ok || s.err != 0 {
		t.Fatalf("%+v", s)
	}
	// A change that is committed is over, though this server has not applied it yet.
	behind := e.leader.prepare(forwarded(2, admin.request(reconfig("server.5=e:1:2;3", "", "", -1))))
	asked = nil
	e.leader.prepare(forwarded(2, admin.request(reconfig("server.6=f:1:2;3", "", "", -1))))
	if len(asked) != 1 {
		t.Fatal("the broadcast was not asked, which knows")
	}
	e.leader.m.DropSpeculation()
	e.leader.next -= kernel.Zxid(1 + len(behind))
	// What was prepared and lost with the role is no change under way.
	e.leader.prepare(forwarded(2, admin.request(reconfig("server.5=e:1:2;3", "", "", -1))))
	e.leader.m.DropSpeculation()
	e.leader.next--
	if s, ok := e.do(admin, reconfig("server.5=e:1:2;3", "", "", -1)); !ok || s.err != 0 {
		t.Fatalf("%+v", s)
	}
	e.same()
}

// TestConfigure: what is in force without a transaction is each server's own to write.
func TestConfigure(t *testing.T) {
	e := newEnsemble(t, nil, 1)
	d := e.leader
	data := func(d *driver) string { return string(d.m.at(wire.ConfigPath).Data) }
	if data(d) != "" {
		t.Fatalf("without an ensemble: %q", data(d))
	}
	d.m.Configure(parsed(t, threeServers))
	if data(d) != threeServers {
		t.Fatalf("%q", data(d))
	}
	d.verify()
	digest := d.m.counts.digest

	// One that is newer than the state comes with its transaction.
	later := strings.ReplaceAll(threeServers, "version=100000000", "version=200000007")
	d.m.Configure(parsed(t, later))
	if data(d) != threeServers {
		t.Fatal("written ahead of its transaction")
	}
	d.m.Configure(parsed(t, threeServers))
	d.restart(true)
	d.m.Configure(parsed(t, threeServers))
	if data(d) != threeServers || d.m.counts.digest != digest {
		t.Fatalf("after a restart: %q", data(d))
	}

	// A snapshot brings another server's text. One of a transaction counts, one of its own does not.
	learner := e.servers[2]
	mine := strings.ReplaceAll(threeServers, "0.0.0.0:3", "0.0.0.0:9")
	learner.m.Configure(parsed(t, mine))
	for _, text := range []string{threeServers, later} {
		if text == later {
			d.m.tree.Lock()
			d.m.tree.Advance(1 << 36)
			d.m.tree.Unlock()
			d.m.Configure(parsed(t, later))
		}
		var b bytes.Buffer
		zxid, err := snapshotTo(d.m, &b)
		if err != nil {
			t.Fatal(err)
		}
		if err := learner.m.Restore(&b, zxid); err != nil {
			t.Fatal(err)
		}
		if want := map[string]string{threeServers: mine, later: later}[text]; data(learner) != want {
			t.Fatalf("restored %q, want %q", data(learner), want)
		}
		learner.verify()
	}
}
