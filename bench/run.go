package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// run is one run under way. Its connections' goroutines are started and awaited in each.
type run struct {
	o      Options
	base   string // the node that holds everything this run makes
	shards []*shard

	begin     time.Time
	measuring time.Duration // after begin; replies before are warm-up
	until     time.Duration // after begin; 0: until the operations are done
	left      atomic.Int64  // operations still to send, if they are counted
	last      atomic.Int64  // when the last measured reply came, after begin
	created   []atomic.Int64
	broken    atomic.Pointer[error] // the first connection that broke, for the message when nothing worked
}

// Run does what o says and returns what was measured. Cancelling ctx ends the load early; what was measured until then is returned, and the nodes are still deleted.
// A server that goes away during the load costs errors, not the run: connections come back on the next server.
func Run(ctx context.Context, o Options) (Result, error) {
	if err := o.Validate(); err != nil {
		return Result{}, err
	}
	if o.Op == "connect" {
		o.InFlight = 1
	}
	r := &run{o: o, created: make([]atomic.Int64, o.Connections)}
	for range min(o.Connections, 2*runtime.GOMAXPROCS(0)) {
		r.shards = append(r.shards, newShard())
	}
	if o.Op != "connect" {
		if err := r.prepare(ctx); err != nil {
			return Result{}, err
		}
		if !o.Keep {
			defer r.cleanUp()
		}
	}
	r.begin = time.Now()
	if o.Ops > 0 {
		r.left.Store(o.Ops)
	} else {
		r.measuring, r.until = o.Warmup, o.Warmup+o.Duration
	}
	cpu := make(chan time.Duration, 1)
	warm := time.AfterFunc(r.measuring, func() { cpu <- processCPU() })
	r.each(ctx)
	result := Result{Op: o.Op, Conns: o.Connections, InFlight: o.InFlight, Size: o.Size}
	elapsed := r.until - r.measuring
	if o.Ops > 0 || ctx.Err() != nil {
		elapsed = time.Duration(r.last.Load()) - r.measuring
	}
	result.fill(r.shards, max(elapsed, 0))
	if !warm.Stop() {
		result.ClientCPU = processCPU() - <-cpu
	}
	if p := r.broken.Load(); p != nil && result.Ops == 0 {
		return result, *p
	}
	return result, nil
}

// each runs every connection in a goroutine of its own until the load is over.
func (r *run) each(ctx context.Context) {
	var wg sync.WaitGroup
	for i := range r.o.Connections {
		wg.Go(func() {
			if r.o.Op == "connect" {
				r.loadSessions(ctx, i)
				return
			}
			r.loadRequests(ctx, i)
		})
	}
	wg.Wait()
}

// loadRequests keeps connection number i loaded, opening it again when it breaks.
func (r *run) loadRequests(ctx context.Context, i int) {
	w := newWorkload(&r.o, r.base, i)
	m := &window{r: r, shard: r.shards[i%len(r.shards)], ctx: ctx}
	for try := 0; m.open(r.now()); try++ {
		c, err := dial(ctx, r.server(i+try), r.o.Timeout, make([]byte, readBuffer))
		if err == nil {
			var lost int
			lost, err = c.load(&w, r.o.InFlight, m, r.now)
			r.created[i].Store(int64(w.next))
			if err == nil {
				err = c.endSession()
			}
			c.close()
			if lost == 0 && err == nil {
				return
			}
			r.fail(m.shard, lost, err)
		} else if m.open(r.now()) {
			r.fail(m.shard, 1, err)
		}
		r.pause(ctx)
	}
}

// pause keeps a connection that cannot be opened from trying without rest.
func (r *run) pause(ctx context.Context) {
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (r *run) fail(s *shard, lost int, err error) {
	r.broken.CompareAndSwap(nil, &err)
	if r.now() >= r.measuring {
		s.record(0, nil, lost)
	}
}

func (r *run) now() time.Duration { return time.Since(r.begin) }

func (r *run) server(i int) string { return r.o.Servers[i%len(r.o.Servers)] }

// window is the meter of one connection under load.
type window struct {
	r     *run
	shard *shard
	ctx   context.Context
}

// open reports whether the load goes on.
func (m *window) open(now time.Duration) bool {
	if m.ctx.Err() != nil {
		return false
	}
	return m.r.until == 0 && m.r.left.Load() > 0 || now < m.r.until
}

func (m *window) sending(now time.Duration) bool {
	if m.r.until == 0 {
		return m.ctx.Err() == nil && m.r.left.Add(-1) >= 0
	}
	return now < m.r.until && m.ctx.Err() == nil
}

func (m *window) replies(now time.Duration, sent []time.Duration, errors int) {
	if now < m.r.measuring || m.r.until != 0 && now > m.r.until {
		return
	}
	m.shard.record(now, sent, errors)
	for last := m.r.last.Load(); int64(now) > last && !m.r.last.CompareAndSwap(last, int64(now)); last = m.r.last.Load() {
	}
}

// discard is the meter of preparing and cleaning up.
type discard struct{ errors int }

func (d *discard) sending(time.Duration) bool                             { return true }
func (d *discard) replies(_ time.Duration, _ []time.Duration, errors int) { d.errors += errors }

// prepareWindow is how many requests are under way while nodes are made or deleted.
const prepareWindow = 256

// prepare makes the nodes that the workload needs, under a node of this run alone.
func (r *run) prepare(ctx context.Context) error {
	c, err := dial(ctx, r.server(0), r.o.Timeout, make([]byte, readBuffer))
	if err != nil {
		return err
	}
	defer c.close()
	r.base = fmt.Sprintf("%s/zooid-bench-%x", trimRoot(r.o.Root), time.Now().UnixNano())
	if err := r.make(c, r.base); err != nil {
		return err
	}
	if r.o.Op == "create" {
		for i := range r.o.Connections {
			if err := r.make(c, connectionBase(r.base, i)); err != nil {
				return err
			}
		}
		return c.endSession()
	}
	w := workload{write: createFrame(r.base, r.o.Size), end: r.o.Keys}
	var d discard
	if _, err := c.load(&w, prepareWindow, &d, func() time.Duration { return 0 }); err != nil {
		return fmt.Errorf("making %d nodes: %w", r.o.Keys, err)
	}
	if d.errors > 0 {
		return fmt.Errorf("%d of %d nodes could not be made under %s", d.errors, r.o.Keys, r.base)
	}
	return c.endSession()
}

func (r *run) make(c *connection, path string) error {
	_, err := c.call(wire.Op{Code: wire.OpCreate, Path: path, Data: []byte{}, ACL: wire.OpenACL})
	if errors.Is(err, wire.ErrNoNode) {
		return fmt.Errorf("the node %s, under which to work, does not exist", r.o.Root)
	}
	if err != nil {
		return fmt.Errorf("creating %s: %w", path, err)
	}
	return nil
}

func trimRoot(root string) string {
	if root == "/" {
		return ""
	}
	return root
}
