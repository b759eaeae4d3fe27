package peer

import (
	"encoding/binary"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
)

// What a server of Zooid can do besides ZooKeeper's protocol. Only what both ends have announced is used.
const (
	Batches          int64 = 1 << iota // PROPOSALS and INFORMS
	CumulativeAcks                     // an ACK or COMMIT speaks of everything up to its zxid
	ChunkedSnapshots                   // CHUNKEDSNAP
	BarrierOnSync                      // SYNC comes after a quorum has confirmed the leader
	identified                         // a cluster follows the bits: an encoding's own
	StateDigests                       // STATE and DIVERGED
)

// capabilityMagic reads "ZOOI".
const capabilityMagic int32 = 0x5a4f4f49

// CapabilitiesSize is the length of encoded Capabilities in bytes, clusterSize that of a cluster behind them.
const (
	CapabilitiesSize = 4 + 4 + 8
	clusterSize      = 16 + 4 + 1
)

// Capabilities stand behind what ZooKeeper's own servers read of LearnerInfo, LEADERINFO and notifications, where those do not look:
//
//	i32 magic | i32 version | i64 bits | if the server knows its cluster: 16 bytes id | i32 epoch | u8 agreed
//
// The zero value is a server that has announced nothing: one of ZooKeeper's.
type Capabilities struct {
	Version int32 // 0: not announced; 1 today
	Bits    int64
	Cluster Cluster
}

// Cluster is what a server knows of the ensemble that it belongs to. The zero value: nothing.
type Cluster struct {
	ID     kernel.ClusterID
	Epoch  kernel.Epoch // in which it took the id up last
	Agreed bool         // that epoch was established: the id never changes again
}

// Foreign tells whether two servers certainly belong to different ensembles.
func (c Cluster) Foreign(other Cluster) bool { return c.Agreed && other.Agreed && c.ID != other.ID }

// Announced tells whether the peer is a server of Zooid.
func (c Capabilities) Announced() bool { return c.Version > 0 }

// Has tells whether all of these bits are announced.
func (c Capabilities) Has(bits int64) bool { return c.Announced() && c.Bits&bits == bits }

// Shared is what both of two servers can do.
func (c Capabilities) Shared(other Capabilities) Capabilities {
	if !c.Announced() || !other.Announced() {
		return Capabilities{}
	}
	return Capabilities{Version: min(c.Version, other.Version), Bits: c.Bits & other.Bits}
}

// AppendTo appends the encoding, nothing at all if nothing is announced.
func (c Capabilities) AppendTo(dst []byte) []byte {
	if !c.Announced() {
		return dst
	}
	bits := c.Bits &^ identified
	if c.Cluster.ID != (kernel.ClusterID{}) {
		bits |= identified
	}
	dst = jute.AppendInt32(dst, capabilityMagic)
	dst = jute.AppendInt32(dst, c.Version)
	dst = jute.AppendInt64(dst, bits)
	if bits&identified == 0 {
		return dst
	}
	dst = append(dst, c.Cluster.ID[:]...)
	dst = jute.AppendInt32(dst, int32(c.Cluster.Epoch))
	if c.Cluster.Agreed {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// trailingCapabilities reads what stands behind a record. Anything but capabilities is ignored, as ZooKeeper's servers do: later versions may put more there.
func trailingCapabilities(b []byte) Capabilities {
	if len(b) < CapabilitiesSize || int32(binary.BigEndian.Uint32(b)) != capabilityMagic {
		return Capabilities{}
	}
	bits := int64(binary.BigEndian.Uint64(b[8:]))
	c := Capabilities{Version: int32(binary.BigEndian.Uint32(b[4:])), Bits: bits &^ identified}
	if c.Version <= 0 {
		return Capabilities{}
	}
	if b = b[CapabilitiesSize:]; bits&identified != 0 && len(b) >= clusterSize && kernel.ClusterID(b[:16]) != (kernel.ClusterID{}) {
		c.Cluster = Cluster{ID: kernel.ClusterID(b[:16]), Epoch: kernel.Epoch(binary.BigEndian.Uint32(b[16:])), Agreed: b[20] == 1}
	}
	return c
}
