package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/zooid-project/zooid/kernel"
)

// Format is the version of the files. It stands in every header and in the manifest.
const Format = 1

// A snapshot file. All numbers are little endian.
//
// Header:
//
//	 0  8  "ZOOIDSNA"
//	 8  4  format version
//	12  4  CRC-32C of bytes 0 to 11; the chain begins with it
//
// Frame, any number of them:
//
//	0  4  bytes of content, 1 to maxFrame
//	4  4  CRC-32C of the chain before the frame, its first 4 bytes, and its content; the chain goes on with it
//	8     content
//
// Trailer, the last bytes of the file:
//
//	 0  4  0
//	 4  4  CRC-32C of the chain before the trailer, its first 4 bytes, and all behind this field
//	 8  8  zxid that the snapshot ends at
//	16  8  bytes of content in all frames
//	24  8  "ANSDIOOZ"
const (
	headerSize  = 16
	frameHeader = 8
	trailerSize = 32
	maxFrame    = 256 << 10
)

const (
	headerMagic  = "ZOOIDSNA"
	trailerMagic = "ANSDIOOZ"
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian

	errHeader  = errors.New("no valid snapshot header")
	errFrame   = errors.New("the checksum of a frame is wrong")
	errTrailer = errors.New("no valid snapshot trailer")
)

// VersionError reports a file that another version of the format wrote.
type VersionError struct {
	File    string
	Version uint32
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has snapshot format version %d; this build reads version %d. Start the build that wrote it", e.File, e.Version, Format)
}

// appendHeader encodes the header and returns the chain after it.
func appendHeader(b []byte) ([]byte, uint32) {
	start := len(b)
	b = append(b, headerMagic...)
	b = le.AppendUint32(b, Format)
	chain := crc32.Checksum(b[start:], castagnoli)
	return le.AppendUint32(b, chain), chain
}

// decodeHeader returns the chain after the header.
func decodeHeader(b []byte) (uint32, error) {
	if len(b) < headerSize || string(b[:8]) != headerMagic {
		return 0, errHeader
	}
	chain := crc32.Checksum(b[:12], castagnoli)
	if chain != le.Uint32(b[12:]) {
		return 0, errHeader
	}
	if v := le.Uint32(b[8:]); v != Format {
		return 0, &VersionError{Version: v}
	}
	return chain, nil
}

// putFrameHeader fills the first frameHeader bytes of b, which holds the content behind them, and returns the chain after the frame.
func putFrameHeader(b []byte, chain uint32) uint32 {
	le.PutUint32(b, uint32(len(b)-frameHeader))
	chain = frameChain(b[:4], b[frameHeader:], chain)
	le.PutUint32(b[4:], chain)
	return chain
}

func frameChain(size, content []byte, chain uint32) uint32 {
	return crc32.Update(crc32.Update(chain, castagnoli, size), castagnoli, content)
}

// appendTrailer encodes the trailer.
func appendTrailer(b []byte, chain uint32, zxid kernel.Zxid, content uint64) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint64(b, uint64(zxid))
	b = le.AppendUint64(b, content)
	b = append(b, trailerMagic...)
	le.PutUint32(b[start+4:], frameChain(b[start:start+4], b[start+8:], chain))
	return b
}

// decodeTrailer reads the trailer at the start of b. Without the chain (a look at the end of a file) its checksum cannot be compared.
func decodeTrailer(b []byte, chain *uint32) (zxid kernel.Zxid, content uint64, err error) {
	if len(b) != trailerSize || le.Uint32(b) != 0 || string(b[24:]) != trailerMagic {
		return 0, 0, errTrailer
	}
	if chain != nil && frameChain(b[:4], b[8:], *chain) != le.Uint32(b[4:]) {
		return 0, 0, errTrailer
	}
	return kernel.Zxid(le.Uint64(b[8:])), le.Uint64(b[16:]), nil
}
