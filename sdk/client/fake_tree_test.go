package client

import (
	"fmt"
	"strings"

	"github.com/zooid-project/zooid/sdk/wire"
)

func parentOf(p string) string {
	if q := wire.ParentPath(p); q != "" {
		return q
	}
	return "/"
}

// fire tells all connections. Callers hold f.mu.
func (f *fake) fire(e wire.EventType, path string, kinds ...watchKind) {
	for fc := range f.conns {
		hit := fc.watches[watchPersistent][path]
		if e != wire.EventNodeChildrenChanged {
			for p := path; ; p = parentOf(p) {
				hit = hit || fc.watches[watchRecursive][p]
				if p == "/" {
					break
				}
			}
		}
		for _, k := range kinds {
			hit = hit || fc.watches[k][path]
			delete(fc.watches[k], path)
		}
		if hit {
			fc.sendEvent(e, path, f.zxid)
		}
	}
}

func (fc *fakeConn) sendEvent(e wire.EventType, path string, zxid int64) {
	h := wire.ReplyHeader{Xid: wire.XidWatchEvent, Zxid: zxid}
	ev := wire.WatcherEvent{Type: e, State: wire.StateSyncConnected, Path: path}
	fc.send(ev.AppendTo(h.AppendTo(nil)))
}

// apply runs one request. Callers hold f.mu.
func (f *fake) apply(fc *fakeConn, r *wire.Request, resp *wire.Response) wire.ErrorCode {
	n := f.nodes[r.Path]
	switch r.Code {
	case wire.OpPing, wire.OpAuth, wire.OpAddWatch, wire.OpRemoveWatches, wire.OpSetWatches, wire.OpSetWatches2, wire.OpSync, wire.OpWhoAmI:
	case wire.OpCloseSession:
		delete(f.sessions, fc.session)
	case wire.OpMulti:
		for i := range r.Ops {
			var sub wire.Response
			sub.Code = r.Ops[i].Code
			code := f.apply(fc, &wire.Request{Op: r.Ops[i]}, &sub)
			if code != wire.ErrOK { // this fake does not roll back
				resp.Results = make([]wire.Result, len(r.Ops))
				for j := range resp.Results {
					resp.Results[j].Code = wire.OpError
					if j > i {
						resp.Results[j].Err = wire.ErrRuntimeInconsistency
					}
				}
				resp.Results[i].Err = code
				return wire.ErrOK
			}
			resp.Results = append(resp.Results, sub.Result)
		}
		return wire.ErrOK
	case wire.OpMultiRead:
		for i := range r.Ops {
			var sub wire.Response
			sub.Code = r.Ops[i].Code
			if code := f.apply(fc, &wire.Request{Op: r.Ops[i]}, &sub); code != wire.ErrOK {
				sub.Result = wire.Result{Code: wire.OpError, Err: code}
			}
			resp.Results = append(resp.Results, sub.Result)
		}
		return wire.ErrOK
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		parent := f.nodes[parentOf(r.Path)]
		if parent == nil {
			return wire.ErrNoNode
		}
		path := r.Path
		if r.Mode.IsSequential() {
			path = fmt.Sprintf("%s%010d", path, parent.seq)
		}
		if f.nodes[path] != nil {
			return wire.ErrNodeExists
		}
		parent.seq++
		f.zxid++
		parent.stat.Pzxid = f.zxid
		n := &fakeNode{data: append([]byte{}, r.Data...), stat: wire.Stat{Czxid: f.zxid, Mzxid: f.zxid, Pzxid: f.zxid}}
		if r.Mode.IsEphemeral() {
			n.stat.EphemeralOwner = fc.session
		}
		f.nodes[path] = n
		resp.Path, resp.Stat = path, n.stat
		f.fire(wire.EventNodeCreated, path, watchData)
		f.fire(wire.EventNodeChildrenChanged, parentOf(path), watchChild)
		return wire.ErrOK
	case wire.OpGetEphemerals:
		for p, n := range f.nodes {
			if n.stat.EphemeralOwner == fc.session && strings.HasPrefix(p, r.Path) {
				resp.Children = append(resp.Children, p)
			}
		}
		return wire.ErrOK
	default:
		if n == nil {
			if r.Code == wire.OpExists && r.Watch {
				fc.watches[watchData][r.Path] = true
			}
			return wire.ErrNoNode
		}
	}
	switch r.Code {
	case wire.OpGetData:
		resp.Data, resp.Stat = n.data, n.stat
	case wire.OpExists:
		resp.Stat = n.stat
	case wire.OpGetChildren, wire.OpGetChildren2:
		resp.Stat = n.stat
		for p := range f.nodes {
			if p != "/" && parentOf(p) == r.Path {
				resp.Children = append(resp.Children, p[strings.LastIndexByte(p, '/')+1:])
			}
		}
	case wire.OpCheck:
		if r.Version != AnyVersion && r.Version != n.stat.Version {
			return wire.ErrBadVersion
		}
	case wire.OpSetData:
		if r.Version != AnyVersion && r.Version != n.stat.Version {
			return wire.ErrBadVersion
		}
		f.zxid++
		n.data = append([]byte{}, r.Data...)
		n.stat.Version++
		n.stat.Mzxid = f.zxid
		resp.Stat = n.stat
		f.fire(wire.EventNodeDataChanged, r.Path, watchData)
	case wire.OpDelete:
		for p := range f.nodes {
			if p != "/" && p != r.Path && parentOf(p) == r.Path {
				return wire.ErrNotEmpty
			}
		}
		f.zxid++
		delete(f.nodes, r.Path)
		f.nodes[parentOf(r.Path)].stat.Pzxid = f.zxid
		f.fire(wire.EventNodeDeleted, r.Path, watchData, watchChild)
		f.fire(wire.EventNodeChildrenChanged, parentOf(r.Path), watchChild)
	case wire.OpSync:
		resp.Path = r.Path
	case wire.OpAddWatch:
		fc.watches[watchPersistent+watchKind(r.AddWatchMode)][r.Path] = true
	case wire.OpRemoveWatches:
		k := map[wire.WatcherType]watchKind{wire.WatcherData: watchData, wire.WatcherChildren: watchChild, wire.WatcherPersistent: watchPersistent, wire.WatcherPersistentRecursive: watchRecursive}[r.WatcherType]
		if !fc.watches[k][r.Path] {
			return wire.ErrNoWatcher
		}
		delete(fc.watches[k], r.Path)
	case wire.OpSetWatches, wire.OpSetWatches2:
		f.setWatches(fc, r)
	}
	if r.Watch {
		k := watchData
		if r.Code == wire.OpGetChildren2 {
			k = watchChild
		}
		fc.watches[k][r.Path] = true
	}
	return wire.ErrOK
}

func (f *fake) setWatches(fc *fakeConn, r *wire.Request) {
	f.lists = append(f.lists, wire.Request{Op: r.Op, RelativeZxid: r.RelativeZxid, DataWatches: r.DataWatches, ExistWatches: r.ExistWatches, ChildWatches: r.ChildWatches,
		PersistentWatches: r.PersistentWatches, RecursiveWatches: r.RecursiveWatches})
	for _, p := range r.DataWatches {
		if n := f.nodes[p]; n == nil {
			fc.sendEvent(wire.EventNodeDeleted, p, -1)
		} else if n.stat.Mzxid > r.RelativeZxid {
			fc.sendEvent(wire.EventNodeDataChanged, p, -1)
		} else {
			fc.watches[watchData][p] = true
		}
	}
	for _, p := range r.ExistWatches {
		if f.nodes[p] != nil {
			fc.sendEvent(wire.EventNodeCreated, p, -1)
		} else {
			fc.watches[watchData][p] = true
		}
	}
	for _, p := range r.ChildWatches {
		if n := f.nodes[p]; n == nil {
			fc.sendEvent(wire.EventNodeDeleted, p, -1)
		} else if n.stat.Pzxid > r.RelativeZxid {
			fc.sendEvent(wire.EventNodeChildrenChanged, p, -1)
		} else {
			fc.watches[watchChild][p] = true
		}
	}
	for _, p := range r.PersistentWatches {
		fc.watches[watchPersistent][p] = true
	}
	for _, p := range r.RecursiveWatches {
		fc.watches[watchRecursive][p] = true
	}
}

// put makes or changes a node as another client would.
func (f *fake) put(path, data string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var resp wire.Response
	op := SetOp(path, []byte(data), AnyVersion)
	if f.nodes[path] == nil {
		op = CreateOp(path, []byte(data), wire.Persistent, wire.OpenACL)
	}
	resp.Code = op.Code
	if code := f.apply(&fakeConn{f: f}, &wire.Request{Op: op}, &resp); code != wire.ErrOK {
		f.t.Errorf("put %s: %v", path, code)
	}
}
