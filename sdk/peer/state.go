package peer

import (
	"encoding/binary"

	"github.com/zooid-project/zooid/sdk/jute"
)

// Sizes of the payloads of STATE and DIVERGED, in bytes.
const (
	StateSize    = 8
	DivergedSize = 8 + 8
)

// AppendState appends the payload of STATE:
//
//	i64 digest
func AppendState(dst []byte, digest uint64) []byte { return jute.AppendInt64(dst, int64(digest)) }

// DecodeState reads it.
func DecodeState(payload []byte) (digest uint64, err error) {
	if len(payload) != StateSize {
		return 0, malformed("STATE: %d bytes", len(payload))
	}
	return binary.BigEndian.Uint64(payload), nil
}

// AppendDiverged appends the payload of DIVERGED:
//
//	i64 the learner's digest | i64 that of a quorum
func AppendDiverged(dst []byte, learners, quorums uint64) []byte {
	return jute.AppendInt64(jute.AppendInt64(dst, int64(learners)), int64(quorums))
}

// DecodeDiverged reads it.
func DecodeDiverged(payload []byte) (learners, quorums uint64, err error) {
	if len(payload) != DivergedSize {
		return 0, 0, malformed("DIVERGED: %d bytes", len(payload))
	}
	return binary.BigEndian.Uint64(payload), binary.BigEndian.Uint64(payload[8:]), nil
}
