package zab

import (
	"math/rand/v2"
	"testing"

	"github.com/zooid-project/zooid/kernel"
)

// TestTailAgreesWithASlice runs random changes of a tail beside a whole history that forgets nothing.
func TestTailAgreesWithASlice(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		tl := tail{limit: 2000}
		tl.reset(kernel.MakeZxid(1, 0))
		history := []kernel.Zxid{kernel.MakeZxid(1, 0)}
		for range 300 {
			last := history[len(history)-1]
			switch rng.IntN(20) {
			case 0:
				history = history[:1+rng.IntN(len(history))]
				tl.cut(history[len(history)-1])
			case 1:
				last = kernel.MakeZxid(last.Epoch()+1, 0)
				fallthrough
			default:
				history = append(history, last+1)
				tl.add(kernel.Record{Zxid: last + 1, Data: make([]byte, rng.IntN(100))})
			}
			durable := history[rng.IntN(len(history))]
			tl.shrink(durable)
			if tl.base > history[len(history)-1] || tl.bytes < 0 {
				t.Fatalf("base %s, end %s, %d bytes", tl.base, history[len(history)-1], tl.bytes)
			}
			for i, z := range history {
				if z < tl.base {
					continue
				}
				if got := tl.above(z); len(got) != len(history)-1-i || len(got) > 0 && got[0].Zxid != history[i+1] {
					t.Fatalf("%d above %s, want %d", len(got), z, len(history)-1-i)
				}
				if !tl.holds(z) || tl.holds(z+1) != (i+1 < len(history) && history[i+1] == z+1) {
					t.Fatalf("holds %s: %v, %s: %v", z, tl.holds(z), z+1, tl.holds(z+1))
				}
				if i > 0 && history[i-1] >= tl.base && tl.before(z) != history[i-1] {
					t.Fatalf("before %s: %s", z, tl.before(z))
				}
			}
		}
	}
}
