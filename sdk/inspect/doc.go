// Package inspect is what administrators may ask a running server about beyond the kernel's interfaces: watches, ephemerals and digests of a state machine,
// connections and figures of a gateway. The four-letter words and the admin HTTP endpoint are written against it.
//
// A state machine implements Machine, a gateway that serves clients implements Clients. Both are asked for by type assertion on what the kernel.Host gives, and whoever
// does not implement them is shown as empty. Nothing here is on a hot path; all methods may be called from any goroutine.
//
// Files: machine.go, clients.go, monitor.go and ensemble.go (the figures of a server), environment.go, process.go, directory.go, version.go.
package inspect
