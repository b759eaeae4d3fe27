package peer

import (
	"encoding/binary"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
)

// AppendItem appends one transaction to the payload of PROPOSALS or INFORMS. The packet's zxid is that of its last item.
//
//	i64 zxid | i32 length | transaction
func AppendItem(dst []byte, zxid kernel.Zxid, data []byte) []byte {
	dst = jute.AppendInt64(dst, int64(zxid))
	dst = jute.AppendInt32(dst, int32(len(data)))
	return append(dst, data...)
}

// ItemOverhead is what an item takes besides its transaction, in bytes.
const ItemOverhead = 8 + 4

// Batch walks through the payload of PROPOSALS or INFORMS:
//
//	for b := peer.NewBatch(payload); b.Next(); {
//		use(b.Zxid, b.Data)
//	}
//
// then Err. It is a value, for one goroutine.
type Batch struct {
	Zxid kernel.Zxid
	Data []byte // aliases the payload; no spare capacity
	rest []byte
	err  error
}

// NewBatch begins at the first item. A batch without items is malformed.
func NewBatch(payload []byte) Batch {
	b := Batch{rest: payload}
	if len(payload) == 0 {
		b.err = malformed("batch: no items")
	}
	return b
}

// Next goes to the next item. False: there is none, or it is broken (Err). Zxids that do not rise are broken: whether one follows the other is the core's to check.
func (b *Batch) Next() bool {
	if b.err != nil || len(b.rest) == 0 {
		return false
	}
	if len(b.rest) < ItemOverhead {
		b.err = malformed("batch: %d bytes behind %s", len(b.rest), b.Zxid)
		return false
	}
	first := b.Data == nil
	zxid, n := kernel.Zxid(binary.BigEndian.Uint64(b.rest)), int32(binary.BigEndian.Uint32(b.rest[8:]))
	if n < 0 || int64(n) > int64(len(b.rest)-ItemOverhead) {
		b.err = malformed("batch: item %s claims %d bytes of %d", zxid, n, len(b.rest)-ItemOverhead)
		return false
	}
	if !first && zxid <= b.Zxid {
		b.err = malformed("batch: item %s behind %s", zxid, b.Zxid)
		return false
	}
	end := ItemOverhead + int(n)
	b.Zxid, b.Data, b.rest = zxid, b.rest[ItemOverhead:end:end], b.rest[end:]
	return true
}

// Err is what is wrong with the batch; nil after Next has returned false at its end.
func (b *Batch) Err() error { return b.err }
