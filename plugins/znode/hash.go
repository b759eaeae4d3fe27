package znode

import (
	"hash/crc32"
	"strings"

	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// hasher computes a node's share of the tree digest: CRC-32 over path, data and 60 bytes of Stat (spec peer-wire-and-disk, 7.5). The digest is the sum of all shares modulo 2^64.
// Each goroutine has its own.
type hasher struct {
	enabled bool
	buf     []byte
}

// countsInDigest says whether a node has a share at all: what lies below /zookeeper has none.
func countsInDigest(path string) bool {
	return !(len(path) > len(wire.ZooKeeperPath) && path[len(wire.ZooKeeperPath)] == '/' && strings.HasPrefix(path, wire.ZooKeeperPath))
}

// share is the hash of a node as a whole.
func (h *hasher) share(path string, n *tree.Node) uint32 {
	if !h.enabled || !countsInDigest(path) {
		return 0
	}
	b := h.buf[:0]
	if path != wire.RootPath {
		b = append(b, path...)
	}
	if len(n.Data) > 4096 {
		sum := crc32.ChecksumIEEE(b)
		sum = crc32.Update(sum, crc32.IEEETable, n.Data)
		h.buf = appendHashedStat(b[:0], n)
		return crc32.Update(sum, crc32.IEEETable, h.buf)
	}
	h.buf = appendHashedStat(append(b, n.Data...), n)
	return crc32.ChecksumIEEE(h.buf)
}

// restat is the share of n, which differs from old in its Stat only. It does not read the data: the hash of path and data is what the old share gives when the old Stat is taken back.
func (h *hasher) restat(path string, old, n *tree.Node) uint32 {
	if len(n.Data) < 1024 {
		return h.share(path, n)
	}
	if !h.enabled || !countsInDigest(path) {
		return 0
	}
	h.buf = appendHashedStat(h.buf[:0], old)
	prefix := unCRC(old.Hash, h.buf)
	h.buf = appendHashedStat(h.buf[:0], n)
	return crc32.Update(prefix, crc32.IEEETable, h.buf)
}

func appendHashedStat(b []byte, n *tree.Node) []byte {
	b = jute.AppendInt64(b, n.Czxid)
	b = jute.AppendInt64(b, n.Mzxid)
	b = jute.AppendInt64(b, n.Pzxid)
	b = jute.AppendInt64(b, n.Ctime)
	b = jute.AppendInt64(b, n.Mtime)
	b = jute.AppendInt32(b, n.Version)
	b = jute.AppendInt32(b, n.Creates)
	b = jute.AppendInt32(b, n.Aversion)
	return jute.AppendInt64(b, n.Owner)
}

// crcByTop finds the table entry with a given top byte: the step of a CRC backwards.
var crcByTop = func() (t [256]uint8) {
	for i, v := range crc32.IEEETable {
		t[v>>24] = uint8(i)
	}
	return t
}()

// unCRC is the CRC-32 of what came before tail, given the CRC of the whole.
func unCRC(sum uint32, tail []byte) uint32 {
	state := ^sum
	for i := len(tail) - 1; i >= 0; i-- {
		index := crcByTop[state>>24]
		state = (state^crc32.IEEETable[index])<<8 | uint32(index^tail[i])
	}
	return ^state
}
