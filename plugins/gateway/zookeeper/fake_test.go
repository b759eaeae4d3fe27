package zookeeper

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// fakeNode is a kernel.Host and a kernel.StateMachine in one: a small tree without ACLs, whose writes are applied by one goroutine in the order in which they were submitted. What a test wants to
// happen at a certain moment it does through the hooks.
type fakeNode struct {
	kernel.StateMachine            // what the gateway does not call
	mu                  sync.Mutex // the apply lock
	nodes               map[string][]byte
	watches             map[string]map[kernel.Connection]bool
	sessions            map[kernel.SessionID]*fakeSession
	zxid                atomic.Int64
	nextID              atomic.Int64

	queue    chan *kernel.Request
	status   atomic.Pointer[kernel.Status]
	auth     map[string]kernel.Authenticator
	stages   *kernel.StageObserver
	hold     chan struct{}               // non-nil: apply waits for a value before each write
	submit   func(*kernel.Request) error // non-nil: asked first
	resolve  func(*kernel.Request) error // non-nil: its answer is Resolve's
	reserved chan func()                 // reads of /slow are reserved and their answers sent here
	created  chan func()                 // non-nil: answers to createSession are sent here instead of being called
	attach   func(id kernel.SessionID) (kernel.Verdict, bool)
	steal    atomic.Pointer[chan *kernel.Request] // set: requests go there instead of into the node
	detached atomic.Int64
	// Writes that came to be applied with reads before them that could not be answered.
	unsettled atomic.Int64
	done      chan struct{}
}

type fakeSession struct {
	conn    kernel.Connection
	closing bool
	local   bool
}

func newFakeNode(t testing.TB) *fakeNode {
	n := &fakeNode{
		nodes: map[string][]byte{"/": {}}, watches: map[string]map[kernel.Connection]bool{}, sessions: map[kernel.SessionID]*fakeSession{},
		queue: make(chan *kernel.Request, 100000), done: make(chan struct{}), auth: map[string]kernel.Authenticator{"digest": fakeAuth{}, "ip": fakeAuth{}},
	}
	n.nextID.Store(0x0100005bda330000)
	n.zxid.Store(int64(kernel.MakeZxid(1, 0)))
	n.setStatus(kernel.Status{Serving: true, Role: kernel.Leading, Started: time.Now()})
	go n.run()
	t.Cleanup(func() { close(n.queue); <-n.done })
	return n
}

func (n *fakeNode) setStatus(s kernel.Status) { n.status.Store(&s) }

// startGateway serves n on a free port with options over the defaults.
func startGateway(t testing.TB, n *fakeNode, given map[string]string) *Gateway {
	t.Helper()
	return startHost(t, n, given)
}

func startHost(t testing.TB, n kernel.Host, given map[string]string) *Gateway {
	t.Helper()
	all := map[string]string{"port": "0", "address": "127.0.0.1", "words": "*"}
	for k, v := range given {
		all[k] = v
	}
	o, err := kernel.NewOptions("gateway", "zookeeper", append(options, tlsOptions()...), all, nil)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(kernel.Env{Logger: slog.New(slog.DiscardHandler)}, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	return g
}

func (n *fakeNode) Submit(req *kernel.Request) error {
	if n.submit != nil {
		if err := n.submit(req); err != nil {
			return err
		}
	}
	if c := n.steal.Load(); c != nil {
		*c <- req
		return nil
	}
	n.queue <- req
	return nil
}
func (n *fakeNode) Machine() kernel.StateMachine                    { return n }
func (n *fakeNode) Status() kernel.Status                           { return *n.status.Load() }
func (n *fakeNode) Authenticators() map[string]kernel.Authenticator { return n.auth }
func (n *fakeNode) Gateways() []kernel.Gateway                      { return nil }
func (n *fakeNode) Stages() *kernel.StageObserver                   { return n.stages }

func (n *fakeNode) run() {
	defer close(n.done)
	for req := range n.queue {
		if n.hold != nil {
			<-n.hold
		}
		if req.Overtook && !req.Conn.(kernel.Overtaker).Settle(req) {
			n.unsettled.Add(1)
		}
		n.mu.Lock()
		n.apply(req)
		n.mu.Unlock()
	}
}

func (n *fakeNode) event(path string, kind wire.EventType, zxid int64) {
	e := wire.WatcherEvent{Type: kind, State: wire.StateSyncConnected, Path: path}
	body := e.AppendTo(nil)
	for conn := range n.watches[path] {
		conn.Deliver(kernel.Event{Zxid: kernel.Zxid(zxid), Body: body})
	}
	delete(n.watches, path)
}

func (n *fakeNode) apply(req *kernel.Request) {
	if req.Barrier {
		req.Conn.Reply(req, kernel.Reply{Zxid: n.Position()})
		return
	}
	zxid := n.zxid.Add(1)
	reply := kernel.Reply{Zxid: kernel.Zxid(zxid)}
	w := req.Decoded.(*wire.Request)
	switch wire.OpCode(req.Op) {
	case wire.OpCreateSession:
		if s := n.sessions[req.Session]; s != nil {
			s.local = false // an upgrade: nobody waits for its answer
			return
		}
		n.sessions[req.Session] = &fakeSession{}
		if n.created != nil {
			n.created <- func() { req.Conn.Reply(req, reply) }
			return
		}
	case wire.OpCloseSession:
		if s := n.sessions[req.Session]; s != nil {
			s.closing = true
			delete(n.sessions, req.Session)
		}
	case wire.OpCreate:
		if _, ok := n.nodes[w.Path]; ok {
			reply.Err = int32(wire.ErrNodeExists)
			break
		}
		n.nodes[w.Path] = append([]byte{}, w.Data...)
		n.event(w.Path, wire.EventNodeCreated, zxid)
		reply.Body = jute.AppendString(nil, w.Path)
	case wire.OpSetData:
		if _, ok := n.nodes[w.Path]; !ok {
			reply.Err = int32(wire.ErrNoNode)
			break
		}
		n.nodes[w.Path] = append([]byte{}, w.Data...)
		n.event(w.Path, wire.EventNodeDataChanged, zxid)
		reply.Body = (&wire.Stat{Mzxid: zxid}).AppendTo(nil)
	case wire.OpDelete:
		if _, ok := n.nodes[w.Path]; !ok {
			reply.Err = int32(wire.ErrNoNode)
			break
		}
		delete(n.nodes, w.Path)
		n.event(w.Path, wire.EventNodeDeleted, zxid)
	default:
		reply.Err = int32(wire.ErrBadArguments)
	}
	req.Conn.Reply(req, reply)
}

func (n *fakeNode) Read(reqs []*kernel.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, req := range reqs {
		conn := req.Conn
		reply := kernel.Reply{Zxid: n.Position()}
		w := req.Decoded.(*wire.Request)
		data, ok := n.nodes[w.Path]
		if w.Watch {
			if n.watches[w.Path] == nil {
				n.watches[w.Path] = map[kernel.Connection]bool{}
			}
			n.watches[w.Path][conn] = true
		}
		switch wire.OpCode(req.Op) {
		case wire.OpCreateSession:
			n.sessions[req.Session] = &fakeSession{local: true}
		case wire.OpGetData:
			if !ok {
				reply.Err = int32(wire.ErrNoNode)
				break
			}
			reply.Body = (&wire.Stat{DataLength: int32(len(data))}).AppendTo(jute.AppendBuffer(nil, data))
		case wire.OpExists:
			if !ok {
				reply.Err = int32(wire.ErrNoNode)
				break
			}
			reply.Body = (&wire.Stat{}).AppendTo(nil)
		case wire.OpGetChildren:
			var names []string
			for path := range n.nodes {
				if path != "/" && strings.HasPrefix(path, "/") {
					names = append(names, path[1:])
				}
			}
			sort.Strings(names)
			reply.Body = jute.AppendStrings(nil, names)
		case wire.OpWhoAmI:
			reply.Body = jute.AppendInt32(nil, int32(len(req.Identities)))
		}
		if w.Path == "/slow" && n.reserved != nil {
			conn.Reserve(req)
			reply := reply
			n.reserved <- func() { conn.Reply(req, reply) }
			continue
		}
		conn.Reply(req, reply)
	}
}

func (n *fakeNode) Position() kernel.Zxid   { return kernel.Zxid(n.zxid.Load()) }
func (n *fakeNode) Flushed() kernel.Zxid    { return n.Position() }
func (n *fakeNode) Release(*kernel.Request) {}
func (n *fakeNode) Resolve(req *kernel.Request) error {
	if n.resolve != nil {
		return n.resolve(req)
	}
	return nil
}

func (n *fakeNode) Prepare(kernel.Position, []*kernel.Request, *kernel.Batch) {}
func (n *fakeNode) DropSpeculation()                                          {}
func (n *fakeNode) Apply([]kernel.Committed)                                  {}
func (n *fakeNode) Sessions() kernel.Sessions                                 { return n }
func (n *fakeNode) Tick(time.Time, bool) []*kernel.Request                    { return nil }
func (n *fakeNode) Lead(bool)                                                 {}
func (n *fakeNode) Flush(context.Context) error                               { return nil }
func (n *fakeNode) Disconnect()                                               {}
func (n *fakeNode) Restore(io.Reader, kernel.Zxid) error                      { return nil }
func (n *fakeNode) Gauges(set func(string, float64))                          { set("znode_count", float64(len(n.nodes))) }
func (n *fakeNode) Close() error                                              { return nil }
func (n *fakeNode) NewID() kernel.SessionID                                   { return kernel.SessionID(n.nextID.Add(1)) }
func (n *fakeNode) Password(id kernel.SessionID) [16]byte                     { return wire.SessionPassword(int64(id)) }
func (n *fakeNode) Negotiate(asked time.Duration) time.Duration {
	return min(max(asked, 4*time.Second), 40*time.Second)
}
func (n *fakeNode) Find(id kernel.SessionID) (kernel.SessionInfo, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sessions[id]
	if s == nil {
		return kernel.SessionInfo{}, false
	}
	return kernel.SessionInfo{ID: id, Timeout: 10 * time.Second, Local: s.local, Conn: s.conn, Closing: s.closing}, true
}
func (n *fakeNode) List(func(kernel.SessionInfo) bool) {}
func (n *fakeNode) Established(id kernel.SessionID, _ time.Duration, c kernel.Connection) {
	n.sessions[id].conn = c
}

func (n *fakeNode) Attach(id kernel.SessionID, password []byte, timeout time.Duration, conn kernel.Connection, done func(kernel.Attachment)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.attach != nil {
		if v, answer := n.attach(id); answer {
			done(kernel.Attachment{Verdict: v, Timeout: timeout})
			return
		}
	}
	s := n.sessions[id]
	if s == nil || !wire.CheckSessionPassword(int64(id), password) {
		done(kernel.Attachment{Verdict: kernel.Refused})
		return
	}
	if s.conn != nil {
		s.conn.Close(kernel.CloseSessionMoved)
	}
	s.conn = conn
	done(kernel.Attachment{Verdict: kernel.Accepted, Timeout: timeout})
}

func (n *fakeNode) Touch(id kernel.SessionID, conn kernel.Connection) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sessions[id]
	return s != nil && s.conn == conn
}

func (n *fakeNode) Detach(conn kernel.Connection) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.detached.Add(1)
	for _, s := range n.sessions {
		if s.conn == conn {
			s.conn = nil
		}
	}
	for _, set := range n.watches {
		delete(set, conn)
	}
}

func (n *fakeNode) HangUp(reason kernel.CloseReason) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.sessions {
		if s.conn != nil {
			s.conn.Close(reason)
			s.conn = nil
		}
	}
}

// fakeAuth takes any data but "bad" and gives one identity for it.
type fakeAuth struct{}

func (fakeAuth) Scheme() string { return "digest" }
func (fakeAuth) Authenticate(_ kernel.Peer, data []byte) ([]kernel.Identity, error) {
	if data == nil || string(data) == "bad" {
		return nil, io.ErrUnexpectedEOF
	}
	return []kernel.Identity{{Scheme: "digest", ID: string(data)}}, nil
}
func (fakeAuth) ValidID(string) bool                     { return true }
func (fakeAuth) Matches(a, b string) bool                { return a == b }
func (fakeAuth) Authenticated() bool                     { return true }
func (fakeAuth) NewExchange(kernel.Peer) kernel.Exchange { return nil }

func clientAddr(g *Gateway) string { return g.Addrs()["client"].(*net.TCPAddr).String() }
