// Package jute reads and writes the encoding of ZooKeeper's records: client protocol, peer protocol, log and snapshots use the same few types (spec client-protocol, 1.2).
//
// There are no tags, no padding and no lengths around records: a record is its fields in order. Hence no reflection and no schema here, only
//
//   - append.go: one Append function per type, in the style of encoding/binary's append functions;
//   - decode.go: Decoder, which latches its first error, so that a record is decoded field by field and checked once at the end.
//
// The package starts no goroutine and keeps no state.
package jute
