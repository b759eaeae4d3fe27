package election

import (
	"time"

	"github.com/zooid-project/zooid/kernel"
)

func init() {
	kernel.Register(kernel.KindElection, "fle", kernel.Factory[kernel.Election]{
		Doc: "fast leader election, as Apache ZooKeeper's electionAlg=3",
		Options: []kernel.Option{
			{Key: "minNotificationInterval", Type: kernel.TypeDuration, Default: "200", Config: "fastleader.minNotificationInterval", Doc: "first wait before votes are sent again; each wait is twice the last"},
			{Key: "maxNotificationInterval", Type: kernel.TypeDuration, Default: "60000", Config: "fastleader.maxNotificationInterval", Doc: "longest wait before votes are sent again"},
			{Key: "maxTimeToWaitForEpoch", Type: kernel.TypeDuration, Default: "-1", Config: "leader.maxTimeToWaitForEpoch", Doc: "wait of a leader whose epoch is not proposed after which it gives up once a voter that elected it looks again; negative: never for that"},
			{Key: "reconfigEnabled", Type: kernel.TypeBool, Default: "false", Config: "reconfigEnabled", Doc: "take over newer configurations from other servers"},
		},
		New: func(_ kernel.Env, options kernel.Options) (kernel.Election, error) {
			c := New()
			c.minWait = max(options.Duration("minNotificationInterval"), time.Millisecond)
			c.maxWait = max(options.Duration("maxNotificationInterval"), c.minWait)
			c.maxEpochWait = options.Duration("maxTimeToWaitForEpoch")
			c.reconfigEnabled = options.Bool("reconfigEnabled")
			return c, nil
		},
	})
}
