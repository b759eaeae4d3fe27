package znode

import (
	"github.com/zooid-project/zooid/sdk/wire"
)

// counting is a recount of a quota root under way: a picture of the store is counted beside apply, and what was applied after the picture is added.
type counting struct {
	changes []counted
}

type counted struct {
	zxid int64
	usage
}

// recountAtOnce is how many nodes are counted inside apply: a small subtree has its usage with the transaction that creates its stats node.
const recountAtOnce = 500

// recount counts the usage of a root afresh. The visibility lock is held.
func (m *Machine) recount(x *quota) {
	if u, ok := m.countSmall(x.root, recountAtOnce); ok {
		x.stats.Count, x.stats.Bytes = u.nodes, u.bytes
		m.quotas.mark(x)
		return
	}
	c := &counting{}
	x.counting = c
	m.tree.SetSide(quotaKey(x.root), []byte{1})
	m.beside(func() {
		u, zxid, err := m.countStored(m.background, x.root)
		if err != nil {
			if m.background.Err() == nil {
				m.env.Logger.Error("the usage of a quota could not be counted; it is tried again at the next start", "path", x.root, "err", err)
			}
			return
		}
		m.tree.Lock()
		defer m.tree.Unlock()
		if x.counting != c {
			return
		}
		for _, d := range c.changes {
			if d.zxid > zxid {
				u.nodes += d.nodes
				u.bytes += d.bytes
			}
		}
		x.counting = nil
		x.stats.Count, x.stats.Bytes = u.nodes, u.bytes
		m.quotas.mark(x)
		m.tree.SetSide(quotaKey(x.root), []byte{0})
		m.settle()
	})
}

// loadQuotas rebuilds the roots from the nodes at start. Those marked true were being counted.
func (m *Machine) loadQuotas(roots map[string]bool) error {
	for root, unfinished := range roots {
		x := &quota{root: root}
		for _, name := range [...]string{wire.QuotaLimitsNode, wire.QuotaStatsNode} {
			n, _, err := m.tree.Load(quotaPath(root, name))
			if err != nil {
				return err
			}
			if n == nil {
				continue
			}
			text, _ := wire.ParseQuota(n.Data)
			if name == wire.QuotaLimitsNode {
				x.limited, x.limits = true, text
			} else {
				text.Count, text.Bytes = max(text.Count, 0), max(text.Bytes, 0)
				x.counted, x.stats = true, text
			}
		}
		if !x.limited && !x.counted {
			continue
		}
		m.quotas.byRoot[root] = x
		if unfinished && x.counted {
			m.tree.Lock()
			m.recount(x)
			m.tree.Unlock()
		}
	}
	return nil
}
