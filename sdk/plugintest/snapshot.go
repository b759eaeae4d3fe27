package plugintest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

// OpenSnapshots opens the snapshot store under test in env.DataDir of env.FS, also again after Close and after crashes without one.
type OpenSnapshots func(env kernel.Env) (kernel.SnapshotStore, error)

func openSnapshots(open OpenSnapshots, fs vfs.FS) (kernel.SnapshotStore, error) {
	return open(kernel.Env{FS: fs, DataDir: Dir, LogDir: Dir, Server: 1})
}

// SnapshotStore tests a snapshot store against its contract, on disks that fail, lose power, fill up and rot.
func SnapshotStore(t *testing.T, open OpenSnapshots) {
	for _, c := range []struct {
		name string
		test func(*testing.T, kernel.SnapshotStore)
	}{
		{"Empty", testSnapshotsEmpty},
		{"NewestFirst", testSnapshotsNewestFirst},
		{"Sizes", testSnapshotSizes},
		{"Abort", testSnapshotAbort},
		{"Purge", testSnapshotPurge},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := openSnapshots(open, newPreparedDisk())
			must(t, err)
			c.test(t, s)
			must(t, s.Close())
		})
	}
	t.Run("Faults", func(t *testing.T) { EveryFault(t, snapshotScenario(open)) })
	t.Run("Crashes", func(t *testing.T) { EveryCrash(t, snapshotScenario(open)) })
	t.Run("DiskFull", func(t *testing.T) { testSnapshotDiskFull(t, open) })
	t.Run("BitRot", func(t *testing.T) { testSnapshotBitRot(t, open) })
}

// writeSnapshot writes n bytes that follow from zxid, in uneven pieces.
func writeSnapshot(s kernel.SnapshotStore, z kernel.Zxid, n int) error {
	w, err := s.Create()
	if err != nil {
		return err
	}
	content := Record(z, n).Data
	for size := 1; len(content) > 0; size = size*3 + 1 {
		size = min(size, len(content))
		if _, err := w.Write(content[:size]); err != nil {
			return errors.Join(err, w.Abort())
		}
		content = content[size:]
	}
	return w.Commit(z)
}

func readSnapshot(s kernel.SnapshotStore, info kernel.SnapshotInfo, n int) error {
	r, err := s.Open(info)
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if !bytes.Equal(b, Record(info.Zxid, n).Data) {
		return fmt.Errorf("the snapshot at %v has other content than was written, without an error", info.Zxid)
	}
	return nil
}

func zxids(s kernel.SnapshotStore) ([]kernel.Zxid, error) {
	infos, err := s.List()
	var zs []kernel.Zxid
	for _, info := range infos {
		zs = append(zs, info.Zxid)
	}
	return zs, err
}

func wantSnapshots(t *testing.T, s kernel.SnapshotStore, want ...kernel.Zxid) {
	t.Helper()
	got, err := zxids(s)
	must(t, err)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("List gives %v, want %v", got, want)
	}
}

func testSnapshotsEmpty(t *testing.T, s kernel.SnapshotStore) {
	wantSnapshots(t, s)
	if z, err := s.Purge(3); z != 0 || err != nil {
		t.Errorf("Purge of nothing: %v, %v; want 0", z, err)
	}
	if _, err := s.Open(kernel.SnapshotInfo{Zxid: 7}); err == nil {
		t.Error("a snapshot that is not there can be opened")
	}
}

func testSnapshotsNewestFirst(t *testing.T, s kernel.SnapshotStore) {
	for _, z := range []kernel.Zxid{5, kernel.MakeZxid(2, 1), 0x10, 0x9, 0} {
		must(t, writeSnapshot(s, z, 1000))
	}
	wantSnapshots(t, s, kernel.MakeZxid(2, 1), 0x10, 0x9, 5, 0)
	must(t, writeSnapshot(s, 0x10, 1000)) // once more at the same zxid
	wantSnapshots(t, s, kernel.MakeZxid(2, 1), 0x10, 0x9, 5, 0)
	infos, err := s.List()
	must(t, err)
	for _, info := range infos {
		must(t, readSnapshot(s, info, 1000))
		if info.Bytes < 1000 {
			t.Errorf("%v has %d bytes on disk with 1000 bytes of content", info.Zxid, info.Bytes)
		}
	}
}

func testSnapshotSizes(t *testing.T, s kernel.SnapshotStore) {
	for i, n := range []int{0, 1, 4095, 64 << 10, 256 << 10, 256<<10 + 1, 3<<20 + 7} {
		must(t, writeSnapshot(s, kernel.Zxid(i+1), n))
		must(t, readSnapshot(s, kernel.SnapshotInfo{Zxid: kernel.Zxid(i + 1)}, n))
	}
}

func testSnapshotAbort(t *testing.T, s kernel.SnapshotStore) {
	w, err := s.Create()
	must(t, err)
	_, err = w.Write(make([]byte, 1<<20))
	must(t, err)
	wantSnapshots(t, s)
	must(t, w.Abort())
	wantSnapshots(t, s)
	must(t, writeSnapshot(s, 3, 100))
	wantSnapshots(t, s, 3)
	w, err = s.Create() // Close ends it
	must(t, err)
	_, err = w.Write([]byte("x"))
	must(t, err)
}

func testSnapshotPurge(t *testing.T, s kernel.SnapshotStore) {
	for z := kernel.Zxid(1); z <= 5; z++ {
		must(t, writeSnapshot(s, z, 10))
	}
	for _, c := range []struct {
		keep   int
		oldest kernel.Zxid
	}{{9, 1}, {3, 3}, {3, 3}, {1, 5}, {0, 5}} {
		if z, err := s.Purge(c.keep); z != c.oldest || err != nil {
			t.Errorf("Purge(%d) = %v, %v; the oldest left is %v", c.keep, z, err, c.oldest)
		}
	}
	wantSnapshots(t, s, 5)
}

// snapshotScenario writes, aborts, writes again and purges. A snapshot whose Commit has returned must be there, whole, until it is purged.
func snapshotScenario(open OpenSnapshots) func() Scenario {
	const size = 5000
	return func() Scenario {
		var confirmed, begun, purged kernel.Zxid
		return Scenario{
			Run: func(fs vfs.FS) error {
				s, err := openSnapshots(open, fs)
				if err != nil {
					return err
				}
				defer func() { s.Close() }()
				for z := kernel.Zxid(1); z <= 4; z++ {
					begun = z
					if err := writeSnapshot(s, z, size); err != nil {
						return err
					}
					confirmed = z
					w, err := s.Create()
					if err != nil {
						return err
					}
					if _, err := w.Write([]byte("given up")); err != nil {
						return errors.Join(err, w.Abort())
					}
					if err := w.Abort(); err != nil {
						return err
					}
					if z == 3 {
						purged = 1
						if _, err := s.Purge(2); err != nil {
							return err
						}
					}
				}
				return s.Close()
			},
			Check: func(fs vfs.FS) error {
				s, err := openSnapshots(open, fs)
				if err != nil {
					return err
				}
				defer s.Close()
				infos, err := s.List()
				if err != nil {
					return err
				}
				found := map[kernel.Zxid]bool{}
				for _, info := range infos {
					found[info.Zxid] = true
					if info.Zxid > begun {
						return fmt.Errorf("there is a snapshot at %v, which was never written", info.Zxid)
					}
					if err := readSnapshot(s, info, size); err != nil {
						return err
					}
				}
				for z := purged + 1; z <= confirmed; z++ {
					if !found[z] {
						return fmt.Errorf("the snapshot at %v was confirmed and is gone", z)
					}
				}
				if err := writeSnapshot(s, 100, 10); err != nil {
					return fmt.Errorf("after recovery: %w", err)
				}
				return readSnapshot(s, kernel.SnapshotInfo{Zxid: 100}, 10)
			},
		}
	}
}

func testSnapshotDiskFull(t *testing.T, open OpenSnapshots) {
	disk := newPreparedDisk()
	s, err := openSnapshots(open, disk)
	must(t, err)
	must(t, writeSnapshot(s, 1, 100<<10))
	disk.SetCapacity(disk.Used() + 50<<10)
	if err := writeSnapshot(s, 2, 100<<10); !vfs.IsNoSpaceError(err) {
		t.Errorf("a snapshot on a full disk gives %v, want ENOSPC in the chain", err)
	}
	wantSnapshots(t, s, 1)
	if used := disk.Used(); used > 120<<10 {
		t.Errorf("%d bytes of an unfinished snapshot were left on a full disk", used)
	}
	must(t, readSnapshot(s, kernel.SnapshotInfo{Zxid: 1}, 100<<10))
	disk.SetCapacity(-1)
	must(t, writeSnapshot(s, 2, 100<<10), readSnapshot(s, kernel.SnapshotInfo{Zxid: 2}, 100<<10), s.Close())
}

func testSnapshotBitRot(t *testing.T, open OpenSnapshots) {
	disk := newPreparedDisk()
	s, err := openSnapshots(open, disk)
	must(t, err)
	must(t, writeSnapshot(s, 1, 300), s.Close())
	for _, file := range Files(disk.Memory(), Dir) {
		info, err := disk.Memory().Stat(file)
		must(t, err)
		for bit := range info.Size() * 8 {
			mem := disk.Memory()
			must(t, FlipBit(mem, file, bit))
			s, err := openSnapshots(open, mem)
			must(t, err)
			err = readSnapshot(s, kernel.SnapshotInfo{Zxid: 1}, 300)
			var damaged *kernel.CorruptError
			if !errors.As(err, &damaged) || damaged.File == "" {
				t.Fatalf("bit %d of %s flipped: %v, want a *kernel.CorruptError with the file", bit, file, err)
			}
			must(t, s.Close(), FlipBit(mem, file, bit))
		}
	}
}
