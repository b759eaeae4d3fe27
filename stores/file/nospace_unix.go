//go:build !windows

package file

import "syscall"

// errDiskFull is what writes report on a full disk; vfs.IsNoSpaceError knows it.
const errDiskFull = syscall.ENOSPC
