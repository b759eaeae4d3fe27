package znode

import (
	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// addWatch registers a persistent watch: no path, existence or permission is looked at (spec client-protocol, 4.3).
func (m *Machine) addWatch(r *reading, req *kernel.Request, w *wire.Request) {
	which := watchPersistent
	if w.AddWatchMode == wire.AddWatchPersistentRecursive {
		which = watchRecursive
	}
	switch {
	case !w.AddWatchMode.Valid():
		r.fail(req, wire.ErrMarshallingError)
	case !m.watches.add(req.Conn, w.Path, which):
		r.fail(req, wire.ErrBadArguments)
	default:
		r.body = jute.AppendInt32(r.body, 0)
		r.reply(req)
	}
}

// checkWatches answers checkWatches and removeWatches (spec client-protocol, 7.7).
func (m *Machine) checkWatches(r *reading, req *kernel.Request, w *wire.Request) {
	var which modes
	switch w.WatcherType {
	case wire.WatcherChildren:
		which = watchChild
	case wire.WatcherData:
		which = watchData
	case wire.WatcherPersistent:
		which = watchPersistent
	case wire.WatcherPersistentRecursive:
		which = watchRecursive
	case wire.WatcherAny:
		which = ^modes(0)
	default:
		r.fail(req, wire.ErrMarshallingError)
		return
	}
	var found modes
	if w.Code == wire.OpCheckWatches {
		found = m.watches.has(req.Conn, w.Path) & which
	} else {
		found = m.watches.remove(req.Conn, w.Path, which)
	}
	if found == 0 {
		r.fail(req, wire.ErrNoWatcher)
		return
	}
	r.reply(req)
}

// setWatches arms the watches of a client that has come back, or tells it at once what it missed since relativeZxid (spec client-protocol, 7.6). What the client may not read it is not told.
func (m *Machine) setWatches(r *reading, req *kernel.Request, w *wire.Request) {
	since := w.RelativeZxid
	node := func(path string) *tree.Node {
		if path = readPath(path); treePath(path) {
			return m.at(path)
		}
		return nil
	}
	ok := true
	arm := func(path string, which modes) { ok = m.watches.add(req.Conn, path, which) && ok }
	tell := func(n *tree.Node, path string, typ wire.EventType) {
		if n == nil || m.permits(m.acls.get(n.ACL), wire.PermRead, req.Conn.Identities()) {
			req.Conn.Deliver(kernel.Event{Zxid: -1, Body: eventBody(typ, path)})
		}
	}
	for _, path := range w.DataWatches {
		switch n := node(path); {
		case n == nil:
			tell(nil, path, wire.EventNodeDeleted)
		case n.Mzxid > since:
			tell(n, path, wire.EventNodeDataChanged)
		default:
			arm(path, watchData)
		}
	}
	for _, path := range w.ExistWatches {
		if n := node(path); n != nil {
			tell(n, path, wire.EventNodeCreated)
		} else {
			arm(path, watchData)
		}
	}
	for _, path := range w.ChildWatches {
		switch n := node(path); {
		case n == nil:
			tell(nil, path, wire.EventNodeDeleted)
		case n.Pzxid > since:
			tell(n, path, wire.EventNodeChildrenChanged)
		default:
			arm(path, watchChild)
		}
	}
	for _, path := range w.PersistentWatches {
		arm(path, watchPersistent)
	}
	for _, path := range w.RecursiveWatches {
		arm(path, watchRecursive)
	}
	if !ok {
		r.fail(req, wire.ErrBadArguments)
		return
	}
	r.reply(req)
}
