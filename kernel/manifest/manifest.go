package manifest

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

// Version is the version of the manifest's own text.
const Version = 1

// FileName is the manifest's name in the data directory.
const FileName = "manifest"

// maxSize bounds what is read: a manifest has a few hundred bytes.
const maxSize = 64 << 10

// Store names a store plugin and the version of what it writes (kernel.Factory.Format).
type Store struct {
	Plugin string
	Format int
}

// Manifest says whose data lies in a directory and what wrote it. Cluster is random, drawn when the directory is made: it becomes the id of the ensemble if that has none when this server first
// leads it. What the ensemble has agreed on stands in the protocol's durable words.
type Manifest struct {
	Server    kernel.ServerID
	Cluster   kernel.ClusterID
	Log       Store
	Snapshots Store
	Nodes     Store
}

// The text, which people may read but not edit: the last line covers all before it.
//
//	zooid manifest 1
//	server 1
//	cluster 000102030405060708090a0b0c0d0e0f
//	log "file" 1
//	snapshot "file" 1
//	nodes "pebble" 1
//	crc32c 0123abcd
const textLayout = "zooid manifest %d\nserver %d\ncluster %s\nlog %q %d\nsnapshot %q %d\nnodes %q %d\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode returns the text.
func (m Manifest) Encode() []byte {
	b := fmt.Appendf(nil, textLayout, Version, m.Server, m.Cluster, m.Log.Plugin, m.Log.Format, m.Snapshots.Plugin, m.Snapshots.Format, m.Nodes.Plugin, m.Nodes.Format)
	return fmt.Appendf(b, "crc32c %08x\n", crc32.Checksum(b, castagnoli))
}

var errText = errors.New("it is not the text of a manifest")

// Decode reads the text. It accepts what Encode writes and nothing else.
func Decode(b []byte) (Manifest, error) {
	var m Manifest
	head, _, _ := bytes.Cut(b, []byte("\n"))
	if digits, ok := bytes.CutPrefix(head, []byte("zooid manifest ")); ok {
		if v, err := strconv.Atoi(string(digits)); err == nil && v != Version {
			return m, &VersionError{What: "manifest", Have: v, Want: Version}
		}
	}
	if len(b) > maxSize || len(b) < 16 {
		return m, errText
	}
	text := b[:len(b)-16] // the length of the crc32c line
	if want := fmt.Sprintf("crc32c %08x\n", crc32.Checksum(text, castagnoli)); string(b[len(text):]) != want {
		return m, errors.New("its checksum is wrong")
	}
	var version int
	var cluster string
	_, err := fmt.Sscanf(string(text), textLayout, &version, &m.Server, &cluster, &m.Log.Plugin, &m.Log.Format, &m.Snapshots.Plugin, &m.Snapshots.Format, &m.Nodes.Plugin, &m.Nodes.Format)
	if err != nil {
		return m, errText
	}
	if id, err := hex.DecodeString(cluster); err != nil || copy(m.Cluster[:], id) != len(m.Cluster) || len(id) != len(m.Cluster) {
		return m, errText
	}
	if !bytes.Equal(m.Encode(), b) {
		return m, errText
	}
	return m, nil
}

// Load reads the manifest of dataDir. found is false when there is none.
func Load(fs vfs.FS, dataDir string) (m Manifest, found bool, err error) {
	path := fs.PathJoin(dataDir, FileName)
	b, err := read(fs, path)
	if oserror.IsNotExist(err) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	m, err = Decode(b)
	var version *VersionError
	if errors.As(err, &version) {
		version.Dir = dataDir
		return m, true, err
	}
	if err != nil {
		return m, true, &DamagedError{File: path, Err: err}
	}
	return m, true, nil
}

// Save replaces the manifest: a crash leaves the old or the new one.
func Save(fs vfs.FS, dataDir string, m Manifest) error {
	return replace(fs, dataDir, FileName, m.Encode())
}

// read reads a file of this package. One that is too long for any of them is cut.
func read(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxWords))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}

// replace writes a file: a crash leaves the old or the new one.
func replace(fs vfs.FS, dir, name string, content []byte) error {
	path := fs.PathJoin(dir, name)
	tmp := path + ".tmp"
	f, err := fs.Create(tmp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create %s: %w", tmp, err)
	}
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", tmp, err)
	}
	if err := fs.Rename(tmp, path); err != nil {
		return fmt.Errorf("rename %s: %w", tmp, err)
	}
	for _, d := range []string{dir, fs.PathDir(dir)} {
		if err := syncDir(fs, d); err != nil {
			return fmt.Errorf("sync directory %s: %w", d, err)
		}
	}
	return nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func newCluster() (c kernel.ClusterID) {
	rand.Read(c[:]) // never fails
	return c
}
