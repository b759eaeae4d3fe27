// Package zab is the ZAB broadcast as a pure core (spec zab, 5 to 8): discovery, synchronization and broadcast, for leaders, followers and observers, with servers of Zooid and of ZooKeeper's.
//
// The core has no goroutine, clock or I/O; the node's loop drives it through Step. One server alone is a quorum of one on the same path.
//
// What waits for the disk waits for a state of it: disk.go holds what is durable and what is under way, and every step of the protocol compares. A server asks for an election only when its
// disk is at rest: what was begun is complete, or cut off.
//
// A leader keeps one position for each learner, up to where it was sent the history. Catching up, proposals and commits all come from there, so there is no moment of registration at which
// something could be lost or doubled.
//
// A history that is being changed into another leader's is marked in the durable words before the first change: by where to cut it off again, or, when a snapshot replaces it, by what it was.
// Whoever lost it that way cannot lead, but still counts as a witness: nobody who has less may lead with its promise.
//
// Files: core.go (inputs, roles, phases), disk.go, words.go (the durable words), quorum.go (who has come how far, in all active configurations), tail.go (the end of the log in memory);
// leader.go (discovery), learners.go (what a learner needs), catchup.go (how it gets that), broadcast.go (proposals, acknowledgements, syncs, time), compare.go (whose state differs); learner.go (the handshake), history.go
// (synchronization as a learner), follow.go (broadcast as one), observermaster.go (a follower with observers of its own); reconfig.go (changes of the configuration), cluster.go (the
// ensemble's id), recover.go (a new ensemble from a survivor), survey.go (what administrators see of learners), settings.go.
//
// Tests: testdata has the protocol as traces, sim_test.go whole ensembles with everything that can go wrong, invariants_test.go what must hold all the time.
package zab
