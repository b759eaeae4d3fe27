package znode

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// The leader's connection of a session whose owner nobody knows any more may be the one that the client has left.
func TestOwnerAfterAnElection(t *testing.T) {
	e := newEnsemble(t, nil, 2)
	c := e.client(2)
	here := e.attach(1, c.session, time.Minute)
	here.want(kernel.Accepted)
	e.leader.m.Lead(false)
	e.leader.m.DropSpeculation()
	if !e.leader.m.Sessions().Touch(c.session, here.conn) {
		t.Fatal("a client is dropped because there is an election")
	}
	e.leader.m.Lead(true)
	c.closed = false // it is as if the client were on server 2, not on 1
	if s, ok := e.do(c, create("/a", "")); !ok || s.err != 0 {
		t.Fatalf("whoever writes first is the owner: %+v", s)
	}
	if !here.closed || here.reason != kernel.CloseSessionMoved {
		t.Fatal("the other connection is still open")
	}
	e.leader.m.Lead(false)
	e.leader.m.Lead(true)
	back := e.attach(1, c.session, time.Minute)
	back.want(kernel.Accepted)
	if _, ok := e.do(c, create("/b", "")); ok {
		t.Fatal("written on a connection that was left")
	}
}

// TestHeldConnections: through an election a client is answered for as long as its session cannot have expired elsewhere, and not a moment longer.
func TestHeldConnections(t *testing.T) {
	// The leader heard of one client 0.5 s before it was lost, of the other 4 s before. What a leader knows itself it knows to half a tick.
	for server, slack := range map[kernel.ServerID]time.Duration{2: 0, 1: 500 * time.Millisecond} {
		t.Run(fmt.Sprintf("server=%d", server), func(t *testing.T) {
			e := newEnsemble(t, map[string]string{"tickTime": "1000"}, 1)
			d := e.servers[server]
			c, gone := e.client(server), e.client(server)
			for range 8 { // 4 s in which only one of them shows life, as the leader hears
				d.m.Sessions().Touch(c.session, c)
				e.heartbeat()
				e.tick(500 * time.Millisecond)
			}
			if server == 1 {
				d.m.Lead(false)
			} else {
				d.m.Peers().Follow(nil)
			}
			d.m.DropSpeculation()
			var closedAt, goneAt time.Duration
			for at := time.Duration(0); at < 20*time.Second; at += 500 * time.Millisecond {
				if c.closed == d.m.Sessions().Touch(c.session, c) {
					t.Fatalf("after %v: closed %v, and Touch says otherwise", at, c.closed)
				}
				if c.closed && closedAt == 0 {
					closedAt = at
				}
				if gone.closed && goneAt == 0 {
					goneAt = at
				}
				e.tick(500 * time.Millisecond)
			}
			if closedAt < 8500*time.Millisecond || closedAt > 9500*time.Millisecond+slack || goneAt < 5*time.Second || goneAt > 6*time.Second+slack {
				t.Fatalf("closed after %v and %v, want at most 9.5 and 6 s", closedAt, goneAt)
			}
			if c.reason != kernel.CloseNoLeader || len(d.m.sessions.byID) != 2 {
				t.Fatalf("closed for reason %d, %d sessions left", c.reason, len(d.m.sessions.byID))
			}
		})
	}
}

// A client that was held tells the new leader of itself with the first heartbeat.
func TestHeldClientIsTouchedAfterwards(t *testing.T) {
	e := newEnsemble(t, nil, 1)
	d := e.servers[2]
	c := e.client(2)
	e.heartbeat()
	d.m.Peers().Follow(nil)
	if !d.m.Sessions().Touch(c.session, c) {
		t.Fatal("not held")
	}
	d.m.Peers().Follow(d.ask)
	if got, want := d.m.Peers().Touched(), jute.AppendInt32(jute.AppendInt64(nil, int64(c.session)), 10000); !bytes.Equal(got, want) {
		t.Fatalf("told %x, want %x", got, want)
	}
	if got := d.m.Peers().Touched(); len(got) != 0 || got == nil {
		t.Fatalf("told twice: %x", got)
	}
	if s, ok := e.do(c, create("/a", "")); !ok || s.err != 0 {
		t.Fatalf("a write afterwards: %+v", s)
	}
}

// A session that the leader answered for and whose creation was lost with it does not exist.
func TestAnsweredForAndLost(t *testing.T) {
	for _, leads := range []bool{false, true} {
		e := newEnsemble(t, nil, 1)
		d := e.servers[2]
		id := kernel.SessionID(1<<56 | 5)
		e.leader.prepare(&kernel.Request{Session: id, Op: int32(wire.OpCreateSession), Body: jute.AppendInt32(nil, 10000), From: 3})
		c := e.attach(2, id, time.Minute)
		e.answer()
		c.want(kernel.Accepted)
		d.m.Peers().Follow(nil)
		if c.closed || !d.m.Sessions().Touch(id, c.conn) {
			t.Fatal("closed before it is known whether it was lost")
		}
		if leads {
			d.m.Lead(true)
		} else {
			d.m.Peers().Follow(d.ask)
		}
		if !c.closed || len(d.m.sessions.byID) != 0 {
			t.Fatal("a session that was never created is served")
		}
	}
}

// TestRestoreHangsUp: clients that were held are closed when the state comes from elsewhere.
func TestRestoreHangsUp(t *testing.T) {
	e := newEnsemble(t, nil, 1)
	d := e.servers[2]
	c := e.client(2)
	c.d.m.Read([]*kernel.Request{c.request(get(wire.OpGetData, "/", true))})
	var b bytes.Buffer
	zxid, err := snapshotTo(e.leader.m, &b)
	if err != nil {
		t.Fatal(err)
	}
	d.m.Peers().Follow(nil)
	if err := d.m.Restore(&b, zxid); err != nil {
		t.Fatal(err)
	}
	if !c.closed || c.reason != kernel.CloseStateReplaced || len(d.m.watches.byConn) != 0 {
		t.Fatalf("closed %v for reason %d, %d connections in the table of watches", c.closed, c.reason, len(d.m.watches.byConn))
	}
	e.same()
	d.m.Peers().Follow(d.ask)
	back := e.attach(2, c.session, time.Minute)
	e.answer()
	back.want(kernel.Accepted)
	d.m.Sessions().HangUp(kernel.CloseNoLeader)
	if !back.closed || back.reason != kernel.CloseNoLeader || len(d.m.sessions.byID) != 1 {
		t.Fatal("HangUp")
	}
}

// A local session expires nowhere else. Its connection is let go all the same, so that its client can find a server that takes its writes.
func TestHeldLocalSessions(t *testing.T) {
	e := newEnsemble(t, map[string]string{"tickTime": "1000", "localSessionsEnabled": "true"}, 1)
	d := e.servers[2]
	c := d.localClient()
	d.m.Peers().Follow(nil)
	later := d.localClient() // in read-only mode
	closedAt := time.Duration(0)
	for at := time.Duration(0); at < 20*time.Second; at += 500 * time.Millisecond {
		d.m.Sessions().Touch(c.session, c)
		d.m.Sessions().Touch(later.session, later)
		if c.closed && closedAt == 0 {
			closedAt = at
		}
		e.tick(500 * time.Millisecond)
	}
	if closedAt < 10*time.Second || closedAt > 11*time.Second || c.reason != kernel.CloseNoLeader || later.closed {
		t.Fatalf("closed after %v for %d; the later one: %v", closedAt, c.reason, later.closed)
	}
}
