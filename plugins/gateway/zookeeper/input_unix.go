//go:build unix

package zookeeper

import "syscall"

// readReady is called by the runtime's poller: it reads what is there, or gives the buffer back and asks to be called again when there is more.
func (in *input) readReady(fd uintptr) bool {
	in.unpark()
	for {
		n, err := syscall.Read(int(fd), in.buf[in.end:])
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			in.turn = 0
			in.park()
			return false
		case err != nil:
			in.err = err
			return true
		default:
			in.n = n
			return true
		}
	}
}

const pollsWithoutBuffer = true
