package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// content is one of everything that a tree can hold, below /NAME, written through every member in turn, and a session with an ephemeral node at each.
type content struct {
	e        *ensemble
	name     string
	sessions []*held
}

// held is a session that outlives its server.
type held struct {
	client *client.Client
	line   *line
	id     int64
	path   string // of its ephemeral
}

// line dials for a client, until it is cut: then the session stays behind without one.
type line struct {
	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	l.conns = append(l.conns, conn)
	return conn, nil
}

// leave ends the client without ending its session.
func (h *held) leave() {
	h.line.mu.Lock()
	h.line.isCut = true
	for _, conn := range h.line.conns {
		_ = conn.Close()
	}
	h.line.mu.Unlock()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = h.client.Close(ended) // nobody hears it
}

// hold opens a session at a member, or goes on with one there.
func (e *ensemble) hold(to *member, id int64, password []byte) *held {
	e.t.Helper()
	return e.open(to, 60*time.Second, id, password)
}

// holdFor opens a session that may be silent for that long.
func (e *ensemble) holdFor(to *member, timeout time.Duration) *held {
	e.t.Helper()
	return e.open(to, timeout, 0, nil)
}

func (e *ensemble) open(to *member, timeout time.Duration, id int64, password []byte) *held {
	e.t.Helper()
	h := &held{line: &line{}}
	var err error
	if h.client, err = client.New(to.addr(), client.Options{SessionTimeout: timeout, SessionID: id, Password: password, StayLost: true, Auth: []client.Auth{superAuth}, Dial: h.line.dial}); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(h.leave)
	return h
}

// digestInterval is how often servers remember the digest of their tree, in zxids.
const digestInterval = 128

// fill writes content through the members that run.
func (e *ensemble) fill(name string) *content {
	e.t.Helper()
	c := &content{e: e, name: name}
	for _, m := range e.running() {
		c.sessions = append(c.sessions, e.hold(m, 0, nil))
	}
	turn := 0
	next := func() *client.Client { turn++; return c.sessions[turn%len(c.sessions)].client }
	must := func(err error) {
		e.t.Helper()
		if err != nil {
			e.t.Fatalf("%s: %v (%s)", name, err, e.status())
		}
	}
	ctx, root := within(e.t), "/"+name
	create := func(path string, data []byte, o client.CreateOptions) {
		e.t.Helper()
		_, err := next().Create(ctx, root+path, data, o)
		must(err)
	}
	create("", []byte("content"), client.CreateOptions{})

	// Data: null, empty, bytes; nodes below nodes; versions; a parent whose children have gone.
	create("/plain", nil, client.CreateOptions{})
	for i := range 8 {
		create(fmt.Sprintf("/plain/%d", i), []byte{}, client.CreateOptions{})
		create(fmt.Sprintf("/plain/%d/below", i), []byte{0, 1, 2, byte(i), 0xff}, client.CreateOptions{})
	}
	for i := range 8 {
		must(next().Delete(ctx, fmt.Sprintf("%s/plain/%d/below", root, i), client.AnyVersion))
		_, err := next().Set(ctx, fmt.Sprintf("%s/plain/%d", root, i), fmt.Appendf(nil, "\u00fcber %d", i), 0)
		must(err)
	}
	must(next().Delete(ctx, root+"/plain/7", 1))
	_, err := next().Set(ctx, root+"/plain", nil, client.AnyVersion)
	must(err)

	// Kinds of nodes.
	create("/sequence", nil, client.CreateOptions{})
	for range 5 {
		create("/sequence/n-", nil, client.CreateOptions{Mode: wire.PersistentSequential})
		create("/sequence/e-", nil, client.CreateOptions{Mode: wire.EphemeralSequential})
	}
	create("/container", nil, client.CreateOptions{Mode: wire.Container})
	create("/container/child", nil, client.CreateOptions{})
	create("/ttl", []byte("an hour"), client.CreateOptions{Mode: wire.PersistentTTL, TTL: time.Hour})
	create("/ttl-", nil, client.CreateOptions{Mode: wire.PersistentSequentialTTL, TTL: 1234567 * time.Millisecond})

	// ACLs.
	someone := wire.DigestID([]byte("someone:secret"))
	lists := [][]wire.ACL{
		{{Perms: wire.PermAll, ID: wire.ID{Scheme: "digest", ID: someone}}},
		{{Perms: wire.PermRead, ID: wire.WorldAnyone}, {Perms: wire.PermAll, ID: wire.ID{Scheme: "ip", ID: "10.1.0.0/16"}}},
		{{Perms: wire.PermAll, ID: wire.ID{Scheme: "auth", ID: ""}}}, // becomes the identities of the client
	}
	for i, list := range lists {
		create(fmt.Sprintf("/acl-%d", i), []byte("guarded"), client.CreateOptions{ACL: list})
		_, err := next().SetACL(ctx, fmt.Sprintf("%s/acl-%d", root, i), lists[(i+1)%len(lists)], 0)
		must(err)
	}

	// A quota, as setquota makes it.
	quota := "/zookeeper/quota" + root
	for path, text := range map[string]string{"": "", "/zookeeper_limits": "count=1000,bytes=100000", "/zookeeper_stats": "count=0,bytes=0"} {
		_, err := next().Create(ctx, quota+path, []byte(text), client.CreateOptions{Parents: true})
		if path != "" || !errors.Is(err, wire.ErrNodeExists) {
			must(err)
		}
	}

	// Multis: one that is applied, one that is refused and leaves its zxid only.
	_, err = next().Multi(ctx, client.CheckOp(root, client.AnyVersion), client.CreateOp(root+"/multi", []byte("1"), wire.Persistent, nil), client.SetOp(root+"/multi", []byte("2"), 0),
		client.CreateOp(root+"/multi/c-", nil, wire.PersistentSequential, nil), client.DeleteOp(root+"/container/child", 0))
	must(err)
	if _, err = next().Multi(ctx, client.SetOp(root+"/multi", []byte("never"), client.AnyVersion), client.DeleteOp(root+"/absent", client.AnyVersion)); !errors.Is(err, wire.ErrNoNode) {
		e.t.Fatalf("a multi that deletes what is not there: %v", err)
	}
	if err := next().Delete(ctx, root+"/sequence", client.AnyVersion); !errors.Is(err, wire.ErrNotEmpty) {
		e.t.Fatalf("delete of a parent: %v", err)
	}
	create("/container/another", nil, client.CreateOptions{}) // or the container would go, at a time of the leader's

	// Enough for a digest that every server remembers.
	create("/counter", nil, client.CreateOptions{})
	for i := range digestInterval {
		_, err := next().Set(ctx, root+"/counter", fmt.Append(nil, i), int32(i))
		must(err)
	}

	// A session at each server, with an ephemeral; and one more that ends.
	for i, s := range c.sessions {
		s.path = fmt.Sprintf("%s/ephemeral-%d", root, i)
		_, err := s.client.Create(ctx, s.path, fmt.Append(nil, i), client.CreateOptions{Mode: wire.Ephemeral})
		must(err)
		s.id = s.client.SessionID()
	}
	short := e.connect(e.running()[0])
	_, err = short.Create(ctx, root+"/short", nil, client.CreateOptions{Mode: wire.Ephemeral})
	must(err)
	must(short.Close(ctx))
	return c
}

// checkSessions moves every session to another member, where it goes on and still owns its ephemeral.
func (c *content) checkSessions(t testing.TB) {
	t.Helper()
	ctx := within(t)
	all := c.e.running()
	for i, s := range c.sessions {
		id, password := s.client.Session()
		if id != s.id {
			t.Fatalf("%s: session 0x%x was lost, its client has 0x%x", c.name, s.id, id)
		}
		s.leave()
		to := all[(i+1)%len(all)]
		moved := c.e.hold(to, id, password)
		s.client, s.line = moved.client, moved.line
		_, stat, err := s.client.Get(ctx, s.path)
		if err != nil || stat.EphemeralOwner != id {
			t.Fatalf("%s: session 0x%x at %s: its ephemeral %s has owner 0x%x: %v", c.name, id, to, s.path, stat.EphemeralOwner, err)
		}
		if _, err := s.client.Set(ctx, s.path, []byte("moved to "+to.String()), client.AnyVersion); err != nil {
			t.Fatalf("%s: session 0x%x writes at %s: %v", c.name, id, to, err)
		}
	}
}

// end closes the sessions: their ephemerals go.
func (c *content) end(t testing.TB) {
	t.Helper()
	ctx := within(t)
	for _, s := range c.sessions {
		if err := s.client.Close(ctx); err != nil {
			t.Fatalf("close session 0x%x: %v", s.id, err)
		}
	}
	probe := c.e.connect()
	for _, s := range c.sessions {
		if found, _, err := probe.Exists(ctx, s.path); err != nil || found {
			t.Fatalf("%s after its session was closed: there %v, %v", s.path, found, err)
		}
	}
	if err := probe.Close(ctx); err != nil {
		t.Fatal(err)
	}
}
