package plugintest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

// A step is one thing that a scenario does to a log.
type step func(m *logModel) error

func appends(z kernel.Zxid, n, size int) step {
	return func(m *logModel) error { return m.append(Records(z, n, size)...) }
}

func syncs(m *logModel) error { return m.sync() }

func truncates(to kernel.Zxid) step { return func(m *logModel) error { return m.truncate(to) } }
func resets(base kernel.Zxid) step  { return func(m *logModel) error { return m.reset(base) } }
func purges(to kernel.Zxid) step    { return func(m *logModel) error { return m.purge(to) } }
func saves(words string) step {
	return func(m *logModel) error { return m.saveWords([]byte(words)) }
}

// logScenarios runs every way in which a log changes, and recovery from a crash, through everyFault or everyCrash. 4 KiB and more at a time fill small segments fast.
// Each scenario begins at another operation, so that a stride meets all kinds of them.
func logScenarios(t *testing.T, open OpenLog, stride int, every func(*testing.T, points, func() (*Disk, Scenario))) {
	scenario := -1
	next := func() points { scenario++; return points{scenario % stride, stride} }
	epoch := func(e kernel.Epoch) kernel.Zxid { return kernel.MakeZxid(e, 1) }
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"append", []step{appends(1, 1, 100), syncs, appends(2, 3, 1000), appends(5, 1, 5000), syncs, appends(6, 2, 100)}},
		{"roll", []step{appends(1, 4, 1000), syncs, appends(5, 8, 1000), appends(13, 12, 1000), appends(25, 8, 1000), syncs, appends(33, 1, 100), syncs, appends(34, 8, 1000)}},
		{"large", []step{appends(1, 1, 100), appends(2, 1, 100<<10), syncs, appends(3, 2, 100)}},
		{"truncate", []step{appends(1, 3, 1000), appends(4, 3, 1000), syncs, truncates(5), appends(6, 2, 1000), truncates(4), appends(epoch(2), 2, 100), syncs}},
		{"truncate across", []step{appends(1, 12, 1000), appends(13, 12, 1000), syncs, appends(25, 12, 1000), truncates(10), appends(epoch(2), 3, 1000), syncs, truncates(0), appends(1, 2, 10), syncs}},
		{"reset", []step{appends(1, 12, 1000), saves("a"), appends(13, 12, 1000), syncs, resets(epoch(3)), appends(epoch(3)+1, 2, 1000), syncs, resets(4), appends(5, 1, 100), syncs}},
		{"purge", []step{appends(1, 12, 1000), appends(13, 12, 1000), appends(25, 12, 1000), syncs, purges(20), appends(37, 12, 1000), syncs, purges(48), appends(49, 12, 1000), appends(61, 12, 1000), syncs}},
		{"words", []step{saves("epoch 1"), appends(1, 2, 100), syncs, saves("epoch 2"), saves(strings.Repeat("configuration ", 6000)), saves("epoch 3")}},
		{"reopen", []step{appends(1, 5, 1000), syncs, reopens(open), appends(6, 5, 1000), reopens(open), appends(11, 8, 1000), syncs, reopens(open), truncates(7), reopens(open), appends(8, 2, 100)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			every(t, next(), func() (*Disk, Scenario) { return newPreparedDisk(), logScenario(open, &logModel{}, c.steps) })
		})
	}
	for _, c := range []struct {
		name    string
		percent int // of the unsynced data that is there; 100: the process was killed, and all of it is, but in the page cache only
	}{{"recovery after kill", 100}, {"recovery after power cut", 50}, {"recovery after power cut, less left", 25}} {
		t.Run(c.name, func(t *testing.T) {
			every(t, next(), func() (*Disk, Scenario) {
				disk, m := crashedLog(t, open, c.percent)
				return disk, logScenario(open, m, []step{syncs, func(m *logModel) error { return m.append(Records(m.last()+1, 2, 1000)...) }, syncs})
			})
		})
	}
}

// crashedLog is a disk with a log of several segments whose end was never synced, and the model of it.
func crashedLog(t *testing.T, open OpenLog, percent int) (*Disk, *logModel) {
	disk := newPreparedDisk()
	s, err := openLog(open, disk)
	must(t, err)
	m := &logModel{store: s}
	must(t, m.saveWords([]byte("promise")), m.append(Records(1, 10, 1000)...), m.append(Records(11, 10, 1000)...), m.sync())
	for z := kernel.Zxid(21); z < 50; z += 5 {
		must(t, m.append(Records(z, 5, 1000)...))
	}
	disk.Cut()
	s.Close() // in vain, but for its goroutines and locks
	if percent == 100 {
		return DiskOn(disk.Memory()), m
	}
	return DiskOn(disk.Memory().CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(3, uint64(percent)))})), m
}

// reopens closes the store and opens it again on the same disk.
func reopens(open OpenLog) step {
	return func(m *logModel) error {
		fs := m.store.(*diskStore).fs
		if err := m.store.Close(); err != nil {
			return err
		}
		m.synced = len(m.records)
		s, err := openLog(open, fs)
		if err != nil {
			return err
		}
		m.store = &diskStore{s, fs}
		return m.exact()
	}
}

// diskStore remembers the disk of a store.
type diskStore struct {
	kernel.LogStore
	fs vfs.FS
}

// logScenario opens the log, compares it with m, and does the steps.
func logScenario(open OpenLog, m *logModel, steps []step) Scenario {
	return Scenario{
		Run: func(fs vfs.FS) error {
			s, err := openLog(open, fs)
			if err != nil {
				return err
			}
			m.store = &diskStore{s, fs}
			defer func() { m.store.Close() }()
			if err := m.check(m.store); err != nil {
				return fmt.Errorf("after opening: %w", err)
			}
			for _, do := range steps {
				if err := do(m); err != nil {
					return errors.Join(err, stillFailing(m.store))
				}
			}
			return m.store.Close()
		},
		Check: func(fs vfs.FS) error {
			found := *m
			s, err := openLog(open, fs)
			if err != nil {
				return fmt.Errorf("the log cannot be opened: %w", err)
			}
			defer s.Close()
			if r := s.Recovered(); r != nil && (r.File == "" || r.After != s.Last()) {
				return fmt.Errorf("the torn tail is described as %+v, the log ends with %v", *r, s.Last())
			}
			if err := found.check(s); err != nil {
				return err
			}
			// It must go on from there, also through another restart.
			next := kernel.MakeZxid(found.last().Epoch()+1, 1)
			if err := errors.Join(found.append(Records(next, 3, 1000)...), found.sync(), found.exact(), found.saveWords([]byte("after")), s.Close()); err != nil {
				return fmt.Errorf("after recovery: %w", err)
			}
			if s, err = openLog(open, fs); err != nil {
				return fmt.Errorf("the log cannot be opened a second time: %w", err)
			}
			defer s.Close()
			if r := s.Recovered(); r != nil {
				return fmt.Errorf("a log that was closed has a torn tail: %+v", *r)
			}
			return found.check(s)
		},
	}
}

// stillFailing checks that a store that has failed stays failed: what a failed write or sync has left behind is not known.
func stillFailing(s kernel.LogStore) error {
	if _, err := s.Sync(); err == nil {
		return errors.New("plugintest: Sync succeeds after a final error")
	}
	if err := s.Append([]kernel.Record{Record(kernel.MakeZxid(s.Last().Epoch()+1, 1), 1)}); err == nil {
		return errors.New("plugintest: Append succeeds after a final error")
	}
	return nil
}

// testLogRandom does random things, with restarts, and compares with the model after each.
func testLogRandom(t *testing.T, open OpenLog, durable bool) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		mem := newPreparedDisk().Memory()
		s, err := openLog(open, mem)
		must(t, err)
		m := &logModel{store: s}
		for n := range 120 {
			var err error
			what := ""
			switch k := rng.IntN(100); {
			case k < 50:
				next := m.last() + 1
				if rng.IntN(10) == 0 || next.Counter() == 0 {
					next = kernel.MakeZxid(m.last().Epoch()+1, 1)
				}
				count, size := 1+rng.IntN(20), rng.IntN(600)
				what = fmt.Sprintf("append %d from %v, %d bytes each", count, next, size)
				err = m.append(Records(next, count, size)...)
			case k < 65:
				what, err = "sync", m.sync()
			case k < 75 && len(m.records) > 0:
				to := m.records[rng.IntN(len(m.records))].Zxid
				if to < m.store.First() {
					continue
				}
				what, err = fmt.Sprintf("truncate to %v", to), m.truncate(to)
			case k < 85 && len(m.records) > 0:
				to := m.records[rng.IntN(len(m.records))].Zxid
				what, err = fmt.Sprintf("purge to %v", to), m.purge(to)
			case k < 87:
				base := m.last() + kernel.Zxid(rng.IntN(100))
				what, err = fmt.Sprintf("reset to %v", base), m.reset(base)
			case k < 92:
				w := fmt.Sprint(seed, n)
				what, err = "save words "+w, m.saveWords([]byte(w))
			case durable && k < 96:
				what = "restart"
				if err = m.store.Close(); err == nil {
					s, err = openLog(open, mem)
				}
				if err == nil {
					m.synced = len(m.records)
					err = m.check(s)
				}
			case durable:
				what = "crash"
				mem = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
				m.store.Close()
				if s, err = openLog(open, mem); err == nil {
					err = m.check(s)
				}
			}
			if err == nil {
				err = m.exact()
			}
			if err != nil {
				t.Fatalf("seed %d, step %d, %s: %v", seed, n, what, err)
			}
		}
		must(t, m.store.Close())
	}
}

// testLogDiskFull fills the disk.
func testLogDiskFull(t *testing.T, open OpenLog) {
	for _, size := range []int{50, 1000, 7000, 40000} {
		disk := newPreparedDisk()
		s, err := openLog(open, disk)
		must(t, err)
		m := &logModel{store: s}
		must(t, m.append(Records(1, 2, size)...), m.sync(), m.saveWords([]byte("old")))
		disk.SetCapacity(disk.Used() + 40<<10)
		full := false
		for range 100000 {
			if err = m.append(Record(m.last()+1, size)); err != nil {
				full = errors.Is(err, kernel.ErrNoSpace)
				break
			}
		}
		if !full {
			t.Fatalf("a full disk gives %v, want ErrNoSpace", err)
		}
		must(t, m.exact(), m.sync(), m.exact())
		if err := m.append(Record(m.last()+1, size)); err != nil && !errors.Is(err, kernel.ErrNoSpace) {
			t.Fatalf("a second try on a full disk gives %v, want ErrNoSpace", err)
		}
		disk.SetCapacity(disk.Used()) // the last byte is gone
		must(t, m.saveWords([]byte("new")), m.exact())
		cut := m.last() - 1
		if err := m.truncate(cut); err != nil {
			t.Fatalf("Truncate on a full disk: %v", err)
		}
		must(t, m.exact())
		disk.SetCapacity(-1)
		must(t, m.append(Records(m.last()+1, 5, size)...), m.sync(), m.exact(), s.Close())
		disk.SetCapacity(disk.Used())
		s, err = openLog(open, disk)
		if err != nil {
			t.Fatalf("opening on a full disk: %v", err)
		}
		must(t, m.check(s), s.Close())
	}
}

// testLogBitRot flips bits in files of a log that was closed, and of one that was not. A confirmed record may not vanish without a word.
func testLogBitRot(t *testing.T, open OpenLog, stride int) {
	disk := newPreparedDisk()
	s, err := openLog(open, disk)
	must(t, err)
	if !s.Guarantees().Checksums {
		t.Log("the store does not promise to find flipped bits")
		return
	}
	m := &logModel{store: s}
	for i := range 12 {
		must(t, m.append(Records(kernel.Zxid(3*i+1), 3, 700)...), m.sync())
	}
	must(t, m.saveWords([]byte("words")))
	must(t, m.append(Records(37, 3, 100)...), m.sync())
	killed := disk.Memory().CrashClone(vfs.CrashCloneCfg{})
	must(t, s.Close())
	closed := disk.Memory().CrashClone(vfs.CrashCloneCfg{})
	for name, mem := range map[string]*vfs.MemFS{"closed": closed, "killed": killed} {
		silent, refused := 0, 0
		for _, file := range Files(mem, Dir) {
			info, err := mem.Stat(file)
			must(t, err)
			rng := rand.New(rand.NewPCG(7, uint64(info.Size())))
			for n := int64(0); n < 400 && n < 8*info.Size(); n += int64(stride) {
				bit := rng.Int64N(8 * info.Size())
				if n < 100 {
					bit = (n * 11) % (8 * min(info.Size(), 128)) // headers
				}
				rotten := mem.CrashClone(vfs.CrashCloneCfg{})
				must(t, FlipBit(rotten, file, bit))
				err := checkRotten(open, rotten, *m, name == "closed")
				var damaged *kernel.CorruptError
				switch {
				case err == nil:
					silent++
				case errors.As(err, &damaged) && damaged.File != "":
					refused++
				default:
					t.Fatalf("%s, bit %d of %s flipped: %v", name, bit, file, err)
				}
			}
		}
		t.Logf("%s: %d flips did no harm, %d were refused", name, silent, refused)
		if refused == 0 {
			t.Errorf("%s: no flip was ever noticed", name)
		}
	}
}

// checkRotten opens a log with a flipped bit. A *kernel.CorruptError is right, and so is the whole content. If the log was never closed, its last records may be taken
// for a torn tail, if the store says that a checksum failed.
func checkRotten(open OpenLog, mem *vfs.MemFS, m logModel, closed bool) error {
	s, err := openLog(open, mem)
	if err != nil {
		return err
	}
	defer s.Close()
	if r := s.Recovered(); r != nil && r.Checksum && !closed {
		m.synced = len(m.records) - 3
	}
	return m.check(s)
}
