package manifest

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// RepairFile is the name of a Repair in the data directory.
const RepairFile = "repair"

// asidePrefix begins the names of directories with what was set aside. Zooid never reads or removes one.
const asidePrefix = "set-aside-"

// Repair says that a server's stores were found damaged: what lies in them goes aside, and the server has no vote until its peers have brought it up. It is written before anything is moved and
// removed when the server has synchronized, so a crash at any point is a start with the same repair.
type Repair struct {
	Aside  string // the directory, in the data and the log directory, that takes what is set aside
	Scope  Scope
	Moved  bool // all of it has gone there: what lies in its place was made since
	Reason string
}

// Scope is what is set aside. What a store was built from cannot be relied on without it, so there are few.
type Scope string

// The scopes.
const (
	Nodes     Scope = "nodes"     // the node store: the log, which is whole, says what this server has promised and acknowledged
	Stores    Scope = "stores"    // log, snapshots and node store: the copy of the durable words says what was promised
	Directory Scope = "directory" // everything, the manifest too: it is not this server's, or it is not known whose it is
)

// names are what a scope sets aside, from the data or the log directory.
func (s Scope) names() []string {
	switch s {
	case Nodes:
		return []string{"nodes"}
	case Stores:
		return storeDirs
	}
	return append([]string{FileName, WordsFile}, storeDirs...)
}

// Aside names a directory for what is set aside now.
func Aside(now time.Time) string { return asidePrefix + now.UTC().Format("20060102T150405.000Z") }

// NewRepair is a repair that begins now.
func NewRepair(scope Scope, reason error, now time.Time) Repair {
	return Repair{Aside: Aside(now), Scope: scope, Reason: reason.Error()}
}

// The text ends as a manifest's does.
//
//	zooid repair 1
//	aside "set-aside-20261126T061500.000Z"
//	scope "stores"
//	moved "true"
//	reason "data/log/segment.00000001 is damaged at byte 8192 ..."
//	crc32c 0123abcd
const repairLayout = "zooid repair 1\naside %q\nscope %q\nmoved %q\nreason %q\n"

// Encode returns the text.
func (r Repair) Encode() []byte {
	b := fmt.Appendf(nil, repairLayout, r.Aside, r.Scope, strconv.FormatBool(r.Moved), r.Reason)
	return fmt.Appendf(b, "crc32c %08x\n", crc32.Checksum(b, castagnoli))
}

// DecodeRepair reads the text. It accepts what Encode writes and nothing else.
func DecodeRepair(b []byte) (Repair, error) {
	var r Repair
	lines := strings.Split(string(b), "\n")
	if len(b) > maxSize || len(lines) != 7 {
		return r, errText
	}
	var moved string
	for i, field := range []struct {
		name string
		to   *string
	}{{"aside ", &r.Aside}, {"scope ", (*string)(&r.Scope)}, {"moved ", &moved}, {"reason ", &r.Reason}} {
		quoted, ok := strings.CutPrefix(lines[i+1], field.name)
		text, err := strconv.Unquote(quoted)
		if !ok || err != nil {
			return r, errText
		}
		*field.to = text
	}
	r.Moved = moved == "true"
	switch {
	case r.Scope != Nodes && r.Scope != Stores && r.Scope != Directory:
		return r, errText
	case !strings.HasPrefix(r.Aside, asidePrefix) || strings.ContainsAny(r.Aside, `/\`):
		return r, errText
	case string(r.Encode()) != string(b):
		return r, errors.New("its checksum is wrong")
	}
	return r, nil
}

// LoadRepair reads the repair of dataDir; found is false when there is none. One that cannot be read is one of everything, that begins now.
func LoadRepair(fs vfs.FS, dataDir string, now time.Time) (r Repair, found bool, err error) {
	b, err := read(fs, fs.PathJoin(dataDir, RepairFile))
	if oserror.IsNotExist(err) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	if r, err = DecodeRepair(b); err != nil {
		r = NewRepair(Stores, fmt.Errorf("%s: %w", fs.PathJoin(dataDir, RepairFile), err), now)
		return r, true, r.Save(fs, dataDir)
	}
	return r, true, nil
}

// Save makes the repair durable.
func (r Repair) Save(fs vfs.FS, dataDir string) error {
	return replace(fs, dataDir, RepairFile, r.Encode())
}

// Done removes the repair.
func (r Repair) Done(fs vfs.FS, dataDir string) error {
	path := fs.PathJoin(dataDir, RepairFile)
	if err := fs.Remove(path); err != nil && !oserror.IsNotExist(err) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return syncDir(fs, dataDir)
}

// SetAside moves what the repair is about, if that has not happened, notes durably that it has, and returns where it went. No store is open.
func (r *Repair) SetAside(fs vfs.FS, dataDir, logDir string) (moved []string, err error) {
	if r.Moved {
		return nil, nil
	}
	dirs := []string{dataDir}
	if logDir != dataDir {
		dirs = append(dirs, logDir)
	}
	for _, dir := range dirs {
		aside := fs.PathJoin(dir, r.Aside)
		for _, name := range r.Scope.names() {
			from, to := fs.PathJoin(dir, name), fs.PathJoin(aside, name)
			if !there(fs, from) {
				continue
			}
			for there(fs, to) { // a crash has left it in both places
				to += "+"
			}
			if err := fs.MkdirAll(aside, 0o755); err != nil {
				return moved, fmt.Errorf("create %s: %w", aside, err)
			}
			if err := fs.Rename(from, to); err != nil {
				return moved, fmt.Errorf("set %s aside: %w", from, err)
			}
			for _, d := range []string{aside, dir} {
				if err := syncDir(fs, d); err != nil {
					return moved, fmt.Errorf("sync directory %s: %w", d, err)
				}
			}
			moved = append(moved, to)
		}
	}
	r.Moved = true
	return moved, r.Save(fs, dataDir)
}

func there(fs vfs.FS, path string) bool {
	_, err := fs.Stat(path)
	return !oserror.IsNotExist(err)
}
