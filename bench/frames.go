package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/zooid-project/zooid/sdk/wire"
)

// Names end in eight digits, so that a frame made once fits every node: only its xid and its digits change.
const (
	digits      = 8
	maxSequence = 99_999_999
)

// frame is one request, length field included, with the places that change.
type frame struct {
	bytes    []byte
	digitsAt int // of the node's number; 0 if it has none
}

// xidAt is where the xid stands in a frame (spec client-protocol, 3.1).
const xidAt = 4

// newFrame encodes a request. The path, if it is to be numbered, ends in eight zeroes.
func newFrame(op wire.Op, numbered bool) frame {
	b, start := wire.StartFrame(nil)
	header := wire.RequestHeader{Op: op.Code}
	b = header.AppendTo(b)
	request := wire.Request{Op: op}
	b = request.AppendTo(b)
	wire.FinishFrame(b, start)
	f := frame{bytes: b}
	if numbered {
		f.digitsAt = bytes.Index(b, []byte(op.Path)) + len(op.Path) - digits
	}
	return f
}

// appendTo appends the frame with its xid and number set.
func (f *frame) appendTo(dst []byte, xid int32, number int) []byte {
	at := len(dst)
	dst = append(dst, f.bytes...)
	binary.BigEndian.PutUint32(dst[at+xidAt:], uint32(xid))
	if f.digitsAt != 0 {
		for i := at + f.digitsAt + digits - 1; number > 0; i-- {
			dst[i] = byte('0' + number%10)
			number /= 10
		}
	}
	return dst
}

// workload makes one connection's requests. It belongs to that connection's goroutine.
type workload struct {
	write, read frame
	readPercent int // of 100
	keys        int // numbers are drawn from [0, keys); 0: they count up from next
	next        int // the next number of those that count up
	end         int // one past the last number; counting only
	seed        uint64
}

// appendNext appends the next request; ok is false when there is none.
func (w *workload) appendNext(dst []byte, xid int32) (out []byte, ok bool) {
	if w.keys == 0 {
		if w.next >= w.end {
			return dst, false
		}
		w.next++
		return w.write.appendTo(dst, xid, w.next-1), true
	}
	// xorshift: the cheapest sequence that spreads over the keys.
	w.seed ^= w.seed << 13
	w.seed ^= w.seed >> 7
	w.seed ^= w.seed << 17
	number := int(w.seed>>33) % w.keys
	if w.readPercent > 0 && int(w.seed&0xffff)*100>>16 < w.readPercent {
		return w.read.appendTo(dst, xid, number), true
	}
	return w.write.appendTo(dst, xid, number), true
}

// numbered is the path of node number 0 under base.
func numbered(base string) string { return base + "/n00000000" }

// connectionBase is the parent of the nodes that connection number i creates.
func connectionBase(base string, i int) string { return fmt.Sprintf("%s/c%05d", base, i) }

func payload(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte('a' + i%26)
	}
	return b
}

func setFrame(base string, size int) frame {
	return newFrame(wire.Op{Code: wire.OpSetData, Path: numbered(base), Data: payload(size), Version: -1}, true)
}

func getFrame(base string) frame {
	return newFrame(wire.Op{Code: wire.OpGetData, Path: numbered(base)}, true)
}

func createFrame(base string, size int) frame {
	return newFrame(wire.Op{Code: wire.OpCreate, Path: numbered(base), Data: payload(size), ACL: wire.OpenACL}, true)
}

func deleteFrame(base string) frame {
	return newFrame(wire.Op{Code: wire.OpDelete, Path: numbered(base), Version: -1}, true)
}

// newWorkload makes the requests of connection number i.
func newWorkload(o *Options, base string, i int) workload {
	w := workload{keys: o.Keys, seed: uint64(i+1) * 0x9e3779b97f4a7c15}
	switch o.Op {
	case "set":
		w.write = setFrame(base, o.Size)
	case "get":
		w.read, w.readPercent = getFrame(base), 100
	case "mixed":
		w.write, w.read, w.readPercent = setFrame(base, o.Size), getFrame(base), o.ReadPercent
	case "create":
		w.write, w.keys, w.end = createFrame(connectionBase(base, i), o.Size), 0, maxSequence+1
	}
	return w
}
