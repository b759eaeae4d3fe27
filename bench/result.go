package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run measured, as it is printed with --json. Latencies are in milliseconds.
type Result struct {
	Op       string  `json:"op"`
	Conns    int     `json:"conns"`
	InFlight int     `json:"inflight"`
	Size     int     `json:"size"`
	OpsPerS  float64 `json:"ops_per_s"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	P999     float64 `json:"p999_ms"`
	Max      float64 `json:"max_ms"`
	Errors   int64   `json:"errors"`

	// Not printed as JSON: a consumer may count on exactly the keys above.
	Ops       int64         `json:"-"`
	Elapsed   time.Duration `json:"-"`
	ClientCPU time.Duration `json:"-"` // user and system time of this process while it measured; 0 where the system does not tell
}

// WriteJSON writes the result as one line.
func (r *Result) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// WriteText writes the result for people.
func (r *Result) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s: %.0f ops/s (%d connections, %d in flight, %d bytes; %d ops in %.1f s, %d errors)\n  p50 %.3f ms   p99 %.3f ms   p99.9 %.3f ms   max %.3f ms\n",
		r.Op, r.OpsPerS, r.Conns, r.InFlight, r.Size, r.Ops, r.Elapsed.Seconds(), r.Errors, r.P50, r.P99, r.P999, r.Max)
	if err == nil && r.ClientCPU > 0 && r.Ops > 0 {
		_, err = fmt.Fprintf(w, "  client CPU %.2f us/op\n", float64(r.ClientCPU.Nanoseconds())/1000/float64(r.Ops))
	}
	return err
}

// tick is the resolution of latencies; longest is where they are cut.
const (
	tick    = 100 * time.Nanosecond
	longest = 2 * time.Minute
)

// shard takes the latencies of some connections. Connections share shards, because a histogram is larger than a processor's cache allows one per connection.
type shard struct {
	mu        sync.Mutex
	latencies *hdrhistogram.Histogram
	errors    int64
}

func newShard() *shard {
	return &shard{latencies: hdrhistogram.New(1, int64(longest/tick), 3)}
}

func (s *shard) record(now time.Duration, sent []time.Duration, errors int) {
	s.mu.Lock()
	for _, at := range sent {
		s.latencies.RecordValue(min(int64((now-at)/tick), int64(longest/tick)))
	}
	s.errors += int64(errors)
	s.mu.Unlock()
}

// fill puts what the shards gathered into r.
func (r *Result) fill(shards []*shard, elapsed time.Duration) {
	all := hdrhistogram.New(1, int64(longest/tick), 3)
	for _, s := range shards {
		s.mu.Lock()
		all.Merge(s.latencies)
		r.Errors += s.errors
		s.mu.Unlock()
	}
	inMilliseconds := func(v int64) float64 { return float64(v) * float64(tick) / float64(time.Millisecond) }
	r.Ops, r.Elapsed = all.TotalCount(), elapsed
	if elapsed > 0 {
		r.OpsPerS = float64(r.Ops) / elapsed.Seconds()
	}
	r.P50, r.P99 = inMilliseconds(all.ValueAtQuantile(50)), inMilliseconds(all.ValueAtQuantile(99))
	r.P999, r.Max = inMilliseconds(all.ValueAtQuantile(99.9)), inMilliseconds(all.Max())
}
