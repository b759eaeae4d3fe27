//go:build unix

package zookeeper

import "syscall"

// openFilesForClients is how many connections leave the server enough open files for its log, its store and its peers; 0 when the limit is not known.
func openFilesForClients() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil || r.Cur > 1<<30 {
		return 0
	}
	return max(1, int(r.Cur)-min(1024, int(r.Cur)/4))
}
