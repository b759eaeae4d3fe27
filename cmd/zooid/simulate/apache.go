package simulate

import (
	"bytes"
	"slices"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/sim"
	"github.com/zooid-project/zooid/sdk/peer"
)

// An ensemble of a simulation may have servers that stand for ZooKeeper's own. Such a model is a server of Zooid that says nothing of what it can do besides ZooKeeper's protocol, and hears nothing of what
// others can: both cores are wrapped, and capabilities are cut off from what goes out and from what comes in (sdk/peer, Capabilities).
//
// So Zooid's servers treat it as they treat ZooKeeper's: a proposal and a commit for each transaction and an acknowledgement for each proposal, elections that wait for what may still come (spec zab, 4.8), histories
// without what is not committed, snapshots in one piece, a sync that only a write confirms (12), changes of the members under the rules for them (14). And it treats them so, as their leader, their learner and their
// voter. What any server of Zooid does when it cannot count on Zooid's abilities at the other end is thus run under all faults, in any mix.
//
// It is not ZooKeeper: its disk, its tree and its mistakes are Zooid's. It acknowledges and votes with what is on stable storage, where ZooKeeper's servers sometimes go by their memory (S-38); it checks what it is
// sent before it cuts its log (S-40); a sync through it is linearizable, which ZooKeeper's is not (S-12); its durable words and snapshots have Zooid's formats. Only tests with the real servers show what
// those do (cmd/zooid/peers).

// plain makes a server's cores those of a model of ZooKeeper's.
func plain(p *kernel.Parts) {
	p.Election, p.Broadcast = &plainElection{Election: p.Election}, &plainBroadcast{Broadcast: p.Broadcast}
}

type plainElection struct{ kernel.Election }

func (c *plainElection) Step(now time.Duration, in ...kernel.Input) *kernel.Effects {
	return silent(c.Election.Step(now, deaf(in)...))
}

type plainBroadcast struct{ kernel.Broadcast }

func (c *plainBroadcast) Step(now time.Duration, in ...kernel.Input) *kernel.Effects {
	return silent(c.Broadcast.Step(now, deaf(in)...))
}

// deaf cuts capabilities off from what comes in.
func deaf(in []kernel.Input) []kernel.Input {
	out := slices.Clone(in)
	for i := range out {
		if m, ok := out[i].(kernel.Received); ok {
			m.Message = withoutCapabilities(m.Link, m.Message)
			out[i] = m
		}
	}
	return out
}

// silent cuts capabilities off from what goes out.
func silent(e *kernel.Effects) *kernel.Effects {
	for i := range e.Send {
		e.Send[i].Message = withoutCapabilities(e.Send[i].Link, e.Send[i].Message)
	}
	return e
}

// checkPlain: with a model at one end nobody says anything that ZooKeeper's servers do not know.
func (r *run) checkPlain(s *sim.Server, link kernel.LinkID, m *kernel.Message) {
	if r.plain[s.ID()] && bytes.Contains(m.Payload, capabilitiesMark) {
		r.fail("server %d, a model of ZooKeeper's, announces capabilities", s.ID())
	}
	if link.Purpose != kernel.ForBroadcast || m.Type != peer.Proposals && m.Type != peer.Informs && m.Type != peer.ChunkedSnap {
		return
	}
	if r.plain[s.ID()] || r.plain[link.Peer] {
		r.fail("server %d sends message %d to server %d, and one of the two is a model of ZooKeeper's", s.ID(), m.Type, link.Peer)
	}
	r.tally("messages of Zooid's own")
}

var (
	anyCapabilities  = peer.Capabilities{Version: 1}.AppendTo(nil)
	capabilitiesMark = anyCapabilities[:4]
)

func withoutCapabilities(link kernel.LinkID, m kernel.Message) kernel.Message {
	switch {
	case link.Purpose == kernel.ForElection, m.Type == peer.FollowerInfo, m.Type == peer.ObserverInfo, m.Type == peer.LeaderInfo:
	default:
		return m
	}
	if end := bytes.LastIndex(m.Payload, capabilitiesMark); end >= 0 { // and the cluster, which stands behind them
		m.Payload = m.Payload[:end]
	}
	return m
}
