package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// The goal leaves a small heap room, and bounds what a large one may add.
func TestHeapGoal(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct{ live, want uint64 }{
		{4 * mb, 42 * mb},
		{40 * mb, 132 * mb},
		{100 * mb, 208 * mb},
		{160 * mb, 224 * mb},
		{300 * mb, 396 * mb},
		{1000 * mb, 1250 * mb},
	} {
		if got := heapGoal(c.live); got != c.want {
			t.Errorf("%d MB live: %d MB, want %d", c.live/mb, got/mb, c.want/mb)
		}
	}
}

// The collector's target follows the heap: it is lower once more is kept.
func TestPaceCollector(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	stop := paceCollector()
	target := func() (percent int) {
		percent = debug.SetGCPercent(-1)
		debug.SetGCPercent(percent)
		return percent
	}
	await := func(what string, done func(percent int) bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; {
			runtime.GC()
			if p := target(); done(p) {
				return
			} else if time.Now().After(deadline) {
				t.Fatalf("%s: the target is still %d percent", what, p)
			}
			runtime.Gosched()
		}
	}
	await("a small heap", func(p int) bool { return p > 150 })
	kept := make([]byte, 600<<20)
	await("a large heap", func(p int) bool { return p <= garbagePercent+garbagePercent/16 })
	runtime.KeepAlive(kept)
	stop()
	if p := target(); p != 100 {
		t.Errorf("after the end the target is %d percent, want that of before", p)
	}
}
