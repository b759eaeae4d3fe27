package plugintest

import (
	"errors"
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// fullDiskPatience bounds one call on a full disk: it must say so, not wait for room that may never come.
const fullDiskPatience = 20 * time.Second

// testNodesFull fills the disk: Write and Flush say ErrNoSpace as often as they are called, in time; reads go on; and what was written becomes durable once there is room.
func testNodesFull(t *testing.T, open OpenNodes) {
	disk := DiskOn(nodesDisk(t))
	fatal := func(err error) { t.Errorf("fatal: %v", err) }
	s, err := openNodes(open, disk, fatal)
	if err != nil {
		t.Fatal(err)
	}
	model := pairs{}
	call := func(what string, f func() error) error {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- f() }()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, kernel.ErrNoSpace) {
				t.Fatalf("%s on a full disk: %v", what, err)
			}
			return err
		case <-time.After(fullDiskPatience):
			t.Fatalf("%s on a full disk: no answer after %v", what, fullDiskPatience)
			return nil
		}
	}
	random := rand.New(rand.NewSource(1))
	fill := func(round, values int) {
		t.Helper()
		b := s.NewBatch()
		sets := pairs{}
		for i := range values {
			value := make([]byte, 10_000) // that does not compress
			random.Read(value)
			key := fmt.Sprintf("key-%d-%d", round, i)
			sets[key] = string(value)
			b.Set([]byte(key), value)
		}
		if call("Write", func() error { return s.Write(b) }) == nil {
			for k, v := range sets {
				model[k] = v
			}
		}
	}
	fill(0, 100)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	disk.SetCapacity(disk.Used() + 100_000)
	refused := 0
	for round := 1; round <= 8; round++ {
		fill(round, 50*round) // more and more, until it is more than a store would keep in memory by itself
		for range 2 {
			if call("Flush", s.Flush) != nil {
				refused++
			}
		}
		for _, key := range []string{"key-0-7", fmt.Sprintf("key-%d-7", round)} {
			if want, ok := model[key]; ok {
				if got, err := s.Get([]byte(key), nil); err != nil || string(got) != want {
					t.Errorf("%s on a full disk: %d bytes, %v", key, len(got), err)
				}
			}
		}
	}
	if refused == 0 {
		t.Error("the disk is full, and no Flush says so")
	}
	disk.SetCapacity(-1)
	for end := time.Now().Add(fullDiskPatience); call("Flush with room again", s.Flush) != nil; {
		if time.Now().After(end) {
			t.Fatal("there is room again, and Flush still says that there is none")
		}
	}
	closeInTime := func() {
		t.Helper()
		if err := call("Close", s.Close); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	closeInTime()
	reopen := func() {
		t.Helper()
		if s, err = openNodes(open, disk, fatal); err != nil {
			t.Fatal(err)
		}
		for key, want := range model {
			if got, err := s.Get([]byte(key), nil); err != nil || string(got) != want {
				t.Errorf("%s after all: %d bytes, %v", key, len(got), err)
			}
		}
	}
	reopen()

	// A store is also closed while its disk is full. What was flushed is there afterwards.
	kept := model.clone()
	disk.SetCapacity(disk.Used() + 1000)
	fill(9, 200)
	call("Flush", s.Flush)
	model = kept
	closeInTime()
	disk.SetCapacity(-1)
	reopen()
	closeInTime()
}
