package zab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// This file is a whole ensemble of cores in one goroutine: an oracle for the election, links that delay and break, disks that answer late and lose what was not synced, crashes, restarts.
// A seed makes the run. What must hold is in invariants_test.go, and is checked at every single thing that happens.

// entry is a transaction in a log. hash is that of the whole history up to it.
type entry struct {
	zxid  kernel.Zxid
	value uint64
	hash  uint64
	text  string // the configuration that it proposes; empty: it is an ordinary one
}

func chain(before uint64, z kernel.Zxid, value uint64) uint64 {
	h := before
	for _, x := range [2]uint64{uint64(z), value} {
		h = (h ^ x) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return h
}

// job is one thing for a server's disk. They are done in order. An append is written first and synced later.
type job struct {
	id      kernel.EffectID
	entries []entry
	written bool
	words   []byte
	cut     *kernel.TruncateLog
	restore *kernel.RestoreState
}

// body is a snapshot on its way: how much of the committed history it holds.
type body struct {
	applied int
	link    *link
}

func (*body) Read([]byte) (int, error) { return 0, errors.New("the simulation looks inside instead") }

type server struct {
	id    kernel.ServerID
	voter bool
	core  *Core // nil: down
	inbox []kernel.Input
	look  *look
	wake  time.Duration
	role  kernel.RoleChange
	born  uint64
	wiped bool
	slow  bool // its disk
	plain bool // it announces nothing, like a server of ZooKeeper: no batches, every acknowledgement and commit by itself

	// On the disk.
	log    []entry
	base   entry // the history before log ends here
	synced int   // of log
	words  []byte
	tip    entry // end of the log, appends under way included
	jobs   []job
	reads  []kernel.ReadLog

	// The machine: how much of the committed history it has applied, and how much of that survives.
	applied, flushed int

	barriers map[uint64]int // what had to be applied when they pass
	asked    uint64
}

type item struct {
	up, down, flushed bool
	msg               kernel.Message
}

// link has two ends; queue[i] is on its way to end i. Its ids are those that ends know it by.
type link struct {
	ends   [2]*server
	born   [2]uint64
	ids    [2]kernel.LinkID
	queue  [2][]item
	broken bool

	// What a server of ZooKeeper's would have seen on it.
	pending []kernel.Zxid
	asked   bool // NEWLEADER was sent and is not acknowledged
	told    bool // UPTODATE was sent
}

type dial struct {
	from *server
	born uint64
	what kernel.DialPeer
}

type snapshot struct {
	from *server
	born uint64
	what kernel.SendSnapshot
}

// faults are how often things go wrong, in thousandths of all events.
type faults struct {
	crash, breakLink, partition, illegal, purge, wipe, retire, tick, reconfig int
	masters                                                                   bool // no fault: observers are served by followers
}

type world struct {
	rng     *rand.Rand
	config  kernel.Ensemble
	servers []*server
	links   []*link
	dials   []dial
	snaps   []snapshot
	holds   map[kernel.LinkID]int
	cut     map[[2]kernel.ServerID]bool // partitioned pairs
	now     time.Duration
	seq     uint64
	faults  faults
	bug     bug
	tail    int
	roll    uint32
	healing bool
	trace   []string
	tracing bool

	values   uint64
	steps    int
	check    checker
	violated error

	snapsTaken, diffs, truncs, established, committedBatches, barriersPassed, waits, changes, decided int
}

// bug is a rule of the protocol that the simulation breaks, to see that the invariants notice.
type bug int

const (
	noBug bug = iota
	ackBeforeDurable
	commitWithoutQuorum
	noTruncation
	epochBeforeHistory
	voteFromMemory
	promiseNotKept
	applyBeforeCommit
	intentForgotten
	nextForgotten
	oneQuorum
)

// newWorld makes an ensemble. Some of its servers may be plain, and in some ensembles the counter of an epoch soon runs out.
func newWorld(seed uint64, voters, observers int, f faults) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, seed)), faults: f, holds: map[kernel.LinkID]int{}, cut: map[[2]kernel.ServerID]bool{}, tail: 300}
	for i := range voters + observers {
		id := kernel.ServerID(i + 1)
		if i < voters {
			w.config.Voters = append(w.config.Voters, id)
		} else {
			w.config.Others = append(w.config.Others, id)
		}
		w.servers = append(w.servers, &server{id: id, voter: i < voters})
	}
	if f.reconfig > 0 {
		w.grow()
	}
	w.check.init(&w.config)
	plain := w.rng.IntN(2) == 0
	if w.rng.IntN(4) == 0 {
		w.roll = 40
	}
	for _, s := range w.servers {
		s.plain = plain && w.rng.IntN(2) == 0
		w.start(s)
	}
	return w
}

func (w *world) logf(format string, args ...any) {
	if w.tracing {
		w.trace = append(w.trace, fmt.Sprintf("%6d ", w.steps)+fmt.Sprintf(format, args...))
	}
}

func (w *world) fail(format string, args ...any) {
	if w.violated == nil {
		w.violated = fmt.Errorf(format, args...)
		w.logf("VIOLATION %v", w.violated)
	}
}

func (w *world) chance(thousandths int) bool { return w.rng.IntN(1000) < thousandths }

func (s *server) end() kernel.Zxid { // of the log on the disk, synced or not
	if len(s.log) > 0 {
		return s.log[len(s.log)-1].zxid
	}
	return s.base.zxid
}

func (s *server) durableEnd() entry {
	if s.synced > 0 {
		return s.log[s.synced-1]
	}
	return s.base
}

// start begins a server's life with what its disk holds. The log is synced when it is opened (R7).
func (w *world) start(s *server) {
	w.seq++
	s.born = w.seq
	s.synced = len(s.log)
	s.tip = s.durableEnd()
	s.core = NewCore(Settings{InitLimit: 10, SyncLimit: 5, TailBytes: w.tail, ReconfigEnabled: w.config.Text != "", ObserverMasters: w.faults.masters})
	s.core.inspect = inspectEntry
	if s.plain {
		s.core.caps = peer.Capabilities{}
	}
	if w.roll > 0 {
		s.core.roll = w.roll
	}
	s.inbox, s.jobs, s.reads, s.look, s.wake = nil, nil, nil, nil, 0
	s.role = kernel.RoleChange{}
	s.barriers = map[uint64]int{}
	s.applied = s.flushed
	position := w.check.position(s.applied)
	start := kernel.Start{Self: s.id, Words: s.words, First: s.base.zxid, Last: s.end(), Config: w.config, Cluster: kernel.ClusterID{byte(s.id)}}
	if len(s.log) > 0 {
		start.First = s.log[0].zxid
	}
	start.Empty = s.words == nil && start.Last == 0 && position == 0
	start.NoVote = position < s.base.zxid
	w.check.recovered(w, s)
	w.logf("%d starts: log %s..%s, state %s, words %+v novote=%v empty=%v", s.id, trace(s.base.zxid), trace(s.end()), trace(position), decoded(s.words), start.NoVote, start.Empty)
	s.inbox = append(s.inbox, start)
}

func decoded(b []byte) words {
	w, _ := decodeWords(b)
	return w
}

// crash ends a life. What was not synced survives in part, as after a power cut, or whole, as after the end of the process.
func (w *world) crash(s *server) {
	w.logf("%d crashes", s.id)
	s.core = nil
	if unsynced := len(s.log) - s.synced; unsynced > 0 && w.rng.IntN(2) == 0 {
		s.log = s.log[:s.synced+w.rng.IntN(unsynced+1)]
	}
	for _, l := range w.links {
		if (l.ends[0] == s || l.ends[1] == s) && !l.broken {
			w.breakLink(l)
		}
	}
}

func (w *world) breakLink(l *link) {
	l.broken = true
	for i := range l.queue {
		q := l.queue[i]
		if len(q) > 0 {
			q = q[:w.rng.IntN(len(q)+1)]
		}
		l.queue[i] = append(q, item{down: true})
	}
}

func (w *world) byID(id kernel.ServerID) *server { return w.servers[id-1] }

func pair(a, b kernel.ServerID) [2]kernel.ServerID { return [2]kernel.ServerID{min(a, b), max(a, b)} }

// step lets one thing happen, whatever the seed says.
func (w *world) step() {
	w.steps++
	w.now += 3 * time.Millisecond
	switch r := w.rng.IntN(1000); {
	case r < 450:
		w.stepServer(w.servers[w.rng.IntN(len(w.servers))])
	case r < 700:
		w.moveLink()
	case r < 850:
		s := w.servers[w.rng.IntN(len(w.servers))]
		if !s.slow || w.rng.IntN(10) == 0 {
			w.moveDisk(s)
		}
	case r < 900:
		w.propose()
	case r < 910:
		w.barrier()
	case r < 930:
		w.flush()
	case r < 960:
		w.elect(w.chance(w.faults.illegal))
	default:
		w.misfortune()
	}
	w.check.everywhere(w)
}

func (w *world) misfortune() {
	s := w.servers[w.rng.IntN(len(w.servers))]
	f := &w.faults
	switch r := w.rng.IntN(1000); {
	case r < f.crash:
		if s.core == nil {
			w.start(s)
		} else {
			w.crash(s)
		}
	case r < f.crash+f.breakLink:
		if len(w.links) > 0 {
			if l := w.links[w.rng.IntN(len(w.links))]; !l.broken {
				w.logf("link %d-%d breaks", l.ends[0].id, l.ends[1].id)
				w.breakLink(l)
			}
		}
	case r < f.crash+f.breakLink+f.partition:
		p := pair(s.id, w.servers[w.rng.IntN(len(w.servers))].id)
		if w.cut[p] {
			delete(w.cut, p)
		} else {
			w.cut[p] = true
			for _, l := range w.links {
				if !l.broken && pair(l.ends[0].id, l.ends[1].id) == p {
					w.breakLink(l)
				}
			}
		}
	case r < f.crash+f.breakLink+f.partition+f.purge:
		w.purge(s)
	case r < f.crash+f.breakLink+f.partition+f.purge+f.tick:
		if s.core != nil {
			s.inbox = append(s.inbox, kernel.Tick{Half: true})
		}
	case r < f.crash+f.breakLink+f.partition+f.purge+f.tick+f.wipe:
		w.wipe(s)
	case r < f.crash+f.breakLink+f.partition+f.purge+f.tick+f.wipe+f.retire:
		if s.core != nil && s.core.leads() {
			w.logf("%d retires", s.id)
			w.run(s, kernel.Retire{})
		}
	default:
		if s.core == nil {
			w.start(s)
		}
		s.slow = w.rng.IntN(4) == 0
	}
}

// wipe empties a server's disk, if every other voter's is in order: more than that no ensemble survives.
func (w *world) wipe(s *server) {
	for _, o := range w.servers {
		words := decoded(o.words)
		if o.voter && o != s && (words.unsynced || words.accepted == 0) {
			return
		}
	}
	if s.core != nil {
		w.crash(s)
	}
	w.logf("%d is wiped", s.id)
	s.log, s.base, s.synced, s.words, s.applied, s.flushed, s.wiped = nil, entry{}, 0, nil, 0, 0, true
	w.check.wiped(s)
}

// purge drops what the machine has flushed and nobody holds.
func (w *world) purge(s *server) {
	s.flushed = max(s.flushed, s.applied-w.rng.IntN(3))
	upTo := w.check.position(s.flushed)
	for id, from := range w.holds {
		if l := w.linkOf(s, id); l != nil {
			upTo = min(upTo, w.check.position(from))
		}
	}
	n := 0
	for n < s.synced-1 && s.log[n].zxid <= upTo {
		n++
	}
	if n > 0 && len(s.jobs) == 0 {
		s.base = s.log[n-1]
		s.log = slices.Clone(s.log[n:])
		s.synced -= n
	}
}

// propose lets a client of some leader write.
func (w *world) propose() {
	s := w.servers[w.rng.IntN(len(w.servers))]
	if s.core == nil || len(s.jobs) > 20 || w.healing && w.rng.IntN(8) > 0 {
		return
	}
	_, next, ok := s.core.Position()
	if !ok {
		return
	}
	var batch []kernel.Record
	change := -1 // which of them changes the configuration
	n := 1 + w.rng.IntN(3)
	if w.faults.reconfig > 0 && w.chance(w.faults.reconfig) {
		change = w.rng.IntN(n)
	}
	for i := range n {
		w.values++
		r := kernel.Record{Zxid: next, Data: binary.BigEndian.AppendUint64(nil, w.values)}
		if i == change {
			if to := w.otherConfig(next); s.core.MayChange(to) == nil {
				w.logf("%d is asked for the configuration of %v and %v", s.id, to.Voters, to.Others)
				r.Data = append(r.Data, to.Text...)
				w.changes++
			}
		}
		batch = append(batch, r)
		next++
	}
	w.committedBatches++
	w.run(s, kernel.Propose{Batch: batch})
}

// barrier lets a client of some server ask for a sync.
func (w *world) barrier() {
	s := w.servers[w.rng.IntN(len(w.servers))]
	if s.core == nil || !s.role.Established || s.core.phase != Broadcasting {
		return
	}
	s.asked++
	s.barriers[s.asked] = len(w.check.history)
	w.run(s, kernel.AskBarrier{ID: s.asked, Request: &kernel.Request{Session: 1, Op: opSync, Barrier: true}})
}

func (w *world) flush() {
	s := w.servers[w.rng.IntN(len(w.servers))]
	if s.core != nil && s.applied > s.flushed {
		s.flushed += w.rng.IntN(s.applied - s.flushed + 1)
	}
}
