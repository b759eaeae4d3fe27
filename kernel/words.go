package kernel

import (
	"encoding/hex"
	"fmt"
	"time"
)

// Zxid names one transaction: the epoch of the leader that proposed it in the high 32 bits, a counter from 1 in the low ones (spec zab, 2).
// Counter 0 never names a transaction; it is the position of a leader that has proposed nothing yet.
type Zxid int64

// Epoch is the term of one established leader. It only grows.
type Epoch int32

// MakeZxid puts an epoch and a counter together.
func MakeZxid(e Epoch, counter uint32) Zxid { return Zxid(int64(e)<<32 | int64(counter)) }

// Epoch returns the high half.
func (z Zxid) Epoch() Epoch { return Epoch(int64(z) >> 32) }

// Counter returns the low half.
func (z Zxid) Counter() uint32 { return uint32(z) }

// String is the form that operators know from ZooKeeper: 0x400000011.
func (z Zxid) String() string { return fmt.Sprintf("0x%x", uint64(z)) }

// ServerID is a member's id, the N of server.N.
type ServerID int64

// ClusterID names an ensemble for good, whoever its members are: servers of different ones never work together. All zero: none is known.
type ClusterID [16]byte

// String is how operators see it.
func (c ClusterID) String() string { return hex.EncodeToString(c[:]) }

// SessionID names a client session. Zero is never valid.
type SessionID int64

// String prints the id as ZooKeeper's tools do.
func (s SessionID) String() string { return fmt.Sprintf("0x%x", uint64(s)) }

// TraceContext is a W3C trace context: which trace an operation belongs to and the span that caused it. The zero value means "not traced".
type TraceContext struct {
	TraceID [16]byte
	SpanID  [8]byte
	Sampled bool
}

// Valid tells whether there is a trace at all.
func (t TraceContext) Valid() bool { return t.TraceID != [16]byte{} }

// Identity is one (scheme, id) pair that a connection holds, for instance {digest, "joe:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY="} (spec client-protocol, 9.1).
type Identity struct {
	Scheme string
	ID     string
}

// Role is what a server does in its ensemble.
type Role uint8

// The roles, named as FOLLOWERINFO and the four-letter words name them.
const (
	Looking Role = iota
	Following
	Leading
	Observing
)

func (r Role) String() string {
	switch r {
	case Looking:
		return "looking"
	case Following:
		return "following"
	case Leading:
		return "leading"
	case Observing:
		return "observing"
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// Stage is one hand-over of the hot write path (DESIGN, The hot write path). The names are those of spans, metrics and benchmark columns.
type Stage uint8

// The stages in the order in which a write meets them.
const (
	StageDecode Stage = iota
	StageRoute
	StagePrepare
	StagePropose
	StageAppend
	StageSync
	StageAck
	StageCommit
	StageApply
	StageReply
	NumStages
)

var stageNames = [NumStages]string{"decode", "route", "prepare", "propose", "append", "sync", "ack", "commit", "apply", "reply"}

func (s Stage) String() string {
	if s < NumStages {
		return stageNames[s]
	}
	return fmt.Sprintf("stage(%d)", uint8(s))
}

// StageEvent reports that a stage has handled something: a batch, one request, or the transactions First to Last.
// Requests is valid during the call only and is nil where a stage knows zxids but not requests.
type StageEvent struct {
	Stage       Stage
	Start       time.Time
	Duration    time.Duration
	First, Last Zxid // zero before the write has a position
	Count       int  // requests or transactions handled together
	Bytes       int
	Requests    []*Request
}

// StageHook observes the write path. At StageDecode it may give requests their Trace, which they carry from there on, to other servers too.
// It is called on the path itself, from several goroutines: it must be quick and must not block.
// Whoever wants the sums alone needs none: see StageObserver.
type StageHook func(StageEvent)
