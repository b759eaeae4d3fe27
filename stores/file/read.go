package file

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/zooid-project/zooid/kernel"
)

// Read yields records as they were at the time of the call: of what is appended meanwhile nothing, of what is cut or purged meanwhile all.
func (s *Store) Read(from kernel.Zxid, yield func(kernel.Record) bool) error {
	s.mu.Lock()
	if err := s.failed; err != nil || len(s.segments) == 0 {
		s.mu.Unlock()
		if err == nil {
			err = kernel.ErrClosed
		}
		return err
	}
	if before := s.segments[0].before; from < before || (from == before && from.Counter() != 0) {
		s.mu.Unlock()
		return fmt.Errorf("%w: read from %v, but the log begins after %v", kernel.ErrPurged, from, before)
	}
	var parts []part
	for _, g := range s.segments {
		if g.last >= from && g.first != 0 {
			g.readers++
			parts = append(parts, part{g, g.start(from), g.end})
		}
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		for _, p := range parts {
			if p.g.readers--; p.g.dropped && p.g.readers == 0 {
				p.g.file.Close()
			}
		}
		s.mu.Unlock()
	}()
	stopped := false
	for _, p := range parts {
		err := p.read(from, func(r kernel.Record) bool {
			stopped = !yield(r)
			return !stopped
		})
		if err != nil || stopped {
			return err
		}
	}
	return nil
}

// part is a stretch of one segment: from a group that starts at off to end.
type part struct {
	g        *segment
	off, end int64
}

// start is the offset of a group at or before the record from. mu is held, or the caller is the writer.
func (g *segment) start(from kernel.Zxid) int64 {
	i := sort.Search(len(g.index), func(i int) bool { return g.index[i].zxid > from })
	if i == 0 {
		return groupsStart
	}
	return g.index[i-1].off
}

func (p part) read(from kernel.Zxid, yield func(kernel.Record) bool) error {
	w := walker{file: p.g.file, size: p.end, number: p.g.number, off: p.off}
	last := p.g.before
	for w.off < p.end {
		_, err := w.next(func(_ int64, r kernel.Record) bool {
			last = r.Zxid
			return r.Zxid < from || yield(r)
		})
		var bad *badError
		switch {
		case err == nil:
		case err == errStop:
			return nil
		case errors.As(err, &bad):
			return &kernel.CorruptError{File: p.g.path, Offset: bad.offset, After: last, Err: bad}
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return &kernel.CorruptError{File: p.g.path, Offset: w.off, After: last, Err: errors.New("the segment ends there, records were expected")}
		default:
			return fmt.Errorf("read %s: %w", p.g.path, err)
		}
	}
	return nil
}

// walk yields the records of g from a zxid on. The caller is the writer.
func (g *segment) walk(from kernel.Zxid, yield func(kernel.Record) bool) error {
	return part{g, g.start(from), g.end}.read(0, yield)
}
