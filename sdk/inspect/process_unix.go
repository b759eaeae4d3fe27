//go:build unix

package inspect

import "syscall"

// descriptors returns how many files this process has open and may have open.
func descriptors() (open, limit float64, ok bool) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, 0, false
	}
	n, err := countDir("/dev/fd")
	if err != nil {
		return 0, 0, false
	}
	return float64(n), float64(r.Cur), true
}
