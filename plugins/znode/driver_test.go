package znode

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
	"github.com/zooid-project/zooid/stores/memnodes"
	"github.com/zooid-project/zooid/stores/pebble"
)

// driver plays the node in one goroutine: it prepares and applies with rising zxids.
type driver struct {
	t      testing.TB
	m      *Machine
	env    kernel.Env
	opts   map[string]string
	store  string
	stores []kernel.NodeStore
	next   kernel.Zxid
	now    time.Time
	log    []kernel.Committed // everything applied, as bytes
	batch  kernel.Batch
	ask    func([]byte) // set on a learner

	mayChange func(kernel.Ensemble) error
}

// scheme is an authenticator for tests: digest-like, authenticated, ids without a slash.
type scheme struct {
	kernel.Authenticator
	name string
	auth bool
}

func (s scheme) Scheme() string                { return s.name }
func (s scheme) ValidID(id string) bool        { return id != "" && !strings.Contains(id, "/") }
func (s scheme) Matches(id, aclID string) bool { return id == aclID }
func (s scheme) Authenticated() bool           { return s.auth }

func newDriver(t testing.TB, opts map[string]string) *driver {
	t.Helper()
	return newDriverOn(t, opts, "memory")
}

// newStore returns an empty node store of the driver's kind.
func (d *driver) newStore() kernel.NodeStore {
	d.t.Helper()
	if d.store == "memory" {
		return memnodes.New()
	}
	s, err := pebble.Open(pebble.Options{FS: vfs.NewMem(), Dir: "nodes", BlockCache: 1 << 20, MemTable: 1 << 20, Fatal: func(err error) { d.t.Error(err) }})
	if err != nil {
		d.t.Fatal(err)
	}
	d.stores = append(d.stores, s)
	return s
}

func newDriverOn(t testing.TB, opts map[string]string, store string) *driver {
	t.Helper()
	return newServer(t, 1, opts, store, nil)
}

func newServer(t testing.TB, id kernel.ServerID, opts map[string]string, store string, ask func([]byte)) *driver {
	t.Helper()
	d := &driver{t: t, opts: opts, store: store, now: time.UnixMilli(1_700_000_000_000), next: kernel.MakeZxid(1, 1), ask: ask}
	d.env = kernel.Env{
		Server: id, Fatal: func(err error) { t.Error(err) }, Now: func() time.Time { return d.now }, Wall: time.Now,
		Auth: map[string]kernel.Authenticator{"digest": scheme{name: "digest", auth: true}, "ip": scheme{name: "ip"}},
	}
	d.env.Nodes = d.newStore()
	d.open()
	t.Cleanup(func() {
		d.close()
		for _, s := range d.stores {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return d
}

func (d *driver) open() {
	d.t.Helper()
	o, err := kernel.NewOptions("machine", "znode", options, d.opts, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	s, err := settingsOf(o)
	if err != nil {
		d.t.Fatal(err)
	}
	if d.m, err = Open(d.env, s); err != nil {
		d.t.Fatal(err)
	}
	d.m.Lead(d.ask == nil)
	d.m.Peers().Follow(d.ask)
}

func (d *driver) close() {
	if d.m != nil {
		if err := d.m.Close(); err != nil {
			d.t.Error(err)
		}
		d.m = nil
	}
}

// restart closes and opens on the same store, or, after a crash, on what was flushed; the rest comes from the log.
func (d *driver) restart(crash bool) {
	d.t.Helper()
	if crash {
		d.m.stop()
		d.m.running.Wait()
		d.m.tree.Abandon()
	} else {
		d.close()
	}
	d.open()
	var replay []kernel.Committed
	for _, c := range d.log {
		if c.Zxid > d.m.Position() {
			replay = append(replay, c)
		}
	}
	d.m.Apply(replay)
}

// prepare makes transactions of requests; apply applies them.
func (d *driver) prepare(reqs ...*kernel.Request) []kernel.Committed {
	d.batch.Txns = d.batch.Txns[:0]
	d.m.Prepare(kernel.Position{Epoch: 1, Next: d.next, Time: d.now, MayChange: d.mayChange}, reqs, &d.batch)
	if len(d.batch.Txns) != len(reqs) {
		d.t.Fatalf("%d requests made %d transactions", len(reqs), len(d.batch.Txns))
	}
	d.next += kernel.Zxid(len(reqs))
	var out []kernel.Committed
	for _, t := range d.batch.Txns {
		out = append(out, kernel.Committed{Zxid: t.Record.Zxid, Data: t.Record.Data, Request: t.Request, Note: t.Note})
	}
	return out
}

func (d *driver) apply(txns []kernel.Committed) {
	for _, c := range txns {
		d.log = append(d.log, kernel.Committed{Zxid: c.Zxid, Data: bytes.Clone(c.Data)})
	}
	d.m.Apply(txns)
}

// conn is a client's connection that records what it is sent, in order.
type conn struct {
	d        *driver
	session  kernel.SessionID
	ids      []kernel.Identity
	sent     []sent
	xid      int32
	closed   bool
	reason   kernel.CloseReason
	reserved map[*kernel.Request]int
}

// sent is a reply or (event not 0) an event.
type sent struct {
	zxid  kernel.Zxid
	err   wire.ErrorCode
	body  []byte
	event wire.EventType
	path  string
	close bool
}

func (c *conn) Reply(req *kernel.Request, r kernel.Reply) {
	s := sent{zxid: r.Zxid, err: wire.ErrorCode(r.Err), body: bytes.Clone(r.Body), close: r.Close}
	if i, ok := c.reserved[req]; ok {
		c.sent[i] = s
		delete(c.reserved, req)
		return
	}
	if wire.OpCode(req.Op) == wire.OpCreateSession && r.Err == 0 {
		c.session = req.Session
		c.d.m.Sessions().Established(req.Session, c.d.m.Sessions().Negotiate(time.Duration(req.Decoded.(*wire.Request).TimeoutMs)*time.Millisecond), c)
	}
	c.sent = append(c.sent, s)
}

func (*conn) Alive() bool { return true }
func (c *conn) Reserve(req *kernel.Request) {
	if c.reserved == nil {
		c.reserved = map[*kernel.Request]int{}
	}
	c.reserved[req] = len(c.sent)
	c.sent = append(c.sent, sent{})
}

func (c *conn) Deliver(e kernel.Event) {
	var w wire.WatcherEvent
	decode(c.d.t, e.Body, &w)
	c.sent = append(c.sent, sent{zxid: e.Zxid, event: w.Type, path: w.Path})
}

func (c *conn) Identities() []kernel.Identity { return c.ids }
func (c *conn) Session() kernel.SessionID     { return c.session }

func (c *conn) Close(r kernel.CloseReason) {
	if !c.closed {
		c.closed, c.reason = true, r
	}
}

// take returns what was sent since the last call.
func (c *conn) take() []sent {
	s := c.sent
	c.sent = nil
	return s
}

// client opens a session.
func (d *driver) client(ids ...kernel.Identity) *conn {
	d.t.Helper()
	c := &conn{d: d, ids: ids}
	id := d.m.Sessions().NewID()
	req := &kernel.Request{Session: id, Op: int32(wire.OpCreateSession), Conn: c, Decoded: &wire.Request{Op: wire.Op{Code: wire.OpCreateSession}, TimeoutMs: 10000}}
	d.apply(d.prepare(req))
	if got := c.take(); len(got) != 1 || got[0].err != 0 || c.session != id {
		d.t.Fatalf("createSession: %+v", got)
	}
	return c
}

func (c *conn) request(w wire.Request) *kernel.Request {
	c.xid++
	body := w.AppendTo(nil)
	decoded := new(wire.Request)
	if err := wire.DecodeRequest(w.Code, body, decoded); err != nil {
		c.d.t.Fatalf("%v: %v", w.Code, err)
	}
	return &kernel.Request{Session: c.session, Cxid: c.xid, Op: int32(w.Code), Body: body, Decoded: decoded, Identities: c.ids, Conn: c}
}

// do runs one request alone and returns its reply, decoded when there is one.
func (c *conn) do(w wire.Request) (wire.Response, sent) {
	c.d.t.Helper()
	req := c.request(w)
	c.d.m.Resolve(req)
	before := len(c.sent)
	if w.Code.IsWrite() {
		c.d.apply(c.d.prepare(req))
	} else {
		c.d.m.Read([]*kernel.Request{req})
	}
	var reply *sent
	var rest []sent
	for i, s := range c.sent {
		if i >= before && s.event == 0 && reply == nil {
			reply = &c.sent[i]
			continue
		}
		rest = append(rest, s)
	}
	if reply == nil {
		if c.closed {
			return wire.Response{}, sent{close: true}
		}
		c.d.t.Fatalf("%v %s: no reply", w.Code, w.Path)
	}
	s := *reply
	c.sent = rest
	var r wire.Response
	if s.err == 0 {
		if err := wire.DecodeResponse(w.Code, s.body, &r); err != nil {
			c.d.t.Fatalf("%v %s: %v", w.Code, w.Path, err)
		}
	} else if len(s.body) > 0 {
		c.d.t.Fatalf("%v %s: an error with a body", w.Code, w.Path)
	}
	return r, s
}

// want runs a request and checks its error.
func (c *conn) want(code wire.ErrorCode, w wire.Request) wire.Response {
	c.d.t.Helper()
	r, s := c.do(w)
	if s.err != code {
		c.d.t.Fatalf("%v %q: %v, want %v", w.Code, w.Path, s.err, code)
	}
	return r
}

func create(path, data string) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpCreate, Path: path, Data: []byte(data), ACL: wire.OpenACL}}
}

func createMode(path string, mode wire.CreateMode) wire.Request {
	r := create(path, "")
	r.Mode = mode
	return r
}

func set(path, data string, version int32) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpSetData, Path: path, Data: []byte(data), Version: version}}
}

func del(path string, version int32) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpDelete, Path: path, Version: version}}
}

func get(op wire.OpCode, path string, watch bool) wire.Request {
	return wire.Request{Op: wire.Op{Code: op, Path: path, Watch: watch}}
}

func decode(t testing.TB, b []byte, w *wire.WatcherEvent) {
	t.Helper()
	d := newDecoder(b)
	w.Decode(&d)
	if d.Err() != nil || d.Remaining() != 0 {
		t.Fatalf("event %x: %v", b, d.Err())
	}
}

// verify compares what is kept on the side with what the nodes say.
func (d *driver) verify() {
	d.t.Helper()
	if err := d.check(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *driver) check() error {
	m := d.m
	m.running.Wait()
	v, err := m.tree.View(context.Background())
	if err != nil {
		return err
	}
	defer v.Close()
	var nodes, size int64
	var digest, state uint64
	owned := 0
	refs := map[uint32]int64{}
	h := hasher{enabled: m.set.digest}
	err = v.Walk("/", func(path string, n *treeNode) bool {
		nodes++
		size += int64(len(path) + len(n.Data))
		if h.share(path, n) != n.Hash {
			d.t.Errorf("%s: its share of the digest is %x, not %x", path, h.share(path, n), n.Hash)
		}
		digest += uint64(n.Hash)
		state += m.stateShare(path, n)
		refs[n.ACL]++
		if m.ephemeral(n) {
			owned++
			if !m.ephemerals.has(n.Owner, path) {
				d.t.Errorf("%s is not in the list of session %x", path, uint64(n.Owner))
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	if err := scanRecords(v.ScanSide, sideSession, 9, func(key string, d *jute.Decoder) { state += sessionShare(sessionOf(key), d.Int32()) }); err != nil {
		return err
	}
	if state != m.counts.state || !m.counts.stateKnown {
		return fmt.Errorf("the state digest is %x and kept is %x, known: %t", state, m.counts.state, m.counts.stateKnown)
	}
	if nodes != m.counts.nodes || size != m.counts.bytes || digest != m.counts.digest || owned != m.ephemerals.total {
		return fmt.Errorf("counted nodes %d bytes %d digest %x ephemerals %d, kept %+v and %d", nodes, size, digest, owned, m.counts, m.ephemerals.total)
	}
	for i, n := range refs {
		if uint32(i) != openIndex && m.acls.refs[i] != n {
			return fmt.Errorf("ACL %d: %d nodes hold it, kept is %d", i, n, m.acls.refs[i])
		}
	}
	if m.mismatches != 0 {
		return fmt.Errorf("%d digests differ between prepare and apply", m.mismatches)
	}
	return nil
}

// ticks lets time pass in half ticks of a second, until a session ends or all of it is over.
func (d *driver) ticks(all time.Duration) (end []*kernel.Request) {
	for until := d.now.Add(all); len(end) == 0 && d.now.Before(until); {
		d.now = d.now.Add(500 * time.Millisecond)
		end = d.m.Tick(d.now, false)
	}
	return end
}

// snapshotTo writes a snapshot of now and returns its zxid.
func snapshotTo(m *Machine, w io.Writer) (kernel.Zxid, error) {
	state, err := m.Snapshot()
	if err != nil {
		return 0, err
	}
	defer state.Close()
	_, err = state.WriteTo(w)
	return state.Zxid(), err
}
