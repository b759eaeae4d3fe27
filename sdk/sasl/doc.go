// Package sasl is SASL DIGEST-MD5 as ZooKeeper uses it (spec client-protocol, 9.5): both ends of the exchange as pure state machines that take
// one token a step, the login file in which installations keep the users, and the mapping of Kerberos-style names.
//
// Files: digestmd5.go the arithmetic, server.go and client.go the two ends, directives.go the text of a token, jaas.go the login file,
// principal.go the names. Nothing here does I/O or starts a goroutine; randomness is handed in.
package sasl
