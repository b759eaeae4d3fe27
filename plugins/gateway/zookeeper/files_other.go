//go:build !unix

package zookeeper

func openFilesForClients() int { return 0 }
