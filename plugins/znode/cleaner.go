package znode

import (
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// cleaner knows every container and TTL node with what decides about it, so that a pass reads no node (spec client-semantics, 5). Written under the visibility lock; the pass belongs to the loop.
type cleaner struct {
	order pathSet
	nodes map[string]aged

	next    time.Time // start of the next pass
	cursor  int       // of the pass under way; -1: none
	allowed float64   // deletions that the pace has room for
	last    time.Time
}

// aged is a container (ttl 0) or TTL node.
type aged struct {
	ttl, mtime        int64
	creates, children int32
}

func (c *cleaner) init() { c.order, c.nodes, c.cursor = pathSet{}, map[string]aged{}, -1 }

func (c *cleaner) load(path string, a aged) {
	c.order.add(path)
	c.nodes[path] = a
}

// noteAged takes up a new version of a node.
func (m *Machine) noteAged(path string, n *tree.Node) {
	kind, ttl := wire.KindOfOwner(n.Owner, m.set.extended)
	if kind != wire.OwnerContainer && kind != wire.OwnerTTL {
		return
	}
	a := aged{ttl: ttl, mtime: n.Mtime, creates: n.Creates, children: n.NumChildren}
	if m.cleaner.nodes[path] == a {
		return
	}
	m.cleaner.load(path, a)
	b := jute.AppendInt64(make([]byte, 0, 24), a.ttl)
	b = jute.AppendInt64(b, a.mtime)
	b = jute.AppendInt32(b, a.creates)
	m.tree.SetSide(agedKey(path), jute.AppendInt32(b, a.children))
}

func (c *cleaner) forget(path string) {
	c.order.remove(path)
	delete(c.nodes, path)
}

// over says whether a node's time has come, in wall-clock milliseconds.
func (s *settings) over(a aged, now int64) bool {
	switch {
	case a.children > 0:
		return false
	case a.ttl > 0:
		return now-a.mtime > a.ttl
	case a.creates > 0:
		return true
	}
	return s.neverUsed > 0 && now-a.mtime > s.neverUsed.Milliseconds()
}

// cleanable says the same of a node at prepare: kind and times may have changed since the pass.
func (s *settings) cleanable(n *tree.Node, now int64) bool {
	kind, ttl := wire.KindOfOwner(n.Owner, s.extended)
	if kind != wire.OwnerContainer && kind != wire.OwnerTTL {
		return false
	}
	return s.over(aged{ttl: ttl, mtime: n.Mtime, creates: n.Creates, children: n.NumChildren}, now)
}

// cleanScan is how many nodes a pass looks at in one tick.
const cleanScan = 20000

// due appends requests for the nodes that the pass under way comes to, at the configured pace. The visibility lock is held for reading.
func (c *cleaner) due(s *settings, now time.Time, reqs []*kernel.Request) []*kernel.Request {
	if c.next.IsZero() {
		c.next, c.last = now.Add(s.cleanEvery), now
		return reqs
	}
	pace := float64(s.cleanPerMinute) / 60
	c.allowed = min(c.allowed+now.Sub(c.last).Seconds()*pace, max(1, pace))
	c.last = now
	if c.cursor < 0 {
		if now.Before(c.next) {
			return reqs
		}
		c.cursor = 0
		for c.next = c.next.Add(s.cleanEvery); s.cleanEvery > 0 && !c.next.After(now); {
			c.next = c.next.Add(s.cleanEvery)
		}
	}
	wall := now.UnixMilli()
	for end := c.cursor + cleanScan; c.cursor < end; c.cursor++ {
		if c.cursor >= len(c.order.paths) {
			c.cursor = -1
			return reqs
		}
		path := c.order.paths[c.cursor]
		if !s.over(c.nodes[path], wall) {
			continue
		}
		if c.allowed < 1 {
			return reqs
		}
		c.allowed--
		reqs = append(reqs, &kernel.Request{
			Op:      int32(wire.OpDeleteContainer),
			Decoded: &wire.Request{Op: wire.Op{Code: wire.OpDeleteContainer, Path: path}},
		})
	}
	return reqs
}
