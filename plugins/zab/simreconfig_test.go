package zab

import (
	"fmt"
	"strings"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
)

// This file is what changes of the configuration add to the simulation: two servers that belong to nothing at first, changes at random, and word of configurations among those who look.

// grow gives the ensemble a configuration that can be changed, and servers to change it with.
func (w *world) grow() {
	e, err := config.ParseEnsemble(configText(w.config.Voters, w.config.Others, 0))
	if err != nil {
		panic(err)
	}
	w.config = e
	for range 2 {
		w.servers = append(w.servers, &server{id: kernel.ServerID(len(w.servers) + 1)})
	}
}

func configText(voters, others []kernel.ServerID, version kernel.Zxid) string {
	var b strings.Builder
	for _, id := range voters {
		fmt.Fprintf(&b, "server.%d=h%d:1:2:participant\n", id, id)
	}
	for _, id := range others {
		fmt.Fprintf(&b, "server.%d=h%d:1:2:observer\n", id, id)
	}
	fmt.Fprintf(&b, "version=%x", uint64(version))
	return b.String()
}

// otherConfig is any configuration of the servers that there are.
func (w *world) otherConfig(version kernel.Zxid) kernel.Ensemble {
	var voters, others []kernel.ServerID
	for len(voters) == 0 {
		voters, others = nil, nil
		for _, s := range w.servers {
			switch w.rng.IntN(4) {
			case 0:
			case 1:
				others = append(others, s.id)
			default:
				voters = append(voters, s.id)
			}
		}
	}
	e, err := config.ParseEnsemble(configText(voters, others, version))
	if err != nil {
		panic(err)
	}
	return e
}

// gossip tells a server that looks of the configuration that is in force at another.
func (w *world) gossip(looking []*server) {
	s, other := looking[w.rng.IntN(len(looking))], w.servers[w.rng.IntN(len(w.servers))]
	if other.core == nil || len(other.core.active) == 0 || w.cut[pair(s.id, other.id)] {
		return
	}
	e := other.core.active[0]
	if e.Version <= s.look.Config.Version {
		return
	}
	w.logf("%d hears of configuration %s from %d", s.id, trace(e.Version), other.id)
	s.look.Config = e
	if s.look.Next != nil && s.look.Next.Version <= e.Version {
		s.look.Next = nil
	}
	s.inbox = append(s.inbox, kernel.ConfigIs{Config: e})
}

func (l *look) isVoter(id kernel.ServerID) bool {
	return l.Config.IsVoter(id) || l.Next != nil && l.Next.IsVoter(id)
}

func (l *look) isQuorum(voters []*server) bool {
	has := func(id kernel.ServerID) bool {
		for _, s := range voters {
			if s.id == id {
				return true
			}
		}
		return false
	}
	return l.Config.IsQuorum(has) && (l.Next == nil || l.Next.IsQuorum(has))
}
