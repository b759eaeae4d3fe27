package tree

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"
)

// Node is one version of a znode. It is never changed after Put: readers keep it as long as they like. A new version is a copy, changed, and Put.
type Node struct {
	ID     uint64 // the tree gives it at the first Put of a new node and carries it over to later versions
	parent uint64 // the parent's ID, likewise

	Czxid, Mzxid, Pzxid int64
	Ctime, Mtime        int64 // milliseconds since 1970
	Version             int32
	Creates             int32 // the stored child counter: the visible cversion is 2*Creates - NumChildren
	Aversion            int32
	NumChildren         int32
	Owner               int64
	ACL                 uint32 // index into the state machine's table
	Hash                uint32 // this node's share of the tree digest
	Data                []byte // nil is null, which differs from empty (spec client-protocol, 1.2)
}

// A node's value:
//
//	byte     format, 1
//	byte     flags: 1 = there is data, 2 = there is an owner
//	uvarint  ID, Czxid; varint Mzxid-Czxid, Pzxid-Czxid; varint Ctime, Mtime-Ctime
//	varint   Version, Creates, Aversion, NumChildren
//	8 bytes  Owner, big endian, when flagged
//	uvarint  ACL
//	4 bytes  Hash, big endian
//	rest     data
const (
	nodeFormat  = 1
	flagData    = 1
	flagOwner   = 2
	maxNodeHead = 2 + 10*binary.MaxVarintLen64 + 8 + 5 + 4
)

func appendNode(b []byte, n *Node) []byte {
	var flags byte
	if n.Data != nil {
		flags |= flagData
	}
	if n.Owner != 0 {
		flags |= flagOwner
	}
	b = append(b, nodeFormat, flags)
	b = binary.AppendUvarint(b, n.ID)
	b = binary.AppendUvarint(b, uint64(n.Czxid))
	b = binary.AppendVarint(b, n.Mzxid-n.Czxid)
	b = binary.AppendVarint(b, n.Pzxid-n.Czxid)
	b = binary.AppendVarint(b, n.Ctime)
	b = binary.AppendVarint(b, n.Mtime-n.Ctime)
	b = binary.AppendVarint(b, int64(n.Version))
	b = binary.AppendVarint(b, int64(n.Creates))
	b = binary.AppendVarint(b, int64(n.Aversion))
	b = binary.AppendVarint(b, int64(n.NumChildren))
	if n.Owner != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(n.Owner))
	}
	b = binary.AppendUvarint(b, uint64(n.ACL))
	b = binary.BigEndian.AppendUint32(b, n.Hash)
	return append(b, n.Data...)
}

var errValue = errors.New("malformed node value")

// decodeNode decodes a value. The data is copied, so b is the caller's again.
func decodeNode(parent uint64, b []byte) (*Node, error) {
	if len(b) < 2 {
		return nil, errValue
	}
	if b[0] != nodeFormat {
		return nil, fmt.Errorf("node value of format %d: this program reads format %d", b[0], nodeFormat)
	}
	flags := b[1]
	if flags&^(flagData|flagOwner) != 0 {
		return nil, errValue
	}
	r := reader{b: b[2:]}
	n := &Node{parent: parent}
	n.ID = r.uvarint()
	n.Czxid = int64(r.uvarint())
	n.Mzxid = n.Czxid + r.varint()
	n.Pzxid = n.Czxid + r.varint()
	n.Ctime = r.varint()
	n.Mtime = n.Ctime + r.varint()
	n.Version = r.int32()
	n.Creates = r.int32()
	n.Aversion = r.int32()
	n.NumChildren = r.int32()
	if flags&flagOwner != 0 {
		n.Owner = int64(binary.BigEndian.Uint64(r.take(8)))
		r.bad = r.bad || n.Owner == 0
	}
	acl := r.uvarint()
	n.ACL = uint32(acl)
	n.Hash = binary.BigEndian.Uint32(r.take(4))
	if r.bad || uint64(n.ACL) != acl {
		return nil, errValue
	}
	if flags&flagData != 0 {
		n.Data = make([]byte, len(r.b))
		copy(n.Data, r.b)
	} else if len(r.b) > 0 {
		return nil, errValue
	}
	return n, nil
}

// reader takes fields off a value; after the first that does not fit, bad is set and everything is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int32() int32 {
	v := r.varint()
	if int64(int32(v)) != v {
		r.bad = true
	}
	return int32(v)
}

var zeros [8]byte

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.bad, r.b = true, nil
		return zeros[:n]
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

// Keys order bytewise: a node's is its parent's ID, big endian, and its name, so that siblings are adjacent and in name order.
// The root's parent has ID 0 and its name is empty. The two highest IDs are not given out: they prefix the side records and the tree's own.
const (
	idNone uint64 = 0
	idRoot uint64 = 1
	idSide        = ^uint64(0) - 1
	idMeta        = ^uint64(0)
)

func appendKey(b []byte, parent uint64, name string) []byte {
	b = binary.BigEndian.AppendUint64(b, parent)
	return append(b, name...)
}

// split returns the parent's path and the name; the root's are both empty.
func split(path string) (parent, name string) {
	i := len(path) - 1
	for i >= 0 && path[i] != '/' {
		i--
	}
	switch {
	case len(path) <= 1:
		return "", ""
	case i == 0:
		return "/", path[1:]
	default:
		return path[:i], path[i+1:]
	}
}

func join(parent, name string) string {
	if parent == "/" {
		return "/" + name
	}
	return parent + "/" + name
}

const nodeBytes = int64(unsafe.Sizeof(Node{}))

// sizeOf is what a node occupies in the heap, with the allocator's rounding.
func sizeOf(n *Node) int64 {
	if n == nil {
		return 0
	}
	return roundUp(nodeBytes) + roundUp(int64(cap(n.Data)))
}

// roundUp is the allocator's rounding, roughly: classes are 8, 16, 24, 32, then about an eighth apart.
func roundUp(n int64) int64 {
	switch {
	case n <= 0:
		return 0
	case n <= 32:
		return (n + 7) &^ 7
	case n <= 256:
		return (n + 15) &^ 15
	default:
		return n + n/16
	}
}
