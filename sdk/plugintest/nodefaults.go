package plugintest

import (
	"errors"
	"fmt"
	"math/rand"
	randv2 "math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// history is the states that a store went through, and how far they were confirmed.
type history struct {
	states    []string
	confirmed int
}

// admits says whether a store found after a crash holds one of the states since the last confirmed.
func (h *history) admits(got string) error {
	for _, s := range h.states[h.confirmed:] {
		if s == got {
			return nil
		}
	}
	return fmt.Errorf("after a crash the store holds %s\nwhich is none of the %d states since the last confirmed one, %s", got, len(h.states)-h.confirmed, h.states[h.confirmed])
}

// testNodesCrash cuts the power at random moments, also inside of Write and Flush, with all, some or none of what was not synced kept.
func testNodesCrash(t *testing.T, open OpenNodes) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewSource(int64(seed)))
		rng := randv2.New(randv2.NewPCG(seed, 1))
		fs := nodesDisk(t)
		m := pairs{}
		h := &history{states: []string{""}}
		for range 4 { // lives
			at := int64(1 + r.Intn(60)) // the operation at which the power goes
			percent := []int{0, 50, 100}[r.Intn(3)]
			var ops atomic.Int64
			var crashed *vfs.MemFS
			var once sync.Once
			cut := func() {
				once.Do(func() { crashed = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}) })
			}
			var off atomic.Bool
			// What is confirmed after the picture was taken does not count, so the disk fails from that moment on.
			disk := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
					return nil
				}
				if off.Load() {
					return errors.New("the power is off")
				}
				if ops.Add(1) == at {
					off.Store(true)
					cut()
					return errors.New("the power is off")
				}
				return nil
			}))
			s, err := openNodes(open, disk, nil)
			if err == nil {
				for step := 0; step < 40 && !off.Load(); step++ {
					b := s.NewBatch()
					next := m.clone()
					randomChanges(r, b, next)
					h.states = append(h.states, next.String()) // it may be there from now on
					if s.Write(b) != nil {
						break
					}
					m = next
					if r.Intn(5) == 0 {
						if s.Flush() != nil {
							break
						}
						h.confirmed = len(h.states) - 1
					}
				}
			}
			off.Store(true)
			cut()
			if s != nil {
				_ = s.Close() // the disk is gone
			}
			fs = crashed
			s, err = openNodes(open, fs.CrashClone(vfs.CrashCloneCfg{}), func(err error) { t.Error(err) })
			if err != nil {
				t.Fatalf("seed %d: open after a crash: %v", seed, err)
			}
			got, err := nodeContent(s)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if err := h.admits(got); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			m = pairs{}
			v := s.View()
			err = v.Scan(nil, highest, func(key, value []byte) bool { m[string(key)] = string(value); return true })
			v.Close()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			h = &history{states: []string{got}}
		}
	}
}

// testNodesFaults lets one file operation fail at a time: an error may come out, or not if the store could work around it, but nothing confirmed is lost
// and the process goes on.
func testNodesFaults(t *testing.T, open OpenNodes) {
	for at := int64(1); ; at++ {
		if at > 2000 {
			t.Fatal("the scenario has no end")
		}
		fs := nodesDisk(t)
		h := &history{states: []string{""}}
		var ops atomic.Int64
		disk := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && ops.Add(1) == at {
				return errors.New("injected failure")
			}
			return nil
		}))
		s, err := openNodes(open, disk, func(error) {})
		if err == nil {
			m := pairs{}
			for i := range 4 {
				b := s.NewBatch()
				k := fmt.Sprint("k", i)
				b.Set([]byte(k), []byte("v"))
				m[k] = "v"
				h.states = append(h.states, m.String())
				if err = s.Write(b); err != nil {
					break
				}
				if err = s.Flush(); err != nil {
					break
				}
				h.confirmed = len(h.states) - 1
			}
			_ = s.Close() // it may fail as well
		}
		lost := fs.CrashClone(vfs.CrashCloneCfg{})
		again, err := openNodes(open, lost, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatalf("open after operation %d failed: %v", at, err)
		}
		got, err := nodeContent(again)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.admits(got); err != nil {
			t.Fatalf("operation %d failed: %v", at, err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		if ops.Load() < at { // fewer operations than that: all have failed once
			return
		}
	}
}
