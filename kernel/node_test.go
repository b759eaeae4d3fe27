package kernel_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/election"
	"github.com/zooid-project/zooid/plugins/zab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sumMachine is the smallest state machine: a transaction adds its number. It shows that the node knows nothing of znodes.
type sumMachine struct {
	kernel.StateMachine // what the node does not call in these tests
	mu                  sync.Mutex
	sum                 int64
	at                  kernel.Zxid
	leading             bool
	dropped             int
	batches             []int
	stamps              []time.Time   // of batches
	gate                chan struct{} // if set, apply waits for it
}

func (m *sumMachine) Position() kernel.Zxid     { m.mu.Lock(); defer m.mu.Unlock(); return m.at }
func (m *sumMachine) Flushed() kernel.Zxid      { return 0 }
func (m *sumMachine) DropSpeculation()          { m.dropped++ }
func (m *sumMachine) Lead(l bool)               { m.leading = l }
func (m *sumMachine) Close() error              { return nil }
func (m *sumMachine) Configure(kernel.Ensemble) {}
func (m *sumMachine) Tick(time.Time, bool) []*kernel.Request {
	return nil
}

func (m *sumMachine) Prepare(pos kernel.Position, reqs []*kernel.Request, batch *kernel.Batch) {
	m.batches = append(m.batches, len(reqs))
	m.stamps = append(m.stamps, pos.Time)
	for i, r := range reqs {
		batch.Txns = append(batch.Txns, kernel.Txn{Record: kernel.Record{Zxid: pos.Next + kernel.Zxid(i), Data: r.Body}, Request: r, Note: r.Op})
	}
}

func (m *sumMachine) Apply(txns []kernel.Committed) {
	if m.gate != nil {
		<-m.gate
	}
	for _, t := range txns {
		m.mu.Lock()
		m.sum += int64(binary.BigEndian.Uint64(t.Data))
		m.at = t.Zxid
		sum := m.sum
		m.mu.Unlock()
		if t.Request != nil && t.Request.Conn != nil {
			t.Request.Conn.Reply(t.Request, kernel.Reply{Zxid: t.Zxid, Body: binary.BigEndian.AppendUint64(nil, uint64(sum))})
		}
	}
}

// sliceLog is a log in a slice whose sync can be held, and whose calls can be made to fail.
type sliceLog struct {
	kernel.LogStore
	mu      sync.Mutex
	records []kernel.Record
	words   []byte
	syncs   int
	hold    chan struct{}
	fail    func(call string) error
}

func (l *sliceLog) check(call string) error {
	if l.fail != nil {
		return l.fail(call)
	}
	return nil
}

func (l *sliceLog) Append(group []kernel.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check("append"); err != nil {
		return err
	}
	for _, r := range group {
		l.records = append(l.records, kernel.Record{Zxid: r.Zxid, Data: append([]byte(nil), r.Data...)})
	}
	return nil
}

func (l *sliceLog) Sync() (kernel.Zxid, error) {
	if l.hold != nil {
		<-l.hold
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.syncs++
	return l.last(), l.check("sync")
}

func (l *sliceLog) Read(from kernel.Zxid, yield func(kernel.Record) bool) error {
	l.mu.Lock()
	records := l.records
	l.mu.Unlock()
	for _, r := range records {
		if r.Zxid >= from && !yield(r) {
			break
		}
	}
	return nil
}

func (l *sliceLog) last() kernel.Zxid {
	if len(l.records) == 0 {
		return 0
	}
	return l.records[len(l.records)-1].Zxid
}

func (l *sliceLog) First() kernel.Zxid     { return 0 }
func (l *sliceLog) Last() kernel.Zxid      { l.mu.Lock(); defer l.mu.Unlock(); return l.last() }
func (l *sliceLog) Words() ([]byte, error) { return l.words, nil }
func (l *sliceLog) SaveWords(w []byte) error {
	l.words = append([]byte(nil), w...)
	return l.check("words")
}
func (l *sliceLog) Purge(kernel.Zxid) error          { return nil }
func (l *sliceLog) Recovered() *kernel.TornTail      { return nil }
func (l *sliceLog) Close() error                     { return nil }
func (l *sliceLog) Guarantees() kernel.LogGuarantees { return kernel.LogGuarantees{Durable: true} }

// caller is a connection that collects replies.
type caller struct {
	kernel.Connection
	replies chan string
}

func newCaller() *caller { return &caller{replies: make(chan string, 10_000)} }

func (c *caller) Reply(req *kernel.Request, r kernel.Reply) {
	if req.Barrier {
		c.replies <- fmt.Sprintf("barrier at %d:%d", r.Zxid.Epoch(), r.Zxid.Counter())
		return
	}
	c.replies <- fmt.Sprintf("%d:%d sum %d", r.Zxid.Epoch(), r.Zxid.Counter(), binary.BigEndian.Uint64(r.Body))
}

func (c *caller) next(t *testing.T) string {
	t.Helper()
	select {
	case r := <-c.replies:
		return r
	case <-time.After(10 * time.Second):
		t.Fatal("no reply")
		return ""
	}
}

func add(c kernel.Connection, v uint64) *kernel.Request {
	return &kernel.Request{Conn: c, Body: binary.BigEndian.AppendUint64(nil, v)}
}

func startNode(t *testing.T, m kernel.StateMachine, log kernel.LogStore, change ...func(*kernel.NodeConfig)) *kernel.Node {
	t.Helper()
	cfg := kernel.NodeConfig{Self: 1, Ensemble: kernel.Ensemble{Voters: []kernel.ServerID{1}}, TickTime: 50 * time.Millisecond}
	for _, c := range change {
		c(&cfg)
	}
	n, err := kernel.NewNode(cfg, kernel.Parts{Log: log, Machine: m, Election: election.New(), Broadcast: zab.New()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Stop() })
	return n
}

func TestWritesAreAnsweredInOrderAfterTheSync(t *testing.T) {
	log, m, c := &sliceLog{hold: make(chan struct{})}, &sumMachine{}, newCaller()
	n := startNode(t, m, log)
	for _, v := range []uint64{1, 2, 3} {
		if err := n.Submit(add(c, v)); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Submit(&kernel.Request{Conn: c, Barrier: true}); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-c.replies:
		t.Fatalf("answered %q before the log was synced", r)
	case <-time.After(50 * time.Millisecond):
	}
	close(log.hold)
	for _, want := range []string{"1:1 sum 1", "1:2 sum 3", "1:3 sum 6", "barrier at 1:3"} {
		if got := c.next(t); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if s := n.Status(); s.LastDurable != kernel.MakeZxid(1, 3) || s.LastProposed != s.LastDurable || !s.Serving || s.Outstanding != 0 {
		t.Fatalf("status %+v", s)
	}
}

// Every sync is counted; one over the threshold is counted as slow.
// A leader's transactions have times that do not go back, though its clock does.
func TestStampsDoNotGoBack(t *testing.T) {
	at := time.Now()
	var ahead atomic.Int64
	m, c := &sumMachine{}, newCaller()
	n := startNode(t, m, &sliceLog{}, func(cfg *kernel.NodeConfig) {
		cfg.Wall = func() time.Time { return at.Add(time.Duration(ahead.Load())) } // with a monotonic part, as any time has that time.Now gave
	})
	for _, by := range []time.Duration{0, time.Hour, time.Second, 2 * time.Hour} {
		ahead.Store(int64(by))
		if err := n.Submit(add(c, 1)); err != nil {
			t.Fatal(err)
		}
		c.next(t)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	for i, by := range []time.Duration{0, time.Hour, time.Hour, 2 * time.Hour} {
		if got := time.Duration(m.stamps[i].UnixNano() - at.UnixNano()); got != by {
			t.Errorf("transaction %d has a time %v after the first one's, want %v", i, got, by)
		}
	}
}

func TestSyncsAreCounted(t *testing.T) {
	log, c := &sliceLog{hold: make(chan struct{})}, newCaller()
	n := startNode(t, &sumMachine{}, log, func(c *kernel.NodeConfig) { c.SlowSync = 30 * time.Millisecond })
	defer close(log.hold)
	for _, pause := range []time.Duration{0, 60 * time.Millisecond} {
		_ = n.Submit(add(c, 1))
		time.Sleep(pause) // the sync stands still for so long
		log.hold <- struct{}{}
		c.next(t)
	}
	s := n.Status().Syncs
	if s.Count != 2 || s.Slow < 1 || s.Min > s.Max || s.Max < 50*time.Millisecond || s.Sum < s.Max || s.Sum != s.Min+s.Max {
		t.Fatalf("%+v", s)
	}
}

func TestWhatQueuesDuringASyncSharesTheNext(t *testing.T) {
	log, c := &sliceLog{hold: make(chan struct{})}, newCaller()
	n := startNode(t, &sumMachine{}, log)
	_ = n.Submit(add(c, 1))
	for n.Status().LastProposed.Counter() < 1 {
		time.Sleep(time.Millisecond)
	}
	for range 500 {
		if err := n.Submit(add(c, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for n.Status().LastProposed.Counter() < 501 {
		time.Sleep(time.Millisecond)
	}
	close(log.hold)
	for range 501 {
		c.next(t)
	}
	if log.syncs > 3 {
		t.Fatalf("501 writes took %d syncs: they were not grouped", log.syncs)
	}
}

func TestRestartReplaysTheLogInANewEpoch(t *testing.T) {
	log, c := &sliceLog{}, newCaller()
	first := startNode(t, &sumMachine{}, log)
	for _, v := range []uint64{5, 6} {
		_ = first.Submit(add(c, v))
		c.next(t)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	again := startNode(t, &sumMachine{}, log)
	_ = again.Submit(add(c, 7))
	if got, want := c.next(t), "2:1 sum 18"; got != want {
		t.Fatalf("after the restart: %q, want %q", got, want)
	}
}

// Found by killing a server under load: it served while the log was still being replayed, and told clients that their sessions were gone.
func TestNobodyIsServedBeforeTheLogIsReplayed(t *testing.T) {
	log := &sliceLog{}
	first := startNode(t, &sumMachine{}, log)
	c := newCaller()
	_ = first.Submit(add(c, 5))
	c.next(t)
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	m := &sumMachine{gate: make(chan struct{})}
	n, err := kernel.NewNode(kernel.NodeConfig{Self: 1, Ensemble: kernel.Ensemble{Voters: []kernel.ServerID{1}}, TickTime: 50 * time.Millisecond},
		kernel.Parts{Log: log, Machine: m, Election: election.New(), Broadcast: zab.New()})
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error)
	go func() { started <- n.Start(context.Background()) }()
	select {
	case <-started:
		t.Fatal("served before the history was applied")
	case <-time.After(100 * time.Millisecond):
	}
	if err := n.Submit(add(c, 1)); !errors.Is(err, kernel.ErrNotServing) {
		t.Fatalf("Submit during replay: %v", err)
	}
	close(m.gate)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
}

func TestAFailedSyncStopsTheNode(t *testing.T) {
	broken := errors.New("disk broke")
	log, c := &sliceLog{}, newCaller()
	n := startNode(t, &sumMachine{}, log)
	log.mu.Lock()
	log.fail = func(call string) error {
		if call == "sync" {
			return broken
		}
		return nil
	}
	log.mu.Unlock()
	_ = n.Submit(add(c, 1))
	select {
	case err := <-n.Fatal():
		if !errors.Is(err, broken) {
			t.Fatalf("reason %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the node went on after a failed sync")
	}
	if err := n.Submit(add(c, 2)); !errors.Is(err, kernel.ErrNotServing) {
		t.Fatalf("Submit after the failure: %v", err)
	}
	if len(c.replies) != 0 {
		t.Fatal("a write was confirmed that the log may have lost")
	}
}

func TestAFullDiskRefusesWritesUntilThereIsRoom(t *testing.T) {
	log, c := &sliceLog{}, newCaller()
	n := startNode(t, &sumMachine{}, log)
	var full sync.Mutex
	isFull := true
	log.mu.Lock()
	log.fail = func(call string) error {
		full.Lock()
		defer full.Unlock()
		if call == "append" && isFull {
			return fmt.Errorf("log.1: %w", kernel.ErrNoSpace)
		}
		return nil
	}
	log.mu.Unlock()
	_ = n.Submit(add(c, 1))
	for n.Status().Refusing == nil {
		time.Sleep(time.Millisecond)
	}
	if err := n.Submit(add(c, 2)); !errors.Is(err, kernel.ErrNoSpace) {
		t.Fatalf("Submit on a full disk: %v", err)
	}
	full.Lock()
	isFull = false
	full.Unlock()
	if got := c.next(t); got != "1:1 sum 1" {
		t.Fatalf("the held write: %q", got)
	}
	for n.Status().Refusing != nil {
		time.Sleep(time.Millisecond)
	}
	if err := n.Submit(add(c, 3)); err != nil {
		t.Fatal(err)
	}
	if got := c.next(t); got != "1:2 sum 4" {
		t.Fatalf("after the room came back: %q", got)
	}
}

func TestAdmissionIsBounded(t *testing.T) {
	log, c := &sliceLog{hold: make(chan struct{})}, newCaller()
	n := startNode(t, &sumMachine{}, log, func(cfg *kernel.NodeConfig) { cfg.MaxOutstanding = 10 })
	for range 10 {
		if err := n.Submit(add(c, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Submit(add(c, 1)); !errors.Is(err, kernel.ErrBusy) {
		t.Fatalf("the eleventh: %v", err)
	}
	close(log.hold)
	for range 10 {
		c.next(t)
	}
}

func TestTheHookSeesEveryStageOfAWrite(t *testing.T) {
	var mu sync.Mutex
	seen := map[kernel.Stage]kernel.StageEvent{}
	c := newCaller()
	stages := kernel.NewStageObserver(func(e kernel.StageEvent) { mu.Lock(); seen[e.Stage] = e; mu.Unlock() })
	n := startNode(t, &sumMachine{}, &sliceLog{}, func(cfg *kernel.NodeConfig) {
		cfg.Stages = stages
		cfg.Wall = func() time.Time { return time.Now().Add(time.Hour) } // nobody's times hang on it
	})
	_ = n.Submit(add(c, 1))
	c.next(t)
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, s := range []kernel.Stage{kernel.StageRoute, kernel.StagePrepare, kernel.StagePropose, kernel.StageAppend, kernel.StageSync, kernel.StageAck, kernel.StageCommit, kernel.StageApply} {
		e, ok := seen[s]
		if !ok {
			t.Errorf("stage %s was not reported", s)
		}
		if s > kernel.StageRoute && e.First != kernel.MakeZxid(1, 1) && s != kernel.StageAck {
			t.Errorf("stage %s reported %v", s, e.First)
		}
		if f := stages.Figures(s); f.Batches != 1 || f.Handled != 1 || f.Time != e.Duration || f.Time < 0 || f.Time > time.Minute {
			t.Errorf("stage %s counted %+v", s, f)
		}
	}
}

// brokenGateway cannot start, as when its port is taken.
type brokenGateway struct{ kernel.Gateway }

func (brokenGateway) Start(kernel.Host) error { return errors.New("port 2181 is taken") }

func TestAGatewayThatCannotStartStopsEverything(t *testing.T) {
	n, err := kernel.NewNode(kernel.NodeConfig{Self: 1, Ensemble: kernel.Ensemble{Voters: []kernel.ServerID{1}}, TickTime: time.Second},
		kernel.Parts{Log: &sliceLog{}, Machine: &sumMachine{}, Election: election.New(), Broadcast: zab.New(), Gateways: []kernel.Gateway{brokenGateway{}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(context.Background()); err == nil || err.Error() != "port 2181 is taken" {
		t.Fatalf("Start: %v", err)
	}
}
