// Package memory is the transport between servers of one process: for embedded ensembles and for tests, where it also loses and resets on request.
//
// A Network joins Transports, one for each server. Dial makes a link with an end at both; Send queues a copy at the other end (link.go), and the one
// goroutine of the Transport there takes events out and hands them to its sink (transport.go). A stream has a goroutine of the sender's that feeds
// the receiver's reader in chunks (stream.go). faults.go cuts servers apart and breaks links.
//
// One mutex, the Network's, guards everything; no sink is called while it is held.
package memory
