package file

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
)

// TestNoSyncIsHonest: without syncs a power cut may take confirmed records, and what is left opens as a log with a torn end, never as a damaged one.
func TestNoSyncIsHonest(t *testing.T) {
	disk := vfs.NewCrashableMem()
	open := func(fs vfs.FS) *Store {
		s, err := Open(Config{FS: fs, Dir: "/data", SegmentSize: MinSegmentSize, NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if err := disk.MkdirAll("/data", 0o755); err != nil {
		t.Fatal(err)
	}
	s := open(disk)
	if s.Guarantees().Durable {
		t.Error("says that it is durable")
	}
	const count = 400 // several segments
	for i := range kernel.Zxid(count) {
		if err := s.Append([]kernel.Record{{Zxid: kernel.MakeZxid(1, uint32(i)+1), Data: make([]byte, 100)}}); err != nil {
			t.Fatal(err)
		}
		if z, err := s.Sync(); err != nil || z != s.Last() {
			t.Fatalf("Sync: %v, %v", z, err)
		}
	}
	after := disk.CrashClone(vfs.CrashCloneCfg{}) // nothing unsynced survives
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cut := open(after)
	defer cut.Close()
	if last := cut.Last().Counter(); last == 0 || last >= count {
		t.Errorf("%d of %d records are left: want those of the full segments", last, count)
	}
	whole := open(disk)
	defer whole.Close()
	if last := whole.Last().Counter(); last != count {
		t.Errorf("after a clean end %d of %d records are left", last, count)
	}
}
