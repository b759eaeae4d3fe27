package kernel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// This file is the kernel's contract: the interfaces, in the order in which a write meets them. Whoever has read it can write a plugin.
// Wire formats, znodes and sessions are not in it: to the kernel a request is an operation code and bytes, a transaction is bytes with a position.

// ---------------------------------------------------------------------------------------------------------------------------------------
// Gateway: turns what clients speak into requests and replies.

// Gateway serves clients. It decodes what they send in full before anything of it is submitted, and owns every connection it accepted.
//
// Life: New (from the registry), Start once, Drain at most once, Stop once. Stop returns when every goroutine of the gateway has ended.
type Gateway interface {
	// Start binds the listeners and begins to accept. An address in use is an error that names it. Host is valid until Stop has returned.
	Start(host Host) error
	// Addrs are the bound addresses by listener name ("client", "secure-client", "admin" ...).
	Addrs() map[string]net.Addr
	// Drain stops accepting and lets replies that are on their way leave, until ctx ends.
	Drain(ctx context.Context)
	// Stop closes every connection.
	Stop()
}

// MovableGateway is a Gateway whose listeners can be put elsewhere while it serves.
type MovableGateway interface {
	Gateway
	// Move puts the listener of that name (see Addrs) at host:port, or makes it there; open connections stay. It returns when connections are taken there; on an error the listener stays where it was,
	// if that is possible. At a listener's own place, and while the gateway ends, it does nothing. It is called after Start has returned, by one goroutine.
	Move(listener, address string) error
}

// Host is what a running node offers to its gateways. All methods may be called from any goroutine.
type Host interface {
	// Submit routes a write (or a barrier) into the write path and returns at once. Requests of one connection enter in the order of the calls.
	// Exactly one req.Conn.Reply follows, unless Submit returned an error, or the connection closed, or the node stopped.
	// ErrNotServing: there is no established leader; close the connection. ErrBusy: the path is full; wait for replies, then try again.
	// ErrNoSpace: writes are refused until the disk has room again; answer with an error, reads go on.
	Submit(req *Request) error
	// Machine is the state machine: reads and sessions go there directly.
	Machine() StateMachine
	// Status is a consistent picture of the node for health checks and administration.
	Status() Status
	// Authenticators are the configured ones by scheme.
	Authenticators() map[string]Authenticator
	// Gateways are the node's gateways, this one included: one that serves administrators shows what the others do.
	Gateways() []Gateway
	// Stages is the observer of the write path, nil when nobody observes.
	Stages() *StageObserver
}

// ErrNotServing means that the server has no role in which it serves clients.
var ErrNotServing = errors.New("this server is not serving requests")

// ErrBusy means that a bounded queue is full. Nothing was done.
var ErrBusy = errors.New("the server's queue is full")

// Refusal is a failure that is known before the write path: the request is answered with Code and zxid 0, and takes no position.
type Refusal struct {
	Code int32 // the state machine's
}

func (e *Refusal) Error() string { return fmt.Sprintf("refused with code %d", e.Code) }

// Status is a picture of the node. It is a value; nothing in it is shared.
type Status struct {
	Server       ServerID
	Role         Role
	Leader       ServerID
	Epoch        Epoch
	Cluster      ClusterID // that the ensemble has agreed on; zero: none is known here
	Serving      bool
	Holding      bool // no leader at the moment: clients keep their connections and their writes wait; new ones are not let in
	ReadOnly     bool
	Repairing    bool  // what this server had is lost or damaged: it has no vote until its peers have brought it up to date
	Refusing     error // non-nil: writes are refused, reads are served (for instance ErrNoSpace)
	LastProposed Zxid
	LastDurable  Zxid
	LastApplied  Zxid
	Saved        SnapshotInfo // what a restart begins from: the newest snapshot, or what the node store has flushed. Without Time it is from before this start
	Syncs        SyncTimes
	Figures      Figures
	Outstanding  int // requests submitted and not answered
	Members      []Member
	Started      time.Time
	// Warnings are things an operator must know, for instance that forceSync is off.
	Warnings []string
}

// SyncTimes sums up how long syncs of the log took since the start.
type SyncTimes struct {
	Times
	Slow int64 // those over NodeConfig.SlowSync
}

// Member is one server of the ensemble.
type Member struct {
	ID    ServerID
	Voter bool
	Text  string // as in the configuration, for instance "zoo1:2888:3888:participant;2181"
}

// Connection is a gateway's end of one client connection, as the state machine sees it.
// Whatever is queued on it leaves in the order of the calls. No method blocks, calls back into the state machine, or fails: a client that reads
// too slowly, or is gone, has its connection closed by the gateway and further calls do nothing.
type Connection interface {
	// Reply answers req. The bytes of reply.Body are copied before the call returns.
	Reply(req *Request, reply Reply)
	// Reserve keeps req's place in the order: all that is queued from now on waits behind the Reply to req, which the caller makes later.
	// It is for answers that take long to build (a listing of a million children).
	Reserve(req *Request)
	// Deliver queues a watch event. It is called inside apply, before any reader can see the change that the event announces.
	Deliver(event Event)
	// Identities are the connection's current ones. The slice is immutable.
	Identities() []Identity
	// Alive is false once the connection has ended or is about to: nobody waits for replies any more.
	Alive() bool
	// Session is the session that the connection serves; zero before the session is established.
	Session() SessionID
	// Close ends the connection after what is queued has left.
	Close(reason CloseReason)
}

// Overtaker is a Connection that may hand a write over while reads that its client sent before it still wait for an earlier write: Request.Overtook says so. The two writes share the
// way to the disk then, and the reads still see the state between them, because the node has Settle called in time.
type Overtaker interface {
	Connection
	// Settle answers the reads before req from the state as it is. The apply goroutine calls it, with everything before req applied and answered or about to be, and req not applied.
	// false: a write before those reads is not answered yet; nothing was done, and it has to be applied first.
	Settle(req *Request) bool
}

// CloseReason says why the state machine ends a connection.
type CloseReason uint8

// The reasons.
const (
	CloseSessionEnded   CloseReason = iota // the session was closed or has expired
	CloseSessionMoved                      // another server, or another connection, has taken the session over
	CloseSessionExpired                    // as CloseSessionEnded, by time-out or by an administrator
	CloseNoLeader                          // there has been no leader for as long as the session may last: it may have expired elsewhere
	CloseStateReplaced                     // the state was replaced by a peer's: what became of requests under way is not known
	CloseUndecided                         // the server has another way to the leader: what became of requests under way is not known
)

// Event is one watch event. Body is the encoded event without header, shared between connections and never changed.
type Event struct {
	Zxid Zxid // of the transaction; -1 for events about the past (a client's watches set again after a reconnect)
	Body []byte
}

// Reply is an answer. On Err != 0 there is no body (spec client-protocol, 3.1) unless the state machine says otherwise by giving one.
type Reply struct {
	Zxid  Zxid
	Err   int32
	Body  []byte // valid during the call only
	Close bool   // close the connection after this reply has left
}

// Request is one operation of one client, from decode to reply. The gateway allocates it (and may recycle it after Reply).
type Request struct {
	Session    SessionID
	Cxid       int32
	Op         int32 // the state machine's operation code
	Body       []byte
	Decoded    any        // what the gateway's decode made of Body; nil when the request came from another server. Owned by the request
	Identities []Identity // those of the connection when the frame was read
	Conn       Connection // nil for the node's own requests (expiry, cleaner) and for those from learners: nobody is answered here
	From       ServerID   // the learner whose client asks; zero: a client of this server
	Link       LinkID     // that it came on from there
	Trace      TraceContext
	Received   time.Time // when the frame was complete
	Barrier    bool      // not a transaction: answered once everything proposed before it is applied here and leadership was confirmed
	Overtook   bool      // reads of its client came before it and are not answered: Conn is an Overtaker
	Pin        any       // the state machine's own, set by Resolve
	Next       *Request  // for the owner's queues

	barrier  *Request  // what this write stands for
	order    uint64    // in which the node took it
	role     uint64    // the incarnation of the role that it belongs to, plus one: of a learner's request, of the leader's own, of a question; zero for those of clients, which outlive roles
	question *Delivery // not a request but a question about a session, in its place between requests
}

// ---------------------------------------------------------------------------------------------------------------------------------------
// StateMachine: prepares requests into transactions, applies committed ones, answers reads, holds sessions.

// StateMachine is the replicated state. Prepare, DropSpeculation and Tick are called by the node's loop, Apply by its apply goroutine (one call
// at a time, in zxid order; beside Prepare). Read, Resolve and the session calls come from any goroutine, beside everything else.
//
// After New the machine is at Position(): its last durable state. The node replays the log from there through Apply before it serves.
type StateMachine interface {
	// Position is the zxid of the last applied transaction.
	Position() Zxid
	// Flushed is the zxid up to which the state survives a crash without the log: the log may be purged up to and including it.
	Flushed() Zxid

	// Resolve brings what req reads and changes into memory and keeps it there until Release or Apply of its transaction. It may wait for the disk:
	// the gateway calls it on the connection's own goroutine, so that only this client waits and its order is kept.
	// ErrBusy: the state takes writes more slowly at the moment; nothing is kept, Submit is not to be called, and both are tried again after a pause.
	// *Refusal: as the state is now the request would fail; what it needs is kept as for nil. It may be answered with that instead of being submitted, unless its client has writes
	// under way, which may change the answer.
	Resolve(req *Request) error
	// Release gives up what Resolve kept for a request that is not submitted after all. Apply does it for those that are.
	Release(req *Request)

	// Prepare turns requests into transactions, numbered from pos.Next on without a gap, against the state as it will be when everything
	// prepared before is applied. A request that fails becomes an error transaction. It never waits for the disk on resolved requests.
	// It fills batch.Txns: one for each request, in order. The bytes belong to the batch.
	Prepare(pos Position, reqs []*Request, batch *Batch)
	// DropSpeculation forgets what was prepared and not applied: on every change of role.
	DropSpeculation()

	// Apply applies committed transactions in order and answers the requests that they came from. All of a call becomes visible at once, or in
	// several steps between transactions, never within one. Watch events are delivered before the change is visible. It has no error: a transaction
	// that cannot be applied is a bug or damage; the machine panics with a CorruptError.
	Apply(txns []Committed)

	// Read answers requests that change nothing, from the applied state, in order, each with one Reply; the reply's zxid is that of the state read and
	// registering a watch is one step with its read. A cold node makes the caller wait, nobody else.
	Read(reqs []*Request)

	// Sessions is the session table.
	Sessions() Sessions

	// Tick is called every half tick time, in every role, with monotonic time. While this server is an established leader it returns the machine's own requests (sessions that
	// have expired, containers to remove), otherwise nil: what only this server knows (local sessions, clients that keep their connections through an election) ends by itself.
	// stalled says that the node itself stood still for longer than a tick: sessions get grace.
	Tick(now time.Time, stalled bool) []*Request
	// Lead tells the machine that this server has become the established leader (true) or has stopped being it. Becoming leader gives every
	// session a full time-out.
	Lead(leading bool)

	// Configure tells the machine which configuration of the ensemble is in force: before the first Lead or Follow, and with every Effects.Config. The node's loop calls it. A server without
	// an ensemble never does. What a transaction brings it brings itself; this is what is in force without one.
	Configure(e Ensemble)

	// Flush makes the state durable in the background and returns when Flushed() has reached the position at the time of the call.
	Flush(ctx context.Context) error
	// Snapshot opens a picture of the state as of one zxid, not older than Flushed() at the time of the call. Apply goes on beside it.
	Snapshot() (StateSnapshot, error)
	// Restore replaces the state by a snapshot that ends at zxid. It reads r to its end. Nothing else may be called beside it.
	Restore(r io.Reader, zxid Zxid) error

	// Inspect reads what a protocol must know of a transaction that it carries. It is a pure function of data and may be called from any goroutine. An error: data is not a transaction.
	Inspect(data []byte) (TxnInfo, error)
	// Peers is what servers of an ensemble tell each other about sessions. Nil: the machine has none.
	Peers() PeerSessions

	// Gauges reports the machine's figures (znode_count, watch_count, ephemerals_count, approximate_data_size, global_sessions ...).
	Gauges(set func(name string, value float64))

	// Close flushes and ends every goroutine of the machine.
	Close() error
}

// StateSnapshot is a picture of the state. It is for one goroutine and must be closed.
type StateSnapshot interface {
	Zxid() Zxid
	// WriteTo writes it as a stream: parents first (spec peer-wire-and-disk, 6.3 to 6.5).
	WriteTo(w io.Writer) (int64, error)
	Close() error
}

// TxnInfo is what a protocol must know of a transaction.
type TxnInfo struct {
	Session SessionID
	Cxid    int32
	// Config is the text of the configuration that the transaction puts in force, nil if it is about something else. It aliases the transaction.
	Config []byte
}

// PeerSessions is the state machine's part in what servers tell each other about sessions (spec zab, 11). Payloads are the machine's own and those of spec peer-wire-and-disk, 3.1,
// packets PING and REVALIDATE. The calls come from the node's loop and do not block; an error costs the link that the payload came on.
type PeerSessions interface {
	// Follow tells the machine that it serves clients as a learner, with everything applied that it has synchronized (ask carries questions to the leader, until the next call), or that it
	// has stopped (nil): questions without an answer will get none. Clients that keep their connections through an election stay attached.
	//
	// ask comes from any goroutine, in the order of the questions; it does not block or call back. A question travels behind every request that was submitted before it.
	Follow(ask func(payload []byte))
	// Touched returns the sessions that showed life here since the last call, for the leader.
	Touched() []byte
	// Heard takes what Touched returned on a learner. A follower that has observers passes it on with its own.
	Heard(from ServerID, payload []byte) error
	// Asked answers a learner's question: whether a session may go on there. The learner becomes its owner. It is called after Lead(true), and after the learner's earlier requests were
	// prepared: what a client sent on an old connection has taken effect or never will when the new one is accepted.
	Asked(from ServerID, payload []byte) (answer []byte, err error)
	// Answered takes the leader's answer to the oldest question.
	Answered(payload []byte) error
	// Forwarded is a learner's request as it goes to the leader, which may be of another kind: req itself, or another in its place that every leader understands alike, or, where req makes no sense,
	// one that every leader refuses. It has decoded req in full, and does not change it.
	Forwarded(req *Request) *Request
	// Nothing is a write that changes nothing, as its operation and body: it stands for a barrier under a leader that has none worth the name (spec zab, 12). Its reply is not used.
	Nothing() (op int32, body []byte)
}

// Position is where a batch begins. Broadcast gives it out.
type Position struct {
	Epoch Epoch
	Next  Zxid
	Time  time.Time // the leader's wall clock, taken once for the batch
	// MayChange asks the broadcast whether the ensemble may get this configuration next: nil, ErrChanging or ErrNoNewQuorum. It is called inside Prepare only. Nil: there is no ensemble to change.
	MayChange func(to Ensemble) error
}

// What the broadcast has against a change of the configuration (spec zab, 14).
var (
	ErrChanging    = errors.New("another change of the configuration is under way")
	ErrNoNewQuorum = errors.New("no quorum of the new configuration is connected and synchronized")
)

// Batch is what Prepare makes: it is reused, so Prepare appends to the slices it finds.
type Batch struct {
	Txns []Txn
}

// Txn is one prepared transaction.
type Txn struct {
	Record  Record
	Request *Request // the request it came from; nil if it came from another server's client
	Note    any      // the state machine's own: what Apply needs and replicas work out again
}

// Committed is one committed transaction as Apply sees it.
type Committed struct {
	Zxid    Zxid
	Data    []byte   // owned by the node, valid during the call
	Request *Request // set on the server that holds the client
	Note    any      // set on the server that prepared it, in the same leadership
}

// Sessions is the session table as gateways and administrators use it. All methods may be called from any goroutine.
type Sessions interface {
	// NewID returns an id that was never used and never will be (spec client-protocol, 2.2).
	NewID() SessionID
	// Password is the proof of ownership that goes with id (16 bytes).
	Password(id SessionID) [16]byte
	// Negotiate clamps what a client asks for to this server's limits.
	Negotiate(asked time.Duration) time.Duration
	// Attach makes conn the owner of a known session, after its password was found right. done is called exactly once, possibly before
	// Attach returns; an earlier connection of the session on this server is closed first. (spec client-semantics, 2.5)
	Attach(id SessionID, password []byte, timeout time.Duration, conn Connection, done func(Attachment))
	// Established makes conn the owner of a session that was created for it, with its negotiated time-out. The gateway calls it from Reply of the session's creation.
	Established(id SessionID, timeout time.Duration, conn Connection)
	// Touch notes a sign of life. false: the session is unknown or closing, or conn is not its owner here; what the client sent is to be dropped.
	Touch(id SessionID, conn Connection) bool
	// Detach forgets conn with its watches. The session lives on until its time-out.
	Detach(conn Connection)
	// HangUp closes every connection that a session has here, with its watches. The sessions live on.
	HangUp(reason CloseReason)
	// Find describes one session. false: there is none of that id.
	Find(id SessionID) (SessionInfo, bool)
	// List calls yield for every session until it says false.
	List(yield func(SessionInfo) bool)
}

// Attachment is the answer to Attach.
type Attachment struct {
	Verdict Verdict
	Timeout time.Duration
}

// Verdict on a client that wants its session back.
type Verdict uint8

// The verdicts. A server that is not sure closes silently: Refused makes the client give its session up for good.
const (
	Accepted Verdict = iota
	Refused
	Unsure
)

// SessionInfo describes a session for administrators.
type SessionInfo struct {
	ID         SessionID
	Timeout    time.Duration
	Expires    time.Duration // from now; negative when overdue
	Ephemerals int
	Local      bool // known to this server only; false as soon as its creation as a global one is prepared
	Closing    bool
	Conn       Connection // nil when not connected here
}

// ---------------------------------------------------------------------------------------------------------------------------------------
// Election and Broadcast: pure cores, driven by Step. Their inputs and effects are in step.go.

// Election picks a leader. It is driven by the node's loop alone and is pure: no goroutine, clock, I/O or unseeded randomness.
// Its answer is an effect (Effects.Elected) which becomes the broadcast's input of the same name.
type Election interface {
	// Step takes what has queued since the last call, in order, and returns what the node must do. The slices in Effects belong to the core and are valid until the next Step.
	// now is monotonic.
	Step(now time.Duration, in ...Input) *Effects
}

// Broadcast orders batches of transactions and tells when they are committed. Driven like Election. One that knows its learners should be a Surveyor too (figures.go).
type Broadcast interface {
	Step(now time.Duration, in ...Input) *Effects
	// Position says where the next batch begins. ok is false when this server is not the established leader.
	Position() (epoch Epoch, next Zxid, ok bool)
	// MayChange tells whether the ensemble may get this configuration next: nil, ErrChanging or ErrNoNewQuorum. It is asked between Position and the batch with the change.
	MayChange(to Ensemble) error
}

// ---------------------------------------------------------------------------------------------------------------------------------------
// Transport: links to peers.

// Transport gives links. A link has an incarnation and delivers a gap-free prefix of what was sent, in order; any loss is the end of the link.
// Events arrive on one goroutine of the transport through the sink given at New and must not block it for long.
type Transport interface {
	// Configure tells who the members are, from now on: their addresses stand in Member.Text. It is called before Listen and whenever the configuration changes; links that are up stay.
	Configure(members []Member)
	// Listen binds this server's peer addresses.
	Listen() error
	// Dial asks for a link to a peer. The outcome is an event: LinkUp or LinkDown.
	Dial(peer ServerID, purpose Purpose) LinkID
	// Send queues a message. The bytes are the transport's from the call on. A queue over its bound in bytes takes the link down instead of waiting.
	Send(link LinkID, msg Message)
	// Stream sends what r yields as one message without holding it in memory; it is closed at the end. Other traffic of the node goes on beside it.
	Stream(link LinkID, msg Message, r io.ReadCloser)
	// Flush asks for an event: LinkFlushed when all that is queued on the link now, streams included, has been handed to the network. A link that goes down has none.
	Flush(link LinkID)
	// Hold stops reading from a link, or goes on with it. It is called from any goroutine, also from inside the sink. What has been read waits, and the peer's own queue fills; what a Body still has
	// to bring comes all the same, and so does LinkDown. On a link that is down nothing happens.
	Hold(link LinkID, hold bool)
	// Hangup ends a link. LinkDown follows.
	Hangup(link LinkID)
	// Close ends every link and goroutine.
	Close() error
}

// ErrOtherLink is wrapped in the reason of a LinkDown when the peer is there all the same: another link between the two has taken the place of this one, or follows.
var ErrOtherLink = errors.New("another link to the peer takes its place")

// Purpose tells the kinds of links apart: ZooKeeper has a port for each.
type Purpose uint8

// The purposes.
const (
	ForElection Purpose = iota
	ForBroadcast
	ForObservers // an observer dials a member that need not be the leader (spec zab, 15)
)

// LinkID names one incarnation of one link to one peer.
type LinkID struct {
	Peer        ServerID
	Purpose     Purpose
	Incarnation uint64 // never reused in the life of a process
}

// Message is what peers exchange: a packet of the plugin's protocol. Payload is its encoded body.
type Message struct {
	Type       int32
	Zxid       Zxid
	Payload    []byte     // nil and empty are not the same
	Identities []Identity // of the client whose request the message forwards
	Trace      TraceContext
	Body       io.Reader // an incoming stream, to be read to its end. The link's later messages may come beside it or wait for its end, and so may word that the peer has gone
}

// TransportSink receives a transport's events.
type TransportSink interface {
	LinkUp(link LinkID, accepted bool)
	LinkDown(link LinkID, reason error)
	LinkFlushed(link LinkID)
	Received(link LinkID, msg Message)
}

// ---------------------------------------------------------------------------------------------------------------------------------------
// LogStore: the replicated log and the few durable words of the protocol.

// Record is one entry of the log. Meta is the broadcast's own (raft keeps term and index there), Data the state machine's.
type Record struct {
	Zxid Zxid
	Meta []byte
	Data []byte
}

// LogStore is one server's replicated log and the protocol's few durable words. The node calls it from one goroutine; only Read, First, Last and Size may run beside the others.
//
// Ownership: a group is the caller's again when Append returns; the store copies what it keeps. Bytes handed to yield are valid during that call only.
// Durability: a record survives any crash once Sync has returned its zxid or a higher one. Before that it may be whole, torn or gone. Truncate, Reset and SaveWords are durable when they return, and atomic: a crash leaves the old or the new state.
// Errors: ErrNoSpace added nothing and may be tried again. Every other error of Append, Sync, Truncate, Reset or SaveWords is final: the node stops (DESIGN, Durability and faults).
type LogStore interface {
	// Append adds one group after the last record. Zxids rise, and are contiguous within an epoch from the last Reset on (spec zab, 2): anything else is ErrOutOfOrder. It does not wait for the disk.
	Append(group []Record) error
	// Sync makes all that was appended durable and returns the highest durable zxid.
	Sync() (Zxid, error)
	// Read yields the records from the first with zxid >= from on, in order, until yield says false. ErrPurged: records at or above from were purged. *CorruptError: what is damaged, and where.
	Read(from Zxid, yield func(Record) bool) error
	// First and Last bound the log. On an empty log both are the base of the last Reset.
	First() Zxid
	Last() Zxid
	// Truncate drops every record above to. It does not touch what is at or below it.
	Truncate(to Zxid) error
	// Reset drops everything: the log goes on after base.
	Reset(base Zxid) error
	// Purge may drop records up to and including upTo, in whatever units the store has. It never drops the last record.
	Purge(upTo Zxid) error
	// Words returns the protocol's durable words as SaveWords stored them, nil if it never did. The caller owns them.
	Words() ([]byte, error)
	// SaveWords replaces the words.
	SaveWords(words []byte) error
	// Size is the number of bytes the log occupies on disk.
	Size() int64
	// Guarantees says what this store promises beyond the contract; a wrapper passes on what it wraps.
	Guarantees() LogGuarantees
	// Recovered says what opening found: a torn tail that was cut. Nil when the log was whole.
	Recovered() *TornTail
	// Close syncs what was appended, or says that it could not.
	Close() error
}

// LogGuarantees are values, so that a foreign format can be honest about what it lacks.
type LogGuarantees struct {
	Durable     bool // Sync reaches stable storage
	Checksums   bool // a flipped bit in a record is found
	Chained     bool // a lost record or segment is found
	AtomicWords bool // SaveWords is old or new after a crash
}

// TornTail describes what was cut from the end of a log at open: bytes that no Sync had confirmed.
type TornTail struct {
	File   string
	Offset int64
	Bytes  int64
	After  Zxid // the last record kept
	// Checksum is set when a whole record was there but its checksum failed. Such a server does not vote before it has synchronized (DESIGN, Durability and faults).
	Checksum bool
}

// The errors of a LogStore that a caller decides on.
var (
	ErrNoSpace    = errors.New("no space left on the disk")
	ErrPurged     = errors.New("the log no longer has these records")
	ErrOutOfOrder = errors.New("zxid out of order")
	ErrClosed     = errors.New("the store is closed")
)

// ---------------------------------------------------------------------------------------------------------------------------------------
// SnapshotStore: whole-state snapshots as streams.

// SnapshotStore keeps whole-state snapshots. Create and Purge come from one goroutine; Open and List may run beside them.
type SnapshotStore interface {
	// Create begins a snapshot. It becomes visible, whole and durable, when Commit returns; a crash before leaves nothing. The name is by the zxid it ends at.
	Create() (SnapshotWriter, error)
	// List returns the snapshots that are complete, newest first.
	List() ([]SnapshotInfo, error)
	// Open streams one. A checksum that fails is a *CorruptError, at the latest instead of io.EOF: nothing of it may be used before the end was reached.
	Open(s SnapshotInfo) (io.ReadCloser, error)
	// Purge keeps the newest keep snapshots. It returns the zxid of the oldest that is left: the log is needed from there on.
	Purge(keep int) (Zxid, error)
	Close() error
}

// SnapshotWriter receives one snapshot. Exactly one of Commit and Abort ends it.
type SnapshotWriter interface {
	io.Writer
	Commit(zxid Zxid) error
	Abort() error
}

// SnapshotInfo describes a complete snapshot.
type SnapshotInfo struct {
	Zxid  Zxid
	Bytes int64
	Time  time.Time
}

// ---------------------------------------------------------------------------------------------------------------------------------------
// NodeStore: the ordered key-value store under the znode tree.

// NodeStore holds the flushed state. Keys order bytewise. Reads may come from any goroutine, Write and Flush from one at a time.
// What a Write contains becomes visible, and after a crash is there, as a whole or not at all; Writes survive in their order. There is no log of its own: a Write may be lost in a crash until Flush has returned.
type NodeStore interface {
	// Get appends the value of key to dst. ErrNotFound when there is none.
	Get(key, dst []byte) ([]byte, error)
	// Write applies a batch atomically. ErrNoSpace: nothing was written, and it may be tried again.
	Write(batch NodeBatch) error
	// NewBatch returns an empty batch to fill. It copies keys and values.
	NewBatch() NodeBatch
	// Flush makes every Write so far durable. ErrNoSpace: they are as they were, and it may be tried again. Neither waits for room on a full disk, which may never come.
	Flush() error
	// View is a stable picture of the store as of now. It must be closed.
	View() NodeView
	// Clear drops everything, durably, before Restore fills the store again.
	Clear() error
	// Durable says whether the store survives the process.
	Durable() bool
	// Size is the bytes on disk; MemoryBytes what it holds in memory besides.
	Size() int64
	MemoryBytes() int64
	Close() error
}

// ErrNotFound means that a key is not in the store.
var ErrNotFound = errors.New("key not found")

// NodeBatch collects changes for one atomic Write.
type NodeBatch interface {
	Set(key, value []byte)
	Delete(key []byte)
	Len() int
	Bytes() int
	Reset()
}

// NodeView reads one state of a NodeStore. It is for one goroutine.
type NodeView interface {
	Get(key, dst []byte) ([]byte, error)
	// Scan yields the pairs with from <= key < to in order until yield says false. The slices are valid during the call only.
	Scan(from, to []byte, yield func(key, value []byte) bool) error
	Close()
}

// ---------------------------------------------------------------------------------------------------------------------------------------
// Authenticator: turns credentials into identities.

// Authenticator serves one scheme. All methods may be called from any goroutine and keep nothing of their arguments.
type Authenticator interface {
	// Scheme is the name in ACLs and auth requests.
	Scheme() string
	// Authenticate returns the identities that data proves for this connection. An error means refused: the client is told AUTHFAILED;
	// on ErrWrongEnsemble the connection is closed without an answer.
	// data is nil when the client sent none.
	Authenticate(peer Peer, data []byte) ([]Identity, error)
	// ValidID says whether id may stand in an ACL.
	ValidID(id string) bool
	// Matches says whether an identity of this scheme satisfies an ACL entry's id.
	Matches(id, aclID string) bool
	// Authenticated says whether an identity of this scheme counts for the scheme "auth".
	Authenticated() bool
	// NewExchange begins an authentication in several steps. Nil: the scheme has none, or it is not configured.
	NewExchange(peer Peer) Exchange
}

// ErrWrongEnsemble means that the client looks for another ensemble: it should try the next server, not give up (spec client-protocol, 9.2).
var ErrWrongEnsemble = errors.New("the client expects another ensemble")

// Exchange is an authentication in several steps (SASL). One exchange serves one connection.
type Exchange interface {
	// Next takes the client's token and returns the server's. done means that identities are proven.
	Next(token []byte) (reply []byte, identities []Identity, done bool, err error)
}

// Peer is what is known of the other end of a client connection.
type Peer struct {
	Addr net.Addr
	TLS  *PeerCertificates
}

// PeerCertificates are the client's verified certificates, leaf first, in DER.
type PeerCertificates struct {
	Raw [][]byte
}

// ---------------------------------------------------------------------------------------------------------------------------------------
// Recipe: turns one request into a checked multi.

// Recipe runs on the leader, outside the prepare stage. It reads through the given view and answers with operations that prepare validates like any client's multi
// (DESIGN, Recipes on the server). On a conflict it is asked again, a bounded number of times.
type Recipe interface {
	Name() string
	// Run must return before ctx ends.
	Run(ctx context.Context, call RecipeCall) (RecipeResult, error)
}

// RecipeCall is one call: who asks, with what, when by the leader's clock, and a way to read.
type RecipeCall struct {
	Session    SessionID
	Identities []Identity
	Argument   []byte
	Time       time.Time
	Read       func(op int32, body []byte) (Reply, error)
}

// RecipeResult is the multi to run, encoded as the state machine's own multi request, and the answer to give when it has committed.
type RecipeResult struct {
	Multi  []byte
	Answer []byte
}

// ---------------------------------------------------------------------------------------------------------------------------------------

// CorruptError reports damaged data: what, where, and what is still good.
type CorruptError struct {
	File   string
	Offset int64 // bytes from the start of File
	After  Zxid  // the last good record before the damage
	Err    error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d, after zxid %s: %v (look with: zooid log verify %s)", e.File, e.Offset, e.After, e.Err, e.File)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// InNodeStore is CorruptError.File of what is wrong somewhere in the node store.
const InNodeStore = "the node store"

// PromiseError: the protocol's durable words cannot be understood, or contradict the log. What this server has promised is not known.
type PromiseError struct{ Err error }

func (e *PromiseError) Error() string { return e.Err.Error() }

func (e *PromiseError) Unwrap() error { return e.Err }
