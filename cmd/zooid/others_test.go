package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// others are clients that read and write, each at its own pace, one request at a time, and note how long they wait.
type others struct {
	t       *testing.T
	period  time.Duration
	clients []*rawClient
	greedy  atomic.Int64 // answers to the client beside them, if it counts them
}

func startOthers(t *testing.T, addr string, n int, period time.Duration) *others {
	t.Helper()
	o := &others{t: t, period: period}
	for i := range n {
		c := dialScale(t, addr)
		o.clients = append(o.clients, c)
		if _, h, err := c.do(createRequest(otherPath(i), []byte("0"), 0)); err != nil || h.Err != wire.ErrOK && h.Err != wire.ErrNodeExists { // a server that was restarted has them
			t.Fatalf("create: %v %v", h.Err, err)
		}
	}
	return o
}

func dialScale(t *testing.T, addr string) *rawClient {
	t.Helper()
	c, err := dialRaw(addr, 0, nil, 40*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func otherPath(i int) string { return fmt.Sprintf("/other-%d", i) }

// waited is what the others met while something else went on, sorted.
type waited struct {
	reads, writes []time.Duration
	overtook      []int64 // answers to the greedy client during each write
}

// hang is a wait that no load of the machine explains: some part of the server stood still.
const hang = 5 * time.Second

// during runs f, reports what the others waited meanwhile, and fails if one of them hung. Every client alternates between a write and a read of what it wrote.
func (o *others) during(what string, f func()) waited {
	o.t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all waited
	for i, c := range o.clients {
		wg.Go(func() {
			var own waited
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			next := time.NewTimer(rand.N(o.period))
			defer next.Stop()
			for n := 0; ; n++ {
				select {
				case <-stop:
					mu.Lock()
					all.reads, all.writes = append(all.reads, own.reads...), append(all.writes, own.writes...)
					all.overtook = append(all.overtook, own.overtook...)
					mu.Unlock()
					return
				case <-next.C:
				}
				value := fmt.Sprint(what, n/2)
				request := getRequest(otherPath(i))
				if n%2 == 0 {
					request = setRequest(otherPath(i), []byte(value), -1)
				}
				start, before := time.Now(), o.greedy.Load()
				r, h, err := c.do(request)
				took, overtook := time.Since(start), o.greedy.Load()-before
				if err != nil || h.Err != wire.ErrOK {
					o.t.Errorf("%s: another client: %v %v", what, h.Err, err)
					return
				}
				if n%2 == 0 {
					own.writes, own.overtook = append(own.writes, took), append(own.overtook, overtook)
				} else {
					own.reads = append(own.reads, took)
					if string(r.Data) != value {
						o.t.Errorf("%s: another client wrote %q and read %q", what, value, r.Data)
					}
				}
				next.Reset(o.period/2 + time.Duration(rng.Int64N(int64(o.period))))
			}
		})
	}
	start, took := time.Now(), time.Duration(0)
	func() {
		defer func() { // also when f ends the test
			took = time.Since(start)
			close(stop)
			wg.Wait()
		}()
		f()
	}()
	slices.Sort(all.reads)
	slices.Sort(all.writes)
	slices.Sort(all.overtook)
	o.t.Logf("%-22s %8v  reads %s   writes %s", what, took.Round(time.Millisecond), waits(all.reads), waits(all.writes))
	if longest := max(quantile(all.reads, 1), quantile(all.writes, 1)); longest > hang {
		o.t.Errorf("%s: another client waited %v", what, longest)
	}
	return all
}

// quantile of a sorted list, 0 of an empty one.
func quantile[T any](sorted []T, q float64) T {
	if len(sorted) == 0 {
		var none T
		return none
	}
	return sorted[int(q*float64(len(sorted)-1))]
}

// waits is a summary of sorted latencies.
func waits(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	at := func(q float64) time.Duration { return quantile(all, q).Round(10 * time.Microsecond) }
	return fmt.Sprintf("p50 %v p99 %v p99.9 %v max %v (%d)", at(.5), at(.99), at(.999), at(1), len(all))
}

func lasting(d time.Duration) func() { return func() { time.Sleep(d) } }
