package znode

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// ensemble is a leader, server 1, and learners, in one goroutine. What the leader commits every server applies: from bytes, without notes, with the requests of its own clients.
type ensemble struct {
	t       testing.TB
	leader  *driver
	servers map[kernel.ServerID]*driver
	asked   []asked // in the order of the questions
}

type asked struct {
	from    kernel.ServerID
	payload []byte
}

func newEnsemble(t testing.TB, opts map[string]string, learners int) *ensemble {
	t.Helper()
	e := &ensemble{t: t, servers: map[kernel.ServerID]*driver{}}
	e.leader = newServer(t, 1, opts, "memory", nil)
	e.servers[1] = e.leader
	for id := kernel.ServerID(2); id < kernel.ServerID(2+learners); id++ {
		e.servers[id] = newServer(t, id, opts, "memory", func(payload []byte) { e.asked = append(e.asked, asked{id, bytes.Clone(payload)}) })
	}
	return e
}

// forwarded is a request as the leader gets it from a learner: bytes and who sent them.
func forwarded(from kernel.ServerID, r *kernel.Request) *kernel.Request {
	return &kernel.Request{Session: r.Session, Cxid: r.Cxid, Op: r.Op, Body: bytes.Clone(r.Body), Identities: r.Identities, From: from}
}

// prepare prepares requests at the leader, each from the server that holds its client, and returns what every server is to apply.
func (e *ensemble) prepare(reqs ...*kernel.Request) map[kernel.ServerID][]kernel.Committed {
	e.t.Helper()
	atLeader := make([]*kernel.Request, len(reqs))
	for i, r := range reqs {
		atLeader[i] = r
		if c, ok := r.Conn.(*conn); ok && c.d != e.leader {
			atLeader[i] = forwarded(c.d.env.Server, r)
			if err := e.leader.m.Resolve(atLeader[i]); err != nil {
				e.t.Fatal(err)
			}
		}
	}
	txns := map[kernel.ServerID][]kernel.Committed{1: e.leader.prepare(atLeader...)}
	for id := range e.servers {
		if id == 1 {
			continue
		}
		for i, c := range txns[1] {
			own := kernel.Committed{Zxid: c.Zxid, Data: bytes.Clone(c.Data)}
			if h, ok := reqs[i].Conn.(*conn); ok && h.d.env.Server == id {
				own.Request = reqs[i]
			}
			txns[id] = append(txns[id], own)
		}
	}
	return txns
}

// run prepares requests and applies them everywhere, at the learners first.
func (e *ensemble) run(reqs ...*kernel.Request) {
	e.t.Helper()
	txns := e.prepare(reqs...)
	for id, d := range e.servers {
		if id != 1 {
			d.apply(txns[id])
		}
	}
	e.leader.apply(txns[1])
}

// creation is the request that opens a session on a server, and the connection that it is for.
func (e *ensemble) creation(server kernel.ServerID) (*conn, *kernel.Request) {
	d := e.servers[server]
	c := &conn{d: d}
	w := &wire.Request{Op: wire.Op{Code: wire.OpCreateSession}, TimeoutMs: 10000}
	return c, &kernel.Request{Session: d.m.Sessions().NewID(), Op: int32(wire.OpCreateSession), Conn: c, Decoded: w, Body: w.AppendTo(nil)}
}

// client opens a session on a server.
func (e *ensemble) client(server kernel.ServerID) *conn {
	e.t.Helper()
	c, req := e.creation(server)
	e.run(req)
	if got := c.take(); len(got) != 1 || got[0].err != 0 || c.session == 0 {
		e.t.Fatalf("createSession on server %d: %+v", server, got)
	}
	return c
}

// do runs one request of a client and returns its answer; ok is false when the connection was closed instead.
func (e *ensemble) do(c *conn, w wire.Request) (s sent, ok bool) {
	e.t.Helper()
	e.run(c.request(w))
	got := c.take()
	switch {
	case len(got) == 1 && !c.closed:
		return got[0], true
	case len(got) == 0 && c.closed:
		return sent{}, false
	}
	e.t.Fatalf("%v %s: %+v, closed: %v", w.Code, w.Path, got, c.closed)
	return
}

// answer lets the leader answer the oldest question.
func (e *ensemble) answer() {
	e.t.Helper()
	q := e.asked[0]
	e.asked = e.asked[1:]
	a, err := e.leader.m.Peers().Asked(q.from, q.payload)
	if err != nil {
		e.t.Fatal(err)
	}
	if err := e.servers[q.from].m.Peers().Answered(a); err != nil {
		e.t.Fatal(err)
	}
}

// attaching is a client that wants its session back.
type attaching struct {
	*conn
	got []kernel.Attachment
}

func (e *ensemble) attach(server kernel.ServerID, id kernel.SessionID, timeout time.Duration) *attaching {
	a := &attaching{conn: &conn{d: e.servers[server]}}
	password := a.d.m.Sessions().Password(id)
	a.d.m.Sessions().Attach(id, password[:], timeout, a.conn, func(x kernel.Attachment) {
		if a.got = append(a.got, x); x.Verdict == kernel.Accepted {
			a.session = id
		}
	})
	return a
}

func (a *attaching) want(v kernel.Verdict) {
	a.d.t.Helper()
	if len(a.got) != 1 || a.got[0].Verdict != v {
		a.d.t.Fatalf("the client was told %+v, want verdict %d", a.got, v)
	}
}

// heartbeat is one round of PING: every learner's signs of life reach the leader.
func (e *ensemble) heartbeat() {
	e.t.Helper()
	for id, d := range e.servers {
		if id == 1 {
			continue
		}
		payload := d.m.Peers().Touched()
		if payload == nil {
			e.t.Fatal("an answer to PING is never null")
		}
		if err := e.leader.m.Peers().Heard(id, payload); err != nil {
			e.t.Fatal(err)
		}
	}
}

// tick moves the time of all servers and returns what the leader wants to end.
func (e *ensemble) tick(by time.Duration) (own []*kernel.Request) {
	e.t.Helper()
	for id, d := range e.servers {
		d.now = d.now.Add(by)
		reqs := d.m.Tick(d.now, false)
		if id == 1 {
			own = reqs
		} else if len(reqs) > 0 {
			e.t.Fatalf("server %d, a learner, makes requests of its own: %+v", id, reqs[0])
		}
	}
	return own
}

// same compares the servers: nodes, ACLs, sessions, digests.
func (e *ensemble) same() {
	e.t.Helper()
	want := dump(e.leader)
	for id, d := range e.servers {
		d.verify()
		if got := dump(d); got != want {
			e.t.Fatalf("server %d differs from the leader:\n%s\nleader:\n%s", id, got, want)
		}
	}
}

// dump is the replicated state as text. Numbers of ACLs and nodes are a server's own.
func dump(d *driver) string {
	d.t.Helper()
	var b bytes.Buffer
	v, err := d.m.tree.View(d.m.background)
	if err != nil {
		d.t.Fatal(err)
	}
	defer v.Close()
	gone, err := departedIn(v)
	if err != nil {
		d.t.Fatal(err)
	}
	err = v.Walk("/", func(path string, n *treeNode) bool {
		if !gone[n.Owner] {
			fmt.Fprintf(&b, "%s %q %v %d %d %d %d %d %d %d %d %x %d\n", path, n.Data, d.m.acls.get(n.ACL).entries, n.Czxid, n.Mzxid, n.Pzxid, n.Ctime, n.Mtime, n.Version, n.Creates, n.Aversion, uint64(n.Owner), n.NumChildren)
		}
		return true
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.m.tree.ScanSide(sideSession, func(key string, value []byte) bool {
		fmt.Fprintf(&b, "session %x %x\n", key[1:], value)
		return true
	})
	fmt.Fprintf(&b, "position %s digest %x, of the state %x\n", d.m.Position(), d.m.counts.digest, d.m.counts.state)
	return b.String()
}
