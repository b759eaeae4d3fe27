package znode

import (
	"fmt"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

func init() {
	kernel.Register(kernel.KindStateMachine, "znode", kernel.Factory[kernel.StateMachine]{
		Doc:     "ZooKeeper's data model: znodes, sessions, watches, ACLs, quotas",
		Options: options,
		Format:  1,
		New: func(env kernel.Env, o kernel.Options) (kernel.StateMachine, error) {
			s, err := settingsOf(o)
			if err != nil {
				return nil, err
			}
			return Open(env, s)
		},
	})
}

var options = []kernel.Option{
	{Key: "tickTime", Type: kernel.TypeDuration, Default: "3000", Config: "tickTime", Doc: "unit of session time-outs; expired sessions are looked for twice per tick"},
	{Key: "minSessionTimeout", Type: kernel.TypeDuration, Default: "-1", Config: "minSessionTimeout", Doc: "shortest session time-out that clients get; -1: 2 ticks"},
	{Key: "maxSessionTimeout", Type: kernel.TypeDuration, Default: "-1", Config: "maxSessionTimeout", Doc: "longest session time-out that clients get; -1: 20 ticks"},
	{Key: "extendedTypesEnabled", Type: kernel.TypeBool, Default: "false", Config: "extendedTypesEnabled", Doc: "allow nodes with a time to live; must be equal on all servers"},
	{Key: "enforceQuota", Type: kernel.TypeBool, Default: "false", Config: "enforceQuota", Doc: "refuse writes over a hard quota"},
	{Key: "skipACL", Type: kernel.TypeString, Default: "no", Config: "skipACL", Doc: "yes: no permission is checked anywhere"},
	{Key: "eagerACL", Type: kernel.TypeBool, Default: "false", Config: "enableEagerACLCheck", Doc: "refuse a write without the right to it before it enters the write path, too"},
	{Key: "localSessionsEnabled", Type: kernel.TypeBool, Default: "false", Config: "localSessionsEnabled", Doc: "sessions live on their server only, without a transaction"},
	{Key: "localSessionsUpgradingEnabled", Type: kernel.TypeBool, Default: "false", Config: "localSessionsUpgradingEnabled", Doc: "local sessions become global ones when they need to; must be equal on all servers"},
	{Key: "reconfigEnabled", Type: kernel.TypeBool, Default: "false", Config: "reconfigEnabled", Doc: "allow clients to change the ensemble's membership"},
	{Key: "standaloneEnabled", Type: kernel.TypeBool, Default: "true", Config: "standaloneEnabled", Doc: "a server may run without an ensemble; then no change of the membership may leave fewer than two voters"},
	{Key: "digest", Type: kernel.TypeBool, Default: "true", Config: "digest.enabled", Doc: "keep a digest of the tree and write it into every transaction"},
	{Key: "closeSessionPaths", Type: kernel.TypeBool, Default: "true", Config: "closeSessionTxn.enabled", Doc: "a transaction that closes a session lists the nodes that go with it"},
	{Key: "containerCheckInterval", Type: kernel.TypeDuration, Default: "60000", Config: "znode.container.checkIntervalMs", Doc: "time between two passes of the container and TTL cleaner"},
	{Key: "containerMaxPerMinute", Type: kernel.TypeInt, Default: "10000", Config: "znode.container.maxPerMinute", Doc: "containers and TTL nodes that the cleaner deletes in a minute at most"},
	{Key: "containerMaxNeverUsed", Type: kernel.TypeDuration, Default: "0", Config: "znode.container.maxNeverUsedIntervalMs", Doc: "age at which a container that never had a child is deleted; 0: never"},
	{Key: "maxWatches", Type: kernel.TypeInt, Default: "500000", Doc: "watched paths per connection, every 128 bytes of a path counting as one; a request that would pass it is answered BADARGUMENTS"},
	{Key: "maxReply", Type: kernel.TypeBytes, Default: "64MiB", Doc: "longest reply; a request for more is answered BADARGUMENTS"},
	{Key: "cache", Type: kernel.TypeBytes, Default: "128MiB", Doc: "memory for decoded znodes"},
	{Key: "dirty", Type: kernel.TypeBytes, Default: "64MiB", Doc: "changed znodes in memory that are not in the node store yet, at most"},
	{Key: "background", Type: kernel.TypeBool, Default: "true", Doc: "false, for simulations: no goroutines; what they would do happens in the calls of the node, and znodes are written to the node store when it asks for it"},
	{Key: "dirtyAge", Type: kernel.TypeDuration, Default: "10s", Doc: "time after which a changed znode is written to the node store"},
}

// settings are the options in the form in which the machine uses them.
type settings struct {
	tick, minTimeout, maxTimeout time.Duration
	extended                     bool // TTL nodes exist
	enforceQuota                 bool
	skipACL                      bool
	eagerACL                     bool
	local                        bool
	upgrading                    bool
	reconfig                     bool
	fewestVoters                 int  // that a change of the membership may leave
	digest                       bool // a digest is kept
	digestWanted                 bool // ... as soon as there is a state that has one
	closePaths                   bool
	cleanEvery, neverUsed        time.Duration
	cleanPerMinute               int64
	maxWatches                   int
	maxReply                     int
	cacheBytes, dirtyBytes       int64
	dirtyAge                     time.Duration
	background                   bool // the machine has goroutines of its own
}

func settingsOf(o kernel.Options) (settings, error) {
	s := settings{
		tick:       o.Duration("tickTime"),
		minTimeout: o.Duration("minSessionTimeout"), maxTimeout: o.Duration("maxSessionTimeout"),
		extended: o.Bool("extendedTypesEnabled"), enforceQuota: o.Bool("enforceQuota"), skipACL: o.String("skipACL") == "yes", eagerACL: o.Bool("eagerACL"),
		local: o.Bool("localSessionsEnabled"), upgrading: o.Bool("localSessionsUpgradingEnabled"), reconfig: o.Bool("reconfigEnabled"),
		digest: o.Bool("digest"), digestWanted: o.Bool("digest"), closePaths: o.Bool("closeSessionPaths"),
		cleanEvery: o.Duration("containerCheckInterval"), cleanPerMinute: o.Int("containerMaxPerMinute"), neverUsed: o.Duration("containerMaxNeverUsed"),
		maxWatches: int(o.Int("maxWatches")), maxReply: int(o.Bytes("maxReply")),
		cacheBytes: o.Bytes("cache"), dirtyBytes: o.Bytes("dirty"), dirtyAge: o.Duration("dirtyAge"),
		background: o.Bool("background"),
	}
	s.fewestVoters = 1
	if o.Bool("standaloneEnabled") {
		s.fewestVoters = 2
	}
	if s.tick <= 0 {
		return s, fmt.Errorf("tickTime=%v: want a positive number of milliseconds", s.tick)
	}
	if s.minTimeout < 0 {
		s.minTimeout = 2 * s.tick
	}
	if s.maxTimeout < 0 {
		s.maxTimeout = 20 * s.tick
	}
	if s.minTimeout > s.maxTimeout {
		return s, fmt.Errorf("minSessionTimeout (%v) is above maxSessionTimeout (%v)", s.minTimeout, s.maxTimeout)
	}
	if s.cleanPerMinute <= 0 {
		return s, fmt.Errorf("znode.container.maxPerMinute=%d: want a positive number", s.cleanPerMinute)
	}
	return s, nil
}
