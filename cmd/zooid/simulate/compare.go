package simulate

import (
	"slices"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/kernel/sim"
	"github.com/zooid-project/zooid/sdk/wire"
)

// compare reads every node of a server, at the end or in the middle of what it does: it has what the model has at the zxid that it is at, and so have all that are there (I17).
func (r *run) compare(s *sim.Server) {
	m := s.Host().Machine()
	at := m.Position()
	want := r.model.living(at)
	var known []kernel.SessionID
	m.Sessions().List(func(i kernel.SessionInfo) bool {
		known = append(known, i.ID)
		return true
	})
	slices.Sort(known)
	paths := r.model.paths(at)
	for _, p := range paths {
		if p == wire.ConfigPath && r.changing {
			continue
		}
		v := r.model.at(p, at)
		if owner := kernel.SessionID(v.stat.EphemeralOwner); owner != 0 && !slices.Contains(known, owner) {
			r.fail("server %d, at %s, has %s of session %s, which it does not know (I23)", s.ID(), at, p, owner)
			return
		}
		for _, op := range []wire.OpCode{wire.OpGetData, wire.OpGetChildren2} {
			answer := read(m, op, p)
			if diff := v.compare(op, answer.code, answer.body); diff != "" {
				r.fail("server %d, at %s, %v of %s: %s (I17)", s.ID(), at, op, p, diff)
				return
			}
		}
	}
	m.Gauges(func(name string, value float64) {
		switch {
		case name == "digest_mismatches_count" && value != 0:
			r.fail("server %d counts %v digests that differ (I17)", s.ID(), value)
		case name == "znode_count" && int(value) != len(paths)+1: // the root counts twice, as in ZooKeeper
			r.fail("server %d, at %s, counts %v nodes, there are %d (rule 9)", s.ID(), at, value, len(paths))
		}
	})
	if n := s.Host().Status().Figures.Divergences; n != 0 && !r.altered {
		r.fail("server %d, at %s, has found %d states that differ, and nobody was altered (I17)", s.ID(), at, n)
	}
	if !slices.Equal(known, want) {
		r.fail("server %d, at %s, knows sessions %v, there are %v (rule 9)", s.ID(), at, known, want)
	}
}

// read asks a machine, beside all clients.
func read(m kernel.StateMachine, op wire.OpCode, path string) *answer {
	req := wire.Request{Op: wire.Op{Code: op, Path: path}}
	a := &answer{}
	m.Read([]*kernel.Request{{Op: int32(op), Body: req.AppendTo(nil), Decoded: &req, Conn: a}})
	return a
}

// checkConfig: a server shows the configuration that is in force. No transaction has written the first one, so that the model does not know its version.
func (r *run) checkConfig(s *sim.Server) {
	answer := read(s.Host().Machine(), wire.OpGetData, wire.ConfigPath)
	var shown wire.Response
	if err := wire.DecodeResponse(wire.OpGetData, answer.body, &shown); err != nil {
		r.fail("server %d: its configuration: error %d, %v", s.ID(), answer.code, err)
		return
	}
	e, err := config.ParseEnsemble(string(shown.Data))
	if want := r.world.Ensemble(); err != nil || !slices.Equal(e.Voters, want.Voters) || !slices.Equal(e.Others, want.Others) || want.Version != 0 && e.Version != want.Version {
		r.fail("server %d shows the configuration %q, in force is %q (%v) (rule 9)", s.ID(), shown.Data, want.Text, err)
	}
}

// answer is a connection that keeps one answer.
type answer struct {
	conn
	code wire.ErrorCode
	body []byte
}

func (a *answer) Reply(_ *kernel.Request, reply kernel.Reply) {
	a.code, a.body = wire.ErrorCode(reply.Err), slices.Clone(reply.Body)
}
