// Package zooidtest runs a whole Zooid server inside a test: for users of the Go client, and of any other ZooKeeper client.
//
//	func TestMine(t *testing.T) {
//		server := zooidtest.Start(t)
//		c, err := client.Dial(t.Context(), server.ConnectString(), client.Options{})
//		...
//		server.Restart() // same address, same data: the session goes on
//	}
//
// The server is the real one: gateway, state machine, log and node store, on a free port of 127.0.0.1. Its disk is memory, so it starts in a moment and
// can lose its power; OnDisk takes a directory instead. It ends with the test.
//
// Goroutines: those of the server, all of which have ended when Stop, Kill or PowerCut returns.
// Files: server.go (the server's life), ensemble.go (several servers in one process), options.go, disk.go (a disk in memory that a kill leaves as it is), plugins.go (what it is made of).
// This is the one package of the sdk that imports plugins.
package zooidtest
