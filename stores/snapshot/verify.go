package snapshot

import (
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Verify reads a snapshot file to its end, changes nothing, and writes one line about it to out. Damage is a *kernel.CorruptError.
func Verify(fs vfs.FS, path string, out io.Writer) error {
	f, err := fs.Open(path)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer f.Close()
	r := &reader{frames: frames{r: f}, closer: f, path: path}
	z, named := parseName(fs.PathBase(path))
	r.zxid = z
	if !named {
		r.anyZxid = true
	}
	n, err := io.Copy(io.Discard, r)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: snapshot at zxid %v, %d bytes of content, all checksums right\n", path, r.frames.zxid, n)
	return err
}

// IsSnapshot tells whether the file begins as a snapshot does.
func IsSnapshot(fs vfs.FS, path string) bool {
	f, err := fs.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var b [len(headerMagic)]byte
	n, _ := f.ReadAt(b[:], 0)
	return string(b[:n]) == headerMagic
}
