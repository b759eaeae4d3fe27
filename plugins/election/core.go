package election

import (
	"time"

	"github.com/zooid-project/zooid/kernel"
)

const (
	// finalizeWait is how long a better vote is waited for once there is a quorum (spec zab, 4.8).
	finalizeWait = 200 * time.Millisecond
	// maxRedial bounds the wait before lost links are tried again.
	maxRedial = time.Second
	// noRound is what ZooKeeper's servers say whose leader was named by a change of the configuration, until their next election.
	noRound = -1
	// maxRound is the last round that a peer is believed. Nothing that counts upwards from 1 gets there; adding to what is below it cannot overflow.
	maxRound = 1 << 62
)

// phase is where a server stands.
type phase uint8

const (
	idle    phase = iota // no election yet, or a role that is over: it says nothing until the next Look
	looking              // votes are exchanged
	settled              // a leader is known: others are told who it is
)

// voice is what a server has to say in an election.
type voice uint8

const (
	listening voice = iota // not a voter: it hears who is elected
	mute                   // a voter without a history that counts: it follows whom the others elect (spec zab, S-82)
	voting
)

// Core is one server's part in elections. It is for one goroutine.
type Core struct {
	minWait, maxWait time.Duration
	maxEpochWait     time.Duration // see disloyal; negative: for ever
	reconfigEnabled  bool

	self    kernel.ServerID
	look    kernel.Look      // the last
	config  kernel.Ensemble  // in force
	next    *kernel.Ensemble // proposed and not decided, nil if there is none
	members []*member        // the other members, by id
	cluster kernel.ClusterID // that this server belongs to, zero: not known

	phase    phase
	ruled    bool // settled, and the leader's epoch is established
	round    int64
	voice    voice
	yielding bool // this server holds its vote back for the suggested one (see hint)
	initial  vote // what a round is started with
	proposal vote // the best of this round
	settled  heard

	now        time.Duration
	wait       time.Duration // before votes are sent again
	resendAt   time.Duration
	redialAt   time.Duration
	yieldUntil time.Duration
	finalizeAt time.Duration // zero: no quorum for the proposal yet
	settledAt  time.Duration

	despaired bool // said, since the Look, that nobody can be elected
	answered  answers
	effects   kernel.Effects
}

var _ kernel.Election = (*Core)(nil)

// New returns a core that waits for Start and Look.
func New() *Core {
	return &Core{minWait: 200 * time.Millisecond, maxWait: time.Minute, maxEpochWait: -1, reconfigEnabled: true}
}

// Step implements kernel.Election. What has arrived is looked at before what has been waited for: a better vote that comes with the tick that ends the wait is in time.
func (c *Core) Step(now time.Duration, in ...kernel.Input) *kernel.Effects {
	c.effects.Clear()
	c.now = now
	for _, i := range in {
		switch i := i.(type) {
		case kernel.Start:
			c.self = i.Self
			c.configure(i.Config, nil)
		case kernel.Look:
			c.begin(i)
		case kernel.RoleIs:
			c.roleIs(i.RoleChange)
		case kernel.ConfigIs:
			c.configIs(i.Config)
		case kernel.LinkIsUp:
			c.linkUp(i.Link)
		case kernel.LinkIsDown:
			c.linkDown(i.Link, i.Err)
		case kernel.Received:
			c.received(i.Link, i.Message)
		}
	}
	if c.phase == looking {
		c.count()
		c.decide()
		c.despair()
	}
	if c.phase == looking {
		c.expire()
		c.effects.Wake = c.wake()
	}
	return &c.effects
}

// begin starts an election (spec zab, 4.2).
func (c *Core) begin(l kernel.Look) {
	c.look = l
	c.cluster = l.Cluster
	c.effects.Elected = nil // an answer that nobody has taken yet is out of date
	c.configure(l.Config, l.Next)
	c.phase, c.despaired = looking, false
	for _, p := range c.members {
		p.forget()
	}
	if l.Decided && c.electable(l.Suggested) && !l.NoVote && !l.Empty { // by a change of the configuration: ZooKeeper's servers hold no election then either
		c.settle(vote{leader: l.Suggested, zxid: l.Zxid, epoch: int64(l.Epoch)}, c.round)
		return
	}
	c.elect()
	c.dialVoters()
}

// elect starts a round with everything that a server knows of itself, and nothing that it heard.
func (c *Core) elect() {
	c.wait = c.minWait
	c.resendAt = c.now + c.wait
	c.redialAt = c.now + min(c.wait, maxRedial)
	c.stand()
	c.nextRound(c.round+1, c.initial)
}

// roleIs keeps the settled vote true: members of one ensemble agree on its epoch, whatever the epoch was at their election (spec zab, 4.6).
func (c *Core) roleIs(r kernel.RoleChange) {
	c.cluster = r.Cluster
	if c.phase != settled {
		return
	}
	if r.Role == kernel.Looking { // nobody is sent to a leader that is known to be lost
		c.phase = idle
		return
	}
	was := c.settled
	c.settled.state, c.settled.leader = r.Role, r.Leader
	if c.ruled = r.Established; c.ruled {
		c.settled.epoch = int64(r.Epoch)
	}
	if c.settled != was {
		c.tellOthers()
	}
}

// expire does what has been waited for.
func (c *Core) expire() {
	if c.yielding && c.now >= c.yieldUntil {
		c.stopYielding()
	}
	if c.now >= c.resendAt {
		c.wait = min(2*c.wait, c.maxWait)
		c.resendAt = c.now + c.wait
		c.sendToVoters()
	}
	if c.now >= c.redialAt {
		c.redialAt = c.now + min(c.wait, maxRedial)
		c.dialVoters()
	}
}

func (c *Core) wake() time.Duration {
	at := min(c.resendAt, c.redialAt)
	if c.finalizeAt != 0 {
		at = min(at, c.finalizeAt)
	}
	if c.yielding {
		at = min(at, c.yieldUntil)
	}
	return at
}
