package kernel

import (
	"errors"
	"fmt"
)

// Servers that have applied the same transactions have the same state. A fault of memory, of a disk, or of this program may make one of them differ, and its clients would read, and later build on, what nobody
// else has. So learners tell their leader now and then, and at the end of each synchronization, what their state's digest is where they are, and the leader compares. Nobody is touched in doubt: who is alone
// against a quorum gives its state up and gets that of the quorum, by a snapshot; where there is no quorum everybody goes on, and an operator hears of it.

// Digester is a StateMachine that keeps a digest of all that its servers have in common. Its methods are called from the loop and the apply goroutine; they are quick.
type Digester interface {
	// StateDigest is the digest of the state that is visible now, and the position of that. ok is false while it is not known.
	StateDigest() (at Zxid, digest uint64, ok bool)
	// StateDigestAt is the digest of an earlier moment; ok is false when it is not known any more, or not yet.
	StateDigestAt(z Zxid) (digest uint64, ok bool)
}

// DivergedError reports that the states of two servers differ where they should be the same.
type DivergedError struct {
	Server ServerID // whose state differs from this server's; 0: this server's differs from that of a quorum
	Zxid   Zxid
	Own    uint64
	Theirs uint64
	// GivenUp: this server gives its state up.
	GivenUp bool
}

func (e *DivergedError) Error() string {
	whose := "a quorum's"
	if e.Server != 0 {
		whose = fmt.Sprintf("server %d's", e.Server)
	}
	return fmt.Sprintf("the state of this server has digest %016x at %s, and %s has %016x", e.Own, e.Zxid, whose, e.Theirs)
}

// stateDigest is the input of that name, if there is somebody to tell: learners have a leader.
func (n *Node) stateDigest() (state StateIs, ok bool) {
	if role := n.role.Load(); n.digester == nil || !n.serving.Load() || role.Role == Leading {
		return StateIs{}, false
	}
	state.Zxid, state.Digest, ok = n.digester.StateDigest()
	return state, ok
}

// compare answers a core that has a peer's digest.
func (l *loopState) compare(c *CompareState) {
	if n := l.node; n.digester != nil {
		if own, ok := n.digester.StateDigestAt(c.Zxid); ok {
			l.toBroadcast = append(l.toBroadcast, StateCompared{Link: c.Link, Zxid: c.Zxid, Own: own, Theirs: c.Digest})
		}
	}
}

// noteDivergence takes a report of states that differ: whoever reads it has to look at that server.
func (n *Node) noteDivergence(report error) bool {
	var d *DivergedError
	if !errors.As(report, &d) {
		return false
	}
	n.figures.change(func(f *Figures) { f.Divergences++ })
	what := []any{"zxid", d.Zxid.String(), "own", fmt.Sprintf("%016x", d.Own), "theirs", fmt.Sprintf("%016x", d.Theirs)}
	switch {
	case d.Server != 0:
		n.cfg.Logger.Error("the state of another server differs from this server's: the one that differs from a quorum takes a snapshot from it", append(what, "server", int64(d.Server))...)
	case d.GivenUp:
		n.cfg.Logger.Error("the state of this server differs from that of a quorum: it stops serving, and takes a snapshot", what...)
	default:
		n.cfg.Logger.Error("the state of this server differs from that of a quorum again, so soon after a snapshot: it goes on serving; look at its memory and its disk, and whether its version is that of the others", what...)
	}
	return true
}
