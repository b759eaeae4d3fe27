package file

import (
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
)

// This file changes the log's past. Truncate and Reset write a new segment and commit it by its header: before the header is synced the old log counts,
// after it the new one (spec zab, G3, G4). The generation in the header and in the state tells notes of what was synced before the cut from those after it.

// Truncate copies what is left of the segment in which to lies into a new one.
func (s *Store) Truncate(to kernel.Zxid) error {
	if err := s.usable(); err != nil {
		return err
	}
	if to >= s.last {
		return nil
	}
	if to < s.segments[0].before {
		return fmt.Errorf("%w: truncate to %v, but the log begins after %v", kernel.ErrPurged, to, s.segments[0].before)
	}
	return s.cutAt(to)
}

// cutAt is Truncate, also where nothing is above to.
func (s *Store) cutAt(to kernel.Zxid) error {
	if _, err := s.sync(); err != nil { // the segments that stay as they are
		return err
	}
	at := len(s.segments) - 1
	for to < s.segments[at].before {
		at--
	}
	from := s.segments[at]
	kept, need, err := s.lastKept(from, to)
	if err != nil {
		return s.fail(err)
	}
	b, err := s.takeForCut(need)
	if err != nil {
		return err
	}
	h := from.header
	h.number, h.generation, h.run = b.number, s.current().generation+1, s.st.run
	h.synced = kept
	g := b.segment(h)
	chain, err := s.copyRecords(from, g, kept)
	if err != nil {
		b.file.Close()
		return s.fail(err)
	}
	return s.commit(g, at, chain)
}

// copyChunk is how many bytes of records are copied as one group.
const copyChunk = 1 << 20

// lastKept is the zxid of the last record of g that is not above to, and the size of the segment that takes all up to there.
func (s *Store) lastKept(g *segment, to kernel.Zxid) (kept kernel.Zxid, need int64, err error) {
	kept = g.before
	var records int64
	err = g.walk(0, func(r kernel.Record) bool {
		if r.Zxid <= to {
			kept = r.Zxid
			records += recordSize + int64(len(r.Meta)+len(r.Data))
		}
		return r.Zxid < to
	})
	groups := records/copyChunk + 1
	return kept, groupsStart + records + groups*(groupSize+groupAlign) + 3*(groupSize+endSize), err
}

// copyRecords writes the records of from up to and including kept into to, without a header, and syncs them.
func (s *Store) copyRecords(from, to *segment, kept kernel.Zxid) (chain uint32, err error) {
	chain = to.seed()
	if kept == from.before {
		return chain, s.endAt(to)
	}
	var records []kernel.Record
	var bytes []byte
	size := 0
	flush := func() error {
		g := group{number: to.number, size: uint32(size), synced: 0, prev: chain, run: s.st.run}
		next, err := s.write(to, g, records)
		if err != nil {
			return err
		}
		to.added(to.end, records[0].Zxid)
		to.end += groupBytes(int64(size))
		to.last = records[len(records)-1].Zxid
		chain = next
		records, bytes, size = records[:0], bytes[:0], 0
		return nil
	}
	var failed error
	err = from.walk(0, func(r kernel.Record) bool {
		bytes = append(append(bytes, r.Meta...), r.Data...)
		meta, all := len(r.Meta), len(r.Meta)+len(r.Data)
		copied := bytes[len(bytes)-all:]
		records = append(records, kernel.Record{Zxid: r.Zxid, Meta: copied[:meta:meta], Data: copied[meta:]})
		size += recordSize + all
		if size >= copyChunk || r.Zxid == kept {
			failed = flush()
		}
		return failed == nil && r.Zxid < kept
	})
	return chain, errors.Join(err, failed)
}

// endAt writes the zeros that say that nothing follows in an empty segment.
func (s *Store) endAt(g *segment) error {
	s.touch(g)
	if _, err := g.file.WriteAt(make([]byte, endSize), g.end); err != nil {
		return fmt.Errorf("write %s: %w", g.path, err)
	}
	return nil
}

// commit syncs g's groups, then its header: from then on g is what follows the first keep segments.
func (s *Store) commit(g *segment, keep int, chain uint32) error {
	block := make([]byte, groupsStart)
	encodeHeaderBlock(block, g.header)
	err := g.file.SyncData()
	if err == nil {
		if _, err = g.file.WriteAt(block, 0); err == nil {
			err = g.file.SyncData()
		}
	}
	if err != nil {
		g.file.Close()
		return s.fail(fmt.Errorf("replace the end of the log in %s: %w", g.path, err))
	}
	s.mu.Lock()
	dropped := s.segments[keep:]
	s.segments = append(s.segments[:keep:keep], g)
	s.last = g.last
	s.mu.Unlock()
	s.dirty, s.chain, s.durable = s.dirty[:0], chain, g.last
	st := s.st
	if keep == 0 {
		st.first = g.number
	}
	if err := s.saveState(st); err != nil {
		return err
	}
	for _, d := range dropped {
		s.recycle(d)
	}
	s.kick()
	return nil
}

// Reset begins an empty log after base.
func (s *Store) Reset(base kernel.Zxid) error {
	if err := s.usable(); err != nil {
		return err
	}
	b, err := s.takeForCut(groupsStart + 4*(groupSize+endSize))
	if err != nil {
		return err
	}
	g := b.segment(header{number: b.number, run: s.st.run, generation: s.current().generation + 1, before: base, synced: base, log: s.st.log})
	if err := s.endAt(g); err != nil {
		b.file.Close()
		return s.fail(err)
	}
	return s.commit(g, 0, g.seed())
}

// Purge drops whole segments. The state names the new first segment before the old ones go, so that a missing segment is never taken for a purged one.
func (s *Store) Purge(upTo kernel.Zxid) error {
	if err := s.usable(); err != nil {
		return err
	}
	n := 0
	for n < len(s.segments)-1 && s.segments[n].last <= upTo && s.segments[n].last < s.last {
		n++
	}
	if n == 0 {
		return nil
	}
	if _, err := s.sync(); err != nil { // the state must not name a first segment that a crash can take away
		return err
	}
	st := s.st
	st.first = s.segments[n].number
	if err := s.saveState(st); err != nil {
		return err
	}
	s.mu.Lock()
	dropped := s.segments[:n]
	s.segments = append([]*segment(nil), s.segments[n:]...)
	s.mu.Unlock()
	for _, g := range dropped {
		s.recycle(g)
	}
	s.kick()
	return nil
}
