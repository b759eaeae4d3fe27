package peers

import (
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
	_ "github.com/zooid-project/zooid/plugins/znode"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
	"github.com/zooid-project/zooid/stores/file"
	"github.com/zooid-project/zooid/stores/pebble"
)

// alter makes a server that was killed one that has applied a transaction differently: the next one in its log that writes data to the node. Checksums and counts are right.
func (m *member) alter(t testing.TB, path string) {
	t.Helper()
	log, err := file.Open(file.Config{FS: vfs.Default, Dir: m.data(), SegmentSize: file.MinSegmentSize})
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := pebble.Open(pebble.Options{FS: vfs.Default, Dir: filepath.Join(m.data(), "nodes"), BlockCache: 1 << 20, MemTable: 1 << 20, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	znode, err := kernel.Lookup(kernel.KindStateMachine, "znode")
	if err != nil {
		t.Fatal(err)
	}
	options, err := kernel.NewOptions("machine", "znode", znode.Options, map[string]string{"extendedTypesEnabled": "true"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	machine, err := znode.New(kernel.Env{Server: kernel.ServerID(m.id), Nodes: nodes}, options)
	if err != nil {
		t.Fatal(err)
	}
	altered := false
	err = log.Read(machine.Position()+1, func(r kernel.Record) bool {
		c := kernel.Committed{Zxid: r.Zxid, Data: append([]byte(nil), r.Data...)}
		var e wire.Entry
		if err := wire.DecodeEntry(c.Data, &e); err != nil {
			t.Fatal(err)
		}
		if altered = e.Header.Type == wire.OpSetData && e.Txn.Path == path; altered {
			e.Txn.Data = []byte("altered")
			e.HasDigest = false
			c.Data = e.AppendTo(nil)
		}
		machine.Apply([]kernel.Committed{c})
		return !altered
	})
	if err != nil || !altered {
		t.Fatalf("nothing was altered behind %s: %v", machine.Position(), err)
	}
	for _, part := range []interface{ Close() error }{machine, nodes, log} {
		if err := part.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStateThatDiffers: a follower has another value than the two others, and its data is whole. It finds that out when it has come up, takes a snapshot, and all are equal again; nobody else notices, and nobody
// loses a session.
func TestStateThatDiffers(t *testing.T) {
	e := newEnsemble(t, []kind{zooid, zooid, zooid})
	e.startAll()
	e.fill("content").end(t)
	c := e.connect()
	if _, err := c.Create(within(t), "/mine", nil, client.CreateOptions{Mode: wire.Ephemeral}); err != nil {
		t.Fatal(err)
	}
	session, _ := c.Session()
	e.write(c, "/altered", 1, 10)
	leader := e.waitLeader()
	victim := e.members[0]
	if victim == leader {
		victim = e.members[1]
	}
	victim.kill()
	victim.alter(t, "/altered")
	mark, led := victim.logLength(), leader.logLength()
	victim.start(t)
	eventually(t, "the server finds that its state differs", func() bool {
		return victim.loggedSince(mark, "the state of this server differs from that of a quorum: it stops serving")
	})
	if !leader.loggedSince(led, "the state of another server differs") || leader.figure(t, "zk_divergence_count") != 1 {
		t.Error("the leader says nothing")
	}
	eventually(t, "the server is up to date again", func() bool { return victim.loggedSince(mark, "up to date with its peers again") })
	e.waitServing()
	if victim.figure(t, "zk_divergence_count") != 1 {
		t.Error("the server does not count it")
	}
	e.compareTrees()
	if e.waitLeader() != leader {
		t.Error("the leader is another one")
	}
	if stat, _, err := c.Exists(within(t), "/mine"); err != nil || !stat {
		t.Errorf("the session's node: %t, %v", stat, err)
	}
	if now, _ := c.Session(); now != session {
		t.Errorf("the session is %x, not %x", now, session)
	}
	e.votesAgain(victim)
}

// TestLeaderWhoseStateDiffers: two followers that agree with each other are right.
func TestLeaderWhoseStateDiffers(t *testing.T) {
	e := newEnsemble(t, []kind{zooid, zooid, zooid})
	e.startAll()
	c := e.connect()
	e.write(c, "/altered", 1, 10)
	right, _, err := c.Get(within(t), "/altered")
	if err != nil {
		t.Fatal(err)
	}
	session, _ := c.Session()
	for _, m := range e.members {
		m.kill()
	}
	victim := e.member(3) // all have the same history: the highest id leads
	victim.alter(t, "/altered")
	mark := victim.logLength()
	e.startAll()
	eventually(t, "the leader finds that its state differs", func() bool {
		return victim.loggedSince(mark, "the state of this server differs from that of a quorum: it stops serving")
	})
	eventually(t, "the server is up to date again", func() bool { return victim.loggedSince(mark, "up to date with its peers again") })
	e.waitServing()
	if leader := e.waitLeader(); leader == victim {
		t.Error("it leads all the same")
	}
	e.compareTrees()
	if data, _, err := e.connect(victim).Get(within(t), "/altered"); err != nil || string(data) != string(right) {
		t.Errorf("%q, %v", data, err)
	}
	if now, _ := c.Session(); now != session {
		t.Errorf("the session is %x, not %x", now, session)
	}
	e.votesAgain(victim)
}
