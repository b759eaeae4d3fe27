package znode

import (
	"bytes"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// mirror is a learner that applies what the leader has committed as if it held the leader's clients: each has a twin connection there.
type mirror struct {
	*ensemble
	learner *driver
	twins   map[*conn]*conn
}

func newMirror(t *testing.T, opts map[string]string) *mirror {
	e := newEnsemble(t, opts, 1)
	return &mirror{ensemble: e, learner: e.servers[2], twins: map[*conn]*conn{}}
}

func (m *mirror) twin(c *conn) *conn {
	if m.twins[c] == nil {
		m.twins[c] = &conn{d: m.learner, ids: c.ids}
	}
	return m.twins[c]
}

// run applies requests of the leader's clients on both sides and compares what the clients are sent, byte by byte.
func (m *mirror) run(reqs ...*kernel.Request) {
	m.t.Helper()
	txns := m.leader.prepare(reqs...)
	var copies []kernel.Committed
	for _, c := range txns {
		own := kernel.Committed{Zxid: c.Zxid, Data: bytes.Clone(c.Data)}
		if c.Request.Conn != nil {
			r := *c.Request
			r.Body = bytes.Clone(r.Body)
			r.Conn = m.twin(c.Request.Conn.(*conn))
			own.Request = &r
		}
		copies = append(copies, own)
	}
	m.leader.apply(txns)
	m.learner.apply(copies)
	for c, twin := range m.twins {
		if want, got := fmt.Sprintf("%+v %v %d", c.take(), c.closed, c.reason), fmt.Sprintf("%+v %v %d", twin.take(), twin.closed, twin.reason); got != want {
			m.t.Fatalf("with its notes a server sends\n%s\nwithout\n%s", want, got)
		}
	}
}

func (m *mirror) client(ids ...kernel.Identity) *conn {
	m.t.Helper()
	c, req := m.creation(1)
	c.ids = ids
	m.run(req)
	if c.session == 0 || m.twin(c).session != c.session {
		m.t.Fatal("no session")
	}
	return c
}

// watch reads with a watch on both sides.
func (m *mirror) watch(c *conn, w wire.Request) {
	r := c.request(w)
	m.leader.m.Read([]*kernel.Request{r})
	twin := *r
	twin.Conn = m.twin(c)
	m.learner.m.Read([]*kernel.Request{&twin})
}

// TestRepliesWithoutNotes: what a client is told follows from the transaction alone, whichever server it is on. Random histories of all operations, those that fail among them.
func TestRepliesWithoutNotes(t *testing.T) {
	for _, opts := range []map[string]string{
		{"extendedTypesEnabled": "true", "enforceQuota": "true"}, {"cache": "1", "extendedTypesEnabled": "true"}, {"digest": "false", "closeSessionPaths": "false"},
	} {
		for seed := int64(1); seed <= 4; seed++ {
			t.Run(fmt.Sprintf("%v/seed=%d", opts, seed), func(t *testing.T) { runMirrored(t, opts, seed) })
		}
	}
}

func runMirrored(t *testing.T, opts map[string]string, seed int64) {
	rng := rand.New(rand.NewSource(seed))
	m := newMirror(t, opts)
	clients := []*conn{m.client(), m.client(joe), m.client()}
	m.run(clients[0].request(create("/zookeeper/quota/a", "")), clients[0].request(create("/zookeeper/quota/a/zookeeper_limits", "count=-1,bytes=-1=;byteHardLimit=40;countHardLimit=8")),
		clients[0].request(create("/zookeeper/quota/a/zookeeper_stats", "count=0,bytes=0")))
	seen := map[string]int{}
	for range 250 {
		m.leader.now = m.leader.now.Add(1e6)
		var reqs []*kernel.Request
		for range 1 + rng.Intn(6) {
			c := clients[rng.Intn(len(clients))]
			w := randomWrite(rng)
			seen[w.Code.String()]++
			reqs = append(reqs, c.request(w))
		}
		switch rng.Intn(12) {
		case 0: // a session ends, and its client sends on
			i := rng.Intn(len(clients))
			reqs = append(reqs, clients[i].request(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}}), clients[i].request(create("/late", "")))
			m.run(reqs...)
			reqs = nil
			clients[i] = m.client()
		case 1: // ... by time-out
			i := rng.Intn(len(clients))
			reqs = append(reqs, &kernel.Request{Session: clients[i].session, Op: int32(wire.OpCloseSession)})
			m.run(reqs...)
			reqs = nil
			clients[i] = m.client(joe)
		case 2: // something that cannot be decoded, as a server in between would have let it through
			bad := clients[0].request(create("/x", ""))
			bad.Decoded, bad.Body = nil, bad.Body[:7]
			reqs = append(reqs, bad)
		case 3:
			c := clients[rng.Intn(len(clients))]
			m.watch(c, get([]wire.OpCode{wire.OpExists, wire.OpGetData, wire.OpGetChildren}[rng.Intn(3)], randomPath(rng), true))
		}
		if len(reqs) > 0 {
			m.run(reqs...)
		}
	}
	m.leader.verify()
	m.same()
	for _, code := range []wire.OpCode{wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL, wire.OpDelete, wire.OpSetData, wire.OpSetACL, wire.OpMulti, wire.OpReconfig} {
		if seen[code.String()] == 0 {
			t.Errorf("no %v among the requests", code)
		}
	}
}

func randomPath(rng *rand.Rand) string {
	p := ""
	for range 1 + rng.Intn(3) {
		p += "/" + string(rune('a'+rng.Intn(3)))
	}
	return p
}

// randomWrite is any write, now and then one that makes no sense.
func randomWrite(rng *rand.Rand) wire.Request {
	acls := [][]wire.ACL{wire.OpenACL, wire.OpenACL, wire.OpenACL, acl(31, "auth", ""), acl(1, "ip", "1"), {}, nil, append(acl(3, "digest", "joe:hash"), wire.OpenACL...)}
	one := func() wire.Op {
		o := wire.Op{Path: randomPath(rng), Version: int32(max(rng.Intn(6)-2, -1)), ACL: acls[rng.Intn(len(acls))], Data: []byte(strings.Repeat("x", rng.Intn(12)))}
		switch rng.Intn(5) {
		case 0:
			o.Data = nil
		case 1:
			o.Path = [...]string{"/", "", "/a/", "//", "/zookeeper", "/zookeeper/config", "nowhere", "/zookeeper/quota/b/zookeeper_stats"}[rng.Intn(8)]
		}
		switch rng.Intn(14) {
		case 0, 1, 2:
			o.Code, o.Mode = wire.OpCreate, wire.CreateMode(rng.Intn(5))
		case 3, 4:
			o.Code, o.Mode = wire.OpCreate2, wire.CreateMode(rng.Intn(6))
		case 5:
			o.Code = wire.OpCreateContainer
			o.Mode = wire.Container
		case 6:
			o.Code, o.Mode, o.TTL = wire.OpCreateTTL, wire.CreateMode(rng.Intn(7)), int64(rng.Intn(3))*1000
		case 7, 8, 9:
			o.Code = wire.OpDelete
		case 10, 11:
			o.Code = wire.OpSetData
		case 12:
			o.Code = wire.OpCheck
		default:
			o.Code = wire.OpSetACL
		}
		return o
	}
	if rng.Intn(4) == 0 {
		w := wire.Request{Op: wire.Op{Code: wire.OpMulti}}
		for range rng.Intn(5) {
			if o := one(); o.Code != wire.OpSetACL {
				w.Ops = append(w.Ops, o)
			}
		}
		return w
	}
	if rng.Intn(30) == 0 {
		return wire.Request{Op: wire.Op{Code: wire.OpReconfig}, Joining: "server.9=h:1:2;3", ConfigID: -1}
	}
	o := one()
	if o.Code == wire.OpCheck {
		o.Code = wire.OpSetACL
	}
	return wire.Request{Op: o}
}

// TestMovedInsideAMulti: an Apache leader finds out inside a multi that the session is elsewhere. The client must not take that for an answer.
func TestMovedInsideAMulti(t *testing.T) {
	e := newEnsemble(t, nil, 1)
	c := e.client(2)
	entry := wire.Entry{
		Header: wire.TxnHeader{ClientID: int64(c.session), Cxid: 7, Zxid: int64(e.leader.next), Type: wire.OpMulti},
		Txn:    wire.Txn{Ops: []wire.Txn{{Type: wire.OpError, Err: wire.ErrSessionMoved}, {Type: wire.OpError, Err: wire.ErrRuntimeInconsistency}}},
	}
	c.d.m.Apply([]kernel.Committed{{Zxid: e.leader.next, Data: entry.AppendTo(nil), Request: c.request(multi(create("/a", ""), create("/b", "")))}})
	if !c.closed || c.reason != kernel.CloseSessionMoved || len(c.take()) != 0 {
		t.Fatal("answered")
	}
}
