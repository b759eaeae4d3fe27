package zookeeper

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Quantiles are those of the sorted latencies, up to the width of a bucket.
func TestQuantiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	now := epoch.Add(time.Hour)
	for name, draw := range map[string]func() time.Duration{
		"even":   func() time.Duration { return time.Duration(r.Int64N(int64(10 * time.Millisecond))) },
		"skewed": func() time.Duration { return time.Duration(r.ExpFloat64() * float64(20*time.Millisecond)) },
		"slow":   func() time.Duration { return time.Minute + time.Duration(r.Int64N(int64(time.Minute))) },
		"equal":  func() time.Duration { return 700 * time.Microsecond },
	} {
		var q quantiles
		var all []time.Duration
		for range 20000 {
			d := draw()
			all = append(all, d)
			var one latencySum
			one.add(now.Add(-d), false)
			q.add(one.reads, now)
		}
		slices.Sort(all)
		for _, share := range []float64{0.5, 0.95, 0.99, 0.999, 1} {
			want := all[int(share*float64(len(all)))-1]
			if got := q.at(share); got < want-want/16-time.Microsecond || got > want+want/16+time.Microsecond {
				t.Errorf("%s: %v of them took up to %v, want %v", name, share, got, want)
			}
		}
	}
}

// The answers of one write count each, whatever their number.
func TestQuantilesOfABatch(t *testing.T) {
	now := epoch.Add(time.Hour)
	var q quantiles
	var sum latencySum
	for _, ms := range []time.Duration{1, 10, 10, 10, 10, 10, 10, 10, 10, 100} {
		sum.add(now.Add(-ms*time.Millisecond), true)
	}
	q.add(sum.writes, now)
	for share, want := range map[float64]time.Duration{0.1: 1, 0.2: 10, 0.5: 10, 0.9: 10, 0.95: 100, 1: 100} {
		if got := q.at(share).Round(time.Millisecond); got < want*15/16*time.Millisecond || got > want*17/16*time.Millisecond {
			t.Errorf("%v: %v, want %v ms", share, got, int64(want))
		}
	}
	if q.count != 10 {
		t.Errorf("%d counted", q.count)
	}
	if new(quantiles).at(0.5) != 0 {
		t.Error("a latency of nothing")
	}
}

func TestBuckets(t *testing.T) {
	last := -1
	for d := time.Duration(0); d < 1000*time.Hour; d += d/40 + time.Microsecond {
		b := bucketOf(d)
		if b < last || b > last+1 && d > time.Millisecond || b >= bucketCount {
			t.Fatalf("%v: bucket %d after %d", d, b, last)
		}
		if m := middle(b); d < 100*time.Hour && (m < d-d/16-time.Microsecond || m > d+d/16+time.Microsecond) {
			t.Fatalf("%v: bucket %d stands for %v", d, b, m)
		}
		last = b
	}
	if bucketOf(-time.Second) != 0 {
		t.Error("a negative latency")
	}
}
