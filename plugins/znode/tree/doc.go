// Package tree is the cached znode tree over a kernel.NodeStore: paths, immutable node versions, what is dirty, what is pinned, and the flush.
//
// A look-up meets, in this order: the cache (a map by full path, file cache.go); what a cached ancestor knows (a complete child set proves absence
// without the store, file children.go); the store (file load.go), one key per level down from the nearest cached ancestor.
// A change replaces the entry's node and is noted in the dirty set (file flush.go), which the flusher takes over whole and writes as one atomic batch
// together with the side records and the position. Node values and keys are in node.go, stable pictures for snapshots in view.go.
//
// Locks: one RWMutex, the visibility lock. Everything in the cache changes under its write side only, in steps of well under a millisecond; a hit takes
// nothing but the read side, and a mark.
//
// Goroutines, both owned by the Tree and ended by Close: the flusher (flush.go) and the sweeper, which evicts (cache.go).
package tree
