package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// The collector's pace. What the server keeps is marked in every cycle, so cycles must be rare while a heap is small; and a heap that is large must not be
// allowed to double, because the cache of znodes is its bulk and lives long: five million znodes in a cache of 256 MiB have to do with 700 MB.
const (
	garbagePercent = 40        // of what lives ...
	enoughGarbage  = 96 << 20  // ... but no more than this, unless it is less than
	leastPercent   = 25        // of what lives
	smallHeap      = 32 << 20  // twice and a half of what lives and this may be there ...
	largeHeap      = 208 << 20 // ... as long as it is less than this
)

// heapGoal is how large the heap may become before the next cycle, when live bytes survived the last one.
func heapGoal(live uint64) uint64 {
	garbage := max(min(live*garbagePercent/100, enoughGarbage), live*leastPercent/100)
	return max(live+garbage, min(2*live+live/2+smallHeap, largeHeap))
}

// paceCollector sets the collector's target by heapGoal after each cycle, until stop is called.
func paceCollector() (stop func()) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	set, stopped := -1, make(chan struct{})
	before := debug.SetGCPercent(garbagePercent)
	cycles := make(chan struct{}, 1)
	var watch func(*cycle)
	watch = func(c *cycle) { // runs when a cycle has found c unreachable
		select {
		case <-stopped:
			return
		case cycles <- struct{}{}:
		default:
		}
		runtime.SetFinalizer(new(cycle), watch)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stopped:
				return
			case <-cycles:
			}
			metrics.Read(samples)
			live := max(samples[0].Value.Uint64(), 4<<20) // the runtime's own least heap
			percent := int(((heapGoal(live)-live)*100 + live - 1) / live)
			if percent < set-set/16 || percent > set+set/16 { // each setting stops the world for a moment
				set = percent
				debug.SetGCPercent(percent)
			}
		}
	}()
	runtime.SetFinalizer(new(cycle), watch)
	return func() {
		close(stopped)
		<-ended
		debug.SetGCPercent(before)
	}
}

// cycle is an object that nobody keeps: its finalizer runs once in each cycle of the collector.
type cycle struct{ _ [16]byte }
