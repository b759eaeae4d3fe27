// Package memory is the log store that keeps the log in memory: fast, and gone with the process. It is for tests, caches and comparisons.
//
// It has no goroutines and no files. log.go holds all of it.
package memory
