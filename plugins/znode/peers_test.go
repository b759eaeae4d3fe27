package znode

import (
	"bytes"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/peer"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestSessionOnALearner follows a client of a learner through its life.
func TestSessionOnALearner(t *testing.T) {
	e := newEnsemble(t, nil, 2)
	c := e.client(2)
	if s, ok := e.do(c, createMode("/e", wire.Ephemeral)); !ok || s.err != 0 {
		t.Fatalf("create: %+v", s)
	}
	if n := e.servers[3].m.at("/e"); n == nil || n.Owner != int64(c.session) {
		t.Fatalf("on the other server: %+v", n)
	}
	e.same()
	e.run(c.request(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}}))
	if got := c.take(); len(got) != 1 || got[0].err != 0 || !c.closed || c.reason != kernel.CloseSessionEnded {
		t.Fatalf("closeSession: %+v, closed: %v", got, c.closed)
	}
	if e.leader.m.at("/e") != nil {
		t.Fatal("the ephemeral node is still there")
	}
	e.same()
}

// A learner may have applied what the leader's own apply has yet to come to: the leader knows who owns a session from the moment its creation is prepared.
func TestLearnerAheadOfTheLeader(t *testing.T) {
	e := newEnsemble(t, nil, 2)
	c, req := e.creation(2)
	first := e.prepare(req)
	e.servers[2].apply(first[2])
	if got := c.take(); len(got) != 1 || got[0].err != 0 {
		t.Fatalf("createSession: %+v", got)
	}
	write := e.prepare(c.request(createMode("/e", wire.Ephemeral)))
	e.servers[2].apply(write[2])
	if got := c.take(); len(got) != 1 || got[0].err != 0 {
		t.Fatalf("a write behind a creation that the leader has not applied: %+v", got)
	}

	// The client moves to the leader, which is not sure yet, then to server 3, which has not applied the creation either.
	e.attach(1, c.session, time.Minute).want(kernel.Unsure)
	moved := e.attach(3, c.session, 20*time.Second)
	e.answer()
	moved.want(kernel.Accepted)
	if !e.servers[3].m.Sessions().Touch(c.session, moved.conn) {
		t.Fatal("the session is not served")
	}
	late := e.prepare(c.request(create("/late", "")))
	end := e.prepare(moved.request(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}}), moved.request(createMode("/after", wire.Ephemeral)))
	for _, txns := range []map[kernel.ServerID][]kernel.Committed{first, write, late, end} {
		e.leader.apply(txns[1])
		e.servers[3].apply(txns[3])
	}
	for _, txns := range []map[kernel.ServerID][]kernel.Committed{late, end} {
		e.servers[2].apply(txns[2])
	}
	if !c.closed || c.reason != kernel.CloseSessionMoved || len(c.take()) != 0 {
		t.Fatal("the connection that was left was answered or is still open")
	}
	for _, path := range []string{"/e", "/late", "/after"} {
		if e.leader.m.at(path) != nil {
			t.Errorf("%s is there", path)
		}
	}
	if !moved.closed || len(e.leader.m.sessions.byID)+len(e.leader.m.sessions.opening) != 0 {
		t.Fatal("the session has not ended")
	}
	e.same()
}

// TestMoves moves a session around: the connection that was left is closed when it writes, and at once on the leader (spec client-semantics, 2.6).
func TestMoves(t *testing.T) {
	e := newEnsemble(t, nil, 2)
	c := e.client(2)
	other := e.attach(3, c.session, 20*time.Second)
	if len(other.got) != 0 {
		t.Fatal("accepted before the leader was asked")
	}
	e.answer()
	other.want(kernel.Accepted)
	if c.closed || !e.servers[2].m.Sessions().Touch(c.session, c) {
		t.Fatal("the old connection is served until it writes")
	}
	if _, ok := e.do(c, create("/old", "")); ok || c.reason != kernel.CloseSessionMoved || e.leader.m.at("/old") != nil {
		t.Fatal("a write on the connection that was left")
	}
	if s, ok := e.do(other.conn, create("/new", "")); !ok || s.err != 0 {
		t.Fatalf("a write on the new connection: %+v", s)
	}

	onLeader := e.attach(1, c.session, 20*time.Second)
	onLeader.want(kernel.Accepted)
	if _, ok := e.do(other.conn, multi(create("/old", ""))); ok || other.reason != kernel.CloseSessionMoved {
		t.Fatal("a write after the move to the leader")
	}
	onLeader.d.m.Read([]*kernel.Request{onLeader.request(get(wire.OpGetData, "/new", true))})
	onLeader.take()
	again := e.attach(3, c.session, 20*time.Second)
	e.answer()
	again.want(kernel.Accepted)
	if !onLeader.closed || onLeader.reason != kernel.CloseSessionMoved || e.leader.m.Sessions().Touch(c.session, onLeader.conn) {
		t.Fatal("the leader keeps a connection of a session that has moved")
	}
	if n := len(e.leader.m.watches.byConn); n != 0 {
		t.Fatalf("%d connections still watch on the leader", n)
	}
	// closeSession is exempt.
	e.run(onLeader.request(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}}))
	if !again.closed {
		t.Fatal("closeSession from an old connection")
	}
	e.same()
}

// TestAttachOnALearner is the decision table of spec client-semantics, 2.5, on a server that has to ask.
func TestAttachOnALearner(t *testing.T) {
	e := newEnsemble(t, nil, 1)
	c := e.client(2)
	c.d.m.Read([]*kernel.Request{c.request(get(wire.OpGetData, "/", true))})
	c.take()
	s := c.d.m.Sessions()

	bad := [16]byte{1}
	refused := false
	s.Attach(c.session, bad[:], time.Minute, &conn{d: c.d}, func(a kernel.Attachment) { refused = a.Verdict == kernel.Refused })
	if !refused || c.closed || len(e.asked) != 0 {
		t.Fatal("a wrong password disturbs the session")
	}
	unknown := e.attach(2, c.session+1000, time.Minute)
	first := e.attach(2, c.session, time.Minute)
	if !c.closed || c.reason != kernel.CloseSessionMoved || len(c.d.m.watches.byConn) != 0 {
		t.Fatal("the connection that was there first is still open, or watches")
	}
	second := e.attach(2, c.session, time.Hour)
	first.want(kernel.Unsure) // the later one takes its place
	e.answer()
	unknown.want(kernel.Refused)
	e.answer()
	e.answer()
	second.want(kernel.Accepted)
	if second.got[0].Timeout != 60*time.Second || len(first.got) != 1 || len(e.asked) != 0 {
		t.Fatalf("%+v, %+v", second.got, first.got)
	}
	if x := e.leader.m.sessions.byID[c.session]; x.timeout.Load() != int64(60*time.Second) || x.owner.Load() != 2 {
		t.Fatalf("the leader has time-out %v and owner %d", time.Duration(x.timeout.Load()), x.owner.Load())
	}

	// The leader is lost before it answers.
	lost := e.attach(2, c.session, time.Minute)
	c.d.m.Peers().Follow(nil)
	lost.want(kernel.Unsure)
	e.attach(2, c.session, time.Minute).want(kernel.Unsure) // nobody to ask
	e.asked = nil
	c.d.m.Peers().Follow(c.d.ask)
	if err := c.d.m.Peers().Answered(jute.AppendBool(jute.AppendInt64(nil, int64(c.session)), true)); err == nil {
		t.Fatal("an answer of a leader that is gone was taken")
	}
	lost.want(kernel.Unsure)

	// A session that is about to end is refused.
	end := e.prepare(&kernel.Request{Session: c.session, Op: int32(wire.OpCloseSession)})
	late := e.attach(2, c.session, time.Minute)
	e.answer()
	late.want(kernel.Refused)
	e.leader.apply(end[1])
	c.d.apply(end[2])
	e.same()
}

// TestTouchesFromLearners: a learner's heartbeats keep its sessions alive, the leader alone ends those that are silent.
func TestTouchesFromLearners(t *testing.T) {
	e := newEnsemble(t, map[string]string{"tickTime": "1000"}, 2)
	busy, quiet := e.client(2), e.client(3)
	e.heartbeat()
	start := e.leader.now
	var end []*kernel.Request
	for range 100 {
		if !e.servers[2].m.Sessions().Touch(busy.session, busy) {
			t.Fatal("a session that is touched has gone")
		}
		e.heartbeat()
		if end = e.tick(500 * time.Millisecond); len(end) > 0 {
			break
		}
	}
	over := e.leader.now.Sub(start)
	if len(end) != 1 || end[0].Session != quiet.session || over <= 10*time.Second || over > 12*time.Second {
		t.Fatalf("%d sessions ended after %v, want the quiet one after 10 to 12 s", len(end), over)
	}
	// Too late.
	e.servers[3].m.Sessions().Touch(quiet.session, quiet)
	e.heartbeat()
	e.run(end...)
	if !quiet.closed || quiet.reason != kernel.CloseSessionExpired {
		t.Fatal("the learner still serves a session that has expired")
	}
	e.same()
}

// A time-out that has become shorter on a learner counts at the leader as soon as it has heard of it.
func TestShorterTimeout(t *testing.T) {
	e := newEnsemble(t, map[string]string{"tickTime": "1000"}, 2)
	c := e.client(2)
	long := e.attach(2, c.session, 20*time.Second)
	e.answer()
	long.want(kernel.Accepted)
	short := e.attach(2, c.session, 2*time.Second)
	e.answer()
	short.want(kernel.Accepted)
	var over time.Duration
	for range 100 {
		over += 500 * time.Millisecond
		if len(e.tick(500*time.Millisecond)) > 0 {
			break
		}
	}
	if over > 4*time.Second {
		t.Fatalf("it ended after %v with a time-out of 2 s", over)
	}
	// Whoever is not the owner keeps the session alive but does not change its time-out.
	c = e.client(2)
	payload := jute.AppendInt32(jute.AppendInt64(nil, int64(c.session)), 3_600_000)
	if err := e.leader.m.Peers().Heard(3, payload); err != nil {
		t.Fatal(err)
	}
	if x := e.leader.m.sessions.byID[c.session]; x.timeout.Load() != int64(10*time.Second) {
		t.Fatalf("time-out %v", time.Duration(x.timeout.Load()))
	}
}

// TestTouchesOfObservers: a follower passes on what its observers tell it about sessions, and the leader takes it for the follower's.
func TestTouchesOfObservers(t *testing.T) {
	e := newEnsemble(t, nil, 2)
	c := e.client(2) // to the leader, who sits behind a follower is the follower's
	touch := func(ms int32) []byte { return jute.AppendInt32(jute.AppendInt64(nil, int64(c.session)), ms) }
	follower := e.servers[2]
	follower.m.Peers().Touched()
	follower.m.Sessions().Detach(c)
	if err := follower.m.Peers().Heard(4, touch(3000)); err != nil {
		t.Fatal(err)
	}
	if got := follower.m.Peers().Touched(); !bytes.Equal(got, touch(3000)) {
		t.Fatalf("passed on %x", got)
	}
	if got := follower.m.Peers().Touched(); len(got) != 0 {
		t.Fatalf("passed on again: %x", got)
	}
	// Nobody but the server with the connection says how long a session may last.
	mine := e.client(2)
	follower.m.Peers().Touched()
	other := jute.AppendInt32(jute.AppendInt64(nil, int64(mine.session)), 3000)
	if err := follower.m.Peers().Heard(4, other); err != nil {
		t.Fatal(err)
	}
	if got, want := follower.m.Peers().Touched(), jute.AppendInt32(jute.AppendInt64(nil, int64(mine.session)), 10000); !bytes.Equal(got, want) {
		t.Fatalf("passed on %x, want %x", got, want)
	}
	if follower.m.Peers().Heard(4, make([]byte, 13)) == nil {
		t.Error("touched sessions are taken by their length")
	}
	// Between two leaders there is nobody to tell.
	follower.m.Peers().Follow(nil)
	if err := follower.m.Peers().Heard(4, touch(3000)); err != nil {
		t.Fatal(err)
	}
	if got := follower.m.Peers().Touched(); len(got) != 0 {
		t.Fatalf("kept %x", got)
	}
}

// TestPeerPayloads gives both sides what no server of ours would send.
func TestPeerPayloads(t *testing.T) {
	e := newEnsemble(t, nil, 1)
	leader, learner := e.leader.m.Peers(), e.servers[2].m.Peers()
	if leader.Heard(2, make([]byte, 13)) == nil || leader.Heard(2, make([]byte, 24)) != nil || leader.Heard(2, nil) != nil {
		t.Error("touched sessions are taken by their length")
	}
	for _, n := range []int{0, 11, 13} {
		if _, err := leader.Asked(2, make([]byte, n)); err == nil {
			t.Errorf("a question of %d bytes was answered", n)
		}
	}
	if _, err := learner.Asked(2, make([]byte, 12)); err == nil {
		t.Error("a learner answered for a session")
	}
	if learner.Answered(make([]byte, 9)) == nil {
		t.Error("an answer without a question")
	}
	e.attach(2, 77, time.Second)
	for _, answer := range [][]byte{nil, make([]byte, 8), make([]byte, 10), jute.AppendBool(jute.AppendInt64(nil, 78), true)} {
		if learner.Answered(answer) == nil {
			t.Errorf("answer %x was taken for that about session 77", answer)
		}
	}
	// A time-out that is none changes nothing.
	c := e.client(2)
	for _, ms := range []int32{0, -5} {
		leader.Heard(2, jute.AppendInt32(jute.AppendInt64(nil, int64(c.session)), ms))
		leader.Asked(2, jute.AppendInt32(jute.AppendInt64(nil, int64(c.session)), ms))
	}
	if x := e.leader.m.sessions.byID[c.session]; x.timeout.Load() != int64(10*time.Second) {
		t.Errorf("time-out %v", time.Duration(x.timeout.Load()))
	}
}

// FuzzPeerPayloads gives all three calls any bytes.
func FuzzPeerPayloads(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0x27, 0x10})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 9, 1})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		e := newEnsemble(t, nil, 1)
		c := e.attach(2, 1<<56|9, time.Second)
		e.leader.m.sessions.add(1<<56|9, 1000)
		heard := e.leader.m.Peers().Heard(2, b)
		answer, asked := e.leader.m.Peers().Asked(2, b)
		if (heard == nil) != (len(b)%peer.TouchSize == 0) || (asked == nil) != (len(b) == peer.TouchSize) || (asked == nil) != (len(answer) == peer.RevalidatedSize) {
			t.Fatalf("%v; %v with %x", heard, asked, answer)
		}
		if err := e.servers[2].m.Peers().Answered(b); (err == nil) != (len(c.got) == 1) {
			t.Fatalf("%v, and the client was told %v", err, c.got)
		}
	})
}

// Local sessions are this server's alone: on a learner they begin, expire and end without the leader, and their writes are served there.
func TestLocalSessionOnALearner(t *testing.T) {
	e := newEnsemble(t, map[string]string{"localSessionsEnabled": "true", "tickTime": "1000"}, 2)
	d := e.servers[2]
	local := func() *conn {
		c := &conn{d: d}
		d.m.Read([]*kernel.Request{{Session: d.m.Sessions().NewID(), Op: int32(wire.OpCreateSession), Conn: c, Decoded: &wire.Request{Op: wire.Op{Code: wire.OpCreateSession}, TimeoutMs: 4000}}})
		if c.take(); c.session == 0 {
			t.Fatal("no local session")
		}
		return c
	}
	c, quiet := local(), local()
	if s, ok := e.do(c, create("/a", "")); !ok || s.err != 0 {
		t.Fatalf("a write: %+v", s)
	}
	if s, ok := e.do(c, createMode("/e", wire.Ephemeral)); !ok || s.err != wire.ErrEphemeralOnLocalSession {
		t.Fatalf("an ephemeral node: %+v", s)
	}
	e.run(c.request(multi(create("/b", ""), createMode("/e", wire.Ephemeral))))
	var r wire.Response
	if got := c.take(); len(got) != 1 || wire.DecodeResponse(wire.OpMulti, got[0].body, &r) != nil || r.Results[1].Err != wire.ErrEphemeralOnLocalSession || e.leader.m.at("/b") != nil {
		t.Fatalf("in a multi: %+v", r)
	}
	elsewhere := e.attach(3, c.session, time.Minute)
	e.answer()
	elsewhere.want(kernel.Refused)
	again := e.attach(2, c.session, 4*time.Second)
	again.want(kernel.Accepted)
	if !c.closed {
		t.Fatal("two connections")
	}
	for range 12 {
		d.m.Sessions().Touch(c.session, again.conn)
		e.heartbeat()
		e.tick(500 * time.Millisecond)
	}
	if !quiet.closed || quiet.reason != kernel.CloseSessionExpired || again.closed {
		t.Fatalf("the quiet one is closed: %v, the other: %v", quiet.closed, again.closed)
	}
	if len(d.m.Peers().Touched()) != 0 {
		t.Fatal("the leader was told of a local session")
	}
	// One with an id of the leader's own making was known to it once: it has ended.
	ours := forwarded(2, c.request(create("/c", "")))
	ours.Session = 1<<56 | 99
	e.leader.apply(e.leader.prepare(ours))
	if e.leader.m.at("/c") != nil {
		t.Fatal("a session that has ended writes")
	}
}

// A learner's local session becomes a global one by requests that travel to the leader like any other; the learner's own entry turns when it applies them.
func TestUpgradeOnALearner(t *testing.T) {
	e := newEnsemble(t, map[string]string{"localSessionsEnabled": "true"}, 1)
	d := e.servers[2]
	c := d.localClient()
	upgrade, create := upgradeOf(c), c.request(createMode("/e", wire.Ephemeral))
	upgrade.Body = upgrade.Decoded.(*wire.Request).AppendTo(nil)
	txns := e.leader.prepare(forwarded(2, upgrade), forwarded(2, create))
	e.leader.apply(txns)
	d.apply([]kernel.Committed{{Zxid: txns[0].Zxid, Data: txns[0].Data}, {Zxid: txns[1].Zxid, Data: txns[1].Data, Request: create}})
	if got := c.take(); len(got) != 1 || got[0].err != 0 {
		t.Fatalf("create: %+v", got)
	}
	if info, _ := d.m.Sessions().Find(c.session); info.Local || info.Conn != kernel.Connection(c) || info.Timeout != 10*time.Second {
		t.Fatalf("%+v", info)
	}
	e.same()
	if !d.m.Sessions().Touch(c.session, c) {
		t.Fatal("not served")
	}
	if len(d.m.Peers().Touched()) != peer.TouchSize {
		t.Fatal("the leader is not told that it is alive")
	}
}

// Where local sessions are upgraded, the creation of one goes ahead of its first ephemeral node. Whoever wants one and is not known has expired.
func TestUnknownSessionWhereLocalOnesAreUpgraded(t *testing.T) {
	e := newEnsemble(t, map[string]string{"localSessionsEnabled": "true", "localSessionsUpgradingEnabled": "true", "tickTime": "1000"}, 2)
	c := e.servers[2].localClient()
	if s, ok := e.do(c, createMode("/e", wire.Ephemeral)); !ok || s.err != wire.ErrSessionExpired {
		t.Fatalf("%+v", s)
	}
}
