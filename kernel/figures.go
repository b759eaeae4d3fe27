package kernel

import (
	"slices"
	"sync"
	"time"
)

// Figures are what a node counts for administrators: nothing that it does depends on them.
type Figures struct {
	RoleSince time.Time // when the established role began that this server has; zero: it has none
	// Learners are those of a leader, or of a follower that has observers. Who leads alone has none, and nothing is known of those of a Broadcast that is no Surveyor.
	Learners []Learner
	Syncs    int // barriers at the leader that wait for what was proposed before them, or for its confirmation
	// Proposed and Committed count transactions of this server's leaderships, Diffs and Snapshots learners that it has begun to bring up with transactions or with the whole state.
	Proposed, Committed int64
	Diffs, Snapshots    int64
	Proposals           Sizes
	Divergences         int64 // how often a state was found to differ: this server's, or that of one that it leads
	Looks               int64 // how often this server asked for an election
	// Elections are from the question to the answer, FollowerSyncs and ObserverSyncs from the answer until the leader says that this server is up to date, Unavailable from losing one
	// established role until clients are served in the next, SnapshotWrites those to the snapshot store.
	Elections, FollowerSyncs, ObserverSyncs, Unavailable, SnapshotWrites Times
}

// Times sums up how long something took that has happened again and again since the start.
type Times struct {
	Count         int64
	Sum, Min, Max time.Duration
}

// Add counts one more.
func (t *Times) Add(took time.Duration) {
	if t.Count++; t.Count == 1 {
		t.Min = took
	}
	t.Sum += took
	t.Min, t.Max = min(t.Min, took), max(t.Max, took)
}

// Sizes are those of the data of transactions that were proposed, in bytes, since the start or the last ResetProposals.
type Sizes struct {
	Count          int64 // 0: there was none, and nothing is known
	Last, Min, Max int64
}

func (s *Sizes) add(size int64) {
	if s.Count++; s.Count == 1 {
		s.Min = size
	}
	s.Last = size
	s.Min, s.Max = min(s.Min, size), max(s.Max, size)
}

// Learner is a server that gets its history from this one.
type Learner struct {
	ID       ServerID
	Link     LinkID
	Observer bool      // it came as one: it gets what is committed, and confirms nothing
	Voter    bool      // in the configuration in force
	Synced   bool      // it was brought up, and serves clients
	Told     Zxid      // it knows that everything up to here is committed
	Since    time.Time // the node's: when it came
}

// Surveyor is a Broadcast that can be asked about its learners.
type Surveyor interface {
	// Survey fills s, appending to its Learners. The node's loop calls it between two Steps, after each of its rounds; it changes nothing.
	Survey(s *Survey)
}

// Survey is how a Broadcast stands with its learners. Syncs and Diffs are those of Figures.
type Survey struct {
	Learners []Learner
	Syncs    int
	Diffs    int64
}

// Resetter is a Host whose figures of proposals can begin anew, as the word srst asks for.
type Resetter interface {
	ResetProposals()
}

var _ Resetter = (*Node)(nil)

// ResetProposals implements Resetter.
func (n *Node) ResetProposals() {
	n.figures.change(func(f *Figures) { f.Proposals = Sizes{} })
}

// figures are a node's own: several of its goroutines count, whoever asks for the status reads.
type figures struct {
	mu sync.Mutex
	Figures

	// In monotonic time, and whether it is under way: the election, the synchronization, the absence.
	looking, syncing, away       time.Duration
	isLooking, isSyncing, isAway bool
}

func (f *figures) change(do func(*Figures)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do(&f.Figures)
}

func (f *figures) picture() Figures {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Figures
}

// looks counts a question to the election. A new one before the answer belongs to the same search.
func (f *figures) looks(now time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Looks++
	if !f.isLooking {
		f.looking, f.isLooking = now, true
	}
}

// elected counts the answer. One that nobody asked for took no time.
func (f *figures) elected(now time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isLooking {
		f.Elections.Add(now - f.looking)
	}
	f.isLooking = false
}

// role counts a change of role. same: the established role goes on. stopped: this server does not serve any more.
func (f *figures) role(role RoleChange, same, stopped bool, now time.Duration, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if stopped {
		f.away, f.isAway = now, true
	}
	learns := role.Role == Following || role.Role == Observing
	switch {
	case same:
	case role.Established:
		f.RoleSince = at
		if f.isSyncing && role.Role == Following {
			f.FollowerSyncs.Add(now - f.syncing)
		} else if f.isSyncing && role.Role == Observing {
			f.ObserverSyncs.Add(now - f.syncing)
		}
		f.isSyncing = false
	default:
		f.RoleSince = time.Time{}
		f.syncing, f.isSyncing = now, learns
	}
}

// serves ends an absence.
func (f *figures) serves(now time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isAway {
		f.Unavailable.Add(now - f.away)
	}
	f.isAway = false
}

// propose counts a batch.
func (f *figures) propose(records []Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Proposed += int64(len(records))
	for i := range records {
		f.Proposals.add(int64(len(records[i].Data)))
	}
}

// survey takes over how the broadcast stands with its learners. How far each of them is changes with every write: that is brought up to date twice a tick.
func (l *loopState) survey(half bool) {
	if l.surveyor == nil {
		return
	}
	l.found = Survey{Learners: l.found.Learners[:0]}
	l.surveyor.Survey(&l.found)
	f := &l.node.figures
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Syncs, f.Diffs = l.found.Syncs, l.found.Diffs
	same := slices.EqualFunc(l.found.Learners, f.Learners, func(a, b Learner) bool {
		return a.Link == b.Link && a.ID == b.ID && a.Observer == b.Observer && a.Voter == b.Voter && a.Synced == b.Synced && (!half || a.Told == b.Told)
	})
	if same {
		return
	}
	was := f.Learners
	f.Learners = slices.Clone(l.found.Learners) // whoever has the old ones keeps them
	for i := range f.Learners {
		learner := &f.Learners[i]
		learner.Since = l.node.cfg.Wall()
		for j := range was {
			if was[j].Link == learner.Link {
				learner.Since = was[j].Since
			}
		}
	}
}
