// Package pebble is the default NodeStore, on github.com/cockroachdb/pebble without its write-ahead log: the replicated log is the log.
//
// A Write goes to Pebble's memory table as one batch, which is never split, so after a crash it is there as a whole or not at all. Flush waits until the
// table has become a durable file. Keys are found, or found missing, through Bloom filters; the sizes are small because the cache that counts is the tree's.
//
// Files: store.go (open, read, write), options.go (how Pebble is set up), faults.go (what becomes of its errors), polite.go (flushes and compactions that let others
// go first), view.go.
// Goroutines are Pebble's own, one compaction at a time, ended by Close.
package pebble
