package file

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

func open(t testing.TB, fs vfs.FS, dir string) *Store {
	t.Helper()
	s, err := Open(Config{FS: fs, Dir: dir, SegmentSize: MinSegmentSize})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func records(from, to kernel.Zxid, size int) []kernel.Record {
	var rs []kernel.Record
	for z := from; z <= to; z++ {
		d := bytes.Repeat([]byte("x"), size)
		copy(d, fmt.Sprint("data ", z))
		rs = append(rs, kernel.Record{Zxid: z, Meta: []byte{byte(z)}, Data: d})
	}
	return rs
}

func contents(t testing.TB, s *Store) []kernel.Zxid {
	t.Helper()
	var zs []kernel.Zxid
	if err := s.Read(s.First(), func(r kernel.Record) bool {
		if want := fmt.Sprint("data ", r.Zxid); string(r.Data[:len(want)]) != want {
			t.Fatalf("%v holds %q", r.Zxid, r.Data)
		}
		zs = append(zs, r.Zxid)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return zs
}

func TestRestartsKeepEverything(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		dir := t.TempDir()
		next := kernel.Zxid(1)
		for run := range 5 {
			s, err := Open(Config{FS: vfs.Default, Dir: dir, SegmentSize: MinSegmentSize, PrepareAhead: ahead})
			if err != nil {
				t.Fatal(err)
			}
			if s.Recovered() != nil {
				t.Fatalf("run %d: %+v", run, s.Recovered())
			}
			for range 50 {
				if err := s.Append(records(next, next+9, 300)); err != nil {
					t.Fatal(err)
				}
				next += 10
				if z, err := s.Sync(); err != nil || z != next-1 {
					t.Fatal(z, err)
				}
			}
			if got := contents(t, s); len(got) != int(next-1) {
				t.Fatalf("run %d: %d records of %d", run, len(got), next-1)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
