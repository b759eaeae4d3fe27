package file

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

// salvaged opens a log that must end at last, and appends to it.
func salvaged(fs vfs.FS, last kernel.Zxid) error {
	for range 2 {
		s, err := Open(Config{FS: fs, Dir: "/data", SegmentSize: MinSegmentSize})
		if err != nil {
			return err
		}
		if s.Last() != last {
			return fmt.Errorf("the log ends at %v, want %v", s.Last(), last)
		}
		next := s.First()
		err = s.Read(next, func(r kernel.Record) bool {
			next++
			return r.Zxid == next-1
		})
		if err != nil || next != last+1 {
			return fmt.Errorf("read up to %v: %v", next-1, err)
		}
		if err := s.Append(records(last+1, last+5, 100)); err != nil {
			return err
		}
		if last, err = s.Sync(); err != nil {
			return err
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

// A log is kept up to its damage, in whichever segment that is; what it was lies beside it.
func TestSalvage(t *testing.T) {
	mem, whole := crashedInSegments(t)
	for _, at := range []kernel.Zxid{2, 50, 99} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			mem := mem.CrashClone(vfs.CrashCloneCfg{})
			place := whole[at]
			flip(t, mem, place.file, place.offset+25)
			before := content(t, mem, place.file)
			found, err := FindDamage(mem, "/data")
			if err != nil || found == nil || found.File != place.file || found.Offset != place.offset || found.After != at-1 || found.Synced != 99 { // what the last group says of those before it
				t.Fatalf("%+v, %v", found, err)
			}
			if content(t, mem, place.file) != before {
				t.Fatal("looking for damage changes the log")
			}
			d, err := Salvage(Config{FS: mem, Dir: "/data", SegmentSize: MinSegmentSize}, "/data/aside")
			if err != nil || d == nil || d.After != found.After || d.Synced != found.Synced {
				t.Fatalf("%+v, %v", d, err)
			}
			if content(t, mem, "/data/aside/"+mem.PathBase(place.file)) != before || content(t, mem, "/data/aside/state") == "" {
				t.Error("what was damaged is not what lies beside it")
			}
			if found, err := FindDamage(mem, "/data"); found != nil || err != nil {
				t.Errorf("afterwards: %+v, %v", found, err)
			}
			if err := salvaged(mem, at-1); err != nil {
				t.Error(err)
			}
			if d, err := Salvage(Config{FS: mem, Dir: "/data", SegmentSize: MinSegmentSize}, "/data/again"); d != nil || err != nil {
				t.Errorf("a log that is whole: %+v, %v", d, err)
			}
		})
	}
}

// The power may go at any moment of it: then it is done again.
func TestSalvageAfterEveryCrash(t *testing.T) {
	n := 0
	for ; ; n++ {
		mem, whole := crashedInSegments(t)
		flip(t, mem, whole[50].file, whole[50].offset+25)
		disk := plugintest.DiskOn(mem)
		disk.CutAt(n)
		_, err := Salvage(Config{FS: disk, Dir: "/data", SegmentSize: MinSegmentSize}, "/data/aside")
		clones := disk.Clones()
		if clones == nil {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		for i, clone := range clones {
			if _, err := Salvage(Config{FS: clone, Dir: "/data", SegmentSize: MinSegmentSize}, "/data/again"); err != nil {
				t.Fatalf("power lost after operation %d (%d): %v", n, i, err)
			}
			if err := salvaged(clone, 49); err != nil {
				t.Fatalf("power lost after operation %d (%d): %v", n, i, err)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d operations", n)
	}
}

// spot is where a record stands.
type spot struct {
	file   string
	offset int64
}

// crashedInSegments is a disk with a log of 100 records in several segments, each synced, and where they stand.
func crashedInSegments(t *testing.T) (*vfs.MemFS, map[kernel.Zxid]spot) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll("/data", 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Config{FS: mem, Dir: "/data", SegmentSize: MinSegmentSize})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for z := kernel.Zxid(1); z <= 100; z++ {
		if err := s.Append(records(z, z, 700)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	killed := mem.CrashClone(vfs.CrashCloneCfg{})
	whole := map[kernel.Zxid]spot{}
	files := map[string]bool{}
	for _, name := range plugintest.Files(killed, "/data/log") {
		err := Dump(killed, name, func(Header) {}, func(e Entry) bool {
			if e.Record != nil {
				whole[e.Record.Zxid] = spot{name, e.Offset}
				files[name] = true
			}
			return true
		})
		_ = err // what is no segment has no records
	}
	if len(whole) != 100 || len(files) < 3 {
		t.Fatalf("%d records in %d segments", len(whole), len(files))
	}
	return killed, whole
}

func content(t *testing.T, fs vfs.FS, name string) string {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := readAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
