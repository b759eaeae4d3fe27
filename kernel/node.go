package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Parts are what a node drives. Election and Broadcast may be the same plugin. The node owns all of them from NewNode on and closes them in Stop.
type Parts struct {
	Log       LogStore
	Snapshots SnapshotStore
	Nodes     NodeStore // closed after the machine; may be nil if the machine has its own
	Machine   StateMachine
	Election  Election
	Broadcast Broadcast
	// NewTransport is called with the node as the sink of its events.
	NewTransport func(TransportSink) (Transport, error)
	Gateways     []Gateway
	Auth         map[string]Authenticator
}

// NodeConfig is what a node needs to know besides its parts.
type NodeConfig struct {
	Self     ServerID
	Ensemble Ensemble
	TickTime time.Duration
	// MaxOutstanding bounds the requests in the write path; above it Submit answers ErrBusy.
	MaxOutstanding int
	// MaxBatch bounds the requests that are prepared together.
	MaxBatch int
	// SnapshotEvery is the number of transactions after which a machine whose state does not survive by itself is written to the snapshot store.
	SnapshotEvery int
	// SnapshotsKept is how many snapshots a purge leaves.
	SnapshotsKept int
	// HistoryBytes is how much of a leader's history is kept in memory until it is committed; above it is read from the log again. 0 is 32 MiB.
	HistoryBytes int
	// SlowSync is how long a sync of the log may take before it is logged and counted; 0 is a second.
	SlowSync time.Duration
	// ReadOnlyMode lets clients that ask for it read from a server that has lost its quorum.
	ReadOnlyMode bool
	Warnings     []string
	// Repair is how this server is repaired from its peers; the zero value: it is not, and damage is the end.
	Repair Repair
	Seed   int64
	// Cluster is Start's.
	Cluster ClusterID
	// Stages observes the write path, nil: nobody does.
	Stages *StageObserver
	// Configured hears of every configuration that is put in force, and of the one that is proposed, nil if none is. The node's loop calls it; it does not block. Nil: nobody is told.
	Configured func(inForce Ensemble, proposed *Ensemble)
	// Now is the clock, with its monotonic part; nil: time.Now. Wall is the clock that people set: it may jump, and only stamps are taken from it; nil: Now. The simulator has its own.
	Now    func() time.Time
	Wall   func() time.Time
	Logger *slog.Logger
}

// Node drives the cores: it batches inputs, performs effects, overlaps disk and network, applies and answers (DESIGN, The kernel).
// doc.go lists its goroutines.
type Node struct {
	cfg       NodeConfig
	parts     Parts
	transport Transport

	requests *mailbox[*Request]
	inputs   *mailbox[Input]
	remote   *mailbox[*Request] // forwarded by learners, to be resolved
	reads    *mailbox[ReadLog]
	disk     *mailbox[diskJob]
	apply    *mailbox[applyJob]

	recordBuffers buffers[Record] // from the loop to the disk goroutine and back
	txnBuffers    buffers[Committed]

	outstanding atomic.Int64
	proposed    atomic.Int64
	durable     atomic.Int64
	confirmed   atomic.Int64 // records that the log has made durable since the start
	inherited   atomic.Int64 // end of what the log held at the start and still holds: the state may lack some of it
	saved       atomic.Pointer[SnapshotInfo]
	syncs       atomic.Pointer[SyncTimes]
	figures     figures
	refusing    atomic.Pointer[error] // the log's reason to refuse writes
	refused     atomic.Pointer[error] // a plugin's
	serving     atomic.Bool
	holding     atomic.Bool  // clients keep their connections, and their writes wait, while there is no leader
	lost        atomic.Int64 // in monotonic time: when this server stopped serving
	digester    Digester     // the machine, nil if it is none
	whole       atomic.Bool  // the state is one that was served, or was there at the start: not what a snapshot that is being taken over leaves
	repairing   atomic.Bool  // this server has lost what it had, and was not brought up to date since
	ensemble    atomic.Pointer[Ensemble]
	foreigners  foreigners
	lostVoters  atomic.Pointer[LostError] // why there is no leader, nil if that is not why
	holds       holds
	flow        flow
	role        atomic.Pointer[RoleChange]
	turn        sync.Mutex // a role begins to serve on the apply goroutine and ends on the loop's: one after the other
	fatal       chan error
	started     time.Time

	loop       loopState
	diskState  diskState
	applyState applyState
	stepper    *Stepper // nil unless a simulator drives the node
	stop       chan struct{}
	stopping   atomic.Bool
	done       sync.WaitGroup
	gateways   []Gateway // started ones
	once       sync.Once
}

// NewNode puts a node together. Nothing runs before Start.
func NewNode(cfg NodeConfig, parts Parts) (*Node, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Wall == nil {
		cfg.Wall = cfg.Now
	}
	if cfg.MaxOutstanding == 0 {
		cfg.MaxOutstanding = 100_000
	}
	if cfg.MaxBatch == 0 {
		cfg.MaxBatch = 256
	}
	if cfg.SnapshotEvery == 0 {
		cfg.SnapshotEvery = 100_000
	}
	if cfg.SnapshotsKept == 0 {
		cfg.SnapshotsKept = 3
	}
	if cfg.HistoryBytes == 0 {
		cfg.HistoryBytes = 32 << 20
	}
	if cfg.SlowSync == 0 {
		cfg.SlowSync = time.Second
	}
	if cfg.TickTime <= 0 {
		return nil, fmt.Errorf("tick time %v: want more than zero", cfg.TickTime)
	}
	n := &Node{
		cfg: cfg, parts: parts,
		requests: newMailbox[*Request](), inputs: newMailbox[Input](), remote: newMailbox[*Request](), reads: newMailbox[ReadLog](), disk: newMailbox[diskJob](), apply: newMailbox[applyJob](),
		fatal: make(chan error, 1), stop: make(chan struct{}),
	}
	n.diskState = diskState{node: n, snapshots: snapshotting{node: n}}
	n.applyState.node = n
	n.role.Store(&RoleChange{Role: Looking})
	n.ensemble.Store(&cfg.Ensemble)
	n.syncs.Store(&SyncTimes{})
	n.saved.Store(&SnapshotInfo{})
	if parts.NewTransport != nil {
		t, err := parts.NewTransport(n)
		if err != nil {
			return nil, fmt.Errorf("transport: %w", err)
		}
		n.transport = t
		n.flow.hold = t.Hold
	}
	return n, nil
}

// Start brings the state up to the log, takes up a role and, as soon as the node serves, starts the gateways. It returns when clients can connect, or ctx ends.
func (n *Node) Start(ctx context.Context) error {
	n.started = n.cfg.Now()
	start, err := n.begin()
	if err != nil {
		return err
	}
	n.done.Add(5)
	go n.runDisk()
	go n.runApply()
	go n.runRemote()
	go n.runReads()
	n.inputs.put(start)
	go n.runLoop()

	for _, g := range n.parts.Gateways {
		if err := g.Start(n); err != nil {
			n.Stop()
			return err
		}
		n.gateways = append(n.gateways, g)
	}
	if n.replicated() { // it serves when a quorum is there; until then health checks and administrators are answered
		return nil
	}
	select {
	case <-n.loop.servingOnce:
		return nil
	case err := <-n.fatal:
		n.Fail(err)
		n.Stop()
		return err
	case <-ctx.Done():
		n.Stop()
		return fmt.Errorf("the server did not begin to serve: %w", ctx.Err())
	}
}

// begin brings the state up to the newest snapshot and looks at what the disk holds.
func (n *Node) begin() (Start, error) {
	if err := n.restore(); err != nil {
		return Start{}, err
	}
	words, err := n.parts.Log.Words()
	if err != nil {
		return Start{}, fmt.Errorf("the protocol's durable words: %w", err)
	}
	if words == nil {
		words = n.cfg.Repair.Words
	}
	last := n.parts.Log.Last()
	position := n.parts.Machine.Position()
	empty := last == 0 && position == 0 && words == nil
	noVote, damaged := n.cfg.Repair.Lost || n.behindLog(position), false
	if torn := n.parts.Log.Recovered(); torn != nil {
		n.cfg.Logger.Warn("cut the torn end of the log: these bytes were never confirmed to anyone", "file", torn.File, "offset", torn.Offset, "bytes", torn.Bytes, "after", torn.After.String())
		damaged = torn.Checksum
	}
	if n.transport != nil {
		n.transport.Configure(n.cfg.Ensemble.Members)
		if err := n.transport.Listen(); err != nil {
			return Start{}, fmt.Errorf("transport: %w", err)
		}
	}
	if n.replicated() {
		n.parts.Machine.Configure(n.cfg.Ensemble)
	}
	n.loop.init(n)
	n.durable.Store(int64(last))
	n.inherited.Store(int64(last))
	n.whole.Store(!empty && !noVote && !damaged)
	if n.repairing.Store(noVote && n.replicated()); n.repairing.Load() {
		n.cfg.Logger.Warn("this server has lost what it had, or part of it: it has no vote until its peers have brought it up to date")
	}
	return Start{Self: n.cfg.Self, Words: words, First: n.parts.Log.First(), Last: last, Config: n.cfg.Ensemble, Empty: empty, NoVote: noVote, Torn: damaged, Seed: n.cfg.Seed, Cluster: n.cfg.Cluster}, nil
}

// replicated tells whether this server is one of an ensemble, if only one of one that may grow.
func (n *Node) replicated() bool { return len(n.cfg.Ensemble.Members) > 0 || n.ensembleOf() > 1 }

// ensembleOf is the number of members.
func (n *Node) ensembleOf() int {
	e := n.ensemble.Load()
	return len(e.Voters) + len(e.Others)
}

// behindLog tells whether the log no longer has what the state lacks: a snapshot from a peer was on its way when this server went down.
func (n *Node) behindLog(position Zxid) bool {
	if n.parts.Log.Last() <= position {
		return false
	}
	return errors.Is(n.parts.Log.Read(position+1, func(Record) bool { return false }), ErrPurged)
}

// restore brings a machine whose store does not survive to its newest good snapshot.
func (n *Node) restore() error {
	if n.parts.Nodes == nil || n.parts.Nodes.Durable() || n.parts.Snapshots == nil {
		n.saved.Store(&SnapshotInfo{Zxid: n.parts.Machine.Flushed()})
		return nil
	}
	list, err := n.parts.Snapshots.List()
	if err != nil {
		return fmt.Errorf("snapshots: %w", err)
	}
	for _, s := range list {
		err := n.restoreFrom(s)
		if err == nil {
			n.saved.Store(&s)
			n.cfg.Logger.Info("restored a snapshot", "zxid", s.Zxid.String(), "bytes", s.Bytes)
			break
		}
		n.cfg.Logger.Error("a snapshot cannot be read; trying the one before it", "zxid", s.Zxid.String(), "err", err)
	}
	if first := n.parts.Log.First(); n.ensembleOf() == 1 && first.Counter() > 1 && n.parts.Machine.Position() < first-1 {
		return fmt.Errorf("the log begins at %s and no readable snapshot reaches it (state at %s): restore a snapshot; nothing was changed", first, n.parts.Machine.Position())
	}
	return nil
}

func (n *Node) restoreFrom(s SnapshotInfo) error {
	r, err := n.parts.Snapshots.Open(s)
	if err != nil {
		return err
	}
	defer r.Close()
	return n.parts.Machine.Restore(r, s.Zxid)
}

// Fatal delivers the reason when the node can no longer go on; the owner then calls Stop. It is never closed.
func (n *Node) Fatal() <-chan error { return n.fatal }

// Fail makes the node stop serving for good. The first reason counts.
func (n *Node) Fail(err error) {
	n.serving.Store(false)
	select {
	case n.fatal <- err:
		n.cfg.Logger.Error("the server cannot go on", "err", err)
		n.cfg.Repair.begin(err)
	default:
	}
}

// handOverTime is how long a leader that goes waits to become a follower of the next one, so that its clients' writes are answered.
const handOverTime = 2 * time.Second

// drainPoll is how often a draining node looks.
const drainPoll = 2 * time.Millisecond

// Drain gives leadership to a follower that has everything, stops accepting clients, sends those that are there away as soon as what they asked for is answered, and returns when that is done, or
// ctx ends. A node that does not serve will answer nobody: there is nothing to wait for.
func (n *Node) Drain(ctx context.Context) {
	if !n.serving.Load() {
		return
	}
	n.handOver(ctx)
	for _, g := range n.gateways {
		g.Drain(ctx)
	}
	n.await(ctx, func() bool { return n.outstanding.Load() == 0 || !n.serving.Load() })
}

// handOver ends the leadership and waits until this server serves under the next leader. Its clients are held meanwhile.
func (n *Node) handOver(ctx context.Context) {
	role := n.role.Load()
	if n.ensembleOf() == 1 || role.Role != Leading {
		return
	}
	n.cfg.Logger.Info("giving leadership to a follower that has everything")
	n.inputs.put(Retire{})
	n.await(ctx, func() bool { return n.role.Load().Incarnation != role.Incarnation })
	ctx, cancel := context.WithTimeout(ctx, handOverTime)
	defer cancel()
	n.await(ctx, n.serving.Load)
}

// await returns when the condition holds, the node has failed or stops, or ctx ends.
func (n *Node) await(ctx context.Context, condition func() bool) {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for !condition() && len(n.fatal) == 0 {
		select {
		case <-ctx.Done():
			return
		case <-n.stop:
			return
		case <-tick.C:
		}
	}
}

// Stop ends gateways, role, goroutines and stores, in this order. It returns when all have ended; the state is flushed.
func (n *Node) Stop() error {
	var err error
	n.once.Do(func() {
		n.stopping.Store(true)
		n.serving.Store(false)
		for i := len(n.gateways) - 1; i >= 0; i-- {
			n.gateways[i].Stop()
		}
		close(n.stop)
		n.done.Wait()
		if n.transport != nil {
			err = errors.Join(err, n.transport.Close())
		}
		err = errors.Join(err, n.parts.Machine.Close())
		if n.parts.Nodes != nil {
			err = errors.Join(err, n.parts.Nodes.Close())
		}
		err = errors.Join(err, n.parts.Log.Close())
		if n.parts.Snapshots != nil {
			err = errors.Join(err, n.parts.Snapshots.Close())
		}
	})
	return err
}

// Submit implements Host.
func (n *Node) Submit(req *Request) error {
	if !n.takes() {
		return ErrNotServing
	}
	if reason := n.refusal(); reason != nil && !req.Barrier {
		return reason
	}
	if n.outstanding.Add(1) > int64(n.cfg.MaxOutstanding) {
		n.outstanding.Add(-1)
		return ErrBusy
	}
	if o := n.cfg.Stages; o != nil {
		e := StageEvent{Stage: StageRoute, Start: o.moment(), Count: 1, Bytes: len(req.Body)}
		if o.Traces() {
			e.Requests = []*Request{req}
		}
		o.Observe(e)
	}
	n.requests.put(req)
	return nil
}

// Machine implements Host.
func (n *Node) Machine() StateMachine { return n.parts.Machine }

// Authenticators implements Host.
func (n *Node) Authenticators() map[string]Authenticator { return n.parts.Auth }

// Gateways implements Host.
func (n *Node) Gateways() []Gateway { return n.parts.Gateways }

// Stages implements Host.
func (n *Node) Stages() *StageObserver { return n.cfg.Stages }

// Status implements Host.
func (n *Node) Status() Status {
	role := n.role.Load()
	serving, holding := n.serving.Load(), n.holding.Load()
	if !serving && !holding { // it may have begun to serve in between
		serving = n.serving.Load()
	}
	s := Status{
		Server: n.cfg.Self, Role: role.Role, Leader: role.Leader, Epoch: role.Epoch, Cluster: role.Cluster, Serving: serving, Holding: holding,
		LastProposed: Zxid(n.proposed.Load()), LastDurable: Zxid(n.durable.Load()), LastApplied: n.parts.Machine.Position(),
		Outstanding: int(n.outstanding.Load()), Members: n.ensemble.Load().Members, Started: n.started, Warnings: n.warnings(),
	}
	s.ReadOnly = n.readOnly(role)
	s.Repairing = n.repairing.Load()
	s.Syncs = *n.syncs.Load()
	s.Figures = n.figures.picture()
	s.Refusing = n.refusal()
	s.Saved = *n.saved.Load()
	return s
}

// takes tells whether requests are taken: now, or for the next leader. Of the two one begins before the other ends, so whoever looks in between looks once more.
func (n *Node) takes() bool { return n.serving.Load() || n.holding.Load() || n.serving.Load() }

// refusal is why writes are refused at the moment, nil if they are not.
func (n *Node) refusal() error {
	if reason := n.refusing.Load(); reason != nil {
		return *reason
	}
	if reason := n.refused.Load(); reason != nil {
		return *reason
	}
	return nil
}

// Refuse is Env.Refuse of this node's plugins.
func (n *Node) Refuse(reason error) {
	if reason == nil {
		n.refused.Store(nil)
		return
	}
	n.refused.Store(&reason)
}

// LinkUp implements TransportSink.
func (n *Node) LinkUp(link LinkID, accepted bool) {
	n.inputs.put(LinkIsUp{Link: link, Accepted: accepted})
}

// LinkDown implements TransportSink.
func (n *Node) LinkDown(link LinkID, reason error) {
	n.flow.forget(link)
	n.inputs.put(LinkIsDown{Link: link, Err: reason})
}

// LinkFlushed implements TransportSink.
func (n *Node) LinkFlushed(link LinkID) { n.inputs.put(LinkFlushed{Link: link}) }

// Received implements TransportSink.
func (n *Node) Received(link LinkID, msg Message) {
	n.flow.came(link, inputSize(&msg))
	n.inputs.put(Received{Link: link, Message: msg})
}
