package peer

import (
	"bytes"
	"encoding/binary"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
)

// ProtocolVersion is that of ZooKeeper since 3.4: with LEADERINFO and ACKEPOCH.
const ProtocolVersion int32 = 0x10000

// LearnerInfo is the payload of FOLLOWERINFO and OBSERVERINFO, the first packet on a connection to the quorum port (spec peer-wire-and-disk, 3.1).
type LearnerInfo struct {
	Server        kernel.ServerID
	Version       int32       // ProtocolVersion; 0 when the learner does not say
	ConfigVersion kernel.Zxid // of the configuration that the learner knows; 0 when it does not say
	Capabilities  Capabilities
}

// AppendTo appends the encoding.
func (l *LearnerInfo) AppendTo(dst []byte) []byte {
	dst = jute.AppendInt64(dst, int64(l.Server))
	dst = jute.AppendInt32(dst, l.Version)
	dst = jute.AppendInt64(dst, int64(l.ConfigVersion))
	return l.Capabilities.AppendTo(dst)
}

// DecodeLearnerInfo reads what is there: 8, 12 or 20 bytes, and capabilities. A learner that does not say who it is (ZooKeeper before 3.3) is refused.
func DecodeLearnerInfo(payload []byte) (LearnerInfo, error) {
	d := jute.NewDecoder(payload)
	l := LearnerInfo{Server: kernel.ServerID(d.Int64())}
	if d.Err() != nil {
		return LearnerInfo{}, malformed("introduction of a learner: %d bytes", len(payload))
	}
	if d.Remaining() >= 4 {
		l.Version = d.Int32()
	}
	if d.Remaining() >= 8 {
		l.ConfigVersion = kernel.Zxid(d.Int64())
		l.Capabilities = trailingCapabilities(d.Rest())
	}
	return l, nil
}

// AppendLeaderInfo appends the payload of LEADERINFO, the answer to a LearnerInfo: i32 protocol version, and capabilities.
func AppendLeaderInfo(dst []byte, c Capabilities) []byte {
	return c.AppendTo(jute.AppendInt32(dst, ProtocolVersion))
}

// DecodeLeaderInfo reads it.
func DecodeLeaderInfo(payload []byte) (version int32, c Capabilities, err error) {
	if len(payload) < 4 {
		return 0, Capabilities{}, malformed("LEADERINFO: %d bytes", len(payload))
	}
	return int32(binary.BigEndian.Uint32(payload)), trailingCapabilities(payload[4:]), nil
}

// AppendNewLeader appends the payload of NEWLEADER: the text of the configuration and, for learners of Zooid that are to take up the leader's cluster, a zero byte and capabilities.
func AppendNewLeader(dst []byte, text string, c Capabilities) []byte {
	dst = append(dst, text...)
	if c.Cluster.ID != (kernel.ClusterID{}) {
		dst = c.AppendTo(append(dst, 0))
	}
	return dst
}

// DecodeNewLeader reads it. The text aliases the payload.
func DecodeNewLeader(payload []byte) (text []byte, c Capabilities) {
	text, rest, _ := bytes.Cut(payload, []byte{0})
	return text, trailingCapabilities(rest)
}

// AlreadyPromised stands in ACKEPOCH instead of the current epoch: the epoch was promised before, this answer is not to be counted.
const AlreadyPromised kernel.Epoch = -1

// AppendAckEpoch appends the payload of ACKEPOCH: the learner's current epoch, or AlreadyPromised.
func AppendAckEpoch(dst []byte, current kernel.Epoch) []byte {
	return jute.AppendInt32(dst, int32(current))
}

// DecodeAckEpoch reads it.
func DecodeAckEpoch(payload []byte) (kernel.Epoch, error) {
	if len(payload) < 4 {
		return 0, malformed("ACKEPOCH: %d bytes", len(payload))
	}
	return kernel.Epoch(binary.BigEndian.Uint32(payload)), nil
}

// AppendDesignated appends the payload of COMMITANDACTIVATE, and what stands before the transaction in INFORMANDACTIVATE: the server that should lead under the new configuration.
func AppendDesignated(dst []byte, leader kernel.ServerID) []byte {
	return jute.AppendInt64(dst, int64(leader))
}

// DecodeDesignated reads it. rest is the transaction of INFORMANDACTIVATE.
func DecodeDesignated(payload []byte) (leader kernel.ServerID, rest []byte, err error) {
	if len(payload) < 8 {
		return 0, nil, malformed("activation of a configuration: %d bytes", len(payload))
	}
	return kernel.ServerID(binary.BigEndian.Uint64(payload)), payload[8:], nil
}
