// Package client is a Go client for Zooid and every other server that speaks the ZooKeeper protocol.
//
// A Client holds one session at one server at a time, and moves it to another server when that one goes. Any number of goroutines may use it; their requests are pipelined on the one connection.
// Replies come in the order in which requests were sent.
//
//   - Calls take a context and return typed errors: errors.Is(err, wire.ErrNoNode). An *Error also tells whether the request can have had an effect (Sent).
//   - Client.States is a stream of connection states in which no change is missed, however slow its reader.
//   - A Watch is an ordered stream of events that survives server changes. What it cannot know it says: an event with Gap set, or an error that ends it.
//   - Client.Go is the asynchronous form: no goroutine and no channel per request.
//
// # Goroutines
//
//	run      one per client, for its whole life: picks a server, dials, hands the connection its session, then is that connection's reader: completes calls, delivers events
//	writer   one per connection: writes whatever has queued since its last write at once, and pings when idle
//	poller   only while at a read-only server: asks the others whether they serve writes
//
// Close ends them all. Client.mu guards the queue, the calls awaiting a reply, the watch table and the state; no call-back runs under it.
//
// # Files
//
// options.go (Options, connect string), client.go (life of a Client, calls), conn.go (dialling, handshake, reader, writer), frames.go (frames, queue of calls), readonly.go, state.go, watch.go (Watch), watchtable.go (who is told what, and
// arming again after a reconnect), ops.go (one method per operation), create.go, multi.go, tree.go (recursive delete), administration.go (sessions, for administrators), sasl.go, errors.go.
package client
