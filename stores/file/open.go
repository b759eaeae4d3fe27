package file

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

// Open opens the log or starts an empty one. It verifies every record, cuts a torn tail, and syncs what it found before anyone relies on it: after a
// crash of the process alone the tail may still be in the page cache only (spec zab, S-36). Damage is a *kernel.CorruptError, and nothing was changed.
func Open(config Config) (*Store, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	fs := config.FS
	s := &Store{config: config, fs: fs, dir: fs.PathJoin(config.Dir, "log"), logger: config.Logger, next: 1}
	s.done.L = &s.mu
	if err := makeDir(fs, config.Dir, s.dir); err != nil {
		return nil, err
	}
	var err error
	if s.lock, err = fs.Lock(fs.PathJoin(s.dir, "LOCK")); err != nil {
		return nil, fmt.Errorf("%s is in use by another process, or cannot be locked: %w", s.dir, err)
	}
	if err := s.open(); err != nil {
		s.stopPreparing()
		for _, g := range s.segments {
			g.file.Close()
		}
		if s.file != nil {
			s.file.close()
		}
		s.lock.Close()
		return nil, err
	}
	return s, nil
}

// makeDir creates the directories; their names are durable when it returns (spec zab, S-37).
func makeDir(fs vfs.FS, parent, dir string) error {
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("create %s: %w", dir, err)
	}
	if err := syncDir(fs, parent); err != nil {
		return err
	}
	if up := fs.PathDir(parent); up != parent {
		return syncDir(fs, up)
	}
	return nil
}

func (s *Store) open() error {
	numbers, err := s.list()
	if err != nil {
		return err
	}
	found := false
	if s.file, s.st, found, err = openState(s.fs, s.dir); err != nil {
		return err
	}
	rec := recovery{s: s, headers: map[uint32]header{}, broken: map[uint32]bool{}}
	if err := rec.readHeaders(numbers); err != nil {
		return err
	}
	if !found {
		if len(rec.headers) > 0 {
			return &kernel.CorruptError{File: s.file.path, Err: errors.New("the file is missing beside a log, and what this server has promised is not known. " +
				"Move its data and log directories away and let it copy everything from its peers")}
		}
		s.st = state{log: rand.Uint64(), sequence: 1}
		if err := s.file.rewrite(s.st.encode()); err != nil {
			return s.opening(err)
		}
	}
	live, err := rec.choose()
	if err != nil {
		return err
	}
	s.st.run++
	if len(live) == 0 {
		return s.create(numbers)
	}
	if err := rec.read(live); err != nil {
		d := damageOf(err)
		if d == nil || s.config.damaged == nil {
			return err
		}
		if err := s.config.damaged(d); err != nil {
			return err
		}
	}
	return s.adopt(numbers, rec)
}

// opening names a disk that is full as such.
func (s *Store) opening(err error) error {
	if vfs.IsNoSpaceError(err) {
		return fmt.Errorf("%w: %w", kernel.ErrNoSpace, err)
	}
	return err
}

// list returns the numbers of the segment files, and removes unfinished files.
func (s *Store) list() ([]uint32, error) {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", s.dir, err)
	}
	sort.Strings(names)
	for _, name := range names {
		if isTemporary(name) {
			if err := s.fs.Remove(s.fs.PathJoin(s.dir, name)); err != nil {
				return nil, fmt.Errorf("remove the unfinished file %s: %w", name, err)
			}
		}
	}
	return s.numbers(names)
}

// numbers picks the segment files, and notes the next free number and the size of the reserve.
func (s *Store) numbers(names []string) ([]uint32, error) {
	var numbers []uint32
	for _, name := range names {
		if name == "reserve" {
			info, err := s.fs.Stat(s.reservePath())
			if err != nil {
				return nil, fmt.Errorf("look for %s: %w", s.reservePath(), err)
			}
			s.reserve = info.Size()
			continue
		}
		hex, ok := strings.CutPrefix(name, "segment.")
		n, err := strconv.ParseUint(hex, 16, 32)
		if !ok || err != nil || n == 0 || segmentName(uint32(n)) != name {
			continue
		}
		numbers = append(numbers, uint32(n))
		s.next = max(s.next, uint32(n)+1)
	}
	return numbers, nil
}

// create starts an empty log at zxid 0. The files that lie there were never used.
func (s *Store) create(numbers []uint32) error {
	if s.st.generation != 0 || s.st.synced != 0 || s.st.first != 0 {
		return &kernel.CorruptError{File: s.dir, After: 0, Err: fmt.Errorf("no segment of the log is left, but it held records up to %v. "+
			"Move the data and log directories away and let this server copy everything from its peers", s.st.synced)}
	}
	for _, n := range numbers {
		path := s.fs.PathJoin(s.dir, segmentName(n))
		if err := s.fs.Remove(path); err != nil {
			return fmt.Errorf("remove %s: %w", path, err)
		}
	}
	b, err := s.makeBlank(min(s.config.SegmentSize, firstSegmentSize))
	if err != nil {
		return s.opening(err)
	}
	return s.begin(b, header{number: b.number, run: s.st.run, generation: 1, log: s.st.log})
}

// begin makes b, which was committed by its header, the only segment of an empty log.
func (s *Store) begin(b *blank, h header) error {
	g, err := s.start(b, h)
	if err != nil {
		b.file.Close()
		return err
	}
	if err := g.file.SyncData(); err != nil {
		b.file.Close()
		return s.fail(fmt.Errorf("sync %s: %w", g.path, err))
	}
	s.dirty = s.dirty[:0]
	s.mu.Lock()
	s.segments = []*segment{g}
	s.last = h.before
	s.mu.Unlock()
	s.durable, s.chain = h.before, h.seed()
	st := s.st
	st.first = g.number
	if err := s.saveState(st); err != nil {
		return err
	}
	s.kick()
	return s.failure()
}

// adopt takes over what recovery has found: cuts, cleans up, syncs, and marks the end.
func (s *Store) adopt(numbers []uint32, r recovery) error {
	live := r.live
	if r.cut != nil {
		g := live[r.cut.segment]
		for _, late := range live[r.cut.segment+1:] {
			r.cut.bytes += late.size
			late.file.Close()
		}
		live = live[: r.cut.segment+1 : r.cut.segment+1]
		s.recovered = &kernel.TornTail{File: g.path, Offset: g.end, Bytes: r.cut.bytes, After: g.last, Checksum: !r.cut.bad.unwritten}
		s.logger.Warn("cut a torn tail off the log: it was never synced", "file", g.path, "offset", g.end, "after", g.last.String(), "reason", r.cut.bad.what)
	}
	s.segments = live
	s.last = live[len(live)-1].last
	s.chain = r.chain
	if err := s.clear(numbers); err != nil {
		return err
	}
	for _, g := range live {
		if err := g.file.SyncData(); err != nil {
			return fmt.Errorf("sync %s: %w", g.path, err)
		}
	}
	s.durable = s.last
	st := s.st
	st.first = live[0].number
	if err := s.saveState(st); err != nil {
		return err
	}
	if err := s.note(); err != nil && !errors.Is(err, kernel.ErrNoSpace) {
		return err
	}
	s.kick()
	return s.failure()
}

// clear makes spares of the segment files that are not part of the log, and removes those it has no use for. Files that were cut off are removed for
// good before anything is appended: their headers must not name a past that will be written anew. They go from the newest down, each for good before the
// next: a segment that is left must find its past, or the next recovery takes it for a log with a hole.
func (s *Store) clear(numbers []uint32) error {
	newest := s.segments[len(s.segments)-1].number
	isLive := map[uint32]bool{}
	for _, g := range s.segments {
		isLive[g.number] = true
	}
	for _, n := range slices.Backward(slices.Sorted(slices.Values(numbers))) {
		if isLive[n] {
			continue
		}
		path := s.fs.PathJoin(s.dir, segmentName(n))
		info, err := s.fs.Stat(path)
		if err != nil {
			return err
		}
		_, used := s.headerOf(path)
		if (n < newest || !used) && len(s.spares) < maxSpares && info.Size() >= min(s.config.SegmentSize, s.want(s.current().size)) {
			s.spares = append(s.spares, spare{path, info.Size()})
			continue
		}
		if err := s.fs.Remove(path); err != nil {
			return fmt.Errorf("remove %s: %w", path, err)
		}
		if used && n > newest {
			if err := syncDir(s.fs, s.dir); err != nil {
				return err
			}
		}
	}
	return syncDir(s.fs, s.dir)
}

func (s *Store) headerOf(path string) (header, bool) {
	h, err := readHeader(s.fs, path, make([]byte, groupsStart))
	return h, err == nil && s.fs.PathBase(path) == segmentName(h.number)
}
