// Package tcp is the transport between servers on a network: ZooKeeper's framing byte for byte on ZooKeeper's ports, so that its own servers are peers like any other (spec peer-wire-and-disk,
// sections 2 and 3; spec zab, 4.11).
//
// Stages of a link: listen.go accepts connections and bounds them while nobody knows whose they are, accept.go finds that out from the first message, dial.go makes connections and says who
// this server is; then link.go keeps it, read.go and write.go carry its messages, dispatch.go hands its events to the sink. stream.go sends bodies and body.go receives them; chunk.go
// is the form in which they travel between servers of Zooid. addresses.go knows where the members are, options.go what can be set.
//
// Goroutines, all ended by Close: one that calls the sink; one for each listener; one for each connection that has not introduced itself; for each dial one, and one for each address it
// tries; for each link a reader and a writer; for each body that is sent in pieces one that feeds it, and for a moment one that closes its source.
//
// A link has a mutex of its own; the Transport's guards who there is. Order: Transport, link, queue of events. No sink and no source is called, and no connection written to, under any of them.
package tcp
