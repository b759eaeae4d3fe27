package client

import (
	"errors"
	"slices"

	"github.com/zooid-project/zooid/sdk/wire"
)

// watchTable knows who is told what. One entry at the server serves all watches of a kind at a path. Client.mu guards it.
type watchTable struct {
	sets  [watchKinds]map[string][]*Watch
	onWay [watchKinds]map[string]int // requests under way that will arm; exist counts as data, which is one table at the server

	staleZxid int64 // what the watches that are not armed have seen: the lastZxid of when they were
	stale     int   // how many are not armed
}

func onWayKind(k watchKind) watchKind {
	if k == watchExist {
		return watchData
	}
	return k
}

func (t *watchTable) arming(w *Watch) {
	k := onWayKind(w.kind)
	if t.onWay[k] == nil {
		t.onWay[k] = map[string]int{}
	}
	t.onWay[k][w.path]++
}

func (t *watchTable) disarmed(w *Watch) {
	k := onWayKind(w.kind)
	if t.onWay[k][w.path]--; t.onWay[k][w.path] <= 0 {
		delete(t.onWay[k], w.path)
	}
}

func (t *watchTable) add(w *Watch) {
	if t.sets[w.kind] == nil {
		t.sets[w.kind] = map[string][]*Watch{}
	}
	t.sets[w.kind][w.path] = append(t.sets[w.kind][w.path], w)
}

func (t *watchTable) remove(w *Watch) {
	set := t.sets[w.kind]
	list := set[w.path]
	i := slices.Index(list, w)
	if i < 0 {
		return
	}
	if w.stale {
		t.stale--
	}
	if len(list) == 1 {
		delete(set, w.path)
		return
	}
	set[w.path] = slices.Delete(slices.Clone(list), i, i+1)
}

// removable tells what to ask the server to remove after w went, if nobody else needs it.
func (t *watchTable) removable(w *Watch) (wt wire.WatcherType, ok bool) {
	has := func(k watchKind) bool { return len(t.sets[k][w.path]) > 0 || t.onWay[k][w.path] > 0 }
	switch w.kind {
	case watchData, watchExist:
		// Servers before 3.9 do not tell a standard watch from a persistent one here.
		return wire.WatcherData, !has(watchData) && !has(watchExist) && !has(watchPersistent) && !has(watchRecursive)
	case watchChild:
		return wire.WatcherChildren, !has(watchChild) && !has(watchPersistent) && !has(watchRecursive)
	case watchPersistent:
		return wire.WatcherPersistent, !has(watchPersistent)
	}
	return wire.WatcherPersistentRecursive, !has(watchRecursive)
}

// armed handles the reply of a request that arms a watch. The reader calls it before any later frame, so no event can be missed.
func (c *Client) armed(cl *call, abandoned bool) {
	w := cl.arming
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches.disarmed(w)
	missing := w.kind == watchExist && errors.Is(cl.err, wire.ErrNoNode)
	if abandoned || (cl.err != nil && !missing) {
		return
	}
	if w.kind == watchExist && !missing {
		w.kind = watchData
	}
	c.watches.add(w)
}

// deliver hands a server's event to its watches (spec client-protocol, 7.2 and 7.3).
func (c *Client) deliver(e wire.WatcherEvent, zxid int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.watches
	event := Event{Type: e.Type, Path: c.strip(e.Path), Zxid: zxid}
	switch e.Type {
	case wire.EventNodeChildrenChanged:
		t.fire(watchChild, e.Path, event)
		t.fire(watchPersistent, e.Path, event)
		return
	case wire.EventNodeDeleted:
		t.fire(watchChild, e.Path, event)
	}
	t.fire(watchData, e.Path, event)
	t.fire(watchExist, e.Path, event)
	t.fire(watchPersistent, e.Path, event)
	if len(t.sets[watchRecursive]) > 0 {
		for p := e.Path; ; {
			t.fire(watchRecursive, p, event)
			if p == "/" {
				break
			}
			if p = wire.ParentPath(p); p == "" {
				p = "/"
			}
		}
	}
}

func (t *watchTable) fire(k watchKind, path string, e Event) {
	for _, w := range t.sets[k][path] {
		w.push(e)
		if k.oneShot() {
			if w.stale {
				t.stale--
			}
			w.end(ErrWatchClosed)
		}
	}
	if k.oneShot() {
		delete(t.sets[k], path)
	}
}

func (t *watchTable) each(f func(*Watch)) {
	for _, set := range t.sets {
		for _, list := range set {
			for _, w := range list {
				f(w)
			}
		}
	}
}

func (t *watchTable) closeAll(err error) {
	t.each(func(w *Watch) { w.end(err) })
	*t = watchTable{}
}

// disconnected notes that no watch is armed any more. Those that were not yet armed again after the disconnect before this one keep their older zxid, and with them all others: an older one costs
// at most an event too many.
func (t *watchTable) disconnected(lastZxid int64) {
	if t.stale == 0 {
		t.staleZxid = lastZxid
	}
	t.each(func(w *Watch) {
		if !w.stale {
			w.stale = true
			t.stale++
		}
	})
}

// rearmChunk is how many bytes of paths one setWatches carries.
const rearmChunk = 128 << 10

// rearm queues requests that arm all watches at a new connection, in chunks that every server accepts (spec client-protocol, 7.6). Callers hold c.mu.
func (c *Client) rearm(cn *conn) error {
	t := &c.watches
	chunk := min(rearmChunk, c.opts.MaxFrame/2)
	var req wire.Request
	var watches []*Watch
	size := 0
	flush := func() error {
		if len(watches) == 0 {
			return nil
		}
		req.Code = wire.OpSetWatches
		if len(req.PersistentWatches)+len(req.RecursiveWatches) > 0 {
			req.Code = wire.OpSetWatches2
		}
		req.RelativeZxid = t.staleZxid
		armed := watches
		_, err := c.enqueue(cn, &req, func(r Reply) { c.rearmed(armed, r.Err) }, nil)
		req, watches, size = wire.Request{}, nil, 0
		return err
	}
	for k, lists := range map[watchKind]*[]string{watchData: &req.DataWatches, watchExist: &req.ExistWatches, watchChild: &req.ChildWatches,
		watchPersistent: &req.PersistentWatches, watchRecursive: &req.RecursiveWatches} {
		for path, list := range t.sets[k] {
			if size += 4 + len(path); size > chunk {
				if err := flush(); err != nil {
					return err
				}
				size = 4 + len(path)
			}
			*lists = append(*lists, path)
			watches = append(watches, list...)
		}
	}
	return flush()
}

// rearmed handles the reply of one setWatches: persistent watches get their gap now, when the server reports again.
func (c *Client) rearmed(list []*Watch, err error) {
	if errors.Is(err, wire.ErrConnectionLoss) || errors.Is(err, ErrClosed) {
		return // still stale; the next connection tries again
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range list {
		if !w.stale || w.err != nil {
			continue
		}
		if err != nil {
			c.watches.remove(w)
			w.end(err)
			continue
		}
		w.stale = false
		c.watches.stale--
		if !w.kind.oneShot() {
			w.push(Event{Gap: true})
		}
	}
}
