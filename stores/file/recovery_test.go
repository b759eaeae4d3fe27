package file

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

// crashed returns a disk with a log of n groups of 10 records, each synced, whose process was killed, and the offset of each record of its one segment.
func crashed(t *testing.T, n int) (*vfs.MemFS, map[kernel.Zxid]int64) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll("/data", 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Config{FS: mem, Dir: "/data", SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := s.Append(records(kernel.Zxid(10*i+1), kernel.Zxid(10*i+10), 100)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	killed := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	offsets := map[kernel.Zxid]int64{}
	if err := Dump(killed, segment1, func(Header) {}, func(e Entry) bool {
		if e.Record != nil {
			offsets[e.Record.Zxid] = e.Offset
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return killed, offsets
}

const segment1 = "/data/log/segment.00000001"

func flip(t *testing.T, mem *vfs.MemFS, path string, offset int64) {
	t.Helper()
	if err := plugintest.FlipBit(mem, path, offset*8+3); err != nil {
		t.Fatal(err)
	}
}

func reopen(mem vfs.FS) (s *Store, log string, err error) {
	var b bytes.Buffer
	s, err = Open(Config{FS: mem, Dir: "/data", SegmentSize: 1 << 20, Logger: slog.New(slog.NewTextHandler(&b, nil))})
	return s, b.String(), err
}

func TestDamageIsRefusedAndNamed(t *testing.T) {
	mem, offsets := crashed(t, 5)
	flip(t, mem, segment1, offsets[17]+30)
	before := mem.String()
	_, _, err := reopen(mem)
	var damaged *kernel.CorruptError
	if !errors.As(err, &damaged) || damaged.File != segment1 || damaged.Offset != offsets[17] || damaged.After != 16 {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{segment1, "after zxid 0x10", "checksum", "zooid log verify", "synced"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if mem.String() != before {
		t.Error("a damaged log was changed")
	}
	if _, _, err := reopen(mem); !errors.As(err, &damaged) {
		t.Errorf("the second try opens the damaged log: %v", err)
	}
}

// What was cut must stay away, even when what is appended next is, byte for byte, what was there before.
func TestCutRecordsDoNotComeBack(t *testing.T) {
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll("/data", 0o755); err != nil {
		t.Fatal(err)
	}
	s, _, err := reopen(mem)
	if err != nil {
		t.Fatal(err)
	}
	for z := kernel.Zxid(1); z <= 3; z++ {
		if err := s.Append(records(z, z, 5000)); err != nil {
			t.Fatal(err)
		}
	}
	killed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: newRNG()})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, killed, segment1, groupsStart+200)
	s, _, err = reopen(killed)
	if err != nil {
		t.Fatal(err)
	}
	if s.Last() != 0 {
		t.Fatalf("Last is %v", s.Last())
	}
	if err := s.Append(records(1, 1, 5000)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	s, _, err = reopen(killed.CrashClone(vfs.CrashCloneCfg{}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Last() != 1 {
		t.Fatalf("Last is %v: records came back that were cut", s.Last())
	}
}

func TestLostFiles(t *testing.T) {
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll("/data", 0o755); err != nil {
		t.Fatal(err)
	}
	s := open(t, mem, "/data")
	for z := kernel.Zxid(1); z <= 400; z += 10 {
		if err := s.Append(records(z, z+9, 200)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.segments) < 5 {
		t.Fatalf("%d segments", len(s.segments))
	}
	names := []string{s.segments[0].path, s.segments[2].path, s.segments[len(s.segments)-1].path, "/data/log/state"}
	last := s.Last()
	if err := s.SaveWords([]byte("promise")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		lost := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: newRNG()})
		if err := lost.Remove(name); err != nil {
			t.Fatal(err)
		}
		_, _, err := reopen(lost)
		var damaged *kernel.CorruptError
		if !errors.As(err, &damaged) {
			t.Errorf("%s lost of a log up to %v: %v", name, last, err)
		}
	}
}

// A file that was created and never written, or whose header never reached the disk, does not stop a start (spec zab, S-73).
func TestEmptySegmentFilesAreNoDamage(t *testing.T) {
	mem, _ := crashed(t, 2)
	for name, content := range map[string][]byte{"segment.00000007": nil, "segment.00000008": make([]byte, 1<<20), "segment.00000009.tmp": []byte("x")} {
		f, err := mem.Create("/data/log/"+name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	s, log, err := reopen(mem)
	if err != nil || s.Last() != 20 || s.Recovered() != nil || log != "" {
		t.Fatal(err, log)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSecondProcessIsKeptOut(t *testing.T) {
	dir := t.TempDir()
	s := open(t, vfs.Default, dir)
	defer s.Close()
	if _, err := Open(Config{FS: vfs.Default, Dir: dir, SegmentSize: MinSegmentSize}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("%v", err)
	}
}

func TestUnknownVersionIsRefused(t *testing.T) {
	mem, _ := crashed(t, 1)
	f, err := mem.OpenReadWrite(segment1, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(headerCopies) {
		if _, err := f.WriteAt([]byte{Format + 1}, i*headerSpacing+8); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err = reopen(mem)
	var version *VersionError
	if !errors.As(err, &version) || version.Version != Format+1 || !strings.Contains(err.Error(), segment1) {
		t.Fatal(err)
	}
}

// Purged segments are used again: a log that is purged behind its end stops growing.
func TestPurgedSegmentsAreRecycled(t *testing.T) {
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll("/data", 0o755); err != nil {
		t.Fatal(err)
	}
	disk := plugintest.DiskOn(mem)
	s, err := Open(Config{FS: disk, Dir: "/data", SegmentSize: MinSegmentSize})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	next := kernel.Zxid(1)
	round := func() {
		for range 40 {
			if err := s.Append(records(next, next+9, 100)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Sync(); err != nil {
				t.Fatal(err)
			}
			next += 10
			if err := s.Purge(next - 15); err != nil {
				t.Fatal(err)
			}
		}
	}
	round()
	used := disk.Used()
	for range 5 {
		round()
	}
	if now := disk.Used(); now != used {
		t.Errorf("the log uses %d bytes, %d before", now, used)
	}
	from := s.current().end // behind the log there are zeros, and nothing that an earlier use of the file has left
	rest := make([]byte, s.current().size-from)
	if _, err := s.current().file.ReadAt(rest, from); err != nil || !allZero(rest) {
		t.Errorf("behind the end of a recycled segment there is something (%v)", err)
	}
	if strings.Contains(disk.Trace(), ".tmp") {
		t.Errorf("new files are made instead of using old ones: %s", disk.Trace())
	}
}

func TestVerifyAndDump(t *testing.T) {
	mem, offsets := crashed(t, 3)
	var out strings.Builder
	for _, path := range []string{"/data", "/data/log", segment1, "/data/log/state"} {
		out.Reset()
		if err := Verify(mem, path, &out); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if path == segment1 && !strings.Contains(out.String(), "zxid 0x1 to 0x1e") {
			t.Errorf("%q", out.String())
		}
	}
	out.Reset()
	if err := WriteDump(mem, segment1, &out, func(r kernel.Record) string { return "txn " + string(r.Data[:6]) }); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 1+3+30 || !strings.HasPrefix(lines[0], "segment 1 begins the log") || !strings.HasSuffix(lines[2], "0x1 meta 1 data 100 txn data 0") {
		t.Errorf("the dump is\n%s", out.String())
	}
	flip(t, mem, segment1, offsets[15]+25)
	before := mem.String()
	for _, path := range []string{"/data", segment1} {
		var damaged *kernel.CorruptError
		if err := Verify(mem, path, &out); !errors.As(err, &damaged) || damaged.Offset != offsets[15] {
			t.Errorf("%s: %v", path, err)
		}
	}
	out.Reset()
	if err := WriteDump(mem, segment1, &out, nil); err != nil || !strings.Contains(out.String(), "BAD: the checksum of a record is wrong") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if mem.String() != before {
		t.Error("looking has changed something")
	}
	if err := Verify(mem, "/data/log/LOCK", &out); err == nil {
		t.Error("any file passes for a segment")
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	s, err := Open(Config{FS: vfs.Default, Dir: t.TempDir(), SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	group := records(1, 8, 128)
	if n := testing.AllocsPerRun(100, func() {
		if err := s.Append(group); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		for i := range group {
			group[i].Zxid += 8
		}
	}); n != 0 {
		t.Errorf("%v allocations for a group", n)
	}
}

func BenchmarkLog(b *testing.B) {
	plugintest.BenchmarkLogStore(b, "file", func(env kernel.Env) (kernel.LogStore, error) {
		return Open(Config{FS: env.FS, Dir: env.LogDir, SegmentSize: 64 << 20, PrepareAhead: true})
	})
}

// The disk may fail under the goroutine that prepares segments: Close says so if something was appended that it could not sync any more.
func TestCloseSaysWhatItCouldNotSync(t *testing.T) {
	for _, appended := range []bool{false, true} {
		mem, _ := crashed(t, 1)
		s, _, err := reopen(mem)
		if err != nil {
			t.Fatal(err)
		}
		if appended {
			if err := s.Append(records(s.Last()+1, s.Last()+1, 10)); err != nil {
				t.Fatal(err)
			}
		}
		failed := errors.New("the disk has failed")
		_ = s.fail(failed)
		if err := s.Close(); errors.Is(err, failed) != appended {
			t.Errorf("unsynced records: %v; closed with %v", appended, err)
		}
	}
}
