package znode

import (
	"strings"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// quotas are the quota roots and their usage (spec client-semantics, 4). Guarded by the visibility lock. Quota text is ordinary data that any client may write: what cannot be read is no limit.
type quotas struct {
	byRoot map[string]*quota
	dirty  []*quota // their stats node is behind
}

// quota is one root. It counts while it has limits, and counts are kept in the stats node while there is one.
type quota struct {
	root             string
	limited, counted bool // the limits node, the stats node exist
	limits, stats    wire.Quota
	dirty            bool
	counting         *counting
	warned           time.Time // by the loop, which alone prepares
}

func (q *quotas) init() { *q = quotas{byRoot: map[string]*quota{}} }

// quotaRoot takes the path of a limits or stats node apart, by components. root is "" for everything else.
func quotaRoot(path string) (root, name string) {
	if len(path) <= len(wire.QuotaPath) || path[len(wire.QuotaPath)] != '/' || !strings.HasPrefix(path, wire.QuotaPath) {
		return "", ""
	}
	rest := path[len(wire.QuotaPath):]
	i := strings.LastIndexByte(rest, '/')
	if name = rest[i+1:]; i == 0 || (name != wire.QuotaLimitsNode && name != wire.QuotaStatsNode) {
		return "", ""
	}
	return rest[:i], name
}

func quotaPath(root, name string) string { return wire.QuotaPath + root + "/" + name }

// of is the deepest root that path belongs to.
func (q *quotas) of(path string) *quota {
	if len(q.byRoot) == 0 {
		return nil
	}
	for path != wire.RootPath {
		if x := q.byRoot[path]; x != nil && x.limited {
			return x
		}
		path = parentOf(path)
	}
	return nil
}

// overQuota says whether a hard limit forbids a change, against what is committed. A soft limit that was passed is logged, once a minute for each root (spec client-semantics, 4.4).
func (m *Machine) overQuota(path string, nodes, bytes int64) bool {
	x := m.quotas.of(path)
	if x == nil || !x.counted {
		return false
	}
	count, size, limits := x.stats.Count+nodes, x.stats.Bytes+bytes, &x.limits
	softCount := limits.HardCount < 0 && limits.Count >= 0 && count > limits.Count
	softBytes := limits.HardBytes < 0 && limits.Bytes >= 0 && size > limits.Bytes
	if softCount || softBytes {
		if now := m.env.Now(); now.Sub(x.warned) > time.Minute {
			x.warned = now
			m.env.Logger.Warn("a soft quota is exceeded", "path", x.root, "count", count, "countLimit", limits.Count, "bytes", size, "bytesLimit", limits.Bytes)
		}
	}
	return nodes > 0 && limits.HardCount >= 0 && count > limits.HardCount || bytes != 0 && limits.HardBytes >= 0 && size > limits.HardBytes
}

// changed counts a change.
func (q *quotas) changed(zxid int64, path string, nodes, bytes int64) {
	x := q.of(path)
	if x == nil || !x.counted || nodes == 0 && bytes == 0 {
		return
	}
	if x.counting != nil {
		x.counting.changes = append(x.counting.changes, counted{zxid, usage{nodes, bytes}})
		return
	}
	x.stats.Count += nodes
	x.stats.Bytes += bytes
	q.mark(x)
}

func (q *quotas) mark(x *quota) {
	if !x.dirty {
		x.dirty = true
		q.dirty = append(q.dirty, x)
	}
}

// render brings the stats nodes up. Their Stat does not change (spec client-semantics, 4.2).
func (q *quotas) render(m *Machine) {
	for i, x := range q.dirty {
		q.dirty[i] = nil
		x.dirty = false
		path := quotaPath(x.root, wire.QuotaStatsNode)
		if old := m.at(path); old != nil && x.counted {
			n := *old
			n.Data = x.stats.AppendTo(nil)
			m.put(path, old, &n)
		}
	}
	q.dirty = q.dirty[:0]
}

// quotaNode takes note of a limits or stats node that was created or written by a client. created: usage is counted afresh.
func (m *Machine) quotaNode(path string, data []byte, created bool) {
	root, name := quotaRoot(path)
	if root == "" {
		return
	}
	x := m.quotas.byRoot[root]
	if x == nil {
		x = &quota{root: root}
		m.quotas.byRoot[root] = x
		m.tree.SetSide(quotaKey(root), []byte{0})
	}
	text, ok := wire.ParseQuota(data)
	if name == wire.QuotaLimitsNode {
		x.limited, x.limits = true, text
		if !ok {
			m.env.Logger.Warn("the text of a quota cannot be read in full; what is missing is no limit", "path", path)
		}
		return
	}
	text.Count, text.Bytes = max(text.Count, 0), max(text.Bytes, 0)
	x.counted, x.stats = true, text
	if created {
		m.recount(x)
	} else {
		x.counting = nil // what a client writes counts from now on
		m.tree.SetSide(quotaKey(root), []byte{0})
	}
}

// quotaNodeDeleted takes note of a limits or stats node that is gone.
func (m *Machine) quotaNodeDeleted(path string) {
	root, name := quotaRoot(path)
	x := m.quotas.byRoot[root]
	if root == "" || x == nil {
		return
	}
	if name == wire.QuotaLimitsNode {
		x.limited = false
	} else {
		x.counted, x.counting = false, nil
	}
	if !x.limited && !x.counted {
		delete(m.quotas.byRoot, root)
		m.tree.DeleteSide(quotaKey(root))
	}
}
