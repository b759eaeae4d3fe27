// Package zookeeper is the gateway that speaks the ZooKeeper client protocol: it accepts connections, decodes what clients send in full, keeps replies and events in order, and bounds
// what any client can cost.
//
// A connection has one goroutine, which reads. It decodes all whole frames that it finds, puts them into the connection's queue and drives that queue: consecutive reads go to the state machine in one
// call, writes are resolved and submitted, and what came back is written to the socket at once, without waking another goroutine. Replies and events that come from elsewhere (from apply) start a
// second goroutine for as long as there is something to write or to run. Nobody holds a buffer while nothing is under way, so an idle connection costs its goroutine and its bookkeeping: some 4 KiB of stack and 2 KiB of heap (BenchmarkIdle).
//
// A write does not wait for cheap reads in front of it that wait for an earlier write: it is handed over, and the node has those reads answered between the two (overtake.go).
//
// Per gateway: one goroutine for each listener, and the sweeper, which closes connections that are idle, stuck or without a session.
//
// Order (spec client-semantics, 1.5) rests on two things: the queue, from whose head answers leave, and the output, to which events are appended when they are delivered. An answer that is not at the
// head waits in its request; Reserve puts a hole into the output behind which everything waits.
//
// Files:
//
//	plugin.go     options and registration
//	gateway.go    listeners, move.go how they move; the table of connections, limits on them; sweep.go what the sweeper does
//	conn.go       a connection: its life, its place as kernel.Connection
//	input.go      bytes from the socket, cut into frames; input_unix.go waits without a buffer
//	open.go       the first frame: a four-letter word or the handshake
//	upgrade.go    a local session becomes a global one
//	decode.go     a frame becomes a request, or a local answer
//	queue.go      the requests of a connection in order: running them, taking their answers
//	handover.go   writes and barriers into the write path
//	output.go     what leaves: frames, holes, writing
//	administer.go what only super may ask
//	auth.go       identities: ip, x509, the auth request, SASL
//	tls.go        secure listeners and port unification
//	budget.go     memory bound of all connections together; files_unix.go open files; throttle.go and sessions.go new sessions; overload.go ZooKeeper's limits on what is under way; turns.go one client that never stops
//	stats.go      figures; quantiles.go latencies by share; words.go and words_text.go the four-letter words
package zookeeper
