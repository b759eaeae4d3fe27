// Package sim runs whole ensembles in one goroutine and in virtual time: nodes, protocol cores, logs over crashable disks and state machines are the real ones, handed in by a
// factory; clock, network, disks' faults and the order of events are the simulator's and follow from a seed alone (DESIGN, Simulator).
//
// A server's goroutines are actors: loop, disk, apply, the work beside them, the flush of the state, and a guest that speaks with clients. The world picks the next thing to happen by its virtual time,
// which random delays make different with every seed, and checks invariants after every step, the dear ones after every few hundred. Nothing in it sleeps, and nothing depends on the machine: a seed replays exactly. Worlds share nothing: several
// may run at once, each on a goroutine of its own.
//
// Files: world.go (time and steps), server.go (one server's life), clock.go (its wall clock), network.go (links), disk.go (a disk with faults), crash.go (what a disk holds after a power cut), damage.go (what rots on it, and what the server does about that), kept.go (what a start must find), nodes.go (a node store that
// survives), watch.go (what is checked at every step), audit.go (what is checked now and then), marks.go (scenarios that a world was in), faults.go (what goes wrong, within a budget), trace.go (servers' log lines in the trace).
//
// Its tests run servers with puppets for cores (parts_test.go). cmd/zooid/simulate puts the real parts in, and adds clients and what is checked of their answers.
package sim
