package file

import "syscall"

// errDiskFull is what writes report on a full disk; vfs.IsNoSpaceError knows it.
const errDiskFull = syscall.Errno(112) // ERROR_DISK_FULL
