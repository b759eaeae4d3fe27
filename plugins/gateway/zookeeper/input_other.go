//go:build !unix

package zookeeper

const pollsWithoutBuffer = false

func (in *input) readReady(uintptr) bool { panic("not used on this system") }
