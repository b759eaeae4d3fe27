package zookeeper

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/inspect"
	"github.com/zooid-project/zooid/sdk/wire"
)

// epoch is what Received times are counted from when they are summed.
var epoch = time.Now()

// latencySum collects the answers that one write to the socket will carry: with one look at the clock their latencies follow.
type latencySum struct {
	reads, writes timesSum
}

type timesSum struct {
	n           int64
	sum         time.Duration // of (Received - epoch)
	first, last time.Duration
}

func (l *latencySum) add(received time.Time, write bool) {
	t := &l.reads
	if write {
		t = &l.writes
	}
	at := received.Sub(epoch)
	if t.n == 0 || at < t.first {
		t.first = at
	}
	if t.n == 0 || at > t.last {
		t.last = at
	}
	t.n++
	t.sum += at
}

// spread is a running summary of latencies.
type spread struct {
	count    int64
	sum      time.Duration
	min, max time.Duration
	last     time.Duration
}

func (s *spread) add(t timesSum, now time.Time) {
	if t.n == 0 {
		return
	}
	at := now.Sub(epoch)
	shortest, longest := at-t.last, at-t.first
	if s.count == 0 || shortest < s.min {
		s.min = shortest
	}
	s.max = max(s.max, longest)
	s.count += t.n
	s.sum += time.Duration(t.n)*at - t.sum
	s.last = shortest
}

func (s *spread) latency() inspect.Latency {
	return inspect.Latency{Count: s.count, Last: s.last.Milliseconds(), Min: s.min.Milliseconds(), Max: s.max.Milliseconds(), Sum: s.sum.Milliseconds()}
}

// serverStats are the gateway's figures. Counters that only the slow path touches are atomics of their own; the rest is updated once for each burst.
type serverStats struct {
	authFailed, rejected, throttled, connectRequests, dropped   atomic.Int64
	sessionlessExpired, staleExpired, slowReaders               atomic.Int64
	oversized, repliesRefused, handshakesFailed, stoppedServing atomic.Int64
	largeRefused, throttledOps, throttleWaits                   atomic.Int64
	framesIn, framesOut, bytesOut                               atomic.Int64
	mu                                                          sync.Mutex
	all, reads, writes                                          spread
	readTimes, writeTimes                                       quantiles
	lastReply, minReply, maxReply                               int64
}

func (s *serverStats) init() { s.lastReply, s.minReply, s.maxReply = -1, -1, -1 }

func (s *serverStats) received(frames int) { s.framesIn.Add(int64(frames)) }

func (s *serverStats) sent(frames, bytes int, l latencySum, now time.Time) {
	s.framesOut.Add(int64(frames))
	s.bytesOut.Add(int64(bytes))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.add(l.reads, now)
	s.all.add(l.writes, now)
	s.reads.add(l.reads, now)
	s.writes.add(l.writes, now)
	s.readTimes.add(l.reads, now)
	s.writeTimes.add(l.writes, now)
	if frames > 0 {
		size := int64(bytes / frames)
		s.lastReply = size
		s.maxReply = max(s.maxReply, size)
		if s.minReply < 0 || size < s.minReply {
			s.minReply = size
		}
	}
}

func (s *serverStats) reset() {
	s.framesIn.Store(0)
	s.framesOut.Store(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all, s.reads, s.writes = spread{}, spread{}, spread{}
	s.readTimes, s.writeTimes = quantiles{}, quantiles{}
	s.lastReply, s.minReply, s.maxReply = -1, -1, -1
}

// connStats are the figures of one connection, under its mu.
type connStats struct {
	established          time.Time
	received, framesSent int64
	lastOp               wire.OpCode
	lastCxid             int32
	lastZxid             kernel.Zxid
	lastReply            time.Time
	spread               spread
}

func (s *connStats) init(now time.Time) {
	*s = connStats{established: now, lastCxid: -1, lastZxid: -1, lastOp: wire.OpError}
}

func (s *connStats) sent(frames int, l latencySum, now time.Time) {
	s.framesSent += int64(frames)
	s.lastReply = now
	s.spread.add(l.reads, now)
	s.spread.add(l.writes, now)
}

var _ inspect.Clients = (*Gateway)(nil)

// Connections implements inspect.Clients.
func (g *Gateway) Connections(yield func(inspect.Connection) bool) {
	for _, c := range g.snapshot() {
		if p, open := c.picture(); open && !yield(p) {
			return
		}
	}
}

// picture is what administrators see of a connection; false for one that is over and only waits for its client to go.
func (c *conn) picture() (inspect.Connection, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.stats
	return inspect.Connection{
		Remote: c.peer.Addr, Secure: c.secure, Session: c.Session(), Received: s.received, Sent: s.framesSent, Outstanding: int64(c.queue.length),
		LastOp: s.lastOp.LastOpName(), Established: s.established, Timeout: c.timeout, LastCxid: s.lastCxid, LastZxid: s.lastZxid, LastReply: s.lastReply,
		Latency: s.spread.latency(),
	}, !c.dead && c.phase != phaseFinished
}

// ServerStats implements inspect.Clients.
func (g *Gateway) ServerStats() inspect.ServerStats {
	plain, all := 0, 0
	g.Connections(func(c inspect.Connection) bool {
		all++
		if !c.Secure {
			plain++
		}
		return true
	})
	s := &g.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	return inspect.ServerStats{
		Latency: s.all.latency(), Received: s.framesIn.Load(), Sent: s.framesOut.Load(), Connections: all,
		LastReply: s.lastReply, MinReply: s.minReply, MaxReply: s.maxReply, AuthFailed: s.authFailed.Load(), PlainConnections: plain,
	}
}

// ResetServerStats implements inspect.Clients. The sizes of proposals go with it, as at ZooKeeper's leaders, though they are the node's.
func (g *Gateway) ResetServerStats() {
	g.stats.reset()
	if r, ok := g.host.(kernel.Resetter); ok {
		r.ResetProposals()
	}
}

// ResetConnectionStats implements inspect.Clients.
func (g *Gateway) ResetConnectionStats() {
	for _, c := range g.snapshot() {
		c.mu.Lock()
		c.stats.received, c.stats.framesSent, c.stats.spread = 0, 0, spread{}
		c.mu.Unlock()
	}
}

// TraceMask implements inspect.Clients.
func (g *Gateway) TraceMask() int64 { return g.traceMask.Load() }

// SetTraceMask implements inspect.Clients.
func (g *Gateway) SetTraceMask(mask int64) { g.traceMask.Store(mask) }

// Figures implements inspect.Clients (spec server-surface, 4).
func (g *Gateway) Figures(set func(name string, value float64)) {
	s := &g.stats
	stats := g.ServerStats()
	set("avg_latency", stats.Latency.Average())
	set("max_latency", float64(stats.Latency.Max))
	set("min_latency", float64(stats.Latency.Min))
	set("packets_received", float64(stats.Received))
	set("packets_sent", float64(stats.Sent))
	set("num_alive_connections", float64(stats.Connections))
	set("auth_failed_count", float64(stats.AuthFailed))
	set("non_mtls_remote_conn_count", float64(stats.PlainConnections))
	set("non_mtls_local_conn_count", 0)
	set("last_client_response_size", float64(stats.LastReply))
	set("max_client_response_size", float64(stats.MaxReply))
	set("min_client_response_size", float64(stats.MinReply))
	set("connection_request_count", float64(s.connectRequests.Load()))
	set("connection_rejected", float64(s.rejected.Load()+s.throttled.Load()))
	set("connection_drop_count", float64(s.dropped.Load()))
	set("sessionless_connections_expired", float64(s.sessionlessExpired.Load()))
	set("stale_sessions_expired", float64(s.staleExpired.Load()))
	set("large_requests_rejected", float64(s.oversized.Load()+s.largeRefused.Load()))
	set("throttled_ops", float64(s.throttledOps.Load()))
	set("request_throttle_wait_count", float64(s.throttleWaits.Load()))
	set("large_replies_refused", float64(s.repliesRefused.Load()))
	set("slow_readers_closed", float64(s.slowReaders.Load()))
	set("unsuccessful_handshake", float64(s.handshakesFailed.Load()))
	set("cnxn_closed_without_zk_server_running", float64(s.stoppedServing.Load()))
	set("request_bytes_outstanding", float64(g.budget.used.Load()))
	set("response_bytes", float64(s.bytesOut.Load()))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range []struct {
		name  string
		sum   *spread
		times *quantiles
	}{{"readlatency", &s.reads, &s.readTimes}, {"updatelatency", &s.writes, &s.writeTimes}} {
		set("avg_"+kind.name, kind.sum.latency().Average())
		set("min_"+kind.name, float64(kind.sum.min.Milliseconds()))
		set("max_"+kind.name, float64(kind.sum.max.Milliseconds()))
		set("cnt_"+kind.name, float64(kind.sum.count))
		set("sum_"+kind.name, float64(kind.sum.sum.Milliseconds()))
		for _, q := range []struct {
			prefix string
			share  float64
		}{{"p50_", 0.5}, {"p95_", 0.95}, {"p99_", 0.99}, {"p999_", 0.999}} {
			set(q.prefix+kind.name, float64(kind.times.at(q.share).Round(time.Millisecond).Milliseconds()))
		}
	}
}
