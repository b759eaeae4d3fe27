package jute

import (
	"encoding/binary"
	"math"
)

// AppendBool appends one byte, 0 or 1.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// AppendInt32 appends 4 bytes, big endian.
func AppendInt32(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }

// AppendInt64 appends 8 bytes, big endian.
func AppendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

// AppendBuffer appends the length of v and v itself. A nil v is null (length -1), an empty one has length 0: the two are different values and stay so end to end.
func AppendBuffer(dst []byte, v []byte) []byte {
	if v == nil {
		return AppendInt32(dst, -1)
	}
	dst = AppendInt32(dst, length(len(v)))
	return append(dst, v...)
}

// AppendString appends the length of v in bytes and its bytes, unchecked: whether they are UTF-8 is the caller's matter.
func AppendString(dst []byte, v string) []byte {
	dst = AppendInt32(dst, length(len(v)))
	return append(dst, v...)
}

// AppendNullString appends null (length -1).
func AppendNullString(dst []byte) []byte { return AppendInt32(dst, -1) }

// AppendNullableString appends v, or null when null is true.
func AppendNullableString(dst []byte, v string, null bool) []byte {
	if null {
		return AppendNullString(dst)
	}
	return AppendString(dst, v)
}

// AppendVectorLen appends the head of a vector of n items; the items follow. n = -1 is the null vector.
func AppendVectorLen(dst []byte, n int) []byte { return AppendInt32(dst, length(n)) }

// AppendStrings appends a vector of strings. A nil slice is the null vector.
func AppendStrings(dst []byte, v []string) []byte {
	if v == nil {
		return AppendVectorLen(dst, -1)
	}
	dst = AppendVectorLen(dst, len(v))
	for _, s := range v {
		dst = AppendString(dst, s)
	}
	return dst
}

// length panics on what no frame can carry; silently truncating it would corrupt everything that follows.
func length(n int) int32 {
	if n > math.MaxInt32 {
		panic("jute: more than 2 GiB in one value")
	}
	return int32(n)
}
