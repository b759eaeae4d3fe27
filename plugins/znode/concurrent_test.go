package znode

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// safeConn is a connection for several goroutines that checks the order of what it is told: after an event for a change, no reply from before it and the other way round.
type safeConn struct {
	silent
	mu     sync.Mutex
	newest map[string]int64 // by path: the mzxid that a read with a watch has shown
	errs   []string
}

func (s *safeConn) Reply(req *kernel.Request, r kernel.Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if req.Op != int32(wire.OpGetData) || r.Err != 0 {
		return
	}
	var w wire.Response
	if err := wire.DecodeResponse(wire.OpGetData, r.Body, &w); err != nil {
		s.errs = append(s.errs, err.Error())
		return
	}
	path := req.Decoded.(*wire.Request).Path
	if w.Stat.Mzxid > int64(r.Zxid) {
		s.errs = append(s.errs, fmt.Sprintf("%s: a reply of zxid %s shows %x", path, r.Zxid, w.Stat.Mzxid))
	}
	if w.Stat.Mzxid < s.newest[path] {
		s.errs = append(s.errs, fmt.Sprintf("%s: %x after %x", path, w.Stat.Mzxid, s.newest[path]))
	}
	s.newest[path] = w.Stat.Mzxid
}

func (s *safeConn) Deliver(e kernel.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var w wire.WatcherEvent
	d := newDecoder(e.Body)
	w.Decode(&d)
	if s.newest[w.Path] >= int64(e.Zxid) && w.Type == wire.EventNodeDataChanged {
		s.errs = append(s.errs, fmt.Sprintf("%s: the event of %s comes after its data was seen", w.Path, e.Zxid))
	}
	s.newest[w.Path] = int64(e.Zxid)
}

// TestBeside runs readers, watchers, a writer with its apply goroutine, ticks, snapshots and sessions that come and go beside each other.
func TestBeside(t *testing.T) {
	d := newDriver(t, map[string]string{"cache": "50000"})
	c := d.quiet()
	for i := range 20 {
		d.m.Apply(d.prepare(c.request(create(fmt.Sprintf("/n%d", i), ""))))
	}
	var stop atomic.Bool
	var all, applying sync.WaitGroup
	committed := make(chan []kernel.Committed, 4)
	applying.Add(1)
	go func() {
		defer applying.Done()
		for txns := range committed {
			d.m.Apply(txns)
		}
	}()
	var readers []*safeConn
	for g := range 3 {
		other := d.m.Sessions().NewID()
		r := &safeConn{silent: silent{conn: conn{d: d, session: other}}, newest: map[string]int64{}}
		d.m.watches.attach(r)
		readers = append(readers, r)
		all.Add(1)
		go func() {
			defer all.Done()
			for i := 0; !stop.Load(); i++ {
				path := fmt.Sprintf("/n%d", (i*7+g)%20)
				var reqs []*kernel.Request
				for _, op := range []wire.OpCode{wire.OpGetData, wire.OpGetChildren2, wire.OpExists, wire.OpGetAllChildrenNumber} {
					w := &wire.Request{Op: wire.Op{Code: op, Path: path, Watch: op == wire.OpGetData}}
					reqs = append(reqs, &kernel.Request{Session: other, Op: int32(op), Decoded: w, Conn: r})
				}
				d.m.Read(reqs)
			}
		}()
	}
	all.Add(1)
	go func() {
		defer all.Done()
		for !stop.Load() {
			d.m.Gauges(func(string, float64) {})
			d.m.Sessions().List(func(kernel.SessionInfo) bool { return true })
			d.m.Watches(func(string, kernel.SessionID) bool { return true })
			if _, err := snapshotTo(d.m, discard{}); err != nil {
				t.Error(err)
			}
		}
	}()
	for i := range 300 {
		reqs := []*kernel.Request{
			c.request(set(fmt.Sprintf("/n%d", i%20), fmt.Sprint(i), -1)), c.request(create(fmt.Sprintf("/n%d/c%d", i%20, i), "")),
			c.request(createMode("/e-", wire.EphemeralSequential)), c.request(del(fmt.Sprintf("/n%d/c%d", (i-20)%20, i-20), -1)),
		}
		committed <- d.prepare(reqs...)
		if i%10 == 0 {
			d.m.Tick(d.now, false)
		}
	}
	stop.Store(true)
	close(committed)
	all.Wait()
	applying.Wait()
	for _, r := range readers {
		for _, e := range r.errs {
			t.Error(e)
		}
		d.m.Sessions().Detach(r)
	}
	d.verify()
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
