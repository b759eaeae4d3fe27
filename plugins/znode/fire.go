package znode

import (
	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// firing is one event on its way to everyone who watches for it.
type firing struct {
	m     *Machine
	event kernel.Event
	typ   wire.EventType
	path  string
	acl   *aclList
}

// fire tells everyone who watches for a change of path, once each, and uses one-shot watches up (spec client-protocol, 7.2 and 7.3). Who may not read the node by acl is not told, and its one-shot watch is
// gone all the same (7.4). The visibility lock is held: nobody can read the change yet.
//
// A deletion reaches both tables, in one go: each connection gets one frame.
func (w *watches) fire(m *Machine, zxid int64, path string, typ wire.EventType, acl *aclList) {
	w.mu.Lock()
	defer w.mu.Unlock()
	reach, used := watchData|watchPersistent|watchRecursive, watchData
	switch typ {
	case wire.EventNodeDeleted:
		reach, used = reach|watchChild, watchData|watchChild
	case wire.EventNodeChildrenChanged:
		reach, used = watchChild|watchPersistent, watchChild
	}
	f := firing{m: m, event: kernel.Event{Zxid: kernel.Zxid(zxid)}, typ: typ, path: path, acl: acl}
	w.firing++
	if e := w.byPath[path]; e != nil {
		w.fireAt(e, reach, used, &f)
	}
	if w.recursive == 0 || typ == wire.EventNodeChildrenChanged {
		return
	}
	for path != wire.RootPath {
		path = parentOf(path)
		if e := w.byPath[path]; e != nil {
			w.fireAt(e, watchRecursive, 0, &f)
		}
	}
}

// fireAt tells the watchers of one path. From the end on: removal moves only what has been told.
func (w *watches) fireAt(e *watched, reach, used modes, f *firing) {
	if e.more != nil {
		for i := len(e.more.list) - 1; i >= 0; i-- {
			x := e.more.list[i]
			w.tell(x, reach, f)
			if x.modes&used != 0 {
				w.take(e, x.by, used)
			}
			if e.more == nil {
				break
			}
		}
	}
	x := e.first
	w.tell(x, reach, f)
	if x.modes&used != 0 {
		w.take(e, x.by, used)
	}
}

func (w *watches) tell(x watching, reach modes, f *firing) {
	if x.modes&reach == 0 || x.by.told == w.firing {
		return
	}
	x.by.told = w.firing
	if f.acl.open&wire.PermRead == 0 && !f.m.permits(f.acl, wire.PermRead, x.by.conn.Identities()) {
		return
	}
	if f.event.Body == nil {
		f.event.Body = eventBody(f.typ, f.path)
	}
	x.by.conn.Deliver(f.event)
}

func eventBody(typ wire.EventType, path string) []byte {
	e := wire.WatcherEvent{Type: typ, State: wire.StateSyncConnected, Path: path}
	return e.AppendTo(make([]byte, 0, 12+len(path)))
}
