package znode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/wire"
)

// Machine is the state machine. Its methods are those of kernel.StateMachine and inspect.Machine.
type Machine struct {
	env  kernel.Env
	set  settings
	tree *tree.Tree

	// Guarded by the tree's visibility lock; apply alone writes.
	counts     counts
	acls       aclTable
	ephemerals ephemerals
	departed   []*departure // never changed in place
	reaping    bool
	quotas     quotas
	cleaner    cleaner
	digests    digests
	states     digests // at the last positions
	mismatches int64
	scratch    []byte

	fuzzy atomic.Bool // the state was restored and may hold parts of what is applied next: its digest need not be that of the log

	watches  watches
	sessions sessions
	admitted atomic.Int64                       // when a write was let in last while the pressure was high, in Unix nanoseconds
	full     atomic.Bool                        // the node store has no space
	giveUp   atomic.Pointer[context.CancelFunc] // ends apply's wait for a flush
	pressure atomic.Uint64                      // bits of a float64: tree.Pressure after the last slice of apply

	ensemble  kernel.Ensemble // in force; of the loop, as what follows
	spec      speculation
	prepHash  hasher
	applying  applying // of the apply goroutine
	applyHash hasher

	background context.Context // of the machine's own goroutines
	stop       context.CancelFunc
	running    sync.WaitGroup
	postponed  []func() // without goroutines: what the next Tick does. Guarded by the visibility lock
}

var _ kernel.StateMachine = (*Machine)(nil)

// Open opens the state in env.Nodes, or starts an empty one.
func Open(env kernel.Env, s settings) (*Machine, error) {
	if env.Nodes == nil {
		return nil, errors.New("the znode machine needs a node store (plugin.nodes)")
	}
	if env.Logger == nil {
		env.Logger = slog.New(slog.DiscardHandler)
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	if env.Wall == nil {
		env.Wall = env.Now
	}
	m := &Machine{env: env, set: s}
	m.keepDigest(true)
	var err error
	m.tree, err = tree.Open(env.Nodes, tree.Options{CacheBytes: s.cacheBytes, DirtyBytes: s.dirtyBytes, DirtyAge: s.dirtyAge, Manual: !s.background, Logger: env.Logger, Refuse: m.refuse(env.Refuse), Fatal: env.Fatal})
	if err != nil {
		return nil, fmt.Errorf("open the znode tree: %w", err)
	}
	m.background, m.stop = context.WithCancel(context.Background())
	m.watches.init(s.maxWatches)
	m.sessions.init(m)
	m.empty()
	if err := m.load(); err != nil {
		m.stop()
		m.running.Wait()
		m.tree.Abandon()
		return nil, fmt.Errorf("open the znode tree: %w", err)
	}
	if m.counts.nodes == 0 {
		m.tree.Lock()
		m.plant()
		m.tree.Unlock()
	}
	m.tree.Lock()
	m.recordState()
	m.reap()
	m.learnState()
	m.tree.Unlock()
	return m, nil
}

// empty sets everything that follows from the tree to that of an empty one.
func (m *Machine) empty() {
	m.counts = counts{stateKnown: true}
	m.acls.init()
	m.ephemerals.init()
	m.departed = nil
	m.quotas.init()
	m.cleaner.init()
	m.digests, m.states = digests{}, digests{}
	m.spec.reset()
}

// Position implements kernel.StateMachine.
func (m *Machine) Position() kernel.Zxid { return kernel.Zxid(m.tree.Position()) }

// Flushed implements kernel.StateMachine.
func (m *Machine) Flushed() kernel.Zxid { return kernel.Zxid(m.tree.Flushed()) }

// Flush implements kernel.StateMachine.
func (m *Machine) Flush(ctx context.Context) error { return m.tree.Flush(ctx) }

// Sessions implements kernel.StateMachine.
func (m *Machine) Sessions() kernel.Sessions { return &m.sessions }

// Resolve implements kernel.StateMachine. Nearly always everything is in memory, and nothing is pinned. Writes are let in more slowly here when the node store falls behind.
func (m *Machine) Resolve(req *kernel.Request) error {
	w, _ := req.Decoded.(*wire.Request)
	if w == nil { // it came from another server
		w = new(wire.Request)
		if wire.DecodeRequest(wire.OpCode(req.Op), req.Body, w) != nil {
			return nil // prepare says so
		}
		req.Decoded = w
	}
	if wire.OpCode(req.Op) != wire.OpCloseSession {
		if err := m.admit(); err != nil {
			return err
		}
	}
	var pin *tree.Pin
	resolve := func(o *wire.Op) {
		if !o.Code.IsWrite() && o.Code != wire.OpCheck || !treePath(o.Path) {
			return
		}
		path := o.Path
		if o.Mode.IsSequential() && o.Code.IsCreate() {
			path = parentOf(path)
		}
		m.tree.RLock()
		look := m.tree.Get
		if o.Code.IsCreate() {
			look = m.tree.GetNew
		}
		_, here := look(path)
		_, above := m.tree.Get(parentOf(path))
		m.tree.RUnlock()
		if here != tree.Cold && above != tree.Cold {
			return
		}
		if pin == nil {
			pin = new(tree.Pin)
			req.Pin = pin
		}
		if err := m.tree.Resolve(pin, path); err != nil {
			m.env.Logger.Error("a znode could not be read from the node store", "path", path, "err", err)
		}
	}
	resolve(&w.Op)
	if w.Code == wire.OpMulti {
		for i := range w.Ops {
			resolve(&w.Ops[i])
		}
	}
	if m.set.eagerACL {
		return m.eager(req, &w.Op)
	}
	return nil
}

// Release implements kernel.StateMachine.
func (m *Machine) Release(req *kernel.Request) {
	if pin, ok := req.Pin.(*tree.Pin); ok {
		pin.Release()
		req.Pin = nil
	}
}

// Peers implements kernel.StateMachine.
func (m *Machine) Peers() kernel.PeerSessions { return &m.sessions }

// Lead implements kernel.StateMachine.
func (m *Machine) Lead(leading bool) { m.sessions.lead(leading) }

// Tick implements kernel.StateMachine.
func (m *Machine) Tick(now time.Time, stalled bool) []*kernel.Request {
	m.catchUp()
	reqs := m.sessions.expired(now, stalled)
	if m.sessions.current() != kernel.Leading {
		return nil
	}
	m.tree.RLock()
	defer m.tree.RUnlock()
	return m.cleaner.due(&m.set, now, reqs)
}

// beside runs work beside everything else: on a goroutine, or, where there are none, in the next Tick. Work takes the locks that it needs. The visibility lock is held.
func (m *Machine) beside(work func()) {
	if !m.set.background {
		m.postponed = append(m.postponed, work)
		return
	}
	m.running.Add(1)
	go func() {
		defer m.running.Done()
		work()
	}()
}

// catchUp does what beside has put off. No lock is held.
func (m *Machine) catchUp() {
	if m.set.background {
		return
	}
	m.tree.Lock()
	list := m.postponed
	m.postponed = nil
	m.tree.Unlock()
	for _, work := range list {
		work()
	}
}

// look is tree.Get: a node if it is in memory. Either side of the visibility lock is held.
func (m *Machine) look(path string) (*tree.Node, tree.State) {
	n, state := m.tree.Get(path)
	if m.hidden(n) {
		return nil, tree.Absent
	}
	return n, state
}

// compareDigest reports when this tree is not what the transaction's author had. Replicas may differ: an operator has to know (spec peer-wire-and-disk, 7.5). After a restore the digest has to agree
// once before it counts, or the synchronization has to be over: until then a snapshot may be ahead of what is applied.
func (m *Machine) compareDigest(zxid kernel.Zxid, want uint64) {
	fuzzy := m.fuzzy.Load()
	if want == m.counts.digest {
		if fuzzy {
			m.fuzzy.Store(false)
		}
		return
	}
	if fuzzy {
		return
	}
	if m.mismatches++; m.mismatches == 1 {
		m.env.Logger.Error("the tree's digest differs from the one in the log: replicas may differ, compare all servers", "zxid", zxid.String(),
			"log", fmt.Sprintf("%x", want), "tree", fmt.Sprintf("%x", m.counts.digest))
	}
}

// Gauges implements kernel.StateMachine, by the names of mntr without their prefix.
func (m *Machine) Gauges(set func(name string, value float64)) {
	m.tree.RLock()
	nodes, bytes, owned, aged, mismatches := m.counts.nodes, m.counts.bytes, m.ephemerals.total, len(m.cleaner.nodes), m.mismatches
	known := 0.0
	if m.stateKnown() {
		known = 1
	}
	m.tree.RUnlock()
	set("znode_count", float64(nodes+1)) // as ZooKeeper's servers count: the root has two names there
	set("approximate_data_size", float64(bytes))
	set("ephemerals_count", float64(owned))
	set("container_and_ttl_count", float64(aged))
	set("digest_mismatches_count", float64(mismatches))
	set("state_digest_known", known)
	set("watch_count", float64(m.watches.pairs.Load()))
	m.sessions.mu.RLock()
	all, local := len(m.sessions.byID), m.sessions.locals
	m.sessions.mu.RUnlock()
	set("global_sessions", float64(all-local))
	set("local_sessions", float64(local))
	m.tree.Gauges(set)
}

// Close implements kernel.StateMachine.
func (m *Machine) Close() error {
	m.stop()
	m.running.Wait()
	return m.tree.Close()
}
