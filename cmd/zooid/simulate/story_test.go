package simulate

import (
	"fmt"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/sim"
	"github.com/zooid-project/zooid/sdk/wire"
)

// story is a scripted simulation: whole servers, no faults but those that it tells of. finish checks everything that a random one checks at its end.
type story struct {
	t *testing.T
	*run
	w     *sim.World
	count int
}

func tell(t *testing.T, voters, observers int) *story {
	return tellWith(t, sim.Options{Seed: 1, Voters: voters, Observers: observers})
}

func tellWith(t *testing.T, shape sim.Options) *story {
	shape.TickTime, shape.Trace = 200*time.Millisecond, traceOf(t)
	r := runOf(shape, Bug{})
	s := &story{t: t, run: r, w: r.world}
	t.Cleanup(r.world.Close)
	return s
}

// ledBy3 is the start of most stories: three voters, the third of which leads.
func ledBy3(t *testing.T) *story {
	s := tell(t, 3, 0)
	s.start(1, 2, 3)
	s.leads(3)
	return s
}

// traceOf shows a story's trace when the story fails.
func traceOf(t *testing.T) *lines {
	l := &lines{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s", l.b)
		}
	})
	return l
}

type lines struct{ b []byte }

func (l *lines) Write(b []byte) (int, error) {
	l.b = append(l.b, b...)
	return len(b), nil
}

func (s *story) start(ids ...kernel.ServerID) {
	for _, id := range ids {
		s.w.Server(id).Start()
	}
}

func (s *story) kill(ids ...kernel.ServerID) {
	for _, id := range ids {
		s.w.Server(id).Kill()
	}
}

func (s *story) powerOff(ids ...kernel.ServerID) {
	for _, id := range ids {
		s.w.Server(id).PowerOff()
	}
}

// until lets things happen until they are as told.
func (s *story) until(what string, done func() bool) {
	s.t.Helper()
	if !s.w.RunUntil(30*time.Second, done) {
		s.t.Fatalf("after 30 s still not: %s; %v;%s", what, s.w.Failure(), s.roles())
	}
}

func (s *story) leads(id kernel.ServerID) {
	s.t.Helper()
	s.until(fmt.Sprintf("server %d leads", id), s.w.Server(id).Leading)
}

// serves waits until servers serve, and have what the ensemble has committed.
func (s *story) serves(ids ...kernel.ServerID) {
	s.t.Helper()
	for _, id := range ids {
		s.until(fmt.Sprintf("server %d serves", id), func() bool {
			x := s.w.Server(id)
			return x.Serving() && x.Host().Machine().Position() == s.model.last
		})
	}
}

// client connects a new client to a server.
func (s *story) client(to kernel.ServerID) *client {
	s.t.Helper()
	s.count++
	c := &client{run: s.run, id: s.count, silent: true}
	s.connect(c, to)
	return c
}

func (s *story) connect(c *client, to kernel.ServerID) {
	s.t.Helper()
	s.until(fmt.Sprintf("client %d is connected to server %d", c.id, to), func() bool {
		if c.conn == nil { // refused: the server does not serve yet
			c.dialTo(to)
		}
		return c.connected
	})
}

// do waits for the answer.
func (s *story) do(c *client, op wire.Op) *op {
	s.t.Helper()
	o := c.ask(wire.Request{Op: op})
	s.until(fmt.Sprintf("an answer to %v", op.Code), func() bool { return o.outcome != underWay })
	if o.outcome != answered {
		s.t.Fatalf("no answer to %v of %s", op.Code, op.Path)
	}
	return o
}

// write makes nodes through a client, one after the other.
func (s *story) write(c *client, count int) (last kernel.Zxid) {
	s.t.Helper()
	for range count {
		last = s.do(c, create(fmt.Sprintf("/w%d-%d", c.id, c.made))).zxid
		c.made++
	}
	return last
}

func create(path string) wire.Op {
	return wire.Op{Code: wire.OpCreate2, Path: path, Data: make([]byte, 100), ACL: wire.OpenACL}
}

// alone lets a leader that is cut off log something that nobody else has.
func (s *story) alone(c *client, leader kernel.ServerID) {
	s.t.Helper()
	s.w.Partition(leader)
	before := s.w.Server(leader).StableEnd()
	c.ask(wire.Request{Op: create("/alone")})
	s.until("the leader has it on disk", func() bool { return s.w.Server(leader).StableEnd() > before })
}

// finish ends all faults and checks that all servers come to be alike.
func (s *story) finish() {
	s.t.Helper()
	if s.w.Failure() == nil {
		s.w.Calm()
		s.settle()
	}
	if err := s.w.Failure(); err != nil {
		s.t.Fatal(err)
	}
}
