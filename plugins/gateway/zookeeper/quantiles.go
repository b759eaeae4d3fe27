package zookeeper

import (
	"math"
	"math/bits"
	"time"
)

// quantiles is a histogram of latencies whose buckets are a sixteenth of their value wide, from one microsecond up. It is of fixed size, so that it can be asked at any time at no cost before.
type quantiles struct {
	count   int64
	buckets [bucketCount]int64
}

const (
	bucketBits  = 4 // sub-buckets per power of two: 1<<bucketBits
	bucketCount = (42 - bucketBits) << bucketBits
)

func bucketOf(d time.Duration) int {
	v := uint64(max(d/time.Microsecond, 0))
	shift := max(bits.Len64(v)-1-bucketBits, 0)
	return min(shift<<bucketBits+int(v>>shift), bucketCount-1)
}

// middle is the latency that stands for a bucket.
func middle(bucket int) time.Duration {
	shift := max(bucket>>bucketBits-1, 0)
	from := uint64(bucket-shift<<bucketBits) << shift
	return time.Duration(from+(1<<shift-1)/2) * time.Microsecond
}

// add takes the answers of one write to the socket. Of more than two, those between the first and the last count with their mean: they left together, and came close to each other.
func (q *quantiles) add(t timesSum, now time.Time) {
	if t.n == 0 {
		return
	}
	at := now.Sub(epoch)
	shortest, longest := at-t.last, at-t.first
	q.count += t.n
	q.buckets[bucketOf(shortest)]++
	if t.n > 1 {
		q.buckets[bucketOf(longest)]++
	}
	if rest := t.n - 2; rest > 0 {
		mean := (time.Duration(t.n)*at - t.sum - shortest - longest) / time.Duration(rest)
		q.buckets[bucketOf(mean)] += rest
	}
}

// at is the latency that a share of the answers did not exceed.
func (q *quantiles) at(share float64) time.Duration {
	rank := int64(math.Ceil(share * float64(q.count)))
	for i, n := range q.buckets {
		if rank -= n; n > 0 && rank <= 0 {
			return middle(i)
		}
	}
	return 0
}
