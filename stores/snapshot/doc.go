// Package snapshot is the snapshot store "file": one checksummed file for each snapshot, in the directory "snapshots" below the data directory.
//
// Stages: Create writes frames to incoming.tmp; Commit writes the trailer, syncs the file, renames it to snapshot.ZXID and syncs the directory. Open
// streams the frames back and checks each one, and the trailer, before it says io.EOF.
//
// It has no goroutines. layout.go holds the bytes, store.go the store, reader.go the stream, verify.go a look for
// operators.
package snapshot
