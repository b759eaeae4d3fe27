package file

import (
	"errors"
	"fmt"
	"io"

	"github.com/zooid-project/zooid/kernel"
)

// walker reads a segment group by group and checks every checksum and the chain. It only reads; it is for one goroutine.
type walker struct {
	file   io.ReaderAt
	size   int64 // bytes that may be read: of the file, or up to what has been appended
	number uint32

	off     int64 // of the next group
	chain   uint32
	chained bool        // chain is known; false when the walk starts in the middle, at a place that an index named
	last    kernel.Zxid // of the last record read

	window    []byte
	windowOff int64
}

const walkWindow = 256 << 10

// badError says where reading failed and what it looked like.
type badError struct {
	offset    int64
	after     kernel.Zxid // of the last good record before it
	unwritten bool        // parts of it were evidently never written: a crash, not a flipped bit
	what      string
}

func (e *badError) Error() string { return e.what }

// bytes returns n bytes at off, valid until the next call. It returns io.ErrUnexpectedEOF when the file is shorter.
func (w *walker) bytes(off int64, n int) ([]byte, error) {
	if off < 0 || int64(n) > w.size-off {
		return nil, io.ErrUnexpectedEOF
	}
	if off >= w.windowOff && off+int64(n) <= w.windowOff+int64(len(w.window)) {
		return w.window[off-w.windowOff:][:n], nil
	}
	want := int(min(int64(max(n, walkWindow)), w.size-off))
	if cap(w.window) < want {
		w.window = make([]byte, want)
	}
	w.window = w.window[:want]
	w.windowOff = off
	got, err := w.file.ReadAt(w.window, off)
	if got < want {
		w.window = w.window[:0]
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF // shorter than its size: cut by a crash while it was made, or by hand
		}
		return nil, err
	}
	return w.window[:n], nil
}

// next reads the group at off and hands its records to yield, which may be nil. It returns io.EOF at the zeros that end a segment, a *badError
// where something follows that is not whole, and else errors of the disk. On an error the walker still stands before the group; records that were
// yielded before it are good. errStop is returned when yield said false.
func (w *walker) next(yield func(off int64, r kernel.Record) bool) (group, error) {
	b, err := w.bytes(w.off, groupSize)
	if err == io.ErrUnexpectedEOF {
		return group{}, io.EOF
	}
	if err != nil {
		return group{}, err
	}
	g, chain, ok := decodeGroup(b)
	if !ok {
		if allZero(b) {
			return g, io.EOF
		}
		return g, &badError{w.off, w.last, unwrittenHeader(w.off, b), "the checksum of a group's header is wrong"}
	}
	if g.number != w.number {
		return g, &badError{w.off, w.last, true, "a group of an earlier use of the file follows"}
	}
	if w.chained && g.prev != w.chain {
		return g, &badError{w.off, w.last, true, "a group continues another chain than that of the records before it"}
	}
	body, err := w.bytes(w.off, groupSize+int(g.size))
	if err == io.ErrUnexpectedEOF {
		return g, &badError{w.off, w.last, false, "a group is longer than the file"}
	}
	if err != nil {
		return g, err
	}
	if g.run == 0 {
		return g, &badError{w.off, w.last, false, "a group belongs to no run"}
	}
	at, last := w.off+groupSize, w.last
	for body = body[groupSize:]; len(body) > 0; {
		r, n, next, ok := decodeRecord(body, chain)
		if !ok {
			return g, &badError{at, last, w.unwritten(at, len(body)), "the checksum of a record is wrong"}
		}
		if w.chained && r.Zxid <= last {
			return g, &badError{at, last, false, fmt.Sprintf("zxid %v follows %v", r.Zxid, last)}
		}
		if yield != nil && !yield(at, r) {
			return g, errStop
		}
		chain, last = next, r.Zxid
		at += int64(n)
		body = body[n:]
	}
	w.off += groupBytes(int64(g.size))
	w.chain, w.chained, w.last = chain, true, last
	return g, nil
}

var errStop = errors.New("stopped")

// unwritten looks for the traces of a write that reached the disk in part: a sector of zeros, or the header of a group of an earlier use of the file. off is where the record is whose checksum
// is wrong, n what is left of its group. The group's last sector may have few bytes of it: zeros there count if they are that record's, since otherwise it has failed without them; the
// beginning of a record is never zero. Without such traces the bytes were whole once, or cannot be told from it.
func (w *walker) unwritten(off int64, n int) bool {
	b, err := w.bytes(off, n)
	if err != nil {
		return false
	}
	if allZero(b[:min(recordSize, len(b))]) {
		return true
	}
	end := int64(recordSize)
	if len(b) >= recordSize {
		end += int64(le.Uint32(b[4:])) + int64(le.Uint32(b[8:]))
	}
	for i := int(-off & (sectorSize - 1)); i < len(b); i += sectorSize {
		sector := b[i:min(i+sectorSize, len(b))]
		if (len(sector) >= groupSize || int64(i) < end) && allZero(sector) {
			return true
		}
	}
	for i := int(-off & (groupAlign - 1)); i+groupSize <= len(b); i += groupAlign {
		if le.Uint32(b[i+8:]) == groupMagic {
			if g, _, ok := decodeGroup(b[i:]); ok && g.number != w.number {
				return true
			}
		}
	}
	return false
}

// unwrittenHeader looks for the traces of a write of which one sector reached the disk, in a group's header that lies in two: neither part of a header is ever zero.
func unwrittenHeader(off int64, b []byte) bool {
	cut := int(-off & (sectorSize - 1))
	return cut > 0 && cut < groupSize && (allZero(b[:cut]) || allZero(b[cut:])) || allZero(b[24:groupSize])
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// syncedNote returns the highest zxid that a group of this segment from off on records as synced. It needs no chain: a group's header has a checksum of its own.
func (w *walker) syncedNote(off int64) (kernel.Zxid, error) {
	var highest kernel.Zxid
	const step = 64 << 10
	for off = (off + groupAlign - 1) &^ (groupAlign - 1); off+groupSize <= w.size; {
		n := int(min(step, w.size-off))
		b, err := w.bytes(off, n)
		if err == io.ErrUnexpectedEOF {
			return highest, nil
		}
		if err != nil {
			return highest, err
		}
		i := 0
		for ; i+groupSize <= n; i += groupAlign {
			if le.Uint32(b[i+8:]) != groupMagic || le.Uint32(b[i+4:]) != w.number {
				continue
			}
			if g, _, ok := decodeGroup(b[i:]); ok && g.synced > highest {
				highest = g.synced
			}
		}
		off += int64(i)
	}
	return highest, nil
}
