package zooidtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/transports/memory"
)

// Ensemble is several servers of one ensemble, in this process, linked in memory. Servers[0] is server 1.
type Ensemble struct {
	t       testing.TB
	Servers []*Server
	network *memory.Network
}

// StartEnsemble runs voters servers, and observers behind them, until the end of the test. It returns when all of them serve. Options are those of Start, for every server.
func StartEnsemble(t testing.TB, voters, observers int, opts ...Option) *Ensemble {
	t.Helper()
	name := fmt.Sprintf("zooidtest-%d", started.Add(1))
	network := Set("plugin.transport.network", name)
	var all kernel.Ensemble
	for i := range voters + observers {
		m := kernel.Member{ID: kernel.ServerID(i + 1), Voter: i < voters, Text: fmt.Sprintf("server%d:2888:3888", i+1)}
		all.Members = append(all.Members, m)
		if m.Voter {
			all.Voters = append(all.Voters, m.ID)
		} else {
			all.Members[i].Text += ":observer"
			all.Others = append(all.Others, m.ID)
		}
		all.Text += fmt.Sprintf("server.%d=%s\n", m.ID, all.Members[i].Text)
	}
	all.Text += "version=0"
	e := &Ensemble{t: t, network: memory.Named(name)}
	for _, m := range all.Members {
		member := func(o *options) { o.self, o.ensemble = m.ID, all }
		e.Servers = append(e.Servers, Start(t, append([]Option{network, member}, opts...)...))
	}
	e.Wait()
	return e
}

// ConnectString is what a client of the whole ensemble is given.
func (e *Ensemble) ConnectString() string {
	hosts := make([]string, len(e.Servers))
	for i, s := range e.Servers {
		hosts[i] = s.Addr()
	}
	return strings.Join(hosts, ",")
}

// Wait returns when every server that runs serves clients.
func (e *Ensemble) Wait() {
	e.t.Helper()
	deadline := time.Now().Add(startTimeout)
	for _, s := range e.Servers {
		for s.running != nil && !s.Host().Status().Serving {
			if time.Now().After(deadline) {
				e.t.Fatalf("zooidtest: server %d does not serve: %+v", s.o.self, s.Host().Status())
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
}

// Leader is the server that leads; nil if none does.
func (e *Ensemble) Leader() *Server {
	for _, s := range e.Servers {
		if s.running != nil {
			if st := s.Host().Status(); st.Serving && st.Role == kernel.Leading {
				return s
			}
		}
	}
	return nil
}

// Followers are the voters that follow the leader.
func (e *Ensemble) Followers() (list []*Server) {
	for _, s := range e.Servers {
		if s.running != nil && s.Host().Status().Role == kernel.Following {
			list = append(list, s)
		}
	}
	return list
}

// Isolate cuts servers off from all others, not from each other. Their clients reach them as before.
func (e *Ensemble) Isolate(servers ...*Server) { e.across(servers, e.network.Cut) }

// Rejoin ends an Isolate.
func (e *Ensemble) Rejoin(servers ...*Server) { e.across(servers, e.network.Heal) }

// across does something to every pair of which one is among servers.
func (e *Ensemble) across(servers []*Server, do func(a, b kernel.ServerID)) {
	for _, s := range servers {
		for _, other := range e.Servers {
			if !slices.Contains(servers, other) {
				do(s.o.self, other.o.self)
			}
		}
	}
}

// Lose makes every message between servers break its link with this chance. The same seed loses at the same messages. Chance 0 ends it.
func (e *Ensemble) Lose(chance float64, seed uint64) { e.network.Lose(chance, seed) }

// Reset breaks the links between two servers, once. They dial again.
func (e *Ensemble) Reset(a, b *Server) { e.network.Reset(a.o.self, b.o.self) }

// AwaitLeader returns the server that leads, other than not (which may be nil), as soon as there is one.
func (e *Ensemble) AwaitLeader(not *Server) *Server {
	e.t.Helper()
	deadline := time.Now().Add(startTimeout)
	for {
		for _, s := range e.Servers {
			if s.running == nil || s == not {
				continue
			}
			if st := s.Host().Status(); st.Serving && st.Role == kernel.Leading {
				return s
			}
		}
		if time.Now().After(deadline) {
			e.t.Fatal("zooidtest: nobody leads")
		}
		time.Sleep(2 * time.Millisecond)
	}
}
