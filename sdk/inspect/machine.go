package inspect

import "github.com/zooid-project/zooid/kernel"

// Machine is what a state machine tells beyond kernel.StateMachine. Sessions themselves come from its Sessions().List.
//
// The yield functions are called without any lock that a reader or apply needs, one after the other, until they say false; a picture may be cut into steps between which state changes.
type Machine interface {
	// Ephemerals yields every ephemeral node, grouped by session.
	Ephemerals(yield func(session kernel.SessionID, path string) bool)
	// Watches yields one pair for every path and connection with a watch there, whatever their number and kinds, grouped by path. A connection is told by its session.
	Watches(yield func(path string, session kernel.SessionID) bool)
	// WatchSummary counts the connections that watch, the paths watched, and the pairs that Watches yields.
	WatchSummary() (connections, paths, watches int)
	// Digests yields the recorded digests of the tree, oldest first. version is that of the computation.
	Digests(yield func(zxid kernel.Zxid, version int32, digest uint64) bool)
}
