package kernel

import (
	"slices"
	"testing"
	"time"
)

// listener is a broadcast that only hears.
type listener struct {
	heard   []Input
	effects Effects
}

func (b *listener) Step(_ time.Duration, in ...Input) *Effects {
	b.heard = append(b.heard, in...)
	return &b.effects
}
func (*listener) Position() (Epoch, Zxid, bool) { return 2, MakeZxid(2, 1), true }

func (*listener) MayChange(Ensemble) error { return ErrChanging }

type client struct{ Connection }

func (client) Alive() bool { return true }

// closable is a client whose connection ends.
type closable struct {
	Connection
	closed bool
}

func (c *closable) Alive() bool { return !c.closed }

// attached are sessions with one connection.
type attached struct {
	Sessions
	conn *closable
}

func (a attached) HangUp(CloseReason) { a.conn.closed = true }

// decided is a machine whose transactions say whose they are: session and cxid, a byte each.
type decided struct {
	StateMachine
	prepared []*Request
	sessions attached
}

func (d *decided) Sessions() Sessions { return d.sessions }

func (decided) Inspect(data []byte) (TxnInfo, error) {
	return TxnInfo{Session: SessionID(data[0]), Cxid: int32(data[1])}, nil
}
func (decided) DropSpeculation()    {}
func (decided) Release(*Request)    {}
func (decided) Lead(bool)           {}
func (decided) Peers() PeerSessions { return nil }
func (d *decided) Prepare(pos Position, reqs []*Request, batch *Batch) {
	d.prepared = append(d.prepared, reqs...)
	for i, r := range reqs {
		batch.Txns = append(batch.Txns, Txn{Record: Record{Zxid: pos.Next + Zxid(i), Data: []byte{byte(r.Session), byte(r.Cxid)}}, Request: r})
	}
}

func loopOf(t *testing.T) (*Node, *loopState, *listener, *decided) {
	b, m := &listener{}, &decided{}
	n, err := NewNode(NodeConfig{Self: 1, TickTime: time.Second, Ensemble: Ensemble{Voters: []ServerID{1, 2, 3}}}, Parts{Machine: m, Broadcast: b, Election: b})
	if err != nil {
		t.Fatal(err)
	}
	n.loop.init(n)
	n.started = n.cfg.Now()
	return n, &n.loop, b, m
}

// take takes up a role, serving at once.
func (l *loopState) take(r RoleChange) {
	l.perform(&Effects{Role: &r})
	l.node.serving.Store(r.Established)
	l.settle()
	l.route()
}

func forwarded(b *listener) (cxids []int32) {
	for _, i := range b.heard {
		if f, ok := i.(Forward); ok {
			for _, r := range f.Requests {
				cxids = append(cxids, r.Cxid)
			}
		}
	}
	b.heard = nil
	return cxids
}

// A write that was sent to the leader on a link that broke may be committed after this server has been brought up on the next one: it is sent again only when the leader has said that it is not.
func TestWritesHeldThroughARejoinAreNotDoubled(t *testing.T) {
	n, l, b, _ := loopOf(t)
	follow := RoleChange{Role: Following, Leader: 2, Epoch: 2, Established: true, Incarnation: 1}
	l.take(follow)
	for cxid := int32(1); cxid <= 2; cxid++ {
		if err := n.Submit(&Request{Session: 7, Cxid: cxid, Conn: client{}}); err != nil {
			t.Fatal(err)
		}
	}
	l.round(false)
	if got := forwarded(b); !slices.Equal(got, []int32{1, 2}) {
		t.Fatalf("forwarded %v", got)
	}
	l.take(RoleChange{Role: Looking, Incarnation: 2})
	follow.Incarnation = 3
	b.heard = nil
	l.take(follow)
	var ask AskBarrier
	for _, i := range b.heard {
		if a, ok := i.(AskBarrier); ok {
			ask = a
		}
	}
	if got := forwarded(b); len(got) > 0 || ask.ID == 0 || !ask.Request.Barrier || ask.Request.Session != 7 {
		t.Fatalf("before the leader has said what it has: forwarded %v, asked %+v", got, ask)
	}
	if err := n.Submit(&Request{Session: 7, Cxid: 3, Conn: client{}}); err != nil {
		t.Fatal(err)
	}
	l.round(false)
	if got := forwarded(b); len(got) > 0 {
		t.Fatalf("overtaken by %v", got)
	}
	z := MakeZxid(2, 1)
	l.perform(&Effects{Append: []Record{{Zxid: z, Data: []byte{7, 1}}}})
	l.perform(&Effects{Commit: z, Barriers: []uint64{ask.ID}})
	l.round(false)
	if got := forwarded(b); !slices.Equal(got, []int32{2, 3}) {
		t.Fatalf("forwarded %v after the first was committed; want 2 and 3", got)
	}

	// Under another leader, or in another epoch, what the history lacks never will be there.
	l.take(RoleChange{Role: Looking, Incarnation: 4})
	l.take(RoleChange{Role: Following, Leader: 3, Epoch: 3, Established: true, Incarnation: 5})
	if got := forwarded(b); !slices.Equal(got, []int32{2, 3}) {
		t.Fatalf("forwarded %v to another leader", got)
	}
}

// An observer that comes back through another follower cannot know what becomes of what it sent through the one before: its clients have to connect again. Under another leader nothing is on the way.
func TestAnotherWayToTheLeader(t *testing.T) {
	n, l, b, m := loopOf(t)
	c := &closable{}
	m.sessions.conn = c
	observe := RoleChange{Role: Observing, Leader: 2, Epoch: 2, Established: true, Through: 3, Incarnation: 1}
	l.take(observe)
	submit := func(cxid int32) {
		t.Helper()
		if err := n.Submit(&Request{Session: 7, Cxid: cxid, Conn: c}); err != nil {
			t.Fatal(err)
		}
		l.round(false)
	}
	submit(1)
	if got := forwarded(b); !slices.Equal(got, []int32{1}) {
		t.Fatalf("forwarded %v", got)
	}
	l.take(RoleChange{Role: Looking, Incarnation: 2})
	l.take(RoleChange{Role: Observing, Leader: 4, Epoch: 3, Established: true, Through: 2, Incarnation: 3})
	if got := forwarded(b); !slices.Equal(got, []int32{1}) || c.closed {
		t.Fatalf("forwarded %v to another leader, closed: %v", got, c.closed)
	}
	l.take(RoleChange{Role: Looking, Incarnation: 4})
	submit(2)
	l.take(RoleChange{Role: Observing, Leader: 4, Epoch: 3, Established: true, Through: 3, Incarnation: 5})
	l.round(false)
	if got := forwarded(b); len(got) > 0 || !c.closed || n.outstanding.Load() != 0 {
		t.Fatalf("forwarded %v to the same leader, closed: %v, outstanding %d", got, c.closed, n.outstanding.Load())
	}
}

// What learners sent to a leader that has lost its role they send again to the next one. If that is the same server, what is left from before must not be proposed beside it.
func TestRequestsOfLearnersGoWithTheRole(t *testing.T) {
	n, l, _, m := loopOf(t)
	l.take(RoleChange{Role: Leading, Leader: 1, Epoch: 1, Established: true, Incarnation: 1})
	l.perform(&Effects{Requests: []*Request{{Session: 7, Cxid: 1, From: 2}}})
	late := n.remote.take()
	l.take(RoleChange{Role: Looking, Incarnation: 2})
	for _, req := range late {
		n.requests.put(req)
	}
	again := RoleChange{Role: Leading, Leader: 1, Epoch: 2, Established: true, Incarnation: 3}
	l.take(again)
	l.perform(&Effects{Requests: []*Request{{Session: 7, Cxid: 1, From: 2}}})
	for _, req := range n.remote.take() {
		n.requests.put(req)
	}
	l.round(false)
	if len(m.prepared) != 1 {
		t.Fatalf("prepared %d times", len(m.prepared))
	}
}
