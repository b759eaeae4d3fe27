package znode

import (
	"strings"

	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/wire"
)

// nextVersion skips -1, which could not be tested for (spec client-protocol, 4.6).
func nextVersion(v int32) int32 {
	if v == -2 {
		return 0
	}
	return v + 1
}

// statOf is what clients see of a node.
func (m *Machine) statOf(n *tree.Node) wire.Stat {
	return wire.Stat{
		Czxid: n.Czxid, Mzxid: n.Mzxid, Ctime: n.Ctime, Mtime: n.Mtime,
		Version: n.Version, Cversion: 2*n.Creates - n.NumChildren, Aversion: n.Aversion,
		EphemeralOwner: wire.ShownOwner(n.Owner, m.set.extended),
		DataLength:     int32(len(n.Data)), NumChildren: n.NumChildren, Pzxid: n.Pzxid,
	}
}

// parentOf is the parent's path as the tree knows it: "/" for "/a".
func parentOf(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return wire.RootPath
}

// treePath says whether path may name a node: "/", or components that are not empty. Odd paths are just missing nodes to readers (spec client-protocol, 4.3).
func treePath(path string) bool {
	if len(path) == 0 || path[0] != '/' {
		return false
	}
	if len(path) == 1 {
		return true
	}
	return path[len(path)-1] != '/' && !strings.Contains(path, "//")
}

// readPath maps the path of a read to the tree's: "" is an alias of "/".
func readPath(path string) string {
	if path == "" {
		return wire.RootPath
	}
	return path
}
