package simulate

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
)

// Between two servers of Zooid there are messages of Zooid's own; with models of ZooKeeper's servers there are none (checkPlain), and all goes on.
func TestModelsOfZooKeepersServers(t *testing.T) {
	for name, test := range map[string]struct {
		models []kernel.ServerID
		own    bool
	}{
		"all are Zooid's":       {nil, true},
		"a follower is a model": {[]kernel.ServerID{1}, true},
		"the leader is a model": {[]kernel.ServerID{3}, false},
		"all are models":        {[]kernel.ServerID{1, 2, 3}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, 3, 0)
			for _, id := range test.models {
				s.plain[id] = true
			}
			s.start(1, 2, 3)
			s.leads(3)
			c := s.client(1)
			s.write(c, 3)
			s.kill(2)
			s.w.Server(2).Wipe()
			s.write(c, 2)
			s.start(2)
			s.serves(1, 2, 3)
			s.finish()
			if n := s.w.Tally["messages of Zooid's own"]; (n > 0) != test.own {
				t.Errorf("there were %d messages of Zooid's own", n)
			}
		})
	}
}
