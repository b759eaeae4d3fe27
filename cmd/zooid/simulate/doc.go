// Package simulate runs whole ensembles in kernel/sim: real nodes, cores, file logs and znode machines, simulated clients, and checkers of everything that clients and servers must never see. "zooid docs simulator"
// describes it.
//
// A run is one world on one goroutine: run.go plays it, boot.go makes the servers' parts, apache.go has those that stand for ZooKeeper's servers, gateway.go stands between servers and clients, client.go and workload.go are the clients, model.go is the tree as it must
// be, check.go compares every answer with it, expiry.go, protocol.go and linear.go check what their names say, bugs.go has the planted ones, altered.go alters a server's state, marks.go has the scenarios that clients were in, many.go runs seeds beside each other.
package simulate
