package sim

import (
	"bytes"
	"errors"
	"hash/maphash"
	"io"
	"slices"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// watch checks what must hold after every step, on what nodes do, not on what they say (spec zab, 16). What it knows of a log is what was appended and synced through it.
type watch struct {
	w        *World
	ensemble kernel.Ensemble // in force: that of the last change that was committed
	seed     maphash.Seed
	decided  []record                    // I1 to I3, I7: the one sequence that every server applies a prefix of
	index    map[kernel.Zxid]int         // into decided
	leaders  map[kernel.Epoch]leadership // I8
	states   map[kernel.Zxid]uint64      // I17: the digest of the state at a position, nil when a server was altered
	cluster  kernel.ClusterID            // that the first established role has agreed on; every server has a proposal of its own
}

// record is a transaction as the watch knows it.
type record struct {
	zxid kernel.Zxid
	hash uint64
}

func (c *watch) init(w *World, e kernel.Ensemble) {
	*c = watch{w: w, ensemble: e, seed: maphash.MakeSeed(), index: map[kernel.Zxid]int{}, leaders: map[kernel.Epoch]leadership{}, states: map[kernel.Zxid]uint64{}}
}

// leadership is who leads an epoch, and since when.
type leadership struct {
	server kernel.ServerID
	since  time.Duration
}

// Led tells who has established an epoch, and when; zero: nobody yet.
func (w *World) Led(e kernel.Epoch) (kernel.ServerID, time.Duration) {
	l := w.watch.leaders[e]
	return l.server, l.since
}

func (c *watch) hash(data []byte) uint64 { return maphash.Bytes(c.seed, data) }

// started checks a server that has come up: its machine holds a prefix of what was decided.
func (c *watch) started(s *Server) {
	at := s.machine.Position()
	if at == 0 || at.Counter() == 0 {
		return
	}
	if _, known := c.index[at]; !known {
		c.w.Fail("server %d starts with a state at %s, which was never committed (I1)", s.id, at)
	}
}

// kept checks a state that is about to survive, as a snapshot or in the node store: what is not committed is in none, whatever the server's role is (I13, G2). Then none can hold what a truncation takes back.
func (c *watch) kept(s *Server, how string, at kernel.Zxid) {
	c.w.Tally["states that survive"]++
	if _, known := c.index[at]; !known && at.Counter() != 0 {
		c.w.Fail("server %d %s at %s, which is not committed (I13)", s.id, how, at)
	}
}

// step looks at the role of a server that had its turn: one established leader for an epoch (I8), one cluster for all.
func (c *watch) step(s *Server) {
	if s.stepper == nil {
		return
	}
	s.markRole()
	role := s.stepper.Role()
	if role.Cluster != (kernel.ClusterID{}) && role.Cluster != c.cluster {
		if c.cluster != (kernel.ClusterID{}) {
			c.w.Fail("server %d belongs to cluster %v, and others to cluster %v", s.id, role.Cluster, c.cluster)
		}
		c.cluster = role.Cluster
	}
	if role.Role != kernel.Leading || !role.Established {
		return
	}
	if other, known := c.leaders[role.Epoch]; !known {
		c.leaders[role.Epoch] = leadership{s.id, c.w.now}
		if n := len(c.decided); n > 0 && !s.holds(c.decided[n-1]) {
			c.w.Fail("server %d leads epoch %d and does not have %s, which was committed (I9)", s.id, role.Epoch, c.decided[n-1].zxid)
		}
		c.w.Tally["elections"]++
		c.w.Logf("server %d leads epoch %d", s.id, role.Epoch)
	} else if other.server != s.id {
		c.w.Fail("servers %d and %d both lead epoch %d (I8)", other.server, s.id, role.Epoch)
	}
}

// applied checks transactions that a server applies: they continue what it has, they are the decided ones, and whoever applies one first does so when a quorum has it on disk (I10).
func (c *watch) applied(s *Server, have kernel.Zxid, txns []kernel.Committed) {
	for i := range txns {
		r := record{txns[i].Zxid, c.hash(txns[i].Data)}
		at, known := c.index[r.zxid]
		switch {
		case known && c.decided[at] != r:
			c.w.Fail("server %d applies another transaction %s than others did (I7)", s.id, r.zxid)
		case known && at > 0 && c.decided[at-1].zxid != have && have.Counter() != 0 && have < r.zxid:
			c.w.Fail("server %d applies %s behind %s: there was %s in between (I2)", s.id, r.zxid, have, c.decided[at-1].zxid)
		case !known:
			if n := len(c.decided); n > 0 && (c.decided[n-1].zxid >= r.zxid || have.Counter() != 0 && have != c.decided[n-1].zxid) {
				c.w.Fail("server %d, at %s, is the first to apply %s; the last that was committed is %s (I2, I3)", s.id, have, r.zxid, c.decided[n-1].zxid)
			}
			c.committed(s, r, txns[i].Data)
			c.index[r.zxid] = len(c.decided)
			c.decided = append(c.decided, r)
			c.w.Tally["transactions"]++
			if c.w.opt.Committed != nil {
				c.w.opt.Committed(r.zxid, txns[i].Data)
			}
		}
		have = r.zxid
	}
}

// digested checks that a server's state at a position is that of all others that were there (I17).
func (c *watch) digested(m *watchedMachine, at kernel.Zxid) {
	digest, ok := m.StateDigestAt(at)
	if !ok || c.states == nil {
		return
	}
	if want, known := c.states[at]; known && digest != want {
		c.w.Fail("the state of server %d has digest %x at %s, that of another server had %x (I17)", m.server.id, digest, at, want)
	}
	c.states[at] = digest
}

// Altered: somebody has altered the state of a server, and states may differ from now on.
func (w *World) Altered() { w.watch.states = nil }

// committed checks that a quorum has a transaction that is applied for the first time; of a change of the configuration a quorum in both (I10, I21).
func (c *watch) committed(s *Server, r record, data []byte) {
	durably := func(id kernel.ServerID) bool { return c.w.Server(id).durably(r) }
	if !c.ensemble.IsQuorum(durably) {
		c.w.Fail("server %d applies %s, which no quorum has on disk (I10)", s.id, r.zxid)
	}
	if c.w.opt.Spares == 0 {
		return
	}
	info, err := s.machine.Inspect(data)
	if err != nil || info.Config == nil {
		return
	}
	next := parsed(string(info.Config))
	if !next.IsQuorum(durably) {
		c.w.Fail("server %d applies the change %s, which no quorum of the new configuration has on disk (I21)", s.id, r.zxid)
	}
	c.mark(r.zxid, next)
	c.ensemble = next
	c.w.Tally["changes of the members"]++
	c.w.Logf("from %s on the voters are %v, the observers %v", r.zxid, next.Voters, next.Others)
}

// mark looks at a change of the members that is committed.
func (c *watch) mark(version kernel.Zxid, next kernel.Ensemble) {
	proposer := c.leaders[version.Epoch()].server
	for e := range c.leaders {
		if e > version.Epoch() {
			c.w.reach(markChangeOutlives)
			break
		}
	}
	if !next.IsVoter(proposer) {
		c.w.reach(markLeaderLeaves)
	}
}

// durably tells whether a server holds a record, or did before its disk was emptied.
func (s *Server) durably(r record) bool { return s.holds(r) || slices.Contains(s.once, r) }

// holds tells whether a server's log, or the state that has taken its place, holds a record on stable storage. It asks what was synced, whether the server runs or not.
func (s *Server) holds(r record) bool {
	if r.zxid <= s.base {
		return true
	}
	for i := len(s.synced) - 1; i >= 0 && s.synced[i].zxid >= r.zxid; i-- {
		if s.synced[i] == r {
			return true
		}
	}
	return false
}

// watchedMachine sees what is applied.
type watchedMachine struct {
	kernel.StateMachine
	server *Server
}

func (m *watchedMachine) Apply(txns []kernel.Committed) {
	m.server.world.watch.applied(m.server, m.Position(), txns)
	m.StateMachine.Apply(txns)
	for i := range txns {
		m.server.world.watch.digested(m, txns[i].Zxid)
	}
}

// StateDigest implements kernel.Digester.
func (m *watchedMachine) StateDigest() (at kernel.Zxid, digest uint64, ok bool) {
	if d, is := m.StateMachine.(kernel.Digester); is {
		return d.StateDigest()
	}
	return 0, 0, false
}

// StateDigestAt implements kernel.Digester.
func (m *watchedMachine) StateDigestAt(z kernel.Zxid) (digest uint64, ok bool) {
	if d, is := m.StateMachine.(kernel.Digester); is {
		return d.StateDigestAt(z)
	}
	return 0, false
}

func (m *watchedMachine) Restore(r io.Reader, zxid kernel.Zxid) error {
	err := m.StateMachine.Restore(r, zxid)
	switch {
	case err != nil:
	case m.server.flushes:
		m.server.base = zxid
	default: // it survives when it is in the snapshot store
		m.server.restored = zxid
	}
	return err
}

// watchedSnapshots sees what survives of a state that is kept in memory.
type watchedSnapshots struct {
	kernel.SnapshotStore
	server *Server
}

func (s *watchedSnapshots) Create() (kernel.SnapshotWriter, error) {
	w, err := s.SnapshotStore.Create()
	return &watchedSnapshot{w, s.server}, err
}

type watchedSnapshot struct {
	kernel.SnapshotWriter
	server *Server
}

func (w *watchedSnapshot) Commit(zxid kernel.Zxid) error {
	w.server.world.watch.kept(w.server, "writes a snapshot", zxid)
	err := w.SnapshotWriter.Commit(zxid)
	if s := w.server; err == nil && s.restored != 0 && zxid >= s.restored {
		s.base, s.restored = max(s.base, s.restored), 0
	}
	return err
}

// watchedElection sees what its server votes with: never more than what it has on stable storage (I16).
type watchedElection struct {
	kernel.Election
	server *Server
}

func (e *watchedElection) Step(now time.Duration, in ...kernel.Input) *kernel.Effects {
	for _, i := range in {
		look, ok := i.(kernel.Look)
		if !ok {
			continue
		}
		s := e.server
		switch {
		case look.Witness:
			s.world.reach(markWitness)
		case look.Empty && len(s.world.watch.decided) > 0 && s.world.watch.ensemble.IsVoter(s.id):
			s.world.reach(markEmptyVoter)
		}
		s.world.Logf("server %d looks for a leader with epoch %d, history to %s%s", s.id, look.Epoch, look.Zxid, standing(look))
		if look.Zxid > s.stableEnd() && !look.NoVote && !look.Empty {
			s.world.Fail("server %d votes with %s and has %s on stable storage (I16)", s.id, look.Zxid, s.stableEnd())
		}
	}
	return e.Election.Step(now, in...)
}

// standing says in the trace what is special about a voter.
func standing(l kernel.Look) string {
	switch {
	case l.Empty:
		return ", empty"
	case l.Witness:
		return ", a witness"
	case l.NoVote:
		return ", no vote"
	}
	return ""
}

// stableEnd is the end of what a server's log holds on stable storage.
func (s *Server) stableEnd() kernel.Zxid {
	if n := len(s.synced); n > 0 {
		return s.synced[n-1].zxid
	}
	return s.base
}

// watchedLog keeps a picture of what its log has synced.
type watchedLog struct {
	kernel.LogStore
	server *Server
}

func (l *watchedLog) Append(group []kernel.Record) error {
	s := l.server
	before := len(s.appended)
	for i := range group {
		s.appended = append(s.appended, record{group[i].Zxid, s.world.watch.hash(group[i].Data)})
	}
	err := l.LogStore.Append(group)
	if errors.Is(err, kernel.ErrNoSpace) {
		s.appended = s.appended[:before]
	}
	return err
}

func (l *watchedLog) Sync() (kernel.Zxid, error) {
	z, err := l.LogStore.Sync()
	if err == nil {
		s := l.server
		s.wrote = s.wrote || len(s.appended) > 0
		s.synced = append(s.synced, s.appended...)
		s.appended = s.appended[:0]
	}
	return z, err
}

func (l *watchedLog) SaveWords(words []byte) error {
	s := l.server
	s.savingWords = bytes.Clone(words)
	if err := l.LogStore.SaveWords(words); err != nil {
		return err
	}
	if check := s.world.opt.CheckWords; check != nil {
		if err := check(s.words, words); err != nil {
			s.world.Fail("server %d: %v", s.id, err)
		}
	}
	s.words, s.savingWords = s.savingWords, nil
	return nil
}

func (l *watchedLog) Truncate(to kernel.Zxid) error {
	s := l.server
	s.cutting = &to
	if err := l.LogStore.Truncate(to); err != nil {
		return err
	}
	s.cutting = nil
	s.synced = append(s.synced, s.appended...)
	s.appended = s.appended[:0]
	for len(s.synced) > 0 && s.synced[len(s.synced)-1].zxid > to {
		s.synced = s.synced[:len(s.synced)-1]
	}
	s.world.Tally["TRUNC"]++
	s.replaced++
	if s.snapshots != nil {
		if list, err := s.snapshots.List(); err == nil && len(list) > 0 && list[0].Zxid > to {
			s.world.Fail("server %d cuts its log at %s and has a snapshot at %s (I13)", s.id, to, list[0].Zxid)
		}
	}
	if c := &s.world.watch; len(c.decided) > 0 && to < s.machine.Position() {
		s.world.Fail("server %d cuts its log at %s and has applied %s (I13)", s.id, to, s.machine.Position())
	}
	return nil
}

func (l *watchedLog) Reset(base kernel.Zxid) error {
	s := l.server
	s.resetting = true
	if err := l.LogStore.Reset(base); err != nil {
		return err
	}
	s.resetting = false
	s.synced, s.appended, s.base, s.restored = nil, nil, 0, 0
	s.world.Tally["SNAP"]++
	s.replaced++
	return nil
}
