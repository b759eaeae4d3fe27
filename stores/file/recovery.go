package file

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

// recovery finds out what the log holds.
type recovery struct {
	s       *Store
	headers map[uint32]header
	broken  map[uint32]bool // files without a valid header: unused, or used and never synced, or damaged

	note kernel.Zxid // the highest zxid that anything outside the live segments says was synced

	live  []*segment
	chain uint32
	cut   *cut
}

// cut is where reading ended before the end of the last segment.
type cut struct {
	segment int // in live
	bad     *badError
	bytes   int64
}

// readHeaders reads every segment file's header.
func (r *recovery) readHeaders(numbers []uint32) error {
	b := make([]byte, groupsStart)
	for _, n := range numbers {
		h, err := readHeader(r.s.fs, r.s.fs.PathJoin(r.s.dir, segmentName(n)), b)
		var version *VersionError
		switch {
		case err == nil && h.number == n:
			r.headers[n] = h
		case err == nil || err == errNoHeader:
			r.broken[n] = true
		case errors.As(err, &version):
			return err
		default:
			return err
		}
	}
	return nil
}

// readHeader reads the header of a segment file. b is a buffer of groupsStart bytes.
func readHeader(fs vfs.FS, path string, b []byte) (header, error) {
	f, err := fs.Open(path)
	if err != nil {
		return header{}, fmt.Errorf("open %s: %w", path, err)
	}
	defer f.Close()
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return header{}, fmt.Errorf("read %s: %w", path, err)
	}
	h, err := decodeHeaderBlock(b[:n])
	var version *VersionError
	if errors.As(err, &version) {
		version.File = path
	}
	return h, err
}

// choose follows the headers back from the newest and returns the numbers of the log's segments in order.
func (r *recovery) choose() ([]uint32, error) {
	st := r.s.st
	numbers := make([]uint32, 0, len(r.headers))
	for n := range r.headers {
		numbers = append(numbers, n)
	}
	sort.Slice(numbers, func(i, j int) bool { return numbers[i] > numbers[j] })
	for _, newest := range numbers {
		if newest < st.first {
			break
		}
		live, hole, err := r.follow(newest)
		if err != nil {
			return nil, err
		}
		if hole != 0 {
			// The header before it never reached the disk, or is damaged. What was synced says which, once the end of what is left is known.
			if err := r.collect(hole); err != nil {
				return nil, err
			}
			continue
		}
		h := r.headers[newest]
		if h.generation < st.generation {
			break
		}
		if h.generation == st.generation {
			r.note = max(r.note, st.synced)
		}
		return live, nil
	}
	if st.first != 0 || r.note != 0 {
		return nil, &kernel.CorruptError{File: r.s.dir, Err: fmt.Errorf("segments of the log are missing or their headers are damaged: it held records up to %v", max(st.synced, r.note))}
	}
	return nil, nil
}

// follow returns the segments that newest names as its past, oldest first. hole is a segment without a valid header.
func (r *recovery) follow(newest uint32) (live []uint32, hole uint32, err error) {
	for n := newest; ; {
		h := r.headers[n]
		if h.log != r.s.st.log {
			return nil, 0, &kernel.CorruptError{File: r.s.fs.PathJoin(r.s.dir, segmentName(n)), Err: errors.New("the file belongs to another log; take it away")}
		}
		live = append([]uint32{n}, live...)
		prev := h.prev
		if prev == 0 || prev < r.s.st.first {
			return live, 0, nil
		}
		if _, ok := r.headers[prev]; !ok || prev >= n {
			if r.broken[prev] {
				return nil, prev, nil
			}
			return nil, 0, &kernel.CorruptError{File: r.s.fs.PathJoin(r.s.dir, segmentName(prev)),
				Err: fmt.Errorf("the file is missing, and %s continues it after zxid %v", segmentName(n), h.before)}
		}
		n = prev
	}
}

// collect notes what the segments from number on say about what was synced.
func (r *recovery) collect(from uint32) error {
	for n := range r.broken {
		if n >= from {
			if err := r.collectNotes(n); err != nil {
				return err
			}
		}
	}
	for n, h := range r.headers {
		if n >= from {
			r.note = max(r.note, h.synced)
			if err := r.collectNotes(n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *recovery) collectNotes(n uint32) error {
	path := r.s.fs.PathJoin(r.s.dir, segmentName(n))
	f, err := r.s.fs.Open(path)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	w := walker{file: f, size: info.Size(), number: n}
	note, err := w.syncedNote(groupsStart)
	r.note = max(r.note, note)
	return err
}

// read walks the live segments, fills their indexes, and decides what an early end means.
func (r *recovery) read(numbers []uint32) error {
	s := r.s
	for _, n := range numbers {
		h := r.headers[n]
		path := s.fs.PathJoin(s.dir, segmentName(n))
		f, err := s.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return fmt.Errorf("open %s: %w", path, err)
		}
		b := blank{number: n, path: path, file: f}
		info, err := f.Stat()
		if err != nil {
			f.Close()
			return err
		}
		b.size = info.Size()
		g := b.segment(h)
		r.live = append(r.live, g)
		s.segments = r.live // so that Open closes them when it fails
	}
	for i, g := range r.live {
		if i > 0 {
			if before := r.live[i-1]; g.before != before.last || g.chain != r.chain {
				r.cut = &cut{i - 1, &badError{before.end, before.last, true, "the segment ends before " + segmentName(g.number) + " goes on"}, 0}
				break
			}
		}
		bad, err := r.walk(g)
		if err != nil {
			return err
		}
		if bad != nil {
			r.cut = &cut{i, bad, bytesOfGroup(g)}
			break
		}
	}
	return r.judge()
}

// walk reads one segment to its end.
func (r *recovery) walk(g *segment) (*badError, error) {
	w := walker{file: g.file, size: g.size, number: g.number, off: groupsStart, chain: g.seed(), chained: true, last: g.before}
	for {
		start, before := w.off, w.last
		first := kernel.Zxid(0)
		_, err := w.next(func(_ int64, rec kernel.Record) bool {
			if first == 0 {
				first = rec.Zxid
			}
			return true
		})
		if err == nil {
			if w.last != before {
				g.added(start, first)
			}
			continue
		}
		g.end, g.last, r.chain = w.off, w.last, w.chain
		var bad *badError
		switch {
		case err == io.EOF:
			return nil, nil
		case errors.As(err, &bad):
			return bad, nil
		}
		return nil, fmt.Errorf("read %s: %w", g.path, err)
	}
}

// bytesOfGroup is what the group behind the end of g takes, as far as its header tells.
func bytesOfGroup(g *segment) int64 {
	var b [groupSize]byte
	if _, err := g.file.ReadAt(b[:], g.end); err == nil {
		if group, _, ok := decodeGroup(b[:]); ok {
			return min(groupBytes(int64(group.size)), g.size-g.end)
		}
	}
	return groupSize
}

// judge tells a torn tail from damage: by the highest zxid that anything readable behind the end says was synced.
func (r *recovery) judge() error {
	at, file := len(r.live)-1, r.live[len(r.live)-1]
	if r.cut != nil {
		at, file = r.cut.segment, r.live[r.cut.segment]
	}
	note, from := r.note, file.end
	for i, g := range r.live[at:] {
		if i > 0 {
			note, from = max(note, g.synced), groupsStart
		}
		w := walker{file: g.file, size: g.size, number: g.number}
		n, err := w.syncedNote(from)
		if err != nil {
			return fmt.Errorf("read %s: %w", g.path, err)
		}
		note = max(note, n)
	}
	note = max(note, file.synced) // of the header: a truncate has synced what it copied
	if note > file.last {
		e := &kernel.CorruptError{File: file.path, Offset: file.end, After: file.last, Err: errors.New("the segment ends there")}
		if r.cut != nil {
			e.Offset, e.After, e.Err = r.cut.bad.offset, r.cut.bad.after, r.cut.bad
		}
		e.Err = &lostError{e.Err, note}
		return e
	}
	return nil
}
