package plugintest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

// OpenLog opens the log store under test in env.LogDir of env.FS. It is called again for the same directory after Close, and after crashes without one.
// Let it use small segments, or whatever the store's unit is, and do all work on the caller's goroutine if the store can: then every run of
// a scenario makes the same operations.
type OpenLog func(env kernel.Env) (kernel.LogStore, error)

func openLog(open OpenLog, fs vfs.FS) (kernel.LogStore, error) {
	return open(kernel.Env{FS: fs, DataDir: Dir, LogDir: Dir, Server: 1})
}

// LogStore tests a log store against its contract. A store that says it is durable must also survive restarts, crashes, faults and a full disk.
func LogStore(t *testing.T, open OpenLog) { LogStoreSample(t, open, 1) }

// LogStoreSample is LogStore with each stride-th only of the faults, crashes and flipped bits, which are most of its time. It is for a store that passes on the work of
// another one, which has been through all of them: a sample shows that what it answers, confirms and loses gets through.
func LogStoreSample(t *testing.T, open OpenLog, stride int) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *logModel)
	}{
		{"Empty", testLogEmpty},
		{"Order", testLogOrder},
		{"Ownership", testLogOwnership},
		{"Read", testLogRead},
		{"Truncate", testLogTruncate},
		{"Reset", testLogReset},
		{"Purge", testLogPurge},
		{"Words", testLogWords},
		{"ReadBesideAppend", testLogReadBesideAppend},
		{"ReadBesideCuts", testLogReadBesideCuts},
		{"Closed", testLogClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := openLog(open, newPreparedDisk())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			c.test(t, &logModel{store: s})
		})
	}
	disk := newPreparedDisk()
	s, err := openLog(open, disk)
	if err != nil {
		t.Fatal(err)
	}
	durable := s.Guarantees().Durable
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Run("Random", func(t *testing.T) { testLogRandom(t, open, durable) })
	if durable {
		t.Run("Faults", func(t *testing.T) { logScenarios(t, open, stride, everyFault) })
		t.Run("Crashes", func(t *testing.T) { logScenarios(t, open, stride, everyCrash) })
		t.Run("DiskFull", func(t *testing.T) { testLogDiskFull(t, open) })
		t.Run("BitRot", func(t *testing.T) { testLogBitRot(t, open, stride) })
	}
}

// Record makes a record whose content follows from its zxid.
func Record(z kernel.Zxid, size int) kernel.Record {
	rng := rand.New(rand.NewPCG(uint64(z), 1))
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	r := kernel.Record{Zxid: z, Data: data}
	if z%2 == 0 {
		r.Meta = fmt.Appendf(nil, "meta %v", z)
	}
	return r
}

// Records makes n records from z on.
func Records(z kernel.Zxid, n, size int) []kernel.Record {
	group := make([]kernel.Record, n)
	for i := range group {
		group[i] = Record(z+kernel.Zxid(i), size)
	}
	return group
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func testLogEmpty(t *testing.T, m *logModel) {
	if f, l := m.store.First(), m.store.Last(); f != 0 || l != 0 {
		t.Errorf("an empty log goes from %v to %v, want 0 to 0", f, l)
	}
	words, err := m.store.Words()
	if words != nil || err != nil {
		t.Errorf("words %q, %v before any were saved; want nil", words, err)
	}
	must(t, m.store.Read(1, func(kernel.Record) bool { t.Error("an empty log yields a record"); return true }))
	must(t, m.append(), m.sync(), m.truncate(5), m.purge(5), m.exact())
	if r := m.store.Recovered(); r != nil {
		t.Errorf("a new log has recovered from %+v", r)
	}
}

func testLogOrder(t *testing.T, m *logModel) {
	at := func(e kernel.Epoch, c uint32) kernel.Record { return Record(kernel.MakeZxid(e, c), 10) }
	must(t, m.append(at(1, 1), at(1, 2)))
	for _, bad := range [][]kernel.Record{
		{at(1, 2)}, {at(1, 1)}, {at(1, 4)}, {at(0, 9)}, {at(2, 0)}, {at(1, 3), at(1, 5)}, {at(1, 3), at(1, 3)},
	} {
		if err := m.store.Append(bad); !errors.Is(err, kernel.ErrOutOfOrder) {
			t.Errorf("Append of %v after %v: %v, want ErrOutOfOrder", bad[len(bad)-1].Zxid, m.last(), err)
		}
		must(t, m.exact()) // nothing of the group was taken, and the store goes on
	}
	must(t, m.append(at(1, 3), at(2, 1)), m.append(at(7, 1)), m.sync(), m.exact())
}

func testLogOwnership(t *testing.T, m *logModel) {
	group := Records(1, 3, 100)
	must(t, m.append(Records(1, 3, 100)...))
	must(t, m.truncate(0))
	must(t, m.store.Append(group))
	for i := range group {
		clear(group[i].Data)
		clear(group[i].Meta)
		group[i] = kernel.Record{}
	}
	m.records = Records(1, 3, 100)
	must(t, m.exact())
	words := []byte("words")
	must(t, m.saveWords(words))
	words[0] = 'x'
	got, err := m.store.Words()
	must(t, err)
	if string(got) != "words" {
		t.Errorf("the store kept the caller's words: %q", got)
	}
	got[0] = 'x'
	must(t, m.exact())
}

func testLogRead(t *testing.T, m *logModel) {
	for i := range 40 {
		must(t, m.append(Records(kernel.MakeZxid(1, uint32(10*i+1)), 10, 200)...))
	}
	must(t, m.append(Records(kernel.MakeZxid(4, 1), 10, 0)...))
	must(t, m.exact())
	for _, c := range []struct{ from, first kernel.Zxid }{
		{0, kernel.MakeZxid(1, 1)}, {5, kernel.MakeZxid(1, 1)}, {kernel.MakeZxid(1, 1), kernel.MakeZxid(1, 1)}, {kernel.MakeZxid(1, 77), kernel.MakeZxid(1, 77)},
		{kernel.MakeZxid(1, 400), kernel.MakeZxid(1, 400)}, {kernel.MakeZxid(1, 401), kernel.MakeZxid(4, 1)}, {kernel.MakeZxid(3, 9), kernel.MakeZxid(4, 1)},
		{kernel.MakeZxid(4, 10), kernel.MakeZxid(4, 10)}, {kernel.MakeZxid(4, 11), 0},
	} {
		var got kernel.Zxid
		calls := 0
		must(t, m.store.Read(c.from, func(r kernel.Record) bool { got = r.Zxid; calls++; return false }))
		if got != c.first || calls > 1 {
			t.Errorf("Read from %v yields %v first in %d calls, want %v", c.from, got, calls, c.first)
		}
	}
}

func testLogTruncate(t *testing.T, m *logModel) {
	for i := range 30 {
		must(t, m.append(Records(kernel.Zxid(10*i+1), 10, 200)...))
	}
	must(t, m.truncate(400), m.exact(), m.truncate(300), m.exact())
	for _, to := range []kernel.Zxid{299, 250, 131, 130, 5} {
		must(t, m.truncate(to), m.exact())
		must(t, m.append(Records(kernel.MakeZxid(kernel.Epoch(1000-to), 1), 3, 100)...), m.sync(), m.exact())
		must(t, m.truncate(to), m.exact())
	}
	must(t, m.append(Records(6, 20, 100)...), m.exact(), m.truncate(0), m.exact(), m.append(Record(1, 5)), m.exact())
}

func testLogReset(t *testing.T, m *logModel) {
	must(t, m.append(Records(1, 10, 100)...), m.sync(), m.saveWords([]byte("w")))
	for _, base := range []kernel.Zxid{500, kernel.MakeZxid(3, 0), 7, 0} {
		must(t, m.reset(base), m.exact())
		if f, l := m.store.First(), m.store.Last(); f != base || l != base {
			t.Errorf("after Reset(%v) the log goes from %v to %v", base, f, l)
		}
		if err := m.store.Append([]kernel.Record{Record(base+2, 1)}); !errors.Is(err, kernel.ErrOutOfOrder) {
			t.Errorf("Append of %v after Reset(%v): %v, want ErrOutOfOrder", base+2, base, err)
		}
		if base > 0 {
			if err := m.store.Truncate(base - 1); !errors.Is(err, kernel.ErrPurged) {
				t.Errorf("Truncate(%v) after Reset(%v): %v, want ErrPurged", base-1, base, err)
			}
			if err := m.store.Read(base-1, func(kernel.Record) bool { return true }); !errors.Is(err, kernel.ErrPurged) {
				t.Errorf("Read(%v) after Reset(%v): %v, want ErrPurged", base-1, base, err)
			}
		}
		must(t, m.append(Records(base+1, 5, 100)...), m.sync(), m.exact())
	}
}

func testLogPurge(t *testing.T, m *logModel) {
	for i := range 60 {
		must(t, m.append(Records(kernel.Zxid(10*i+1), 10, 200)...))
	}
	must(t, m.sync())
	must(t, m.purge(0))
	if m.store.First() != 1 {
		t.Errorf("Purge(0) dropped records: the log begins with %v", m.store.First())
	}
	before := m.store.First()
	for _, upTo := range []kernel.Zxid{50, 300, 299, 590, 600, 9999} {
		must(t, m.purge(upTo))
		first := m.store.First()
		if first < before || first > max(before, upTo+1) {
			t.Errorf("Purge(%v): the log begins with %v, before it began with %v", upTo, first, before)
		}
		if first > 1 {
			if err := m.store.Read(first-1, func(kernel.Record) bool { return true }); !errors.Is(err, kernel.ErrPurged) {
				t.Errorf("Read(%v) of a log purged to %v: %v, want ErrPurged", first-1, first, err)
			}
		}
		before = first
		if m.store.Last() != 600 {
			t.Fatalf("Purge(%v) dropped the last record", upTo)
		}
		found, err := readContent(m.store)
		must(t, err)
		if len(found.records) == 0 {
			t.Fatalf("Purge(%v) dropped the last record", upTo)
		}
	}
	must(t, m.append(Records(601, 5, 10)...), m.sync())
	c, err := readContent(m.store)
	must(t, err)
	_, err = m.admit(c)
	must(t, err)
}

func testLogWords(t *testing.T, m *logModel) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
	for _, words := range [][]byte{[]byte("a"), {}, []byte("something else"), big, []byte("b")} {
		must(t, m.saveWords(words), m.exact())
	}
}

func testLogReadBesideAppend(t *testing.T, m *logModel) {
	const n = 200
	var wg sync.WaitGroup
	stop := make(chan struct{})
	fail := make(chan error, 3)
	for range 2 {
		wg.Go(func() {
			for {
				last, next := m.store.Last(), kernel.Zxid(1)
				err := m.store.Read(1, func(r kernel.Record) bool {
					if want := Record(next, 100); r.Zxid != next || !bytes.Equal(r.Data, want.Data) || !bytes.Equal(r.Meta, want.Meta) {
						fail <- fmt.Errorf("a reader found %v, want %v whole", r.Zxid, next)
						return false
					}
					next++
					return true
				})
				if err != nil || next <= last {
					fail <- fmt.Errorf("a reader came to %v of %v: %v", next-1, last, err)
					return
				}
				m.store.First()
				m.store.Size()
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	var err error
	for i := range n {
		if err = m.store.Append(Records(kernel.Zxid(5*i+1), 5, 100)); err == nil {
			_, err = m.store.Sync()
		}
		if err != nil {
			break
		}
	}
	close(stop)
	wg.Wait()
	must(t, err)
	select {
	case err := <-fail:
		t.Fatal(err)
	default:
	}
}

// testLogReadBesideCuts has a reader in the middle of the log while the log is cut under it.
func testLogReadBesideCuts(t *testing.T, m *logModel) {
	for i := range 60 {
		must(t, m.append(Records(kernel.Zxid(10*i+1), 10, 200)...))
	}
	must(t, m.sync())
	cuts := []func() error{
		func() error { return m.store.Purge(300) },
		func() error { return m.store.Truncate(500) },
		func() error { return m.store.Reset(1000) },
		func() error { return m.store.Append(Records(1001, 300, 200)) },
		func() error { return m.store.Append(Records(1301, 300, 200)) },
	}
	next := kernel.Zxid(1)
	err := m.store.Read(1, func(r kernel.Record) bool {
		if want := Record(next, 200); r.Zxid != next || !bytes.Equal(r.Data, want.Data) {
			t.Fatalf("the reader found %v, want %v as it was when the read began", r.Zxid, next)
		}
		if next%100 == 50 && len(cuts) > 0 {
			must(t, cuts[0]())
			cuts = cuts[1:]
		}
		next++
		return true
	})
	must(t, err)
	if next != 601 {
		t.Errorf("the reader came to %v, want 600", next-1)
	}
	m.logState = logState{before: 1000, records: Records(1001, 600, 200)}
	must(t, m.exact())
}

func testLogClosed(t *testing.T, m *logModel) {
	must(t, m.append(Records(1, 3, 10)...), m.store.Close(), m.store.Close())
	_, syncErr := m.store.Sync()
	_, wordsErr := m.store.Words()
	for name, err := range map[string]error{
		"Append": m.store.Append(Records(4, 1, 1)), "Sync": syncErr, "Words": wordsErr, "SaveWords": m.store.SaveWords(nil), "Truncate": m.store.Truncate(1),
		"Reset": m.store.Reset(9), "Purge": m.store.Purge(2), "Read": m.store.Read(1, func(kernel.Record) bool { return true }),
	} {
		if !errors.Is(err, kernel.ErrClosed) {
			t.Errorf("%s on a closed store: %v, want ErrClosed", name, err)
		}
	}
}
