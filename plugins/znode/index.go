package znode

// ephemerals lists the nodes of each session. The order of a session's nodes is the same on every run with the same history. Guarded by the visibility lock.
type ephemerals struct {
	bySession map[int64]*owned
	total     int
}

// owned are the nodes of one session: their paths, and what each contributes to the tree's figures, so that all of them can be taken off without being read. The sums by parent are kept, so that
// the end of a session costs as much as it has parents, not nodes.
type owned struct {
	pathSet
	shares  []share
	state   uint64 // of all of them
	bare    int    // those whose part of the state digest is not known yet
	parents pathSet
	sums    []sum // by place in parents
}

// sum is what some nodes contribute together.
type sum struct {
	nodes       int32
	bytes, data int64 // of path and data; of data alone
	hash        uint64
}

// count adds a node to its parent's sum, or takes it off.
func (o *owned) count(path string, s share, sign int32) {
	parent := parentOf(path)
	i := o.parents.find(parent)
	if i < 0 {
		i = o.parents.add(parent)
		o.sums = append(o.sums, sum{})
	}
	u := &o.sums[i]
	u.nodes += sign
	u.bytes += int64(sign) * int64(s.size)
	u.data += int64(sign) * (int64(s.size) - int64(len(path)))
	u.hash += uint64(int64(sign)) * uint64(s.hash)
	o.state += uint64(int64(sign)) * s.state
	if s.state == 0 {
		o.bare += int(sign)
	}
	if u.nodes == 0 {
		o.parents.remove(parent)
		last := len(o.sums) - 1
		o.sums[i] = o.sums[last]
		o.sums = o.sums[:last]
	}
}

// share is a node's part of the tree's digest and its bytes, path and data, and its part of the state digest, 0 where an older version did not note it.
type share struct {
	hash  uint32
	size  uint32
	state uint64
}

// pathSet is a set that remembers places: removal moves the last path to the gap.
type pathSet struct {
	paths []string
	place map[string]int32 // nil while there are few
}

// fewPaths is how many paths are searched one by one.
const fewPaths = 8

func (o *pathSet) find(path string) int {
	if o.place != nil {
		if i, ok := o.place[path]; ok {
			return int(i)
		}
		return -1
	}
	for i, p := range o.paths {
		if p == path {
			return i
		}
	}
	return -1
}

// add returns the place of a path that was not there, or -1.
func (o *pathSet) add(path string) int {
	if o.find(path) >= 0 {
		return -1
	}
	o.paths = append(o.paths, path)
	if o.place == nil && len(o.paths) > fewPaths {
		o.place = make(map[string]int32, 2*fewPaths)
		for i, p := range o.paths {
			o.place[p] = int32(i)
		}
	} else if o.place != nil {
		o.place[path] = int32(len(o.paths) - 1)
	}
	return len(o.paths) - 1
}

// remove returns the place that the last path has moved to, or -1 when path was not there.
func (o *pathSet) remove(path string) int {
	i := o.find(path)
	if i < 0 {
		return -1
	}
	last := len(o.paths) - 1
	moved := o.paths[last]
	o.paths[i] = moved
	o.paths[last] = ""
	o.paths = o.paths[:last]
	if o.place != nil {
		o.place[moved] = int32(i)
		delete(o.place, path)
	}
	return i
}

func (e *ephemerals) init() { *e = ephemerals{bySession: map[int64]*owned{}} }

// set notes a node of a session, new or changed.
func (e *ephemerals) set(session int64, path string, s share) {
	o := e.bySession[session]
	if o == nil {
		o = &owned{}
		e.bySession[session] = o
	}
	if o.add(path) >= 0 {
		e.total++
		o.shares = append(o.shares, s)
		o.count(path, s, 1)
		return
	}
	old := &o.shares[o.find(path)]
	o.count(path, *old, -1)
	o.count(path, s, 1)
	*old = s
}

// share is what is noted of a node.
func (e *ephemerals) share(session int64, path string) (s share, ok bool) {
	o := e.bySession[session]
	if o == nil {
		return share{}, false
	}
	i := o.find(path)
	if i < 0 {
		return share{}, false
	}
	return o.shares[i], true
}

func (e *ephemerals) remove(session int64, path string) {
	o := e.bySession[session]
	if o == nil {
		return
	}
	i := o.remove(path)
	if i < 0 {
		return
	}
	o.count(path, o.shares[i], -1)
	last := len(o.shares) - 1
	o.shares[i] = o.shares[last]
	o.shares = o.shares[:last]
	e.total--
	if len(o.paths) == 0 {
		delete(e.bySession, session)
	}
}

// take removes a session with all its nodes and returns them.
func (e *ephemerals) take(session int64) *owned {
	o := e.bySession[session]
	if o != nil {
		e.total -= len(o.paths)
		delete(e.bySession, session)
	}
	return o
}

func (e *ephemerals) has(session int64, path string) bool {
	o := e.bySession[session]
	return o != nil && o.find(path) >= 0
}

// of returns a copy of a session's paths.
func (e *ephemerals) of(session int64) []string {
	o := e.bySession[session]
	if o == nil {
		return nil
	}
	return append([]string(nil), o.paths...)
}

func (e *ephemerals) count(session int64) int {
	if o := e.bySession[session]; o != nil {
		return len(o.paths)
	}
	return 0
}
