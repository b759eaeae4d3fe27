package kernel

import (
	"slices"
	"testing"
	"time"
)

// strangers is a machine whose transactions belong to nobody here.
type strangers struct{ StateMachine }

func (strangers) Inspect([]byte) (TxnInfo, error) { return TxnInfo{Session: 1, Cxid: 1}, nil }

// A learner that hears of a commit and of its leader's answer to a sync in one turn applies first.
func TestBarrierOfALearnerStandsBehindWhatIsCommitted(t *testing.T) {
	n, err := NewNode(NodeConfig{Self: 1, TickTime: time.Second, Ensemble: Ensemble{Voters: []ServerID{1, 2, 3}}}, Parts{Machine: strangers{}})
	if err != nil {
		t.Fatal(err)
	}
	l := &n.loop
	l.init(n)
	l.role = RoleChange{Role: Following, Leader: 2, Epoch: 1, Established: true}
	req := &Request{Session: 5, Cxid: 9, Barrier: true}
	l.barriers[7] = barrier{req: req}
	l.pending.add(req)
	z := MakeZxid(1, 1)
	l.unapplied = []Committed{{Zxid: z, Data: []byte("x")}}

	l.perform(&Effects{Commit: z, Barriers: []uint64{7}})
	jobs := n.apply.take()
	if len(jobs) != 2 || jobs[0].commit != z || jobs[1].barrier != req {
		t.Fatalf("apply is given %+v; want the commit of %s, then the barrier", jobs, z)
	}
	if len(l.barriers) != 0 || len(l.pending) != 0 {
		t.Fatalf("left over: %v, %v", l.barriers, l.pending)
	}
}

// apart is a machine with a write that changes nothing.
type apart struct{ decided }

type neighbours struct{ PeerSessions }

func (*apart) Peers() PeerSessions               { return neighbours{} }
func (*apart) Position() Zxid                    { return MakeZxid(2, 0) }
func (*apart) Apply([]Committed)                 {}
func (neighbours) Follow(func([]byte))           {}
func (neighbours) Nothing() (op int32, _ []byte) { return 77, []byte{1} }
func (neighbours) Forwarded(r *Request) *Request { return r }

// answers counts the answers to its requests.
type answers struct {
	client
	got []*Request
}

func (c *answers) Reply(req *Request, _ Reply) { c.got = append(c.got, req) }

// A leader of ZooKeeper's answers a sync without asking anybody whether it still leads. So a learner's client gets a write instead, which is answered as a sync, in its place, once; the next leader
// may have a better barrier.
func TestBarrierUnderALeaderThatConfirmsNothing(t *testing.T) {
	n, l, b, _ := loopOf(t)
	n.parts.Machine = &apart{}
	l.take(RoleChange{Role: Following, Leader: 2, Epoch: 2, Established: true, Incarnation: 1, Unconfirmed: true})
	c := &answers{}
	sync, write, later := &Request{Session: 7, Cxid: 1, Conn: c, Barrier: true}, &Request{Session: 7, Cxid: 2, Conn: c}, &Request{Session: 7, Cxid: 3, Conn: c, Barrier: true}
	for _, req := range []*Request{sync, write, later} {
		if err := n.Submit(req); err != nil {
			t.Fatal(err)
		}
	}
	l.round(false)
	for _, i := range b.heard {
		if f, ok := i.(Forward); ok && f.Requests[0].Cxid == 1 && (f.Requests[0].Op != 77 || f.Requests[0].Barrier || len(f.Requests) != 3) {
			t.Fatalf("forwarded %+v", f.Requests[0])
		}
		if a, ok := i.(AskBarrier); ok {
			t.Fatalf("asked %+v", a)
		}
	}
	if got := forwarded(b); !slices.Equal(got, []int32{1, 2, 3}) {
		t.Fatalf("forwarded %v", got)
	}
	z := MakeZxid(2, 1)
	l.perform(&Effects{Append: []Record{{Zxid: z, Data: []byte{7, 1}}}, Commit: z})
	for n.applyState.next() {
	}
	if len(c.got) != 1 || c.got[0] != sync {
		t.Fatalf("answered %+v", c.got)
	}
	l.take(RoleChange{Role: Looking, Incarnation: 2})
	b.heard = nil
	l.take(RoleChange{Role: Following, Leader: 3, Epoch: 3, Established: true, Incarnation: 3})
	var asked []*Request
	for _, i := range b.heard {
		if a, ok := i.(AskBarrier); ok {
			asked = append(asked, a.Request)
		}
	}
	if got := forwarded(b); !slices.Equal(got, []int32{2}) || len(asked) != 1 || asked[0] != later {
		t.Fatalf("after the election forwarded %v, asked %+v", got, asked)
	}
	if n.outstanding.Load() != 2 {
		t.Errorf("%d outstanding, want 2", n.outstanding.Load())
	}
}
