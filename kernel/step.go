package kernel

import (
	"io"
	"time"
)

// This file holds the inputs and effects of Election and Broadcast (DESIGN, Contracts: Step).
// A completion is an input; what has to wait for the disk is not emitted until the disk has answered.
//
// Time is an argument of Step: monotonic, from an origin of the node's own. A core that waits for a moment says so with Effects.Wake.

// Input is one thing that happened. The types are those of this file; a core ignores inputs that do not concern it.
type Input interface{ input() }

// EffectID numbers an effect that is completed later. A completion carries it back, with the incarnation of the role that asked, so that
// what an old role started can never count for a new one.
type EffectID struct {
	Incarnation uint64
	Seq         uint64
}

type (
	// Start is the first input of both cores: what the disk holds. The election waits for its first Look.
	Start struct {
		Self   ServerID
		Words  []byte // nil: the store never held any
		First  Zxid
		Last   Zxid // durable: the log was synced after it was opened (spec zab, R7)
		Config Ensemble
		// Empty: there is no history at all here. NoVote: there was, but it is damaged, cut at a bad checksum, or the state lacks what the log no longer has.
		// Neither has a vote before it has synchronized; an ensemble in which every voter is empty is a new one, and its voters count as if at zxid 0.
		Empty  bool
		NoVote bool
		Torn   bool // the end of the log was cut at a bad checksum: no vote either, unless this server is a quorum by itself
		Seed   int64
		// Cluster is random: the id that an ensemble gets which has none and which this server comes to lead. Zero: it gets none.
		Cluster ClusterID
	}

	// Tick comes every half tick time, and at the moment that Effects.Wake asked for.
	Tick struct {
		Half bool // half a tick time has passed since the last Tick with Half
	}

	// Look makes the election begin a round: the broadcast has no leader, and everything it had under way is on stable storage or cut off (spec zab, G6 and G12).
	Look struct {
		Epoch  Epoch // current epoch: that of the leader whose history this server accepted
		Zxid   Zxid  // end of the durable history
		Config Ensemble
		// Next is the configuration that was proposed last, when it is newer than Config and not known to be committed: quorums are needed in both (spec zab, 14.6). Nil: none.
		Next   *Ensemble
		Empty  bool
		NoVote bool
		// Witness, with NoVote: the history is gone, but Epoch and Zxid are what it was. The server may vote, for others only, and for nobody who has less.
		Witness bool
		// Suggested is who should lead, if anybody is better than others: a leader that retires says so. Zero: nobody.
		Suggested ServerID
		// Cluster is the id that the ensemble has agreed on, zero if this server knows of none: who is known to belong to another one is no peer.
		Cluster ClusterID
		// Decided: a change of the configuration that is in force names Suggested, and everybody hears of it. No votes are needed; if it cannot lead there is another Look (spec zab, 14.5).
		Decided bool
	}

	// RoleIs tells the election what role the broadcast has taken up: a settled vote carries the established epoch (spec zab, 4.6).
	RoleIs struct{ RoleChange }

	// ConfigIs tells a core that another configuration is in force from now on.
	ConfigIs struct{ Config Ensemble }

	// LinkIsUp and LinkIsDown report links. Loss is never repaired inside a link.
	LinkIsUp struct {
		Link     LinkID
		Accepted bool // the peer dialled
	}
	LinkIsDown struct {
		Link LinkID
		Err  error
	}

	// Received is a message on a link.
	Received struct {
		Link    LinkID
		Message Message
	}

	// Elected is the election's answer, as the broadcast's input. One may come without a Look before, while the epoch of the role is not established: a quorum follows another leader. The broadcast
	// then gives up its role, and looks again. With the role Looking it names nobody: a voter that has elected this server to lead looks again, and the broadcast has waited long enough. It gives up if it has not proposed an epoch yet.
	Elected struct {
		Leader ServerID
		Role   Role
		Round  uint64
	}

	// Propose hands in a batch that was numbered from Position on. It is proposed whole; a refused batch ends the leadership.
	Propose struct {
		Batch []Record
	}

	// AskBarrier asks for a leadership check: Effects.Barriers names it when a quorum has confirmed the leader after the input, and everything proposed before it is committed.
	// On a learner it travels to the leader and back. Request is the one that wants it: perhaps one that came in Effects.Requests with Barrier set, in its turn; the core answers the learner then.
	AskBarrier struct {
		ID      uint64
		Request *Request
	}

	// Forward sends requests of this learner's clients to the leader, in order. The requests stay the node's; their bodies do not change.
	Forward struct {
		Requests []*Request
	}

	// Answer carries what the state machine has to say about a Delivery back to where it came from. Payload is the core's from here on.
	Answer struct {
		To      Delivery
		Payload []byte
	}

	// AskLeader carries a question of this learner's state machine to the leader; the answer is a Delivery of kind SessionAnswer. Questions are answered in order.
	// From is the observer's link that the question came on, if it is not this server's own: its answer goes back there.
	AskLeader struct {
		Payload []byte
		From    LinkID
	}

	// LinkFlushed: everything that was queued on the link when Effects.Flush named it has been handed to the network.
	LinkFlushed struct{ Link LinkID }

	// SnapshotBegun completes a SendSnapshot: the state as of Zxid is on its way on the link, and the log is kept from there on until Effects.Release names the link.
	SnapshotBegun struct {
		ID   EffectID
		Zxid Zxid
		Err  error
	}

	// Restored completes a RestoreState.
	Restored struct {
		ID  EffectID
		Err error
	}

	// Durable completes appends: everything up to Zxid is on stable storage here.
	Durable struct {
		ID   EffectID
		Zxid Zxid
	}
	// WordsSaved and Truncated complete the effects of these names.
	WordsSaved struct{ ID EffectID }
	Truncated  struct{ ID EffectID }
	// LogRead completes a ReadLog. Records are the core's from here on. Done is false when the range was cut at MaxBytes.
	LogRead struct {
		ID      EffectID
		Records []Record
		Done    bool
		Err     error
	}
	// Ran completes a Run.
	Ran struct {
		ID     EffectID
		Result any
		Err    error
	}
	// StateIs is the digest of this server's state at a position that it has applied. It comes every half tick and when this server begins to serve, while the digest is known.
	StateIs struct {
		Zxid   Zxid
		Digest uint64
	}
	// StateCompared completes a CompareState whose position is known here.
	StateCompared struct {
		Link        LinkID
		Zxid        Zxid
		Own, Theirs uint64
	}
	// Retire ends the role in an orderly way (drain, rolling restart).
	Retire struct{}
)

func (Start) input()         {}
func (Tick) input()          {}
func (Look) input()          {}
func (RoleIs) input()        {}
func (ConfigIs) input()      {}
func (LinkIsUp) input()      {}
func (LinkIsDown) input()    {}
func (LinkFlushed) input()   {}
func (Received) input()      {}
func (Elected) input()       {}
func (Propose) input()       {}
func (AskBarrier) input()    {}
func (Forward) input()       {}
func (Answer) input()        {}
func (AskLeader) input()     {}
func (Durable) input()       {}
func (WordsSaved) input()    {}
func (Truncated) input()     {}
func (LogRead) input()       {}
func (SnapshotBegun) input() {}
func (Restored) input()      {}
func (Ran) input()           {}
func (StateIs) input()       {}
func (StateCompared) input() {}
func (Retire) input()        {}

// Effects is what the node must do now. All of it may start at once: nothing in Send waits for anything in Append.
// The slices belong to the core and are valid until its next Step. A core reuses one Effects.
type Effects struct {
	Send    []Envelope
	Dial    []DialPeer
	Hangup  []LinkID
	Flush   []LinkID // LinkFlushed follows for each that stays up
	Append  []Record // appended in order; Durable follows when Sync has returned. The bytes stay the proposer's
	Ordered EffectID // of Append
	// History says that Append is part of what a learner is brought up with: nothing of it is committed before the role is established, and the role is not before all of it is on stable storage. Without room
	// for all of it in memory the node reads it from the log again.
	History bool

	SaveWords *SaveWords
	Truncate  *TruncateLog
	ReadLog   []ReadLog // each is completed by its own LogRead, beside appends
	Run       []Run

	// Snapshots are to be streamed to learners that are too far behind, behind what Send queues on their links in the same Step.
	Snapshots []SendSnapshot
	// Release names links whose learners no longer need the log that a snapshot to them, or a ReadLog for them, kept from being purged.
	Release []LinkID
	// Restore replaces the whole state by a snapshot that arrives. The log is reset first (durably), so that a crash in between is seen at the next start.
	Restore *RestoreState

	// Compare asks what the state's digest was here where a peer's is known. What is not known here, not any more or not yet, is not answered.
	Compare []CompareState
	// GiveUp says that this server's state is not that of its ensemble: nothing of it is to be served any more. A snapshot is to take its place; Role comes in the same Step.
	GiveUp bool

	// Held is how many bytes of what has come the core keeps until the disk has answered.
	Held int
	// Wake is the moment at which the core wants a Tick, in the time of Step's argument. Zero: the half ticks are enough.
	Wake time.Duration
	// Look is set when the broadcast has lost its role and is ready for an election.
	Look *Look
	// Config is set when another configuration is in force: quorums are counted in it, and the transport takes its addresses from it. None is proposed then, unless Next says so.
	Config *Ensemble
	// Next is set when a configuration is proposed, durably so before any record of the Step that says it. Quorums are needed in both until it is in force or given up.
	Next *Ensemble

	// Commit says that everything up to here is committed and is to be applied, in order. Zero: nothing new.
	Commit Zxid
	// Role is set when the role changed. The node drops speculation, rejects completions of older incarnations, and tells the machine.
	Role *RoleChange
	// Elected is set by an election that has come to an answer.
	Elected *Elected
	// Barriers that have passed.
	Barriers []uint64
	// Refused is set when a Propose came while this server could not propose. The leadership is over.
	Refused bool
	// Fatal is set when the core cannot take part at all: the node stops with this reason.
	Fatal error
	// Reports are for the operator: why a role ended, why a peer was refused. The node logs them.
	Reports []error
	// Deliver hands payloads that only the state machine understands to it.
	Deliver []Delivery
	// Requests came from learners, on Request.From: they are resolved and then prepared like those of this server's own clients, in their order. A follower that has observers is given them
	// back with Forward, or AskBarrier.
	Requests []*Request
}

// Clear empties the effects for the next Step, keeping the slices.
func (e *Effects) Clear() {
	clear(e.Send)
	clear(e.Append)
	clear(e.Deliver)
	clear(e.Requests)
	clear(e.Reports)
	*e = Effects{Send: e.Send[:0], Dial: e.Dial[:0], Hangup: e.Hangup[:0], Flush: e.Flush[:0], Append: e.Append[:0], ReadLog: e.ReadLog[:0], Run: e.Run[:0], Snapshots: e.Snapshots[:0],
		Release: e.Release[:0], Barriers: e.Barriers[:0], Deliver: e.Deliver[:0], Requests: e.Requests[:0], Reports: e.Reports[:0], Compare: e.Compare[:0]}
}

// DeliveryKind says what a Delivery is about.
type DeliveryKind uint8

// The kinds. Each is a call of kernel.PeerSessions.
const (
	HeartbeatDue    DeliveryKind = iota // learner: the leader asks for a sign of life; the Answer carries the touched sessions
	SessionsTouched                     // leader, or a follower that has observers: a learner's answer; no Answer
	SessionAsked                        // leader: a learner's AskLeader; the Answer goes back. A follower that has observers asks its leader
	SessionAnswer                       // learner: the leader's answer to the oldest question; no Answer
)

// Delivery is a payload for the state machine. Zxid is the core's own: it comes back in Answer.
type Delivery struct {
	Kind    DeliveryKind
	Link    LinkID
	Zxid    Zxid
	Payload []byte // valid during the Step's effects; the machine copies what it keeps
}

type (
	// Envelope is a message and its link.
	Envelope struct {
		Link    LinkID
		Message Message
	}
	// DialPeer asks the transport for a link.
	DialPeer struct {
		Peer    ServerID
		Purpose Purpose
	}
	// SaveWords makes the protocol's durable words durable, atomically.
	SaveWords struct {
		ID    EffectID
		Words []byte
	}
	// TruncateLog drops all records above To.
	TruncateLog struct {
		ID EffectID
		To Zxid
	}
	// ReadLog reads records from From to To.
	ReadLog struct {
		ID       EffectID
		From, To Zxid
		MaxBytes int
	}
	// SendSnapshot streams the machine's state as the body of a message of this type, whose zxid is that of the state.
	SendSnapshot struct {
		ID   EffectID
		Link LinkID
		Type int32
	}
	// RestoreState resets the log at Zxid, then reads the state from Body, which belongs to a message on Link.
	RestoreState struct {
		ID   EffectID
		Link LinkID
		Zxid Zxid
		Body io.Reader
	}
	// CompareState is the digest of a peer's state.
	CompareState struct {
		Link   LinkID
		Zxid   Zxid
		Digest uint64
	}
	// Run is work of the plugin's own, off the loop.
	Run struct {
		ID EffectID
		Do func() (any, error)
	}
	// RoleChange announces a role. Incarnation rises with every change.
	RoleChange struct {
		Role        Role
		Leader      ServerID
		Epoch       Epoch
		Established bool      // the epoch has its quorum: the leader may propose, learners may serve
		Cluster     ClusterID // that the ensemble has agreed on; zero: none is known here
		Unconfirmed bool      // the leader passes barriers without making sure that it still leads, as ZooKeeper's do: a write has to stand for one
		// Through is whom an established learner hears the leader through: the leader itself, or the follower that serves it as an observer.
		Through     ServerID
		Incarnation uint64
	}
)
