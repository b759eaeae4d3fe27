package kernel

import "time"

// readOnlyAfter is how long a server has been without a leader before it serves in read-only mode: an election is not the loss of a quorum (spec client-semantics, 2.9).
const readOnlyAfter = 2 * time.Second

// readOnly tells whether this server, which has no leader, serves reads to clients that asked for that. It writes nothing then: their sessions are known here only, and no position is taken in the
// log or in the state (spec zab, S-03). What it serves is what it had applied: a server that never had anything, or has only part of it, serves nobody.
func (n *Node) readOnly(role *RoleChange) bool {
	return n.cfg.ReadOnlyMode && role.Role == Looking && !n.serving.Load() && n.whole.Load() && !n.stopping.Load() &&
		n.monotonic()-time.Duration(n.lost.Load()) >= max(readOnlyAfter, n.cfg.TickTime)
}
