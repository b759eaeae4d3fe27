// Package kernel is Zooid's small core: the interfaces of its layers, the node that drives them, and the registry of plugins.
//
// Read kernel.go first: the interfaces stand there in the order in which a write meets them. step.go holds the inputs and effects of the pure
// protocol cores, registry.go how plugins are found and configured (nearest.go: the name that was probably meant), node.go the life of a server, digest.go what servers do whose states differ.
//
// The write path, by the names of its stages (DESIGN, The hot write path):
//
//	decode, route    gateway, on the connection's goroutine       Submit
//	prepare, propose loop goroutine                               route.go
//	append, sync     disk goroutine                               disk.go
//	ack, commit      loop goroutine, when disk and peers have answered  loop.go, effects.go
//	apply, reply     apply goroutine                              apply.go
//
// A learner's loop forwards instead of preparing (route.go), and matches what is committed to what its clients wait for (pending.go).
//
// Goroutines of a node, each started by Start and ended by Stop:
//
//	loop      owns both cores, the queue of requests and the role; receives inputs (completions, links, ticks) and requests
//	disk      owns the log store: the only one that changes it; receives appends, words, truncations, purges from the loop
//	apply     owns the order of application; receives committed transactions, passed barriers and established roles from the loop
//	remote    resolves requests that learners forwarded (a follower passes its observers' on), in order; hands them to the loop
//	reads     reads the log for learners that catch up
//	snapshot  at most one at a time, started by disk for machines whose state does not survive by itself; one for each snapshot to a learner
//	run       one for each Effects.Run of a plugin that needs it (the built-in cores need none)
//
// A simulator drives a node without any of them: stepper.go.
//
// They hand over through mailboxes: each takes all that has queued since it last looked, so batches form by themselves and a lone request waits for
// no timer. The mailboxes are bounded by admission: Submit refuses above NodeConfig.MaxOutstanding.
package kernel
