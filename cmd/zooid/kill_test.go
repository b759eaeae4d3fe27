package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// TestKill9 kills a server under load again and again and checks after each restart that no acknowledged write, session or ephemeral was lost, and
// that nothing whose end was acknowledged came back. ZOOID_KILLS sets how often; the gate's full run uses 100.
func TestKill9(t *testing.T) {
	kills := 3
	if text := os.Getenv("ZOOID_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatalf("ZOOID_KILLS: %v", err)
		}
	}
	dir := t.TempDir()
	server := startProcess(t, dir, "maxSessionTimeout=120000")
	const workers = 8
	all := make([]*killWorker, workers)
	for i := range all {
		all[i] = &killWorker{id: i, t: t}
		all[i].setUp(server.addr)
	}
	for round := range kills {
		var wg sync.WaitGroup
		stop := make(chan struct{})
		var writes atomic.Int64
		for _, w := range all {
			wg.Add(1)
			go func() { defer wg.Done(); w.run(stop, &writes) }()
		}
		for writes.Load() < int64(200+37*(round%7)) { // kill while writes are under way, at another point each time
			time.Sleep(time.Millisecond)
		}
		server.kill()
		close(stop)
		wg.Wait()
		server = server.restart(t)
		for _, w := range all {
			w.check(server.addr)
		}
		if t.Failed() {
			t.Fatalf("after kill %d", round+1)
		}
	}
	var acked int64
	for _, w := range all {
		acked += w.acked
		w.conn.close()
	}
	t.Logf("%d kills, %d acknowledged writes checked", kills, acked)
}

// killWorker owns one znode, one lasting session with an ephemeral, and opens and closes short sessions.
type killWorker struct {
	id   int
	t    *testing.T
	conn *rawClient

	acked     int64 // the counter that was acknowledged last
	attempted int64 // the counter that may have been written
	zxid      int64

	ephemeral  string // acknowledged to exist
	ended      []rawSession
	endedNodes []string
}

type rawSession struct {
	id       int64
	password []byte
}

func (w *killWorker) path() string { return fmt.Sprintf("/kill-%d", w.id) }

func (w *killWorker) setUp(addr string) {
	w.t.Helper()
	c, err := dialRaw(addr, 0, nil, 60*time.Second)
	if err != nil {
		w.t.Fatal(err)
	}
	w.conn = c
	if _, h, err := c.do(createRequest(w.path(), []byte("0"), 0)); err != nil || h.Err != wire.ErrOK {
		w.t.Fatalf("create: %v %v", h.Err, err)
	}
	w.ephemeral = w.path() + "-lasting"
	if _, h, err := c.do(createRequest(w.ephemeral, nil, wire.Ephemeral)); err != nil || h.Err != wire.ErrOK {
		w.t.Fatalf("create ephemeral: %v %v", h.Err, err)
	}
}

// run writes until the server dies.
func (w *killWorker) run(stop chan struct{}, writes *atomic.Int64) {
	addr := w.conn.conn.RemoteAddr().String()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		w.attempted++
		_, h, err := w.conn.do(setRequest(w.path(), []byte(strconv.FormatInt(w.attempted, 10)), -1))
		if err != nil {
			return
		}
		if h.Err != wire.ErrOK {
			w.t.Errorf("worker %d: set: %v", w.id, h.Err)
			return
		}
		w.acked, w.zxid = w.attempted, h.Zxid
		writes.Add(1)
		if n%10 == w.id {
			w.shortSession(addr)
		}
	}
}

// shortSession opens a session, makes an ephemeral, closes it. Once the close is acknowledged neither may come back.
func (w *killWorker) shortSession(addr string) {
	c, err := dialRaw(addr, 0, nil, 60*time.Second)
	if err != nil {
		return
	}
	defer c.close()
	path := fmt.Sprintf("%s-short-%x", w.path(), uint64(c.session))
	if _, _, err := c.do(createRequest(path, nil, wire.Ephemeral)); err != nil {
		return
	}
	if _, h, err := c.do(&wire.Request{Op: wire.Op{Code: wire.OpCloseSession}}); err != nil || h.Err != wire.ErrOK {
		return
	}
	w.ended = append(w.ended, rawSession{c.session, c.password})
	w.endedNodes = append(w.endedNodes, path)
}

// check comes back with the lasting session and compares.
func (w *killWorker) check(addr string) {
	w.t.Helper()
	old := w.conn
	old.close()
	c, err := dialRaw(addr, old.session, old.password, 60*time.Second)
	if err != nil {
		w.t.Errorf("worker %d: the session 0x%x was acknowledged and is gone: %v", w.id, uint64(old.session), err)
		return
	}
	w.conn = c
	r, h, err := c.do(getRequest(w.path()))
	if err != nil || h.Err != wire.ErrOK {
		w.t.Errorf("worker %d: get: %v %v", w.id, h.Err, err)
		return
	}
	got, _ := strconv.ParseInt(string(r.Data), 10, 64)
	if got < w.acked || got > w.attempted {
		w.t.Errorf("worker %d: found %d, acknowledged up to %d, attempted up to %d", w.id, got, w.acked, w.attempted)
	}
	if got == w.acked && r.Stat.Mzxid != w.zxid && w.zxid != 0 {
		w.t.Errorf("worker %d: the write was acknowledged with zxid 0x%x and has 0x%x now", w.id, w.zxid, r.Stat.Mzxid)
	}
	w.acked, w.attempted, w.zxid = got, got, r.Stat.Mzxid
	if r, h, err = c.do(getRequest(w.ephemeral)); err != nil || h.Err != wire.ErrOK || r.Stat.EphemeralOwner != c.session {
		w.t.Errorf("worker %d: the ephemeral of a living session: %v %v owner 0x%x", w.id, h.Err, err, uint64(r.Stat.EphemeralOwner))
	}
	for i, s := range w.ended {
		var refused refusedError
		if again, err := dialRaw(addr, s.id, s.password, 60*time.Second); !errors.As(err, &refused) {
			w.t.Errorf("worker %d: the closed session 0x%x came back (%v)", w.id, uint64(s.id), err)
			if again != nil {
				again.close()
			}
		}
		if _, h, err := c.do(getRequest(w.endedNodes[i])); err != nil || h.Err != wire.ErrNoNode {
			w.t.Errorf("worker %d: the ephemeral of a closed session: %v %v", w.id, h.Err, err)
		}
	}
	w.ended, w.endedNodes = nil, nil
}
