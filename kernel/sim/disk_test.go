package sim

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
)

// file writes one, and syncs it and its name if it is told to.
func file(t *testing.T, fs vfs.FS, name string, synced, later []byte) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	must(err)
	_, err = f.Write(bytes.Clone(synced)) // the file system may scribble on what it is given
	must(err)
	if synced != nil {
		must(f.Sync())
		dir, err := fs.OpenDir("/")
		must(err)
		must(dir.Sync())
		must(dir.Close())
	}
	_, err = f.Write(bytes.Clone(later))
	must(err)
	must(f.Close())
}

// A crash keeps what was synced. Of the rest there may be all, nothing, or any of the blocks: the end of a file tears anywhere, also with a later block there and an earlier one not.
func TestCrashKeepsWhatWasSynced(t *testing.T) {
	synced, later := bytes.Repeat([]byte{1}, 700), bytes.Repeat([]byte{2}, 4*crashBlock)
	all := append(append([]byte{}, synced...), later...)
	reached := map[string]int{}
	for seed := range uint64(300) {
		fs := vfs.NewCrashableMem()
		file(t, fs, "/synced", synced, later)
		file(t, fs, "/never", nil, later)
		after := crash(fs, rand.New(rand.NewPCG(seed, 0)))
		got, err := content(after, "/synced")
		if err != nil || len(got) < len(synced) || !bytes.Equal(got[:len(synced)], synced) || len(got) > len(all) {
			t.Fatalf("seed %d: of what was synced there are %d bytes, %v", seed, len(got), err)
		}
		switch rest := got[len(synced):]; {
		case len(rest) == 0:
			reached["nothing more"]++
		case bytes.Equal(got, all):
			reached["everything"]++
		case bytes.IndexByte(rest, 0) < 0:
			reached["a torn end"]++
		case bytes.IndexByte(rest[bytes.IndexByte(rest, 0):], 2) > 0:
			reached["a hole"]++
		}
		for i := range got[len(synced):] {
			if b := got[len(synced)+i]; b != 0 && b != 2 {
				t.Fatalf("seed %d: a byte was never written: %d", seed, b)
			}
		}
		if _, err := content(after, "/never"); err != nil {
			reached["a file that is not there"]++
		} else {
			reached["a file whose name was not synced"]++
		}
	}
	for _, what := range []string{"nothing more", "everything", "a torn end", "a hole", "a file that is not there", "a file whose name was not synced"} {
		if reached[what] == 0 {
			t.Errorf("no crash has left: %s (%v)", what, reached)
		}
	}
}

// The same file system and the same chance leave the same.
func TestCrashFollowsFromItsChance(t *testing.T) {
	var left [2][]byte
	for seed := range uint64(50) {
		for i := range left {
			fs := vfs.NewCrashableMem()
			for _, name := range []string{"/a", "/b", "/c"} {
				file(t, fs, name, []byte(name), bytes.Repeat([]byte(name), 2000))
			}
			after := crash(fs, rand.New(rand.NewPCG(seed, 0)))
			left[i] = nil
			for _, name := range files(after, "/") {
				b, err := content(after, name)
				if err != nil {
					t.Fatal(err)
				}
				left[i] = append(append(left[i], name...), b...)
			}
		}
		if !bytes.Equal(left[0], left[1]) {
			t.Fatalf("seed %d leaves %d bytes, and then %d others", seed, len(left[0]), len(left[1]))
		}
	}
}

// On a full disk nothing grows; what has its room already can be written, read and synced.
func TestFullDisk(t *testing.T) {
	d := &disk{syncs: new(int)}
	fs := d.on(vfs.NewCrashableMem())
	file(t, fs, "/old", []byte("12345678"), nil)
	d.full = true
	if _, err := fs.Create("/new", vfs.WriteCategoryUnspecified); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("create: %v", err)
	}
	f, err := fs.OpenReadWrite("/old", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 8); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("behind the end: %v", err)
	}
	if _, err := f.WriteAt([]byte("x"), 3); err != nil {
		t.Errorf("inside: %v", err)
	}
	if err := f.Sync(); err != nil {
		t.Errorf("sync: %v", err)
	}
	if b, err := content(fs, "/old"); err != nil || string(b) != "123x5678" {
		t.Errorf("%q, %v", b, err)
	}
	d.full = false
	if _, err := f.WriteAt([]byte("x"), 8); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// A sync fails once; the power goes in the operation that was named; a process that has ended changes nothing.
func TestSwitchesOfADisk(t *testing.T) {
	d := &disk{syncs: new(int)}
	fs := d.on(vfs.NewCrashableMem())
	f, err := fs.Create("/f", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	d.broken = errIO
	if _, err := f.Write([]byte("1")); err != nil {
		t.Errorf("a write before a sync that fails: %v", err)
	}
	if err := f.Sync(); !errors.Is(err, errIO) {
		t.Errorf("the sync: %v", err)
	}
	if err := f.Sync(); err != nil {
		t.Errorf("the next one: %v", err)
	}
	d.cutIn = 3
	writes := 0
	func() {
		defer func() {
			if r := recover(); r != errPowerCut {
				t.Errorf("instead of the power cut: %v", r)
			}
		}()
		for ; writes < 10; writes++ {
			_, _ = f.Write([]byte("1"))
		}
	}()
	if writes != 2 {
		t.Errorf("the power went behind %d operations, want 2", writes)
	}
	d.off = true
	if _, err := f.Write([]byte("1")); !errors.Is(err, errOff) {
		t.Errorf("without a process: %v", err)
	}
}

// A node store keeps its writes in order: behind a crash there are all that were flushed, and of the later ones those up to some point.
func TestNodeStoreInACrash(t *testing.T) {
	reached := map[int]int{}
	for seed := range uint64(60) {
		var kept nodesDisk
		kept.wipe()
		s := kept.open(&disk{})
		for i := range 4 {
			b := s.NewBatch()
			b.Set([]byte{byte(i)}, []byte("a"))
			b.Set([]byte{byte(i), 1}, []byte("b"))
			if err := s.Write(b); err != nil {
				t.Fatal(err)
			}
			if i == 1 {
				if err := s.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		kept.crash(rand.New(rand.NewPCG(seed, 0)))
		s, n := kept.open(&disk{}), 0
		for i := range 4 {
			_, a := s.Get([]byte{byte(i)}, nil)
			_, b := s.Get([]byte{byte(i), 1}, nil)
			if (a == nil) != (b == nil) || a == nil && n < i {
				t.Fatalf("seed %d: batch %d is there: %v, %v; of those before %d", seed, i, a == nil, b == nil, n)
			}
			if a == nil {
				n++
			}
		}
		reached[n]++
	}
	if reached[0]+reached[1] != 0 || reached[2] == 0 || reached[3] == 0 || reached[4] == 0 {
		t.Errorf("so many batches were there, so often: %v", reached)
	}
}

// A server's log confirms in the time of its disk; what it has confirmed is there behind a power cut, and what it has not may be.
func TestServersDisk(t *testing.T) {
	lost := 0
	for seed := uint64(1); seed <= 20; seed++ {
		st := newStage(t, seed, 1)
		began := st.now
		usual := st.appendTo(1, kernel.MakeZxid(1, 1), kernel.MakeZxid(1, 3)) - began
		st.Server(1).Slow(300 * time.Millisecond)
		began = st.now
		if slow := st.appendTo(1, kernel.MakeZxid(1, 4), kernel.MakeZxid(1, 5)) - began; slow < 300*time.Millisecond || usual > 50*time.Millisecond {
			t.Errorf("seed %d: a sync takes %v, on a slow disk %v", seed, usual, slow)
		}
		st.write(1, kernel.MakeZxid(1, 6), kernel.MakeZxid(1, 9))
		st.RunFor(time.Millisecond)
		st.Server(1).PowerOff()
		st.Server(1).Start()
		if end := st.Server(1).StableEnd(); end < kernel.MakeZxid(1, 5) {
			t.Errorf("seed %d: the log ends at %s", seed, end)
		} else if end < kernel.MakeZxid(1, 9) {
			lost++
		}
		st.whole()
	}
	if lost == 0 {
		t.Error("nothing was ever lost in a power cut")
	}
}

// A log on a full disk confirms nothing and loses nothing, and goes on when there is room.
func TestServersDiskIsFull(t *testing.T) {
	st := newStage(t, 1, 1)
	st.appendTo(1, kernel.MakeZxid(1, 1), kernel.MakeZxid(1, 3))
	st.Server(1).FillDisk(true)
	st.write(1, kernel.MakeZxid(1, 4), kernel.MakeZxid(1, 200)) // more than a segment
	st.RunFor(5 * time.Second)
	if z := st.confirmed(1); z >= kernel.MakeZxid(1, 200) || !st.Server(1).Up() {
		t.Errorf("%s is confirmed, the server is up: %v", z, st.Server(1).Up())
	}
	st.Server(1).FillDisk(false)
	st.until("it goes on", func() bool { return st.confirmed(1) == kernel.MakeZxid(1, 200) })
	st.whole()
}

// Whoever had a sync fail gives up, and is not asked again.
func TestServerWithAFailedSync(t *testing.T) {
	st := newStage(t, 1, 1)
	st.appendTo(1, kernel.MakeZxid(1, 1), kernel.MakeZxid(1, 3))
	st.Server(1).BreakSync()
	st.write(1, kernel.MakeZxid(1, 4), kernel.MakeZxid(1, 5))
	st.until("it gives up", func() bool { return !st.Server(1).Up() })
	if z := st.confirmed(1); z != kernel.MakeZxid(1, 3) || !errors.Is(st.Server(1).Fatal(), errIO) {
		t.Errorf("%s is confirmed, it gave up because of %v", z, st.Server(1).Fatal())
	}
	st.whole()
}
