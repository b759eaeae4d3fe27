// Package wire holds the records of the ZooKeeper client protocol and of the replicated log as Go types, with hand-written encoders and decoders, and the rules about single values that
// servers and clients share (paths, owners, digests, quota text).
//
// Two unions carry most of it, so that no operation costs an interface or an allocation of its own:
//
//   - Request is the body of any request, Response the body of any reply; each says in a table which fields its op code uses;
//   - Txn is the body of any transaction, Entry a whole log entry (header, body, digest).
//
// Files: op.go (operations), code.go (error codes), values.go (permissions, create modes, events, states), frame.go (frames, headers, handshake, watch events), stat.go, acl.go,
// request.go, response.go, txn.go; path.go, owner.go, session.go (password), digest.go, quota.go, administration.go (records for administrators).
//
// Every type has AppendTo, which appends its encoding and never fails, and Decode, which reads from a jute.Decoder and leaves errors latched there. The formats are spec client-protocol and
// spec peer-wire-and-disk; the section is named at each type. Nothing here starts a goroutine or keeps state.
package wire
