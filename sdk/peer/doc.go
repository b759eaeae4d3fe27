// Package peer is the codec of what servers of an ensemble tell each other: the bytes of spec peer-wire-and-disk, sections 2 and 3, and what servers of Zooid add to them.
//
// Files: packet.go (the types and the frame of the quorum port), reader.go (packets from a stream), info.go (what a learner and a leader say about themselves), capability.go (what
// servers of Zooid can do besides), request.go (forwarded requests), session.go (PING and REVALIDATE), batch.go (several proposals in one packet), state.go (digests of states); initial.go and notification.go (the
// election port); snapshot.go (where a snapshot ends that is sent without a length).
//
// Encoders append to the caller's buffer and never fail; given capacity they do not allocate. Decoders take any bytes: they never panic, and what they allocate is bounded by a constant
// times what they were given. A decoder that returns an error wrapping ErrMalformed speaks of the peer, not of the connection: it is worth the connection, since nothing behind it can be
// trusted. Slices in what is decoded from a slice alias it.
//
// Nothing here starts a goroutine or keeps state, Reader and SnapshotReader apart, which are for one goroutine at a time.
package peer
