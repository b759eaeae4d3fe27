package file

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

// On a full disk files kept for reuse that are too small for what is to be written make room: nobody else would ever take them away, and the log would wait for ever.
func TestSmallSparesMakeRoomOnAFullDisk(t *testing.T) {
	disk := plugintest.NewDisk()
	s := open(t, disk, "log")
	next := kernel.Zxid(1)
	add := func(size int) error {
		err := s.Append(records(next, next, size))
		if err == nil {
			next++
			_, err = s.Sync()
		}
		return err
	}
	for len(s.segments) < 5 {
		if err := add(4000); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Purge(next); err != nil {
		t.Fatal(err)
	}
	if len(s.spares) != maxSpares {
		t.Fatalf("%d spares", len(s.spares))
	}
	const large = 1 << 20
	// Room for a segment and the reserve for it, in place of the old reserve and one of the two spares.
	disk.SetCapacity(disk.Used() + 2*(large+8<<10) - 2*MinSegmentSize)
	if err := add(large); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, disk, "log")
	defer s.Close()
	if got := contents(t, s); s.Last() != next-1 || got[len(got)-1] != next-1 {
		t.Errorf("the log ends with %v, want %v", s.Last(), next-1)
	}
}
