// Package protocoltest checks a server that speaks the ZooKeeper client protocol, byte by byte, through nothing but its address: whatever serves it, the gateway over a stand-in or a whole server, the
// answers are to be the same.
//
// Files: raw.go (a client of raw frames), checks.go (the target and how checks run); the rest are the checks: handshake.go, connection.go, data.go, multis.go,
// watches.go, identities.go and words.go by section of the spec, clients.go by client, mntr.go for monitoring.
package protocoltest
