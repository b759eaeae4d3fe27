package znode

import (
	"math/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/peer"
)

// visitor is a connection that only counts how often it was closed.
type visitor struct {
	kernel.Connection
	session kernel.SessionID
	closed  atomic.Int32
}

func (c *visitor) Close(kernel.CloseReason)    { c.closed.Add(1) }
func (c *visitor) Session() kernel.SessionID   { return c.session }
func (*visitor) Identities() []kernel.Identity { return nil }

// TestPeersBesideClients lets clients come, show life and go from many goroutines while the server changes its role and talks to a leader. Every client that attaches is told something exactly once,
// and in the end each session has one connection at most.
func TestPeersBesideClients(t *testing.T) {
	asked := make(chan []byte, 1<<16)
	d := newServer(t, 2, nil, "memory", func(payload []byte) { asked <- payload })
	s := d.m.Sessions()
	var ids []kernel.SessionID
	for range 5 {
		id := s.NewID()
		ids = append(ids, id)
		d.m.sessions.add(id, 10000)
	}
	var clients sync.WaitGroup
	var attached, told, accepted atomic.Int64
	for i := range 8 {
		clients.Add(1)
		go func() {
			defer clients.Done()
			rng := rand.New(rand.NewSource(int64(i)))
			for range 400 {
				id := ids[rng.Intn(len(ids))]
				c := &visitor{session: id}
				password := s.Password(id)
				attached.Add(1)
				verdict := make(chan kernel.Verdict, 2)
				s.Attach(id, password[:], time.Minute, c, func(a kernel.Attachment) {
					told.Add(1)
					verdict <- a.Verdict
				})
				if <-verdict == kernel.Accepted {
					accepted.Add(1)
					s.Touch(id, c)
				}
				if rng.Intn(2) == 0 {
					s.Detach(c)
				}
			}
		}()
	}
	done := make(chan struct{})
	go func() {
		clients.Wait()
		close(done)
	}()
	rng := rand.New(rand.NewSource(99))
	p := d.m.Peers()
	drain := func() {
		for len(asked) > 0 {
			<-asked
		}
	}
	answered := 0
	for now, over := d.now, false; !over; {
		select {
		case <-done:
			over = true
			continue
		case q := <-asked:
			p.Answered(jute.AppendBool(jute.AppendInt64(nil, int64(decodeID(q))), rng.Intn(4) > 0))
			answered++
		case <-time.After(time.Millisecond):
		}
		p.Touched()
		now = now.Add(100 * time.Millisecond)
		d.m.Tick(now, false)
		if answered%20 != 19 {
			continue
		}
		answered++
		switch rng.Intn(3) {
		case 0:
			p.Follow(nil)
			drain()
			p.Follow(d.ask)
		case 1:
			s.HangUp(kernel.CloseNoLeader)
		case 2:
			p.Follow(nil)
			d.m.Lead(true)
			drain()
			p.Heard(3, jute.AppendInt32(jute.AppendInt64(nil, int64(ids[0])), 5000))
			p.Asked(3, jute.AppendInt32(jute.AppendInt64(nil, int64(ids[1])), 5000))
			d.m.Lead(false)
			d.m.DropSpeculation()
			p.Follow(d.ask)
		}
	}
	if accepted.Load() < 200 {
		t.Errorf("only %d clients were accepted: the test says little", accepted.Load())
	}
	if attached.Load() != told.Load() {
		t.Fatalf("%d clients were told something, %d attached", told.Load(), attached.Load())
	}
	d.m.sessions.mu.Lock()
	defer d.m.sessions.mu.Unlock()
	watching := map[kernel.Connection]bool{}
	for _, x := range d.m.sessions.byID {
		if x.conn != nil {
			watching[x.conn] = true
			if n := x.conn.(*visitor).closed.Load(); n != 0 {
				t.Errorf("session %s keeps a connection that was closed %d times", x.id, n)
			}
		}
	}
	for conn := range d.m.watches.byConn {
		if !watching[conn] {
			t.Errorf("a connection of session %s, which is none any more, may watch", conn.Session())
		}
	}
}

func decodeID(question []byte) kernel.SessionID {
	asked, err := peer.DecodeRevalidate(question)
	if err != nil {
		panic(err)
	}
	return asked.Session
}
