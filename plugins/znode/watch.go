package znode

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/zooid-project/zooid/kernel"
)

// modes are the watches of one connection at one path (spec client-semantics, 1.1). The data and child tables of ZooKeeper are bits here: a persistent watch stands in both, a recursive one in data only.
type modes uint8

const (
	watchData modes = 1 << iota
	watchChild
	watchPersistent
	watchRecursive
)

// watches is the watch table: by path, and for each connection the set of its paths. Registration happens under the visibility read lock, firing under the lock itself, so the two never cross.
type watches struct {
	limit int // weight per connection
	pairs atomic.Int64

	mu        sync.Mutex
	byPath    map[string]*watched
	byConn    map[kernel.Connection]*watcher
	recursive int    // pairs with a recursive watch: none, and no ancestor is looked at
	firing    uint64 // number of the firing under way: a connection is told once
}

// watched is a path with its watchers. The usual one watcher needs no list.
type watched struct {
	path  string
	first watching // no watcher: empty
	more  *crowd
}

type watching struct {
	by    *watcher
	modes modes
}

// smallCrowd is how many watchers are searched one by one: a map for each of many paths would cost more than the watches.
const smallCrowd = 64

// crowd are the watchers of a path beyond the first.
type crowd struct {
	list  []watching
	place map[*watcher]int32 // nil while there are few
}

// watcher is a connection.
type watcher struct {
	conn   kernel.Connection
	paths  map[*watched]struct{}
	weight int    // of the paths
	told   uint64 // the last firing that reached it
}

// weigh is what a path counts against the limit: long ones count more, so that the limit bounds memory.
func weigh(path string) int { return 1 + len(path)/128 }

func (w *watches) init(limit int) {
	w.limit = limit
	w.byPath = map[string]*watched{}
	w.byConn = map[kernel.Connection]*watcher{}
}

// any says whether there is a watch at all.
func (w *watches) any() bool { return w.pairs.Load() > 0 }

// at says whether a change of path may concern anybody.
func (w *watches) at(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.recursive > 0 || w.byPath[path] != nil
}

// among lists the places of those paths whose change may concern anybody, in order. find gives the place of a path, or less than 0.
func (w *watches) among(paths []string, find func(path string) int) (places []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.recursive > 0 || len(paths) < len(w.byPath) {
		for i, path := range paths {
			if w.recursive > 0 || w.byPath[path] != nil {
				places = append(places, i)
			}
		}
		return places
	}
	for path := range w.byPath {
		if i := find(path); i >= 0 {
			places = append(places, i)
		}
	}
	slices.Sort(places)
	return places
}

// attach lets a connection watch. Until then, and after drop, what it asks for is not registered: nobody would take it away again.
func (w *watches) attach(conn kernel.Connection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byConn[conn] == nil {
		w.byConn[conn] = &watcher{conn: conn}
	}
}

// drop forgets a connection with all that it watches.
func (w *watches) drop(conn kernel.Connection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	by := w.byConn[conn]
	if by == nil {
		return
	}
	delete(w.byConn, conn)
	for e := range by.paths {
		w.take(e, by, ^modes(0))
	}
}

// add registers watches. false: the connection is at its limit.
func (w *watches) add(conn kernel.Connection, path string, m modes) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	by := w.byConn[conn]
	if by == nil {
		return true
	}
	e := w.byPath[path]
	if e != nil {
		if at := e.find(by); at != nil {
			if m&^at.modes&watchRecursive != 0 {
				w.recursive++
			}
			at.modes |= m
			return true
		}
	}
	if by.weight+weigh(path) > w.limit {
		return false
	}
	by.weight += weigh(path)
	if e == nil {
		e = &watched{path: path}
		w.byPath[path] = e
	}
	e.add(watching{by, m})
	if by.paths == nil {
		by.paths = map[*watched]struct{}{}
	}
	by.paths[e] = struct{}{}
	w.pairs.Add(1)
	if m&watchRecursive != 0 {
		w.recursive++
	}
	return true
}

// has returns which of a connection's watches stand at exactly path.
func (w *watches) has(conn kernel.Connection, path string) modes {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e, by := w.byPath[path], w.byConn[conn]; e != nil && by != nil {
		if at := e.find(by); at != nil {
			return at.modes
		}
	}
	return 0
}

// remove takes watches of a connection away and returns those that were there.
func (w *watches) remove(conn kernel.Connection, path string, m modes) modes {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, by := w.byPath[path], w.byConn[conn]
	if e == nil || by == nil {
		return 0
	}
	at := e.find(by)
	if at == nil {
		return 0
	}
	had := at.modes & m
	w.take(e, by, m)
	return had
}

// take removes modes of one watcher at one path and whatever is empty afterwards.
func (w *watches) take(e *watched, by *watcher, m modes) {
	at := e.find(by)
	if at == nil {
		return
	}
	if at.modes&m&watchRecursive != 0 {
		w.recursive--
	}
	if at.modes &^= m; at.modes != 0 {
		return
	}
	e.remove(by)
	delete(by.paths, e)
	by.weight -= weigh(e.path)
	w.pairs.Add(-1)
	if e.first.by == nil {
		delete(w.byPath, e.path)
	}
}

func (e *watched) find(by *watcher) *watching {
	if e.first.by == by {
		return &e.first
	}
	if e.more == nil {
		return nil
	}
	if i := e.more.find(by); i >= 0 {
		return &e.more.list[i]
	}
	return nil
}

func (e *watched) add(x watching) {
	if e.first.by == nil {
		e.first = x
		return
	}
	if e.more == nil {
		e.more = &crowd{}
	}
	c := e.more
	c.list = append(c.list, x)
	if c.place != nil {
		c.place[x.by] = int32(len(c.list) - 1)
	} else if len(c.list) > smallCrowd {
		c.place = make(map[*watcher]int32, 2*smallCrowd)
		for i := range c.list {
			c.place[c.list[i].by] = int32(i)
		}
	}
}

// remove takes a watcher out; the last of the crowd fills its place.
func (e *watched) remove(by *watcher) {
	c := e.more
	if e.first.by == by {
		e.first = watching{}
		if c != nil {
			e.first = c.list[len(c.list)-1]
			c.remove(len(c.list) - 1)
		}
	} else if c != nil {
		if i := c.find(by); i >= 0 {
			c.remove(i)
		}
	}
	if c != nil && len(c.list) == 0 {
		e.more = nil
	}
}

func (c *crowd) find(by *watcher) int {
	if c.place != nil {
		if i, ok := c.place[by]; ok {
			return int(i)
		}
		return -1
	}
	for i := range c.list {
		if c.list[i].by == by {
			return i
		}
	}
	return -1
}

func (c *crowd) remove(i int) {
	last := len(c.list) - 1
	if c.place != nil {
		delete(c.place, c.list[i].by)
		if i != last {
			c.place[c.list[last].by] = int32(i)
		}
	}
	c.list[i] = c.list[last]
	c.list[last] = watching{}
	c.list = c.list[:last]
}
