// Package manifest keeps a data directory and the server that uses it together: one small file that says whose data it is and what wrote it.
//
// Stages of a start: Check reads the file "manifest" in the data directory, or creates it where nothing lies yet, and refuses what does not fit; CheckPositions
// compares the node store with its log once both are open. Every refusal has a type and says what to do; none of them changes anything.
//
// It has no goroutines. manifest.go holds the text and its file, check.go the refusals, repair.go the note that damaged stores were set aside, words.go the copy of
// the durable words that lies beside the log.
package manifest
