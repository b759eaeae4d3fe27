package sim

import (
	"io"
	"math/rand/v2"
	"path"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// crashBlock is the unit in which a disk has written or not written what was not synced.
const crashBlock = 512

// crash is what a disk may hold after a power cut: everything that was synced, and of the rest any blocks, files and names. The choice follows from rng alone: the file system's own
// choice would follow the order of a map.
func crash(fs *vfs.MemFS, rng *rand.Rand) *vfs.MemFS {
	synced := fs.CrashClone(vfs.CrashCloneCfg{})
	switch rng.IntN(3) {
	case 0:
		return synced
	case 1:
		return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
	}
	for _, name := range files(fs, "/") {
		mix(fs, synced, name, rng)
	}
	return synced
}

// files lists all files below dir in order.
func files(fs vfs.FS, dir string) []string {
	names, err := fs.List(dir)
	if err != nil {
		return nil
	}
	slices.Sort(names)
	var all []string
	for _, name := range names {
		full := path.Join(dir, name)
		if info, err := fs.Stat(full); err == nil && info.IsDir() {
			all = append(all, files(fs, full)...)
		} else {
			all = append(all, full)
		}
	}
	return all
}

// mix puts some of the blocks that were not synced into the file that was. A file whose name was not synced stays away: the clone without it is a state that a crash leaves, too.
func mix(from *vfs.MemFS, to *vfs.MemFS, name string, rng *rand.Rand) {
	old, err := content(to, name)
	if err != nil {
		return
	}
	now, err := content(from, name)
	if err != nil {
		return
	}
	changed := false
	result := slices.Clone(old)
	for at := 0; at < len(now); at += crashBlock {
		end := min(at+crashBlock, len(now))
		if at < len(old) && slices.Equal(now[at:end], old[at:min(end, len(old))]) || rng.IntN(2) == 0 {
			continue
		}
		if len(result) < end {
			result = append(result, make([]byte, end-len(result))...)
		}
		copy(result[at:end], now[at:end])
		changed = true
	}
	if !changed {
		return
	}
	f, err := to.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return
	}
	defer f.Close()
	if _, err := f.WriteAt(result, 0); err == nil {
		_ = f.Sync() // in memory it cannot fail
	}
}

func content(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
