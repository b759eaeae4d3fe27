package file

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

func TestTornTailIsCutWithOneLine(t *testing.T) {
	mem, offsets := crashed(t, 5)
	flip(t, mem, segment1, offsets[44]+30) // in the last group, which nothing later says was synced
	s, log, err := reopen(mem)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := s.Recovered()
	if r == nil || r.File != segment1 || r.After != 40 || !r.Checksum || r.Offset != offsets[41]-groupSize || r.Bytes != groupBytes(10*(recordSize+1+100)) {
		t.Fatalf("%+v", r)
	}
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, "torn tail") || !strings.Contains(log, segment1) {
		t.Errorf("the log says %q, want one line about the torn tail", log)
	}
	if got := contents(t, s); len(got) != 40 {
		t.Errorf("%d records are left of 40", len(got))
	}
}

// Once cut, the tail is history: a server that is killed again right after has nothing to report.
func TestCutTailIsReportedOnce(t *testing.T) {
	mem, offsets := crashed(t, 5)
	flip(t, mem, segment1, offsets[44]+30)
	s, _, err := reopen(mem)
	if err != nil || s.Recovered() == nil {
		t.Fatal(err, s.Recovered())
	}
	killed := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, _, err = reopen(killed); err != nil || s.Recovered() != nil || s.Last() != 40 {
		t.Fatal(err, s.Recovered())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// What a start has found and relied on is synced, and from then on damage when it cannot be read (spec zab, S-36).
func TestRecoveredTailCountsAsSynced(t *testing.T) {
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll("/data", 0o755); err != nil {
		t.Fatal(err)
	}
	s, _, err := reopen(mem)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Append(records(1, 5, 1000)); err != nil {
		t.Fatal(err)
	}
	// The process is killed: the page cache has what no Sync confirmed. The next start finds it.
	cached := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: newRNG()})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, _, err = reopen(cached)
	if err != nil || s.Last() != 5 {
		t.Fatal(err)
	}
	powerLost := cached.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, _, err = reopen(powerLost)
	if err != nil || s.Last() != 5 {
		t.Fatalf("%v; Last is %v, want 5", err, s.Last())
	}
	killed := powerLost.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, killed, segment1, groupsStart+groupSize+500)
	var damaged *kernel.CorruptError
	if _, _, err := reopen(killed); !errors.As(err, &damaged) {
		t.Fatalf("%v", err)
	}
}

// A write of which a sector never reached the disk is an ordinary power cut: such a server may vote.
func TestUnwrittenSectorIsNotAFailedChecksum(t *testing.T) {
	mem, offsets := crashed(t, 5)
	from := (offsets[43] + sectorSize - 1) &^ (sectorSize - 1)
	f, err := mem.OpenReadWrite(segment1, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, sectorSize), from); err != nil {
		t.Fatal(err)
	}
	s, _, err := reopen(mem)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if r := s.Recovered(); r == nil || r.Checksum || r.After != 40 {
		t.Fatalf("%+v", r)
	}
}

// However little of a group lies in the sector that never reached the disk, and wherever a record begins in it, it is a power cut.
func TestAnyUnwrittenSectorIsNotAFailedChecksum(t *testing.T) {
	for size := 400; size < 400+sectorSize; size += 7 {
		mem, offsets := crashed(t, 1)
		s, _, err := reopen(mem)
		if err != nil {
			t.Fatal(err)
		}
		last := []kernel.Record{{Zxid: 11, Data: bytes.Repeat([]byte{1}, size)}, {Zxid: 12, Data: []byte{2, 0, 0, 3}}}
		if err := s.Append(last); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		killed := mem.CrashClone(vfs.CrashCloneCfg{})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := Dump(killed, segment1, func(Header) {}, func(e Entry) bool {
			if e.Record != nil {
				offsets[e.Record.Zxid] = e.Offset
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		start, end := offsets[11]-groupSize, offsets[12]+recordSize+4
		for from := start; from < end; from = (from + sectorSize) &^ (sectorSize - 1) {
			torn := killed.CrashClone(vfs.CrashCloneCfg{})
			f, err := torn.OpenReadWrite(segment1, vfs.WriteCategoryUnspecified)
			if err != nil {
				t.Fatal(err)
			}
			to := min((from+sectorSize)&^(sectorSize-1), end)
			if _, err := f.WriteAt(make([]byte, to-from), from); err != nil {
				t.Fatal(err)
			}
			s, _, err := reopen(torn)
			if err != nil {
				t.Fatal(err)
			}
			if r := s.Recovered(); s.Last() > 11 || r != nil && r.Checksum {
				t.Errorf("bytes %d to %d of a group from %d to %d never reached the disk: log ends at %v, %+v", from, to, start, end, s.Last(), r)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The header of a group may lie in two sectors, of which a power cut leaves one.
func TestHalfAGroupsHeaderIsNotAFailedChecksum(t *testing.T) {
	for cut := groupAlign; cut < groupSize; cut += groupAlign {
		off := int64(3*sectorSize - cut)
		for _, missing := range [][2]int{{0, cut}, {cut, groupSize}} {
			b := make([]byte, groupSize)
			group{number: 7, size: 140, synced: 9, prev: 11, run: 1}.encode(b)
			clear(b[missing[0]:missing[1]])
			if !unwrittenHeader(off, b) {
				t.Errorf("bytes %d to %d of a header at %d never reached the disk, and are taken for damage", missing[0], missing[1], off)
			}
		}
		b := make([]byte, groupSize)
		group{number: 7, size: 140, synced: 9, prev: 11, run: 1}.encode(b)
		b[cut-1] ^= 4
		if unwrittenHeader(off, b) {
			t.Errorf("a flipped bit in a header at %d is taken for a power cut", off)
		}
	}
}
