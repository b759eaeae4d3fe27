package peer

import (
	"encoding/binary"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
)

// NotificationVersion is that of ZooKeeper since 3.5: with the configuration.
const NotificationVersion int32 = 2

// MaxNotification is the longest notification in bytes, the length before it not counted.
const MaxNotification = 512 << 10

// Notification is what servers exchange in an election (spec peer-wire-and-disk, 2.3).
//
//	0 i32 state | 4 i64 leader | 12 i64 zxid | 20 i64 round | 28 i64 peerEpoch | 36 i32 version | 40 i32 length | 44 configuration | capabilities
//
// Older forms end at 28 (no epoch: that of the zxid counts) and at 40 (the last four bytes mean nothing: version 0). With a version below 2 nothing behind 40 counts.
type Notification struct {
	State        kernel.Role // of the sender
	Leader       kernel.ServerID
	Zxid         kernel.Zxid
	Round        int64 // ZooKeeper's electionEpoch
	PeerEpoch    int64 // of the candidate; the least number from a server that has no vote
	Version      int32
	Config       string // text of the sender's configuration; only with version 2
	Capabilities Capabilities
}

// AppendTo appends the encoding. Without a configuration the version is at most 1 whatever n says, and no capabilities can be told: a version 2 with an empty text is more than some receivers bear.
func (n *Notification) AppendTo(dst []byte) []byte {
	dst = jute.AppendInt32(dst, int32(n.State))
	dst = jute.AppendInt64(dst, int64(n.Leader))
	dst = jute.AppendInt64(dst, int64(n.Zxid))
	dst = jute.AppendInt64(dst, n.Round)
	dst = jute.AppendInt64(dst, n.PeerEpoch)
	if n.Version <= 0 {
		return jute.AppendInt32(dst, 0)
	}
	if n.Version == 1 || n.Config == "" {
		return jute.AppendInt32(jute.AppendInt32(dst, 1), 0)
	}
	dst = jute.AppendInt32(dst, n.Version)
	dst = jute.AppendString(dst, n.Config)
	return n.Capabilities.AppendTo(dst)
}

// DecodeNotification reads a notification of any age. The configuration is not looked into.
func DecodeNotification(payload []byte) (Notification, error) {
	if len(payload) < 28 || len(payload) > 28 && len(payload) < 40 || len(payload) > MaxNotification {
		return Notification{}, malformed("notification: %d bytes", len(payload))
	}
	state := binary.BigEndian.Uint32(payload)
	if state > uint32(kernel.Observing) {
		return Notification{}, malformed("notification: state %d", int32(state))
	}
	n := Notification{
		State:  kernel.Role(state),
		Leader: kernel.ServerID(binary.BigEndian.Uint64(payload[4:])),
		Zxid:   kernel.Zxid(binary.BigEndian.Uint64(payload[12:])),
		Round:  int64(binary.BigEndian.Uint64(payload[20:])),
	}
	if len(payload) == 28 {
		n.PeerEpoch = int64(n.Zxid.Epoch())
		return n, nil
	}
	n.PeerEpoch = int64(binary.BigEndian.Uint64(payload[28:]))
	if len(payload) == 40 {
		return n, nil
	}
	n.Version = int32(binary.BigEndian.Uint32(payload[36:]))
	if n.Version < 2 {
		return n, nil
	}
	if len(payload) < 44 {
		return Notification{}, malformed("notification: version %d in %d bytes", n.Version, len(payload))
	}
	length := int32(binary.BigEndian.Uint32(payload[40:]))
	if length < 0 || int(length) > len(payload)-44 {
		return Notification{}, malformed("notification: a configuration of %d bytes in %d", length, len(payload))
	}
	n.Config = string(payload[44 : 44+length])
	n.Capabilities = trailingCapabilities(payload[44+length:])
	return n, nil
}
