// Package znode is the state machine: the znode tree, sessions, ACLs, quotas, watches and transactions of spec client-protocol and client-semantics.
//
// A write passes twice. prepare checks a request against the state as it will be (the applied tree under the layer of outstanding changes) and turns it into a transaction with absolute
// results; apply carries committed transactions out, fires watches, makes a slice of them visible at once and answers. Reads are answered from the applied tree under its read lock.
//
// Goroutines: the node's loop calls Prepare, DropSpeculation, Lead and Tick; its apply goroutine calls Apply; everything else comes from any goroutine. The machine starts one of its own per
// quota root that is recounted, for nodes of sessions that have ended, and to count the state that an older version has left; Close ends them. Locks, in the order in which they may be taken: the tree's visibility lock, the session table's, the watch table's. What the visibility lock guards is
// written by apply alone. No lock is held while a connection is answered after a write; reads are answered under the read lock, so that no later event can overtake them.
//
// Files: machine.go (life, figures), options.go, side.go (records beside the nodes), node.go, hash.go, statedigest.go (Stat, digests), acl.go; speculation.go, prepare.go, prepare_node.go, prepare_multi.go, reconfig.go; apply.go,
// apply_node.go, index.go, closing.go; admission.go, eager.go (early refusals), forwarded.go (what learners send); read.go, listing.go, rewatch.go; watch.go, fire.go; session.go, attach.go, owner.go, role.go, peers.go, expiry.go, local.go; quota.go, recount.go; cleaner.go; snapshot.go; inspect.go.
package znode
