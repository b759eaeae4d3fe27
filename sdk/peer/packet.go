package peer

import (
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
)

// ErrMalformed is wrapped by every error about bytes that are not what the protocol allows.
var ErrMalformed = errors.New("malformed")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// The types of packets (spec peer-wire-and-disk, 3.1), values of kernel.Message.Type. "Up" is from a learner to its leader, "down" from the leader.
const (
	Request           int32 = 1  // up: a client's request (Forwarded)
	Proposal          int32 = 2  // down: a transaction
	Ack               int32 = 3  // up: it is on disk
	Commit            int32 = 4  // down: a quorum has it on disk
	Ping              int32 = 5  // down: null; up: the sessions that showed life (Touches), never null
	Revalidate        int32 = 6  // up: may this session go on here? down: the answer
	Sync              int32 = 7  // down: the oldest sync of this learner has passed
	Inform            int32 = 8  // down: a committed transaction, to an observer
	CommitAndActivate int32 = 9  // down: as Commit, of a configuration (Designated)
	NewLeader         int32 = 10 // down: the history is complete; the payload is the configuration's text
	FollowerInfo      int32 = 11 // up, first: a voter introduces itself (LearnerInfo)
	UpToDate          int32 = 12 // down: the epoch is established
	Diff              int32 = 13 // down: transactions follow
	Trunc             int32 = 14 // down: drop what is above the zxid
	Snap              int32 = 15 // down: a snapshot follows without a frame (SnapshotReader)
	ObserverInfo      int32 = 16 // up, first: an observer introduces itself (LearnerInfo)
	LeaderInfo        int32 = 17 // down: the proposed epoch (AppendLeaderInfo)
	AckEpoch          int32 = 18 // up: promised (AppendAckEpoch)
	InformAndActivate int32 = 19 // down: as Inform, of a configuration (Designated, then the transaction)
	Proposals         int32 = 64 // down, between servers of Zooid: a batch of proposals (Batch)
	Informs           int32 = 65 // down, between servers of Zooid: a batch for observers (Batch)
	Stream            int32 = 66 // either way, between servers of Zooid: the transport's, a piece of a body
	ChunkedSnap       int32 = 67 // down, between servers of Zooid: as Snap, in pieces that others go beside
	State             int32 = 68 // up, between servers of Zooid: the digest of the state at the zxid (AppendState)
	Diverged          int32 = 69 // down, between servers of Zooid: the state at the zxid was not that of a quorum (AppendDiverged)
)

// Sizes on the wire, in bytes.
const (
	packetOverhead   = 4 + 8 + 4 + 4
	identityOverhead = 4 + 4
)

var names = map[int32]string{
	Request: "REQUEST", Proposal: "PROPOSAL", Ack: "ACK", Commit: "COMMIT", Ping: "PING", Revalidate: "REVALIDATE", Sync: "SYNC", Inform: "INFORM", CommitAndActivate: "COMMITANDACTIVATE",
	NewLeader: "NEWLEADER", FollowerInfo: "FOLLOWERINFO", UpToDate: "UPTODATE", Diff: "DIFF", Trunc: "TRUNC", Snap: "SNAP", ObserverInfo: "OBSERVERINFO", LeaderInfo: "LEADERINFO",
	AckEpoch: "ACKEPOCH", InformAndActivate: "INFORMANDACTIVATE", Proposals: "PROPOSALS", Informs: "INFORMS", Stream: "STREAM", ChunkedSnap: "CHUNKEDSNAP",
	State: "STATE", Diverged: "DIVERGED",
}

// TypeName is the name of a packet's type in logs and traces.
func TypeName(t int32) string {
	if name, ok := names[t]; ok {
		return name
	}
	return fmt.Sprintf("type %d", t)
}

// AppendPacket appends a packet as it stands on the quorum port:
//
//	i32 type | i64 zxid | buffer payload | vector of { string scheme, string id }
//
// A nil payload is null, and so are nil identities: null and empty stay apart.
func AppendPacket(dst []byte, m *kernel.Message) []byte {
	dst = jute.AppendInt32(dst, m.Type)
	dst = jute.AppendInt64(dst, int64(m.Zxid))
	dst = jute.AppendBuffer(dst, m.Payload)
	if m.Identities == nil {
		return jute.AppendVectorLen(dst, -1)
	}
	dst = jute.AppendVectorLen(dst, len(m.Identities))
	for _, i := range m.Identities {
		dst = jute.AppendString(dst, i.Scheme)
		dst = jute.AppendString(dst, i.ID)
	}
	return dst
}

// PacketSize is the number of bytes that AppendPacket appends.
func PacketSize(m *kernel.Message) int {
	n := packetOverhead + len(m.Payload)
	for _, i := range m.Identities {
		n += identityOverhead + len(i.Scheme) + len(i.ID)
	}
	return n
}
