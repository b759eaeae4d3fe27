package plugintest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Scenario is work on a disk, and what must hold afterwards.
type Scenario struct {
	// Run does the work and returns the first error. It must not hold on to anything of the disk when it returns.
	Run func(fs vfs.FS) error
	// Check looks at the disk as a restarted process would and compares it with what Run has seen confirmed. It may change the disk.
	Check func(fs vfs.FS) error
}

// EveryFault runs the scenario once for each file operation that it makes, which fails: the error must name the file, and what was confirmed
// must be there afterwards, whether the page cache survives or not. start returns the scenario anew.
func EveryFault(t *testing.T, start func() Scenario) {
	t.Helper()
	everyFault(t, allOf, emptyDisk(start))
}

// points says which operations of a scenario are tried: each stride-th from first on.
type points struct{ first, stride int }

var allOf = points{0, 1}

// everyFault is EveryFault for scenarios that do not begin on an empty disk.
func everyFault(t *testing.T, which points, start func() (*Disk, Scenario)) {
	t.Helper()
	n, err := faults(which, start)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d operations failed, one at a time", n)
}

// faults returns how many operations were tried, or what went wrong.
func faults(which points, start func() (*Disk, Scenario)) (int, error) {
	tried := 0
	for n := which.first; ; n += which.stride {
		disk, s := start()
		disk.FailAt(n)
		err := s.Run(disk)
		hit := disk.Failed()
		if hit == "" {
			if err == nil {
				err = s.Check(disk.Memory())
			}
			if err != nil {
				err = fmt.Errorf("without any fault: %w", err)
			}
			return tried, err
		}
		tried++
		if file := hit[strings.LastIndex(hit, "/")+1:]; errors.Is(err, ErrInjected) && !strings.Contains(err.Error(), file) {
			return tried, fmt.Errorf("%q (operation %d) failed, and the error does not name the file: %w\noperations: ... %s", hit, n, err, disk.Trace())
		}
		lost := disk.Memory().CrashClone(vfs.CrashCloneCfg{})
		if err := s.Check(disk.Memory()); err != nil {
			return tried, fmt.Errorf("after %q (operation %d) failed: %w\noperations: ... %s", hit, n, err, disk.Trace())
		}
		if err := s.Check(lost); err != nil {
			return tried, fmt.Errorf("after %q (operation %d) failed, and power was lost: %w\noperations: ... %s", hit, n, err, disk.Trace())
		}
	}
}

// EveryCrash runs the scenario once for each file operation that it makes and cuts the power after it: with all that was not synced gone, kept, or in part.
func EveryCrash(t *testing.T, start func() Scenario) {
	t.Helper()
	everyCrash(t, allOf, emptyDisk(start))
}

// everyCrash is EveryCrash for scenarios that do not begin on an empty disk.
func everyCrash(t *testing.T, which points, start func() (*Disk, Scenario)) {
	t.Helper()
	n, err := crashes(which, start)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("power was lost after each of %d operations", n)
}

// crashes returns how many operations were tried, or what went wrong.
func crashes(which points, start func() (*Disk, Scenario)) (int, error) {
	tried := 0
	for n := which.first; ; n += which.stride {
		disk, s := start()
		disk.CutAt(n)
		err := s.Run(disk)
		clones := disk.Clones()
		if clones == nil {
			if err != nil {
				err = fmt.Errorf("without a crash: %w", err)
			}
			return tried, err
		}
		tried++
		for i, clone := range clones {
			if err := s.Check(clone); err != nil {
				return tried, fmt.Errorf("power lost after operation %d, unsynced data as in clone %d: %w\noperations: ... %s", n, i, err, disk.Trace())
			}
		}
	}
}

func emptyDisk(start func() Scenario) func() (*Disk, Scenario) {
	return func() (*Disk, Scenario) { return newPreparedDisk(), start() }
}

// newPreparedDisk has the directory Dir, durably.
func newPreparedDisk() *Disk {
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll(Dir, 0o755); err != nil {
		panic(err)
	}
	root, err := mem.OpenDir("/")
	if err == nil {
		err = errors.Join(root.Sync(), root.Close())
	}
	if err != nil {
		panic(err)
	}
	return DiskOn(mem)
}

// Dir is the data and log directory that kits give to stores.
const Dir = "/data"
