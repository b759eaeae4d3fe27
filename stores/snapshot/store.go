package snapshot

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

var _ kernel.SnapshotStore = (*Store)(nil)

func init() {
	kernel.Register(kernel.KindSnapshotStore, "file", kernel.Factory[kernel.SnapshotStore]{
		Doc:    "one checksummed file for each snapshot",
		Format: Format,
		New: func(env kernel.Env, _ kernel.Options) (kernel.SnapshotStore, error) {
			return Open(env.FS, env.DataDir, env.Logger)
		},
	})
}

// Store keeps snapshots in files. Its contract is kernel.SnapshotStore's.
type Store struct {
	fs     vfs.FS
	dir    string
	logger *slog.Logger

	mu     sync.Mutex
	writer *writer // the one that is under way
	closed bool
}

const (
	incoming = "incoming.tmp"
	prefix   = "snapshot."

	// syncEvery bounds what a snapshot leaves to be written out at once, in front of the log's next sync.
	syncEvery = 4 << 20
)

// Open opens the store in the directory "snapshots" of dataDir and removes what an interrupted Create has left. A nil logger logs nothing.
func Open(fs vfs.FS, dataDir string, logger *slog.Logger) (*Store, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{fs: fs, dir: fs.PathJoin(dataDir, "snapshots"), logger: logger}
	if err := fs.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("create %s: %w", s.dir, err)
	}
	for _, dir := range []string{dataDir, fs.PathDir(dataDir)} {
		if err := syncDir(fs, dir); err != nil {
			return nil, err
		}
	}
	if err := fs.Remove(fs.PathJoin(s.dir, incoming)); err != nil && !oserror.IsNotExist(err) {
		return nil, fmt.Errorf("remove the unfinished %s: %w", fs.PathJoin(s.dir, incoming), err)
	}
	return s, nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open directory %s: %w", dir, err)
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

func fileName(z kernel.Zxid) string { return fmt.Sprintf("%s%x", prefix, uint64(z)) }

// parseName returns the zxid of a snapshot's name.
func parseName(name string) (kernel.Zxid, bool) {
	hex, ok := strings.CutPrefix(name, prefix)
	n, err := strconv.ParseUint(hex, 16, 64)
	z := kernel.Zxid(n)
	return z, ok && err == nil && fileName(z) == name
}

// Create begins a snapshot. One at a time.
func (s *Store) Create() (kernel.SnapshotWriter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, kernel.ErrClosed
	}
	if s.writer != nil {
		return nil, errors.New("a snapshot is being written already")
	}
	path := s.fs.PathJoin(s.dir, incoming)
	f, err := s.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	w := &writer{store: s, file: f, path: path}
	w.head, w.chain = appendHeader(nil)
	w.frame = make([]byte, frameHeader, frameHeader+maxFrame)
	s.writer = w
	return w, nil
}

// writer cuts what it is given into frames. An error of the disk is final for the snapshot, not for the store: the next one goes to a new file.
type writer struct {
	store *Store
	file  vfs.File
	path  string

	head     []byte // of the file, until it is written
	frame    []byte // header and content of the frame that fills up
	chain    uint32
	content  uint64
	unsynced int
	err      error
	ended    bool
}

func (w *writer) Write(p []byte) (int, error) {
	if w.ended {
		return 0, kernel.ErrClosed
	}
	n := 0
	for len(p) > 0 && w.err == nil {
		take := min(len(p), frameHeader+maxFrame-len(w.frame))
		w.frame = append(w.frame, p[:take]...)
		p = p[take:]
		n += take
		if len(w.frame) == frameHeader+maxFrame {
			w.flush()
		}
	}
	if w.err != nil {
		return 0, w.err
	}
	return n, nil
}

// flush writes the frame.
func (w *writer) flush() {
	if len(w.frame) > frameHeader {
		w.content += uint64(len(w.frame) - frameHeader)
		w.chain = putFrameHeader(w.frame, w.chain)
		w.write(w.frame)
		w.frame = w.frame[:frameHeader]
	}
}

func (w *writer) write(b []byte) {
	if len(w.head) > 0 {
		head := w.head
		w.head = nil
		w.write(head)
	}
	if w.err != nil {
		return
	}
	if _, err := w.file.Write(b); err != nil {
		w.err = fmt.Errorf("write %s: %w", w.path, err)
		return
	}
	if w.unsynced += len(b); w.unsynced >= syncEvery {
		w.unsynced = 0
		if err := w.file.SyncData(); err != nil {
			w.err = fmt.Errorf("sync %s: %w", w.path, err)
		}
	}
}

// Commit ends the snapshot. When it fails, nothing has become visible, unless the very last step failed: then the snapshot may be there, whole.
func (w *writer) Commit(zxid kernel.Zxid) error {
	if w.ended {
		return kernel.ErrClosed
	}
	w.flush()
	w.write(appendTrailer(nil, w.chain, zxid, w.content))
	if w.err == nil {
		if err := w.file.Sync(); err != nil {
			w.err = fmt.Errorf("sync %s: %w", w.path, err)
		}
	}
	if err := w.file.Close(); w.err == nil && err != nil {
		w.err = fmt.Errorf("close %s: %w", w.path, err)
	}
	s := w.store
	if w.err == nil {
		if err := s.fs.Rename(w.path, s.fs.PathJoin(s.dir, fileName(zxid))); err != nil {
			w.err = fmt.Errorf("rename %s: %w", w.path, err)
		} else {
			w.err = syncDir(s.fs, s.dir)
		}
	}
	w.end(w.err != nil)
	return w.err
}

// Abort gives the snapshot up.
func (w *writer) Abort() error {
	if w.ended {
		return nil
	}
	err := w.file.Close()
	w.end(true)
	return err
}

// end lets the next snapshot begin. remove: this one is unfinished. What cannot be removed is overwritten by the next one.
func (w *writer) end(remove bool) {
	w.ended = true
	if remove {
		if err := w.store.fs.Remove(w.path); err != nil && !oserror.IsNotExist(err) {
			w.store.logger.Warn("an unfinished snapshot could not be removed", "file", w.path, "err", err)
		}
	}
	w.store.mu.Lock()
	w.store.writer = nil
	w.store.mu.Unlock()
}

// List returns the snapshots that have their header and a trailer for their name. Whether all between is good shows when it is read.
func (s *Store) List() ([]kernel.SnapshotInfo, error) {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", s.dir, err)
	}
	var infos []kernel.SnapshotInfo
	for _, name := range names {
		z, ok := parseName(name)
		if !ok {
			continue
		}
		info, err := s.look(name, z)
		switch {
		case err == nil:
			infos = append(infos, info)
		case oserror.IsNotExist(err): // purged meanwhile
		case errors.Is(err, errHeader), errors.Is(err, errTrailer):
			s.logger.Warn("passed over a damaged snapshot", "file", s.fs.PathJoin(s.dir, name), "err", err)
		default:
			return nil, err
		}
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].Zxid > infos[j].Zxid })
	return infos, nil
}

// look checks both ends of a file.
func (s *Store) look(name string, z kernel.Zxid) (kernel.SnapshotInfo, error) {
	path := s.fs.PathJoin(s.dir, name)
	f, err := s.fs.Open(path)
	if err != nil {
		return kernel.SnapshotInfo{}, err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return kernel.SnapshotInfo{}, err
	}
	info := kernel.SnapshotInfo{Zxid: z, Bytes: stat.Size(), Time: stat.ModTime()}
	if stat.Size() < headerSize+trailerSize {
		return info, errTrailer
	}
	var b [trailerSize]byte
	if _, err := f.ReadAt(b[:headerSize], 0); err != nil && err != io.EOF {
		return info, fmt.Errorf("read %s: %w", path, err)
	}
	if _, err := decodeHeader(b[:headerSize]); err != nil {
		var version *VersionError
		if errors.As(err, &version) {
			version.File = path
		}
		return info, err
	}
	if _, err := f.ReadAt(b[:], stat.Size()-trailerSize); err != nil && err != io.EOF {
		return info, fmt.Errorf("read %s: %w", path, err)
	}
	if in, _, err := decodeTrailer(b[:], nil); err != nil || in != z {
		return info, errTrailer
	}
	return info, nil
}

// Purge keeps the newest keep snapshots, at least one. Zero: there are none, and the whole log is needed.
func (s *Store) Purge(keep int) (kernel.Zxid, error) {
	infos, err := s.List()
	if err != nil || len(infos) == 0 {
		return 0, err
	}
	keep = min(max(keep, 1), len(infos))
	for _, old := range infos[keep:] {
		path := s.fs.PathJoin(s.dir, fileName(old.Zxid))
		if err := s.fs.Remove(path); err != nil && !oserror.IsNotExist(err) {
			return infos[len(infos)-1].Zxid, fmt.Errorf("remove %s: %w", path, err)
		}
	}
	return infos[keep-1].Zxid, nil
}

// Close gives up a snapshot that is being written. Open streams stay usable.
func (s *Store) Close() error {
	s.mu.Lock()
	w := s.writer
	s.closed = true
	s.mu.Unlock()
	if w != nil {
		return w.Abort()
	}
	return nil
}
