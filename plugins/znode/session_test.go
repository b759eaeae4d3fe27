package znode

import (
	"slices"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// attach asks for a session back on a new connection.
func (d *driver) attach(id kernel.SessionID, password [16]byte, timeout time.Duration) (*conn, kernel.Attachment) {
	c := &conn{d: d}
	var got []kernel.Attachment
	d.m.Sessions().Attach(id, password[:], timeout, c, func(a kernel.Attachment) { got = append(got, a) })
	if len(got) != 1 {
		d.t.Fatalf("done was called %d times", len(got))
	}
	if got[0].Verdict == kernel.Accepted {
		c.session = id
	}
	return c, got[0]
}

// TestAttach is the decision table of spec client-semantics, 2.5.
func TestAttach(t *testing.T) {
	d := newDriver(t, nil)
	s := d.m.Sessions()
	old := d.client()
	id := old.session
	old.want(0, get(wire.OpGetData, "/", true))

	if _, a := d.attach(id, [16]byte{1}, time.Second); a.Verdict != kernel.Refused || old.closed {
		t.Fatalf("wrong password: %+v, the owner's connection closed: %v", a, old.closed)
	}
	if _, a := d.attach(id+1000, s.Password(id+1000), time.Second); a.Verdict != kernel.Refused {
		t.Fatalf("unknown session: %+v", a)
	}
	if _, a := d.attach(0, s.Password(0), time.Second); a.Verdict != kernel.Refused {
		t.Fatalf("session 0: %+v", a)
	}
	d.m.Lead(false)
	if _, a := d.attach(id, s.Password(id), time.Second); a.Verdict != kernel.Unsure || old.closed {
		t.Fatalf("no leader: %+v", a)
	}
	d.m.Lead(true)
	c, a := d.attach(id, s.Password(id), time.Hour)
	if a.Verdict != kernel.Accepted || a.Timeout != 60*time.Second {
		t.Fatalf("got %+v", a)
	}
	if !old.closed || old.reason != kernel.CloseSessionMoved {
		t.Fatal("the old connection is still open")
	}
	d.noWatches()

	// A write of the old connection that was under way consumes a zxid and changes nothing; it is not answered.
	at := d.next
	old.take()
	d.apply(d.prepare(old.request(create("/late", ""))))
	if d.next != at+1 || d.m.at("/late") != nil || len(old.take()) != 0 {
		t.Fatal("a write on the old connection took effect or was answered")
	}
	if s.Touch(id, old) || !s.Touch(id, c) {
		t.Fatal("Touch knows the wrong owner")
	}
	s.Detach(old) // late, and of no consequence
	c.want(0, createMode("/e", wire.Ephemeral))
	s.Detach(c)
	if s.Touch(id, c) {
		t.Fatal("a detached connection touches")
	}
	c2, a := d.attach(id, s.Password(id), 0)
	if a.Verdict != kernel.Accepted || a.Timeout != 6*time.Second {
		t.Fatalf("got %+v", a)
	}
	// closeSession is exempt from the owner check.
	d.apply(d.prepare(c.request(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})))
	if !c2.closed || d.m.at("/e") != nil {
		t.Fatal("closeSession on the old connection did not end the session")
	}
	if _, a := d.attach(id, s.Password(id), time.Second); a.Verdict != kernel.Refused {
		t.Fatalf("closed session: %+v", a)
	}
}

func TestClosingSession(t *testing.T) {
	d := newDriver(t, nil)
	c, other := d.client(), d.client()
	c.want(0, createMode("/tree", wire.Ephemeral))
	c.want(0, createMode("/goes", wire.Ephemeral))
	c.want(0, createMode("/handed", wire.Ephemeral))
	z := d.next
	reqs := []*kernel.Request{
		c.request(createMode("/flight", wire.Ephemeral)),
		c.request(multi(createMode("/undone", wire.Ephemeral), del("/none", -1))),
		other.request(del("/goes", -1)), other.request(del("/handed", -1)), other.request(createMode("/handed", wire.Ephemeral)),
		c.request(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}}),
		c.request(create("/after", "")),
	}
	txns := d.prepare(reqs...)
	if _, a := d.attach(c.session, d.m.Sessions().Password(c.session), time.Second); a.Verdict != kernel.Refused {
		t.Fatalf("a closing session was handed out: %+v", a)
	}
	d.apply(txns)
	for _, path := range []string{"/tree", "/flight", "/undone", "/goes", "/after"} {
		if d.m.at(path) != nil {
			t.Errorf("%s is there", path)
		}
	}
	if d.m.at("/handed") == nil {
		t.Error("the node that another session has made in its place is gone")
	}
	var e wire.Entry
	if err := wire.DecodeEntry(txns[5].Data, &e); err != nil || len(e.Txn.Paths) != 2 || e.Txn.Paths[0] != "/tree" || e.Txn.Paths[1] != "/flight" {
		t.Fatalf("the transaction lists %v (%v)", e.Txn.Paths, err)
	}
	if s := other.want(0, get(wire.OpExists, "/", false)).Stat; s.Pzxid != int64(z)+5 {
		t.Errorf("pzxid of the parent is %x, want that of the close", s.Pzxid)
	}
	d.verify()
	d.restart(true)
	d.verify()
}

// Sessions that are over at the same time do not end at the same time: others write in between. None is forgotten.
func TestExpiryOfACrowd(t *testing.T) {
	d := newDriver(t, map[string]string{"tickTime": "1000"})
	crowd := map[kernel.SessionID]bool{}
	for range 5 * expiryBurst / 2 {
		crowd[d.client().session] = true
	}
	var ticks []int
	for len(crowd) > 0 && len(ticks) < 100 {
		d.now = d.now.Add(500 * time.Millisecond)
		end := d.m.Tick(d.now, false)
		if len(end) > 0 || len(ticks) > 0 {
			ticks = append(ticks, len(end))
		}
		for _, r := range end {
			if !crowd[r.Session] {
				t.Fatalf("session 0x%x ends twice", r.Session)
			}
			delete(crowd, r.Session)
		}
	}
	if !slices.Equal(ticks, []int{expiryBurst, expiryBurst, expiryBurst / 2}) {
		t.Errorf("sessions ended by half ticks: %v", ticks)
	}
}

// TestExpiry runs sessions in virtual time: what Tick is told.
func TestExpiry(t *testing.T) {
	d := newDriver(t, map[string]string{"tickTime": "1000"})
	c, quiet := d.client(), d.client()
	quiet.want(0, createMode("/e", wire.Ephemeral))
	s := d.m.Sessions()
	start := d.now
	var over time.Duration
	var end []*kernel.Request
	for i := 0; len(end) == 0; i++ {
		if i > 100 {
			t.Fatal("never expired")
		}
		d.now = d.now.Add(500 * time.Millisecond)
		if !s.Touch(c.session, c) {
			t.Fatal("a session that is touched has gone")
		}
		end = d.m.Tick(d.now, false)
		over = d.now.Sub(start)
	}
	if len(end) != 1 || end[0].Session != quiet.session || over <= 10*time.Second || over > 11500*time.Millisecond {
		t.Fatalf("%d sessions ended after %v, want the quiet one after 10 to 11 s", len(end), over)
	}
	if s.Touch(quiet.session, quiet) {
		t.Fatal("an expired session was revived")
	}
	if more := d.m.Tick(d.now.Add(time.Second), false); len(more) != 0 {
		t.Fatal("expired twice")
	}
	d.apply(d.prepare(end...))
	if !quiet.closed || quiet.reason != kernel.CloseSessionExpired || len(quiet.take()) != 0 || d.m.at("/e") != nil {
		t.Fatal("the session was not ended silently with its node")
	}

	// After a stall of the server there is grace.
	d.now = d.now.Add(time.Minute)
	if end = d.m.Tick(d.now, true); len(end) != 0 {
		t.Fatal("expired because of the server's own stall")
	}
	s.Touch(c.session, c)
	d.now = d.now.Add(2 * time.Second)
	if end = d.m.Tick(d.now, false); len(end) != 0 {
		t.Fatal("expired although it was touched in the grace")
	}
	// A request to end it is lost with the role; the new leader gives a full time-out.
	if end = d.ticks(20 * time.Second); len(end) != 1 {
		t.Fatalf("%d sessions expired, want 1", len(end))
	}
	d.prepare(end...)
	d.next--
	d.m.DropSpeculation()
	d.m.Lead(false)
	d.m.Lead(true)
	if end = d.ticks(10 * time.Second); len(end) != 0 {
		t.Fatal("expired early under a new leader")
	}
	if !s.Touch(c.session, c) {
		t.Fatal("still closing under a new leader")
	}
}

// A server that stood still hears, before its next tick, what came meanwhile: who was heard then has a whole time-out from then on, however short or long the server stood.
func TestExpiryAfterAPause(t *testing.T) {
	for _, pause := range []time.Duration{500 * time.Millisecond, 700 * time.Millisecond, 1400 * time.Millisecond, time.Minute} {
		d := newDriver(t, map[string]string{"tickTime": "1000"})
		c := d.client()
		if end := d.ticks(9 * time.Second); len(end) != 0 {
			t.Fatal("expired early")
		}
		d.now = d.now.Add(pause)
		d.m.Sessions().Touch(c.session, c)
		heard := d.now
		if end := d.m.Tick(d.now, pause > 1500*time.Millisecond); len(end) != 0 {
			t.Fatalf("a pause of %v: expired with the first tick", pause)
		}
		if end := d.ticks(time.Minute); len(end) != 1 || d.now.Sub(heard) < 10*time.Second || d.now.Sub(heard) > 11500*time.Millisecond {
			t.Errorf("a pause of %v: %d sessions ended %v after a sign of life, the time-out is 10 s", pause, len(end), d.now.Sub(heard))
		}
	}
}

func TestAdministratorEndsSession(t *testing.T) {
	d := newDriver(t, nil)
	c := d.client()
	c.want(0, createMode("/e", wire.Ephemeral))
	seen := 0
	d.m.Sessions().List(func(i kernel.SessionInfo) bool {
		seen++
		if i.ID != c.session || i.Ephemerals != 1 || i.Timeout != 10*time.Second || i.Conn != c {
			t.Errorf("listed as %+v", i)
		}
		return true
	})
	d.apply(d.prepare(&kernel.Request{Session: c.session, Op: int32(wire.OpCloseSession)}))
	if seen != 1 || !c.closed || c.reason != kernel.CloseSessionExpired || d.m.at("/e") != nil {
		t.Fatalf("seen %d, closed %v", seen, c.closed)
	}
	if len(d.m.watches.byConn) != 0 {
		t.Fatal("a connection stays in the table of watches after its session")
	}
	d.apply(d.prepare(&kernel.Request{Session: c.session, Op: int32(wire.OpCloseSession)})) // twice: nothing happens
	d.verify()
}

func TestSessionIDs(t *testing.T) {
	d := newDriver(t, nil)
	s := d.m.Sessions()
	a, b := s.NewID(), s.NewID()
	if uint64(a)>>56 != 1 || b != a+1 {
		t.Fatalf("ids %s and %s", a, b)
	}
	d.m.sessions.add(a+5000, 1000) // given out by this server before its clock went back, and many after it, which have ended
	if c := s.NewID(); max(c-a, a-c) < 1<<31 || uint64(c)>>56 != 1 {
		t.Fatalf("%s may have been given out before, like its neighbour %s", c, a+5000)
	}
	// The same is heard again, as with a second snapshot, while the state is where it was: what was given out meanwhile is not given out again.
	given := map[kernel.SessionID]bool{}
	for range 3 {
		d.m.sessions.add(kernel.SessionID(uint64(a)|(1<<56-1)), 1000) // the last that this server can give out
		for range 3 {
			id := d.m.sessions.NewID()
			if given[id] {
				t.Fatalf("%s was given out twice", id)
			}
			given[id] = true
		}
	}
	if c, d := elsewhere(int64(a)+5000, int64(a), int64(a)), elsewhere(int64(a)+5000, int64(a)+1<<16, int64(a)+1<<16); c == d {
		t.Fatal("two processes that have seen the same session give out the same ids")
	}
	if b, c := s.NewID(), s.NewID(); c != b+1 {
		t.Fatalf("ids %s and %s", b, c)
	}
	if id := firstID(200, time.Now()); id >= 0 || uint64(id)>>56 != 200 {
		t.Fatalf("server 200 starts at %x", uint64(id))
	}
}

func TestLocalSessions(t *testing.T) {
	d := newDriver(t, map[string]string{"localSessionsEnabled": "true"})
	at := d.next
	c := &conn{d: d}
	req := &kernel.Request{Session: d.m.Sessions().NewID(), Op: int32(wire.OpCreateSession), Conn: c, Decoded: &wire.Request{Op: wire.Op{Code: wire.OpCreateSession}, TimeoutMs: 10000}}
	d.m.Read([]*kernel.Request{req})
	if c.take(); c.session == 0 || d.next != at {
		t.Fatal("no local session")
	}
	c.want(0, create("/a", ""))
	c.want(wire.ErrEphemeralOnLocalSession, createMode("/e", wire.Ephemeral))
	if r := c.want(0, multi(createMode("/e", wire.EphemeralSequential))); r.Results[0].Err != wire.ErrEphemeralOnLocalSession {
		t.Fatalf("in a multi: %+v", r.Results)
	}
	d.m.Read([]*kernel.Request{c.request(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})})
	if !c.closed || len(d.m.sessions.byID) != 0 {
		t.Fatal("still there")
	}
}

// localClient opens a local session.
func (d *driver) localClient() *conn {
	d.t.Helper()
	c := &conn{d: d}
	req := &kernel.Request{Session: d.m.Sessions().NewID(), Op: int32(wire.OpCreateSession), Conn: c, Decoded: &wire.Request{Op: wire.Op{Code: wire.OpCreateSession}, TimeoutMs: 10000}}
	d.m.Read([]*kernel.Request{req})
	if c.take(); c.session == 0 {
		d.t.Fatal("no local session")
	}
	return c
}

// upgradeOf is what the gateway submits ahead of a local session's first ephemeral node.
func upgradeOf(c *conn) *kernel.Request {
	return &kernel.Request{Session: c.session, Op: int32(wire.OpCreateSession), Decoded: &wire.Request{Op: wire.Op{Code: wire.OpCreateSession}, TimeoutMs: 10000}}
}

// A local session becomes a global one by a createSession with its id; a create behind that one in the same batch finds it global already (spec client-semantics, 2.8).
func TestLocalSessionIsUpgraded(t *testing.T) {
	d := newDriver(t, map[string]string{"localSessionsEnabled": "true"})
	c, other := d.localClient(), d.localClient()
	d.apply(d.prepare(upgradeOf(c), c.request(createMode("/e", wire.Ephemeral))))
	if got := c.take(); len(got) != 1 || got[0].err != 0 {
		t.Fatalf("create: %+v", got)
	}
	info, known := d.m.Sessions().Find(c.session)
	if !known || info.Local || info.Ephemerals != 1 || info.Conn != kernel.Connection(c) || info.Timeout != 10*time.Second {
		t.Fatalf("%+v", info)
	}
	if info, known := d.m.Sessions().Find(other.session); !known || !info.Local {
		t.Fatalf("the other one: %+v", info)
	}
	d.restart(true)
	if _, known := d.m.Sessions().Find(other.session); known {
		t.Fatal("a local session has survived a restart")
	}
	if info, known := d.m.Sessions().Find(c.session); !known || info.Local || info.Ephemerals != 1 {
		t.Fatalf("after a restart: %+v, %v", info, known)
	}
	d.verify()
}

// What was prepared for an upgrade and lost with the role leaves a local session.
func TestUpgradeLostWithTheRole(t *testing.T) {
	d := newDriver(t, map[string]string{"localSessionsEnabled": "true"})
	c := d.localClient()
	d.prepare(upgradeOf(c))
	if info, _ := d.m.Sessions().Find(c.session); info.Local {
		t.Fatal("still local with its upgrade prepared")
	}
	d.m.DropSpeculation()
	c.want(wire.ErrEphemeralOnLocalSession, createMode("/e", wire.Ephemeral))
}

// A session that expires while its upgrade is under way ends as a global one: by a transaction, with its nodes.
func TestExpiryDuringUpgrade(t *testing.T) {
	d := newDriver(t, map[string]string{"localSessionsEnabled": "true"})
	c := d.localClient()
	txns := d.prepare(upgradeOf(c), c.request(createMode("/e", wire.Ephemeral)))
	ends := d.ticks(time.Minute)
	if len(ends) != 1 || ends[0].Session != c.session {
		t.Fatalf("%d sessions end", len(ends))
	}
	d.apply(txns)
	d.apply(d.prepare(ends...))
	if _, known := d.m.Sessions().Find(c.session); known || d.m.at("/e") != nil {
		t.Fatal("something is left")
	}
	d.verify()
}
