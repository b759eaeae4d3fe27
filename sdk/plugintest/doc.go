// Package plugintest holds the conformance kits of plugins: what a store promises, tested from outside, for the authors of built-in and foreign stores alike.
//
//	func TestConformance(t *testing.T) { plugintest.LogStore(t, open) }
//	func BenchmarkLog(b *testing.B)    { plugintest.BenchmarkLogStore(b, "mine", open) }
//
// A kit crashes the store after every file operation, lets every one fail, fills the disk, flips bits, and compares with a model each time. For that
// a store must do all its file work through Env.FS.
//
//	disk.go      Disk: a disk in memory that fails, loses power, gets full and rots on request
//	every.go     EveryFault and EveryCrash: a scenario once for each of its file operations
//	logmodel.go  what a log may hold after a crash
//	log.go       the kit of log stores; logfaults.go its disks that fail
//	snapshot.go  the kit of snapshot stores
//	nodestore.go the kit of node stores; nodefaults.go its crashes and disks that fail
//	bench.go     benchmarks
//	transport.go     the kit of transports, whose Sink serves other tests too; transport_streams.go messages with a body
//	authenticator.go the kit of authenticators
//
// It has no goroutines but those that tests start and wait for.
package plugintest
