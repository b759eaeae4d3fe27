// Package peers holds the tests of whole ensembles of processes: servers of Zooid, and Apache ZooKeeper's own beside them.
//
// The tests that need only Zooid run with every `go test ./...`. Those with ZooKeeper's servers need to be told where these are; `.ci/run peers` installs them and does:
//
//	ZOOID_PEERS_38      class path of ZooKeeper 3.8
//	ZOOID_PEERS_39      class path of ZooKeeper 3.9
//	ZOOID_PEERS_PYTHON  a Python that has kazoo, for the clients of the migration
//
// The long forms of some are parts of the gate of their own: `.ci/run failover` (ZOOID_FAILOVERS leaders killed) and `.ci/run chaos` (ZOOID_CHAOS seconds, in network namespaces).
//
// Files: member_test.go is one process, apache_test.go how ZooKeeper's is started, ensemble_test.go several, status_test.go what they say of themselves, content_test.go one of
// everything that a tree can hold, load_test.go writing while something happens, tree_test.go the whole tree as one server shows it. chaos_test.go is put together from network_test.go (namespaces, disks),
// faults_test.go, workload_test.go and visitors_test.go (what clients do, and what they check of it), and watchlog_test.go (what a session was told). The others are the tests.
package peers
