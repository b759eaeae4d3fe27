// Package bench loads a ZooKeeper server, of any make, and measures it.
//
// A run has three parts: prepare (bench's own nodes are made), load, clean up. Each part is the same loop over connections, with other frames:
//
//   - options.go says what to run; run.go makes the connections, keeps the time and adds up; result.go is what comes out.
//   - connection.go holds one session and the loop that keeps a window of requests under way; frames.go makes the requests of each workload.
//   - sessions.go is the workload that opens and closes sessions.
//   - cleanup.go deletes what a run made.
//
// The client must cost little, because it shares the machine with the server that it measures: one goroutine per connection reads what is there, stamps it once, builds one next request
// per reply by patching a frame made beforehand, and writes them all at once. Nothing is allocated per operation.
//
// Load is closed: a window of requests per connection is always under way, and a slow server gets fewer. Latencies are those of requests that were sent, from the write to the read.
package bench
