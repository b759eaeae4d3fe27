package zab

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/sdk/peer"
)

// Phase is where a server stands in the protocol (spec zab, 1).
type Phase uint8

// The phases.
const (
	Election Phase = iota
	Discovery
	Synchronization
	Broadcasting
)

func (p Phase) String() string {
	return [...]string{"ELECTION", "DISCOVERY", "SYNCHRONIZATION", "BROADCAST"}[p]
}

const (
	// counterLimit is the last counter of an epoch. Apache ZooKeeper's leaders stop there too (spec zab, 2).
	counterLimit = 0xffffffff
	// counterRoll is where the leader begins a new epoch at the first quiet moment, long before the limit, so that nobody notices.
	counterRoll = 0xf0000000
	// minRoll leaves an epoch some use.
	minRoll = 100
	// maxEpochStep is how far a peer's epoch may be above this server's to be believed (spec zab, S-39). No ensemble loses that many elections while one of its voters is away.
	maxEpochStep = 1 << 16
	maxEpoch     = 1<<31 - 1
)

// Core is one server's part in the broadcast.
type Core struct {
	settings    Settings
	self        kernel.ServerID
	active      active
	inspect     func(data []byte) (kernel.TxnInfo, error) // nil: no transaction holds a configuration
	phase       Phase
	role        kernel.Role
	epoch       kernel.Epoch // proposed or established, by phase
	incarnation uint64       // of the role
	seq         uint64       // of effects
	now         time.Duration
	halves      uint64 // half ticks so far: what limits are counted in

	disk
	tail      tail
	next      kernel.Zxid      // of the next proposal
	committed kernel.Zxid      // by a quorum, as far as this server knows
	applied   kernel.Zxid      // told to the node: committed, and durable here
	draw      kernel.ClusterID // for an ensemble that has none
	heardOf   kernel.Epoch     // the highest that a member was heard to have promised: the next is above it
	empty     bool             // there never was anything here
	looked    bool             // the election has been asked

	lead     leading // also of a follower that has observers: observermaster.go
	learn    learning
	parked   []parked
	barriers []barrier

	roll      uint32 // settings.RollAfter, lower in tests
	limit     uint32
	suggested kernel.ServerID
	gaveUp    time.Duration     // when this server gave its state up last; 0: never
	decided   bool              // by a change of the configuration: everybody hears of suggested
	caps      peer.Capabilities // what this server announces; tests take it away, and have a server of ZooKeeper's kind
	broken    error
	effects   kernel.Effects
	rng       *rand.Rand
	pause     time.Duration // until when an observer that has lost its leader leaves the voters alone; 0: it has lost none
	turn      int           // which of its masters an observer tries first: the one that it has had
	missed    int           // those that did not bring it up since one did
	diffs     int64         // learners that were sent what they lack, for administrators
}

// barrier waits for everything proposed before it and, on a leader, for a round of pings that began after it.
type barrier struct {
	id    uint64
	after kernel.Zxid
	round uint64
	from  *learner // whose client asked; nil: a client of this server
}

// parked is a link on which a learner waits for this server to find out whether it leads.
type parked struct {
	link  kernel.LinkID
	since uint64
	info  *kernel.Message
}

// parkedLimit bounds them. parkedHalves is how long one may wait: an election that takes longer is better heard of by the learner itself.
const (
	parkedLimit  = 64
	parkedHalves = 2
)

// New returns a core with the usual settings.
func New() *Core { return NewCore(Settings{InitLimit: 10, SyncLimit: 5, TailBytes: 32 << 20}) }

// NewCore returns a core that waits for Start. Limits that are zero are the usual ones.
func NewCore(s Settings) *Core {
	s.SnapshotSyncs, s.DiffSyncs, s.RollAfter = cmp.Or(s.SnapshotSyncs, 10), cmp.Or(s.DiffSyncs, 100), cmp.Or(s.RollAfter, counterRoll)
	return &Core{settings: s, caps: capabilities, roll: s.RollAfter, limit: counterLimit, tail: tail{limit: s.TailBytes}}
}

// capabilities are what a server of Zooid announces to its peers.
var capabilities = peer.Capabilities{Version: 1, Bits: peer.Batches | peer.CumulativeAcks | peer.ChunkedSnapshots | peer.BarrierOnSync | peer.StateDigests}

// Position implements kernel.Broadcast. There is none while an epoch is being established, which includes the moment in which a leader near the end
// of its counter begins a new one: requests wait, nobody is refused.
func (c *Core) Position() (kernel.Epoch, kernel.Zxid, bool) {
	return c.epoch, c.next, c.leads() && !c.full() && !c.lead.retiring && !c.lead.outrun && !c.lead.handing
}

// leads tells whether this server is an established leader.
func (c *Core) leads() bool { return c.role == kernel.Leading && c.phase == Broadcasting }

// full tells whether the epoch's counter is so near its end that a batch might not fit.
func (c *Core) full() bool { return c.next.Counter() >= c.roll }

// Step implements kernel.Broadcast.
func (c *Core) Step(now time.Duration, in ...kernel.Input) *kernel.Effects {
	c.now = now
	c.effects.Clear()
	for _, i := range in {
		c.take(i)
	}
	if c.role == kernel.Leading {
		c.leadOn()
	} else if c.role != kernel.Looking {
		c.learnOn()
	}
	if c.role == kernel.Looking {
		c.rest()
	}
	c.order()
	if c.effects.Role != nil {
		c.effects.Role.Cluster = c.agreedCluster()
	}
	if c.broken == nil {
		c.save()
	}
	c.tail.shrink(c.durable)
	c.effects.Held = c.learn.bytes
	return &c.effects
}

func (c *Core) take(i kernel.Input) {
	if start, ok := i.(kernel.Start); ok {
		c.start(start)
	}
	if c.broken != nil {
		if _, ok := i.(kernel.Propose); ok {
			c.effects.Refused = true
		}
		return
	}
	switch i := i.(type) {
	case kernel.Tick:
		if i.Half {
			c.half()
		}
	case kernel.Elected:
		c.elected(i)
	case kernel.LinkIsUp:
		c.linkUp(i)
	case kernel.LinkIsDown:
		c.linkDown(i)
	case kernel.LinkFlushed:
		c.flushed(i.Link)
	case kernel.Received:
		c.received(i)
	case kernel.Propose:
		c.propose(i)
	case kernel.WordsSaved:
		c.wordsSaved(i)
	case kernel.Durable:
		c.durableUpTo(i)
	case kernel.Truncated:
		c.truncated(i)
	case kernel.Restored:
		c.restored(i)
	case kernel.LogRead:
		c.logRead(i)
	case kernel.SnapshotBegun:
		c.snapshotBegun(i)
	case kernel.AskBarrier:
		c.askBarrier(i)
	case kernel.Forward:
		c.forward(i)
	case kernel.AskLeader:
		c.askLeader(i)
	case kernel.Answer:
		c.answer(i)
	case kernel.StateIs:
		c.stateIs(i)
	case kernel.StateCompared:
		c.compared(i)
	case kernel.Retire:
		c.retire()
	case kernel.ConfigIs:
		c.configIs(i.Config)
	}
}

func (c *Core) start(s kernel.Start) {
	c.self, c.active = s.Self, active{s.Config}
	c.rng = rand.New(rand.NewPCG(uint64(s.Seed), uint64(s.Self)))
	c.last, c.durable = s.Last, s.Last
	c.tail.reset(s.Last)
	c.empty = s.Empty
	c.draw = s.Cluster
	if s.Words != nil {
		c.words, c.broken = decodeWords(s.Words)
		c.stable = c.words
	}
	if c.broken == nil {
		c.adoptStored()
	}
	if (s.NoVote || s.Torn && !c.alone()) && c.broken == nil {
		c.words.lose(false, 0)
	}
	if s.NoVote && c.words.current == 0 {
		// It had a history, and has accepted one, though it does not know when: epoch 1 was promised and accepted by whoever has ever had any. Who has not even that could take part in founding a
		// new ensemble over what was lost (spec zab, S-82).
		c.words.current, c.words.accepted = 1, max(c.words.accepted, 1)
	}
	// Words below the log's last epoch would let this server follow an older leader (spec zab, S-85). They are saved before any record of their epoch, but for what is to be cut, and for what
	// nobody has accepted.
	end := s.Last
	if c.words.cutting {
		end = min(end, c.words.mark)
	}
	if e := end.Epoch(); c.broken == nil && e > c.words.current && !c.words.unsynced {
		c.broken = fmt.Errorf("zab: the log reaches epoch %d but the durable words say %d: the words were lost or come from another copy of the directory", e, c.words.current)
	}
	if c.broken != nil && !errors.Is(c.broken, errNewerWords) {
		c.broken = &kernel.PromiseError{Err: c.broken}
	}
	c.effects.Fatal = c.broken
}

// adoptStored puts the configuration in force that the ensemble has agreed on since the configuration file was written.
func (c *Core) adoptStored() {
	if !c.settings.ReconfigEnabled {
		return
	}
	for _, text := range []string{c.words.config, c.words.next} {
		if text == "" {
			continue
		}
		e, err := config.ParseEnsemble(text)
		if err != nil {
			c.broken = fmt.Errorf("zab: a configuration in the durable words cannot be understood: %w", err)
			return
		}
		switch {
		case e.Version <= c.active[0].Version:
		case text == c.words.config:
			c.active[0] = e
			c.effects.Config = &c.active[0]
		default:
			c.active = active{c.active[0], e}
			c.effects.Next = &c.active[1]
		}
	}
	switch {
	case c.words.unsynced:
		c.forget()
	case c.words.cutting:
		c.forgetCut(min(c.last, c.words.mark))
	default:
		c.forgetCut(c.last)
	}
}

func (c *Core) elected(e kernel.Elected) {
	switch {
	case e.Role == kernel.Looking:
		if c.role == kernel.Leading && c.phase == Discovery && !c.lead.proposed {
			c.lose(fmt.Errorf("zab: a voter that elected this server looks for a leader again, and no quorum is there: %s", c.missing()))
		}
		return
	case c.role != kernel.Looking && c.phase != Broadcasting && e.Leader != c.follows():
		c.lose(fmt.Errorf("zab: a quorum follows server %d by now, and server %d has no quorum", e.Leader, c.follows()))
		return
	case c.role != kernel.Looking || !c.looked:
		return
	}
	switch {
	case e.Role == kernel.Leading && e.Leader == c.self && c.words.unsynced && c.last > 0:
		c.report(errors.New("zab: the election named this server, which has no history to lead with"))
	case e.Role == kernel.Leading && e.Leader == c.self:
		c.looked = false
		c.beginLeading()
	case (e.Role == kernel.Following || e.Role == kernel.Observing) && e.Leader != c.self:
		c.looked = false
		c.beginLearning(e)
	default:
		c.report(fmt.Errorf("zab: the election answered %s under server %d, which server %d cannot be", e.Role, e.Leader, c.self))
	}
}

// follows is the leader of the role that this server has.
func (c *Core) follows() kernel.ServerID {
	if c.role == kernel.Leading {
		return c.self
	}
	return c.learn.leader
}

// lose ends the role. Barriers die with it: a sync that was not confirmed is not answered (I20). What is under way on the disk is waited for.
func (c *Core) lose(reason error) {
	if c.role == kernel.Looking {
		return
	}
	c.report(reason)
	if c.role == kernel.Leading {
		c.dismiss()
	} else {
		c.endLearning()
	}
	if c.role == kernel.Observing {
		c.pause = c.now + c.part(c.settings.ObserverElectionDelay)
	}
	c.role, c.phase = kernel.Looking, Election
	c.incarnation++
	c.barriers = c.barriers[:0]
	c.looked = false
	c.effects.Role = &kernel.RoleChange{Role: kernel.Looking, Incarnation: c.incarnation}
}

// rest brings the disk to a state that a vote can speak of, and asks for an election (G6, G12): what was begun completes, what was not accepted is cut off.
func (c *Core) rest() {
	if c.looked || c.broken != nil || c.self == 0 && c.active == nil {
		return
	}
	if c.words.cutting && c.wordsAre() && c.durable == c.last && c.changing == (kernel.EffectID{}) {
		if c.last > c.words.mark {
			c.truncate(c.words.mark)
			return
		}
		c.words.settle()
	}
	if !c.idle() {
		return
	}
	if c.now < c.pause {
		c.effects.Wake = c.pause
		return
	}
	c.looked = true
	look := &kernel.Look{Epoch: c.words.current, Zxid: c.last, Config: c.active[0], Empty: c.empty, NoVote: c.words.unsynced, Suggested: c.suggested, Cluster: c.agreedCluster(), Decided: c.decided}
	switch {
	case c.words.claimed:
		look.Zxid, look.Witness = c.words.mark, true
	case c.words.unsynced && c.last <= 0 && c.words.current <= 0: // it has promised something, but still there never was anything here
		look.Empty, look.NoVote = true, false
	}
	c.effects.Look = look
	if len(c.active) > 1 {
		look.Next = &c.active[1]
	}
	c.suggested, c.decided = 0, false
}

// part is a random part of a delay.
func (c *Core) part(delay time.Duration) time.Duration {
	if delay <= 0 {
		return 0
	}
	return time.Duration(c.rng.Int64N(int64(delay)))
}

// half is what happens twice a tick.
func (c *Core) half() {
	c.halves++
	for i := 0; i < len(c.parked); {
		if c.halves-c.parked[i].since > parkedHalves {
			c.effects.Hangup = append(c.effects.Hangup, c.parked[i].link)
			c.unpark(i)
			continue
		}
		i++
	}
	if c.role == kernel.Leading {
		c.leadHalf()
	} else if c.role != kernel.Looking {
		c.learnHalf()
	}
}

func (c *Core) unpark(i int) {
	c.parked = append(c.parked[:i], c.parked[i+1:]...)
}

// initHalves and syncHalves are the limits in half ticks.
func (c *Core) initHalves() uint64 { return 2 * uint64(c.settings.InitLimit) }
func (c *Core) syncHalves() uint64 { return 2 * uint64(c.settings.SyncLimit) }

func (c *Core) linkUp(l kernel.LinkIsUp) {
	switch {
	case l.Link.Purpose == kernel.ForElection:
	case !l.Accepted:
		c.dialled(l.Link)
	case c.role == kernel.Leading, c.relays() && l.Link.Purpose == kernel.ForObservers:
		c.meet(l.Link)
	case (c.role == kernel.Looking || c.role == kernel.Following && l.Link.Purpose == kernel.ForObservers) && len(c.parked) < parkedLimit:
		c.parked = append(c.parked, parked{link: l.Link, since: c.halves})
	default:
		c.hangup(l.Link)
	}
}

func (c *Core) linkDown(l kernel.LinkIsDown) {
	if l.Link.Purpose == kernel.ForElection {
		return
	}
	for i := range c.parked {
		if c.parked[i].link == l.Link {
			c.unpark(i)
			return
		}
	}
	if c.role == kernel.Leading || c.lead.byLink[l.Link] != nil {
		c.learnerGone(l.Link)
	} else if c.role != kernel.Looking {
		c.leaderGone(l.Link, l.Err)
	}
}

func (c *Core) received(r kernel.Received) {
	if r.Link.Purpose == kernel.ForElection {
		return
	}
	for i := range c.parked {
		if p := &c.parked[i]; p.link == r.Link {
			if p.info != nil { // a learner says nothing more before it is answered
				c.hangup(r.Link)
				c.unpark(i)
				return
			}
			m := r.Message
			p.info = &m
			return
		}
	}
	if c.role == kernel.Leading || c.lead.byLink[r.Link] != nil {
		c.fromLearner(r.Link, &r.Message)
	} else if c.role != kernel.Looking {
		c.fromLeader(r.Link, &r.Message)
	}
}

func (c *Core) hangup(link kernel.LinkID) { c.effects.Hangup = append(c.effects.Hangup, link) }

func (c *Core) send(link kernel.LinkID, m kernel.Message) {
	c.effects.Send = append(c.effects.Send, kernel.Envelope{Link: link, Message: m})
}

// report tells the operator something.
func (c *Core) report(err error) {
	if err != nil {
		c.effects.Reports = append(c.effects.Reports, err)
	}
}

// commitTo tells the node to apply what is committed and durable here (R8, G7).
func (c *Core) commitTo(committed kernel.Zxid) {
	if z := min(committed, c.durable); z > c.applied {
		c.applied = z
		c.effects.Commit = z
	}
}

var errRetired = errors.New("zab: this server gives up its role because it was asked to")

// retire ends the role in an orderly way. A leader takes no more proposals and goes when what there is, is committed and a follower has all of it.
func (c *Core) retire() {
	if c.leads() {
		c.lead.retiring, c.lead.retireBy = true, c.halves+c.syncHalves()
		return
	}
	c.lose(errRetired)
}

func (c *Core) effect() kernel.EffectID {
	c.seq++
	return kernel.EffectID{Incarnation: c.incarnation, Seq: c.seq}
}
