package znode

import (
	"strings"
	"sync"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// reading is a burst of reads under way, with the memory that bursts use again.
type reading struct {
	zxid    int64
	body    []byte
	decoded wire.Request
	later   []func() // answers whose place was reserved, to be built without the lock
}

var readings = sync.Pool{New: func() any { return new(reading) }}

// readSlice is how many reads, and bytes of replies, are answered under one hold of the read lock: apply waits for no more.
const (
	readSlice      = 64
	readSliceBytes = 1 << 20
)

// Read implements kernel.StateMachine. Replies leave under the read lock: what is queued on a connection stands in the order of the states.
func (m *Machine) Read(reqs []*kernel.Request) {
	r := readings.Get().(*reading)
	for len(reqs) > 0 {
		if paths := readSet(r.request(reqs[0])); len(paths) > 0 {
			var pin tree.Pin
			for _, path := range paths {
				m.warm(&pin, path)
			}
			m.readSome(r, reqs[:1])
			pin.Release()
			reqs = reqs[1:]
			continue
		}
		done, cold := m.readSome(r, reqs[:min(len(reqs), readSlice)])
		reqs = reqs[done:]
		for i, build := range r.later {
			build()
			r.later[i] = nil
		}
		r.later = r.later[:0]
		if cold == "" {
			continue
		}
		if _, _, err := m.tree.Load(cold); err != nil {
			m.env.Logger.Error("a znode could not be read from the node store", "path", cold, "err", err)
			reqs[0].Conn.Reply(reqs[0], kernel.Reply{Zxid: m.Position(), Err: int32(wire.ErrSystemError)})
			reqs = reqs[1:]
		}
	}
	if cap(r.body) > 1<<20 {
		r.body = nil
	}
	readings.Put(r)
}

// readSet lists the paths of reads that touch several nodes in one step: they are brought into memory first.
func readSet(w *wire.Request) (paths []string) {
	if w == nil {
		return nil
	}
	switch w.Code {
	case wire.OpMultiRead:
		for i := range w.Ops {
			paths = append(paths, w.Ops[i].Path)
		}
	case wire.OpSetWatches, wire.OpSetWatches2:
		paths = append(append(append(paths, w.DataWatches...), w.ExistWatches...), w.ChildWatches...)
	}
	return paths
}

// warm brings one node into memory, if it may exist at all.
func (m *Machine) warm(pin *tree.Pin, path string) {
	if path = readPath(path); treePath(path) {
		if err := m.tree.Resolve(pin, path); err != nil {
			m.env.Logger.Error("a znode could not be read from the node store", "path", path, "err", err)
		}
	}
}

// request returns what the gateway decoded, or decodes now. nil: it cannot be decoded.
func (r *reading) request(req *kernel.Request) *wire.Request {
	if w, ok := req.Decoded.(*wire.Request); ok && w != nil {
		return w
	}
	if wire.DecodeRequest(wire.OpCode(req.Op), req.Body, &r.decoded) != nil {
		return nil
	}
	return &r.decoded
}

// readSome answers requests under one hold of the read lock, up to one that needs a cold node, whose path it returns.
func (m *Machine) readSome(r *reading, reqs []*kernel.Request) (done int, cold string) {
	m.tree.RLock()
	defer m.tree.RUnlock()
	r.zxid = m.tree.Position()
	for size := 0; done < len(reqs) && size < readSliceBytes; {
		if done > 0 && len(readSet(r.request(reqs[done]))) > 0 {
			break
		}
		if cold = m.readOne(r, reqs[done]); cold != "" {
			break
		}
		size += len(r.body)
		done++
	}
	return done, cold
}

// readOne answers one request, unless it needs a cold node.
func (m *Machine) readOne(r *reading, req *kernel.Request) (cold string) {
	w := r.request(req)
	if w == nil {
		r.fail(req, wire.ErrMarshallingError)
		return ""
	}
	r.body = r.body[:0]
	if w.NullPath && w.Code != wire.OpGetEphemerals && w.Code != wire.OpSync {
		r.fail(req, wire.ErrMarshallingError)
		return ""
	}
	switch wire.OpCode(req.Op) {
	case wire.OpExists:
		return m.readExists(r, req, w)
	case wire.OpGetData:
		return m.readData(r, req, w)
	case wire.OpGetACL:
		return m.readACL(r, req, w)
	case wire.OpGetChildren, wire.OpGetChildren2:
		return m.readChildren(r, req, w)
	case wire.OpGetAllChildrenNumber:
		return m.readDescendants(r, req, w)
	case wire.OpGetEphemerals:
		m.readEphemerals(r, req, w)
	case wire.OpWhoAmI:
		m.readIdentities(r, req)
	case wire.OpMultiRead:
		m.readMulti(r, req, w)
	case wire.OpSetWatches, wire.OpSetWatches2:
		m.setWatches(r, req, w)
	case wire.OpAddWatch:
		m.addWatch(r, req, w)
	case wire.OpCheckWatches, wire.OpRemoveWatches:
		m.checkWatches(r, req, w)
	case wire.OpPing:
		r.reply(req)
	case wire.OpCreateSession, wire.OpCloseSession:
		m.localSession(r, req, w)
	default:
		r.fail(req, wire.ErrUnimplemented)
	}
	return ""
}

func (r *reading) reply(req *kernel.Request) {
	req.Conn.Reply(req, kernel.Reply{Zxid: kernel.Zxid(r.zxid), Body: r.body})
}

func (r *reading) fail(req *kernel.Request, code wire.ErrorCode) {
	req.Conn.Reply(req, kernel.Reply{Zxid: kernel.Zxid(r.zxid), Err: int32(code)})
}

// find is the node that a read names: nil when there is none, or a path to load first.
func (m *Machine) find(path string) (n *tree.Node, cold string) {
	if path = readPath(path); !treePath(path) {
		return nil, ""
	}
	n, state := m.look(path)
	if state == tree.Cold {
		return nil, path
	}
	return n, ""
}

// readable is find with the check for READ.
func (m *Machine) readable(req *kernel.Request, path string) (n *tree.Node, cold string, code wire.ErrorCode) {
	n, cold = m.find(path)
	switch {
	case cold != "":
	case n == nil:
		code = wire.ErrNoNode
	case !m.permits(m.acls.get(n.ACL), wire.PermRead, req.Identities):
		code = wire.ErrNoAuth
	}
	return n, cold, code
}

// watch registers for a read that asked for it. The connection may be at its limit: then the read fails as a whole.
func (m *Machine) watch(r *reading, req *kernel.Request, w *wire.Request, which modes) bool {
	if !w.Watch || m.watches.add(req.Conn, w.Path, which) {
		return true
	}
	r.fail(req, wire.ErrBadArguments)
	return false
}

func (m *Machine) readExists(r *reading, req *kernel.Request, w *wire.Request) string {
	if strings.IndexByte(w.Path, 0) >= 0 {
		r.fail(req, wire.ErrBadArguments)
		return ""
	}
	n, cold, code := m.readable(req, w.Path)
	if cold != "" {
		return cold
	}
	if code == wire.ErrNoAuth {
		r.fail(req, code)
		return ""
	}
	if !m.watch(r, req, w, watchData) {
		return ""
	}
	if n == nil {
		r.fail(req, code)
		return ""
	}
	stat := m.statOf(n)
	r.body = stat.AppendTo(r.body)
	r.reply(req)
	return ""
}

func (m *Machine) readData(r *reading, req *kernel.Request, w *wire.Request) string {
	n, cold, code := m.readable(req, w.Path)
	switch {
	case cold != "":
		return cold
	case code != wire.ErrOK:
		r.fail(req, code)
	case len(n.Data)+wire.StatSize+4 > m.set.maxReply:
		r.fail(req, wire.ErrBadArguments)
	case m.watch(r, req, w, watchData):
		r.body = m.appendData(r.body, n)
		r.reply(req)
	}
	return ""
}

func (m *Machine) appendData(dst []byte, n *tree.Node) []byte {
	stat := m.statOf(n)
	return stat.AppendTo(jute.AppendBuffer(dst, n.Data))
}

func (m *Machine) readACL(r *reading, req *kernel.Request, w *wire.Request) string {
	n, cold := m.find(w.Path)
	if cold != "" {
		return cold
	}
	if n == nil {
		r.fail(req, wire.ErrNoNode)
		return ""
	}
	list := m.acls.get(n.ACL)
	if !m.permits(list, wire.PermRead|wire.PermAdmin, req.Identities) {
		r.fail(req, wire.ErrNoAuth)
		return ""
	}
	entries := list.entries
	if !m.permits(list, wire.PermAdmin, req.Identities) {
		entries = masked(entries)
	}
	if entries == nil {
		entries = []wire.ACL{}
	}
	stat := m.statOf(n)
	r.body = stat.AppendTo(wire.AppendACLs(r.body, entries))
	r.reply(req)
	return ""
}

// readEphemerals lists the session's own nodes below a prefix, which is compared as a string (spec client-protocol, 4.3).
func (m *Machine) readEphemerals(r *reading, req *kernel.Request, w *wire.Request) {
	prefix := strings.TrimSpace(w.Path)
	if prefix == wire.RootPath {
		prefix = ""
	}
	r.body = jute.AppendInt32(r.body, 0)
	n := 0
	for _, path := range m.ephemerals.of(int64(req.Session)) {
		if strings.HasPrefix(path, prefix) {
			r.body = jute.AppendString(r.body, path)
			n++
		}
	}
	if len(r.body) > m.set.maxReply {
		r.fail(req, wire.ErrBadArguments)
		return
	}
	jute.AppendInt32(r.body[:0], int32(n))
	r.reply(req)
}

// readIdentities is whoAmI: of digest ids the name alone, of super nothing (spec client-protocol, 4.3).
func (m *Machine) readIdentities(r *reading, req *kernel.Request) {
	r.body = jute.AppendVectorLen(r.body, len(req.Identities))
	for _, id := range req.Identities {
		user := id.ID
		switch id.Scheme {
		case "digest":
			user, _, _ = strings.Cut(user, ":")
		case "super":
			user = ""
		}
		r.body = jute.AppendString(jute.AppendString(r.body, id.Scheme), user)
	}
	r.reply(req)
}
