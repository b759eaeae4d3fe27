package file

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

// This file makes segments ready before they are needed: files of full size, durable with their names, whose bytes can be overwritten in place.

// blank is a file that is ready to become a segment.
type blank struct {
	number uint32
	path   string
	file   vfs.File
	size   int64
}

func (b *blank) segment(h header) *segment {
	return &segment{header: h, path: b.path, file: b.file, size: b.size, end: groupsStart, last: h.before, index: make([]place, 0, b.size/indexStep+1)}
}

// spare is a file that was a segment once and may be one again under a new name.
type spare struct {
	path string
	size int64
}

// maxSpares bounds what is kept for reuse.
const maxSpares = 2

// fillChunk is synced at once, so that filling a segment never queues much in front of a Sync.
const fillChunk = 512 << 10

// want is the size of the segment after one of that size.
func (s *Store) want(size int64) int64 {
	return min(s.config.SegmentSize, max(2*size, firstSegmentSize))
}

// take returns a blank of at least need bytes: the prepared one, or one made now. An append gets one only while the reserve could take the new segment's tail;
// a truncate or reset may use up the reserve. kernel.ErrNoSpace: nothing was changed.
func (s *Store) take(need int64, mayUseReserve bool) (*blank, error) {
	need = max(need, s.want(s.current().size))
	s.mu.Lock()
	for s.preparing {
		s.done.Wait()
	}
	b := s.prepared
	s.prepared = nil
	if b != nil && b.size < need {
		b.file.Close()
		s.spares = append(s.spares, spare{b.path, b.size})
		b = nil
	}
	failed := s.failed
	s.mu.Unlock()
	if failed != nil {
		return nil, failed
	}
	if !mayUseReserve {
		if err := s.keepReserve(need); err != nil {
			s.mu.Lock()
			s.prepared = b
			s.mu.Unlock()
			return nil, s.noSpace(err)
		}
	}
	if b != nil {
		return b, nil
	}
	b, err := s.makeBlank(need)
	if err != nil {
		return nil, s.noSpace(err)
	}
	return b, nil
}

// takeForCut is take for a truncate or reset: on a full disk a smaller blank will do, and the reserve may be used up.
func (s *Store) takeForCut(need int64) (*blank, error) {
	b, err := s.take(need, true)
	if !errors.Is(err, kernel.ErrNoSpace) {
		return b, err
	}
	full := err
	s.mu.Lock()
	if s.reserve >= need {
		s.spares = append(s.spares, spare{s.reservePath(), s.reserve})
		s.reserve = 0
	}
	s.mu.Unlock()
	from, size := s.takeSpare(need)
	if from == "" {
		return nil, full
	}
	if b, err = s.makeBlankOf(from, size); err != nil {
		return nil, s.noSpace(err)
	}
	return b, nil
}

// noSpace tells a full disk, which is no error of the log's files, from all else, which is final.
func (s *Store) noSpace(err error) error {
	if vfs.IsNoSpaceError(err) {
		return fmt.Errorf("%w: %w", kernel.ErrNoSpace, err)
	}
	return s.fail(err)
}

// kick makes the next segment and the reserve ready: on a goroutine, or, without PrepareAhead, the reserve alone and at once.
func (s *Store) kick() {
	if !s.config.PrepareAhead {
		s.report(s.keepReserve(s.want(s.current().size)))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.preparing || s.stopping || s.failed != nil {
		return
	}
	s.preparing = true
	go s.prepare(s.segments[len(s.segments)-1].size)
}

// prepare is the goroutine's work. Its owner is the Store: Close waits for it. The reserve comes first: without it no append gets another segment.
func (s *Store) prepare(size int64) {
	size = s.want(size)
	s.mu.Lock()
	have := s.prepared != nil && s.prepared.size >= size
	s.mu.Unlock()
	err := s.keepReserve(size)
	if err == nil && !have {
		var b *blank
		if b, err = s.makeBlank(size); err == nil {
			s.mu.Lock()
			if old := s.prepared; old != nil {
				old.file.Close()
				s.spares = append(s.spares, spare{old.path, old.size})
			}
			s.prepared = b
			s.mu.Unlock()
		}
	}
	s.report(err)
	s.mu.Lock()
	s.preparing = false
	s.done.Broadcast()
	s.mu.Unlock()
}

// report takes note of what went wrong ahead of time: a full disk may have room again when it counts, anything else is final.
func (s *Store) report(err error) {
	switch {
	case err == nil || err == errStop:
	case vfs.IsNoSpaceError(err):
		s.logger.Warn("no room to prepare the next log segment; writes will be refused when the current one is full", "err", err)
	default:
		_ = s.fail(err) // the next call returns it
	}
}

func (s *Store) stopPreparing() {
	s.mu.Lock()
	s.stopping = true
	for s.preparing {
		s.done.Wait()
	}
	if s.prepared != nil {
		s.prepared.file.Close()
		s.prepared = nil
	}
	s.mu.Unlock()
}

// takeSpare takes a file of at least that size off the spares. path is empty when there is none.
func (s *Store) takeSpare(size int64) (path string, have int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, sp := range s.spares {
		if sp.size >= size {
			s.spares = append(s.spares[:i:i], s.spares[i+1:]...)
			return sp.path, sp.size
		}
	}
	return "", 0
}

// makeBlank recycles a spare of at least that size, or fills a new file with zeros. A spare is overwritten with zeros, too: what an earlier use has left where a sector of a write never reached the disk could
// not be told from damage, and a server with damage has no vote.
func (s *Store) makeBlank(size int64) (*blank, error) {
	from, have := s.takeSpare(size)
	if from != "" {
		if err := s.clean(from, have); err != nil {
			return nil, err
		}
	} else {
		from, have = s.fs.PathJoin(s.dir, "segment.tmp"), size
		if err := s.fillNew(from, size); err != nil {
			return nil, err
		}
	}
	return s.makeBlankOf(from, have)
}

// makeBlankOf gives a file the next segment's name.
func (s *Store) makeBlankOf(from string, size int64) (*blank, error) {
	s.mu.Lock()
	number := s.next
	if number == math.MaxUint32 {
		s.mu.Unlock()
		return nil, errNumbers
	}
	s.next++
	s.mu.Unlock()
	b := &blank{number: number, path: s.fs.PathJoin(s.dir, segmentName(number)), size: size}
	if err := s.fs.Rename(from, b.path); err != nil {
		return nil, fmt.Errorf("rename %s: %w", from, err)
	}
	if err := syncDir(s.fs, s.dir); err != nil {
		return nil, err
	}
	var err error
	if b.file, err = s.fs.OpenReadWrite(b.path, vfs.WriteCategoryUnspecified); err != nil {
		return nil, fmt.Errorf("open %s: %w", b.path, err)
	}
	return b, nil
}

// fillNew is fill for a size that no spare has: on a full disk the spares, which are all too small, make room. Nothing is left of a file that could not be filled.
func (s *Store) fillNew(path string, size int64) error {
	err := s.fill(path, size)
	if vfs.IsNoSpaceError(err) {
		dropped, dropErr := s.dropSpares()
		switch {
		case dropErr != nil:
			err = dropErr
		case dropped:
			err = s.fill(path, size)
		}
	}
	if err != nil {
		_ = s.fs.Remove(path) // what is left is removed at open
	}
	return err
}

// dropSpares removes the spares, from the newest down and each for good before the next, as clear does. It returns false if there was none.
func (s *Store) dropSpares() (bool, error) {
	s.mu.Lock()
	spares := s.spares
	s.spares = nil
	s.mu.Unlock()
	slices.SortFunc(spares, func(a, b spare) int { return strings.Compare(b.path, a.path) })
	for _, sp := range spares {
		s.remove(sp.path)
		if err := syncDir(s.fs, s.dir); err != nil {
			return true, err
		}
	}
	return len(spares) > 0, nil
}

// remove removes a segment's file.
func (s *Store) remove(path string) {
	if err := s.fs.Remove(path); err != nil && !oserror.IsNotExist(err) {
		s.logger.Warn("an old log segment could not be removed", "file", path, "err", err) // tried again at the next open
	}
}

// fill creates a file of zeros, durable but for its name.
func (s *Store) fill(path string, size int64) error {
	if usage, err := s.fs.GetDiskUsage(s.dir); err == nil && usage.AvailBytes < uint64(size) {
		return fmt.Errorf("create %s: %d bytes are needed, %d are free: %w", path, size, usage.AvailBytes, errDiskFull)
	}
	file, err := s.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	if err = s.zeros(file, path, size); err == nil {
		if err = file.Sync(); err != nil {
			err = fmt.Errorf("sync %s: %w", path, err)
		}
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// clean overwrites a file with zeros, durably. It stays as long as it is.
func (s *Store) clean(path string, size int64) error {
	file, err := s.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	err = s.zeros(file, path, size)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// zeros writes zeros from the file's beginning on, each chunk synced.
func (s *Store) zeros(file vfs.File, path string, size int64) error {
	b := make([]byte, min(size, fillChunk))
	for done := int64(0); done < size; done += int64(len(b)) {
		b = b[:min(size-done, fillChunk)]
		clear(b) // a Write may change what it is given
		if s.isStopping() {
			return errStop
		}
		if _, err := file.WriteAt(b, done); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		if err := file.SyncData(); err != nil {
			return fmt.Errorf("sync %s: %w", path, err)
		}
	}
	return nil
}

func (s *Store) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

func (s *Store) reservePath() string { return s.fs.PathJoin(s.dir, "reserve") }

// keepReserve makes sure that the file "reserve" has room for the tail of a segment of that size.
func (s *Store) keepReserve(size int64) error {
	s.mu.Lock()
	have := s.reserve
	s.mu.Unlock()
	if have >= size {
		return nil
	}
	path := s.reservePath()
	from, found := s.takeSpare(size)
	if from == "" {
		from, found = path+".tmp", size
		if err := s.fillNew(from, size); err != nil {
			return err
		}
	}
	if err := s.fs.Rename(from, path); err != nil {
		return fmt.Errorf("rename %s: %w", from, err)
	}
	if err := syncDir(s.fs, s.dir); err != nil {
		return err
	}
	s.mu.Lock()
	s.reserve = found
	s.mu.Unlock()
	return nil
}

// recycle keeps the file of a dropped segment for later, or removes it. It must be called without mu. g is no longer in segments.
func (s *Store) recycle(g *segment) {
	s.mu.Lock()
	keep := s.drop(g) && len(s.spares) < maxSpares && g.size >= s.want(g.size)
	if keep {
		s.spares = append(s.spares, spare{g.path, g.size})
	}
	s.mu.Unlock()
	if keep {
		return
	}
	s.remove(g.path)
}

func isTemporary(name string) bool { return strings.HasSuffix(name, ".tmp") }
