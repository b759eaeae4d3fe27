package file

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/zooid-project/zooid/kernel"
)

// Format is the version of the files. It stands in every header and in the manifest.
const Format = 1

// A segment file. All numbers are little endian.
//
//	   0  header, copy 1 (72 bytes, then zeros)
//	2048  header, copy 2
//	4096  group, group, group ... each starts at a multiple of 8; behind the last: 32 zeros, then zeros (the tail of a cut may have what an earlier use of the file left)
//
// Header:
//
//	 0  8  "ZOOIDLOG"
//	 8  4  format version
//	12  4  number of the segment, as in its name
//	16  4  number of the segment before it; 0: the log begins here
//	20  4  run: which opening of the log wrote it
//	24  8  generation: counts truncates and resets
//	32  8  zxid of the last record before this segment, or the base of the reset
//	40  8  zxid known synced when this was written
//	48  4  chain at the end of the segment before it
//	52  4  zero
//	56  8  id of the log, the same in all its files
//	64  4  CRC-32C of bytes 0 to 63; the chain begins with it
//	68  4  zero
//
// Group:
//
//	 0  4  CRC-32C of bytes 4 to 31; the chain goes on with it
//	 4  4  number of the segment: what an earlier use of the file left has another
//	 8  4  "ZGRP"
//	12  4  bytes of the records that follow; 0: only a note of what is synced
//	16  8  zxid known synced when this was written
//	24  4  chain before the group
//	28  4  run, never 0
//	32     records, without padding
//
// Record:
//
//	 0  4  CRC-32C of the chain before the record and of bytes 4 to the end of the record; the chain goes on with it
//	 4  4  bytes of Meta
//	 8  4  bytes of Data
//	12  8  zxid
//	20     Meta, then Data
const (
	headerCopies  = 2
	headerSpacing = 2048
	headerSize    = 72
	groupsStart   = 4096 // offset of the first group
	groupSize     = 32   // bytes of a group's header
	groupAlign    = 8
	recordSize    = 20 // bytes of a record's header
	endSize       = 32 // bytes of zeros behind the last group
	sectorSize    = 512

	// maxGroupBytes bounds one group, so that a segment that holds it and all offsets stay far from overflow.
	maxGroupBytes = 1 << 30
)

const (
	headerMagic = "ZOOIDLOG"
	groupMagic  = 0x5052475a // "ZGRP"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var le = binary.LittleEndian

// header is a segment's, see the drawing.
type header struct {
	number, prev uint32
	run          uint32
	generation   uint64
	before       kernel.Zxid // last zxid before the segment
	synced       kernel.Zxid
	chain        uint32
	log          uint64
}

// seed is the chain that the first group continues.
func (h header) seed() uint32 {
	var b [headerSize]byte
	h.encode(b[:])
	return le.Uint32(b[64:])
}

func (h header) encode(b []byte) {
	copy(b, headerMagic)
	le.PutUint32(b[8:], Format)
	le.PutUint32(b[12:], h.number)
	le.PutUint32(b[16:], h.prev)
	le.PutUint32(b[20:], h.run)
	le.PutUint64(b[24:], h.generation)
	le.PutUint64(b[32:], uint64(h.before))
	le.PutUint64(b[40:], uint64(h.synced))
	le.PutUint32(b[48:], h.chain)
	le.PutUint32(b[52:], 0)
	le.PutUint64(b[56:], h.log)
	le.PutUint32(b[64:], crc32.Checksum(b[:64], castagnoli))
	le.PutUint32(b[68:], 0)
}

var errNoHeader = errors.New("no valid segment header")

// VersionError reports a file that another version of the format wrote.
type VersionError struct {
	File    string
	Version uint32
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has log format version %d; this build reads version %d. Start the build that wrote it", e.File, e.Version, Format)
}

// decodeHeader reads one copy of a segment's header.
func decodeHeader(b []byte) (header, error) {
	var h header
	if len(b) < headerSize || string(b[:8]) != headerMagic {
		return h, errNoHeader
	}
	if v := le.Uint32(b[8:]); v != Format {
		return h, &VersionError{Version: v}
	}
	if crc32.Checksum(b[:64], castagnoli) != le.Uint32(b[64:]) || le.Uint32(b[52:]) != 0 || le.Uint32(b[68:]) != 0 {
		return h, errNoHeader
	}
	h.number = le.Uint32(b[12:])
	h.prev = le.Uint32(b[16:])
	h.run = le.Uint32(b[20:])
	h.generation = le.Uint64(b[24:])
	h.before = kernel.Zxid(le.Uint64(b[32:]))
	h.synced = kernel.Zxid(le.Uint64(b[40:]))
	h.chain = le.Uint32(b[48:])
	h.log = le.Uint64(b[56:])
	return h, nil
}

// encodeHeaderBlock fills the first groupsStart bytes of a segment.
func encodeHeaderBlock(b []byte, h header) {
	clear(b[:groupsStart])
	for i := range headerCopies {
		h.encode(b[i*headerSpacing:])
	}
}

// decodeHeaderBlock returns the first valid copy. A copy of another format version counts only when no copy is valid.
func decodeHeaderBlock(b []byte) (header, error) {
	var version error
	for i := range headerCopies {
		if i*headerSpacing > len(b) {
			break
		}
		h, err := decodeHeader(b[i*headerSpacing:])
		if err == nil {
			return h, nil
		}
		if err != errNoHeader {
			version = err
		}
	}
	if version != nil {
		return header{}, version
	}
	return header{}, errNoHeader
}

// group is a group's header, see the drawing.
type group struct {
	number uint32
	size   uint32
	synced kernel.Zxid
	prev   uint32
	run    uint32
}

// encode writes the header and returns the chain after it.
func (g group) encode(b []byte) uint32 {
	le.PutUint32(b[4:], g.number)
	le.PutUint32(b[8:], groupMagic)
	le.PutUint32(b[12:], g.size)
	le.PutUint64(b[16:], uint64(g.synced))
	le.PutUint32(b[24:], g.prev)
	le.PutUint32(b[28:], g.run)
	crc := crc32.Checksum(b[4:groupSize], castagnoli)
	le.PutUint32(b, crc)
	return crc
}

// decodeGroup reads a group's header; ok is false when its own checksum fails. The chain is the caller's to compare.
func decodeGroup(b []byte) (g group, chain uint32, ok bool) {
	if le.Uint32(b[8:]) != groupMagic {
		return g, 0, false
	}
	chain = crc32.Checksum(b[4:groupSize], castagnoli)
	if chain != le.Uint32(b) {
		return g, 0, false
	}
	return group{
		number: le.Uint32(b[4:]),
		size:   le.Uint32(b[12:]),
		synced: kernel.Zxid(le.Uint64(b[16:])),
		prev:   le.Uint32(b[24:]),
		run:    le.Uint32(b[28:]),
	}, chain, true
}

// groupBytes is what a group with that many bytes of records takes in the file.
func groupBytes(records int64) int64 {
	return (groupSize + records + groupAlign - 1) &^ (groupAlign - 1)
}

// appendRecord encodes r behind b and returns the chain after it.
func appendRecord(b []byte, chain uint32, r *kernel.Record) ([]byte, uint32) {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = le.AppendUint32(b, uint32(len(r.Meta)))
	b = le.AppendUint32(b, uint32(len(r.Data)))
	b = le.AppendUint64(b, uint64(r.Zxid))
	b = append(b, r.Meta...)
	b = append(b, r.Data...)
	chain = crc32.Update(chain, castagnoli, b[start+4:])
	le.PutUint32(b[start:], chain)
	return b, chain
}

// decodeRecord reads the record at the start of b. The bytes of the record are those of b. ok is false when it does not fit or its checksum fails.
func decodeRecord(b []byte, chain uint32) (r kernel.Record, size int, next uint32, ok bool) {
	if len(b) < recordSize {
		return r, 0, 0, false
	}
	meta, data := int64(le.Uint32(b[4:])), int64(le.Uint32(b[8:]))
	whole := recordSize + meta + data
	if whole > int64(len(b)) {
		return r, 0, 0, false
	}
	next = crc32.Update(chain, castagnoli, b[4:whole])
	if next != le.Uint32(b) {
		return r, 0, 0, false
	}
	r.Zxid = kernel.Zxid(le.Uint64(b[12:]))
	if meta > 0 {
		r.Meta = b[recordSize : recordSize+meta : recordSize+meta]
	}
	r.Data = b[recordSize+meta : whole : whole]
	return r, int(whole), next, true
}
