package peers

import (
	"os"
	"testing"
)

// classPaths are the variables in which the gate says where ZooKeeper's servers are.
var classPaths = map[kind]string{apache38: "ZOOID_PEERS_38", apache39: "ZOOID_PEERS_39"}

// needApache skips a test whose servers are not there. The gate requires of each test by name that it has passed.
func needApache(t testing.TB, kinds ...kind) {
	t.Helper()
	for _, k := range kinds {
		if k.apache() && os.Getenv(classPaths[k]) == "" {
			t.Skipf("%s names no class path of %s: `.ci/run peers` runs this test", classPaths[k], k)
		}
	}
}

// beside lets a test that waits most of its time run beside others. Where ZooKeeper's servers take part, whose start takes a processor for seconds, tests run one by one.
func beside(t *testing.T) {
	t.Helper()
	if os.Getenv(classPaths[apache38]) == "" {
		t.Parallel()
	}
}

// apacheCommand starts one of ZooKeeper's servers; the configuration file is to follow.
func apacheCommand(t testing.TB, k kind, flags []string) []string {
	t.Helper()
	needApache(t, k)
	java := os.Getenv("JAVA_REAL")
	if java == "" {
		java = "java"
	}
	command := []string{java, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
		"-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.quorum.LearnerHandler=debug", "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"}
	command = append(command, flags...)
	return append(command, "-cp", os.Getenv(classPaths[k]), "org.apache.zookeeper.server.quorum.QuorumPeerMain")
}
