package znode

import (
	"context"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// readChildren answers getChildren and getChildren2. The names are a stable picture taken under the lock; they are written down without it, in the place kept for the reply.
func (m *Machine) readChildren(r *reading, req *kernel.Request, w *wire.Request) string {
	n, cold, code := m.readable(req, w.Path)
	if cold != "" {
		return cold
	}
	if code != wire.ErrOK {
		r.fail(req, code)
		return ""
	}
	if !m.watch(r, req, w, watchChild) {
		return ""
	}
	withStat := wire.OpCode(req.Op) == wire.OpGetChildren2
	if n.NumChildren == 0 {
		r.body = m.appendNames(r.body, nil, n, withStat)
		r.reply(req)
		return ""
	}
	zxid := r.zxid
	names := m.children(readPath(w.Path))
	if names == nil {
		return readPath(w.Path)
	}
	req.Conn.Reserve(req)
	r.later = append(r.later, func() {
		body, err := m.listNames(r.body[:0], names, n)
		r.body = body
		reply := kernel.Reply{Zxid: kernel.Zxid(zxid)}
		switch {
		case err == errTooLong:
			reply.Err = int32(wire.ErrBadArguments)
		case err != nil:
			m.env.Logger.Error("the children of a znode could not be read from the node store", "path", w.Path, "err", err)
			reply.Err = int32(wire.ErrSystemError)
		default:
			if withStat {
				stat := m.statOf(n)
				r.body = stat.AppendTo(r.body)
			}
			reply.Body = r.body
		}
		req.Conn.Reply(req, reply)
	})
	return ""
}

func (m *Machine) appendNames(dst []byte, names []string, n *tree.Node, withStat bool) []byte {
	dst = jute.AppendVectorLen(dst, len(names))
	for _, name := range names {
		dst = jute.AppendString(dst, name)
	}
	if withStat {
		stat := m.statOf(n)
		dst = stat.AppendTo(dst)
	}
	return dst
}

// errTooLong stands for a reply over the limit.
var errTooLong = errString("the reply would be longer than maxReply")

type errString string

func (e errString) Error() string { return string(e) }

// listNames appends a vector of names and closes the listing.
func (m *Machine) listNames(dst []byte, names *listing, n *tree.Node) ([]byte, error) {
	defer names.Close()
	start := len(dst)
	dst = jute.AppendInt32(dst, 0)
	count, tooLong := int32(0), false
	err := names.Each(func(name string) bool {
		if count == sampleNames { // to grow by doubling would move tens of megabytes, each time in one go that nothing can interrupt
			dst = roomFor(dst, start, n.NumChildren)
		}
		dst = jute.AppendString(dst, name)
		count++
		tooLong = len(dst)-start > m.set.maxReply
		return !tooLong
	})
	if tooLong {
		err = errTooLong
	}
	jute.AppendInt32(dst[:start], count)
	return dst, err
}

// sampleNames is after how many names the size of a long listing is guessed.
const sampleNames = 1000

// roomFor gives dst, which has sampleNames names from start on, room for all of them if they are like these.
func roomFor(dst []byte, start int, names int32) []byte {
	want := start + (len(dst)-start)/sampleNames*int(names)
	if want += want / 16; want <= cap(dst) {
		return dst
	}
	return append(make([]byte, 0, want), dst...)
}

// countBudget is how many nodes getAllChildrenNumber visits under the read lock; above it a picture of the store is counted beside everything else.
const countBudget = 2000

// readDescendants answers getAllChildrenNumber.
func (m *Machine) readDescendants(r *reading, req *kernel.Request, w *wire.Request) string {
	n, cold, code := m.readable(req, w.Path)
	if cold != "" {
		return cold
	}
	if code != wire.ErrOK {
		r.fail(req, code)
		return ""
	}
	path := readPath(w.Path)
	count, known := int64(n.NumChildren), n.NumChildren == 0
	if path == wire.RootPath {
		count, known = m.counts.nodes-1, true
	}
	if known {
		r.body = jute.AppendInt32(r.body, int32(count))
		r.reply(req)
		return ""
	}
	req.Conn.Reserve(req)
	r.later = append(r.later, func() {
		count, zxid, err := m.countSubtree(path)
		reply := kernel.Reply{Zxid: kernel.Zxid(zxid), Body: jute.AppendInt32(nil, int32(count.nodes)-1)}
		if err != nil {
			m.env.Logger.Error("a subtree could not be counted", "path", path, "err", err)
			reply.Err, reply.Body = int32(wire.ErrSystemError), nil
		}
		req.Conn.Reply(req, reply)
	})
	return ""
}

// usage is what a subtree holds, its root included.
type usage struct{ nodes, bytes int64 }

// countSubtree counts as of one state: in memory when the subtree is small, otherwise in a picture of the node store.
func (m *Machine) countSubtree(root string) (u usage, zxid int64, err error) {
	m.tree.RLock()
	zxid = m.tree.Position()
	u, ok := m.countSmall(root, countBudget)
	m.tree.RUnlock()
	if ok {
		return u, zxid, nil
	}
	return m.countStored(m.background, root)
}

// countSmall counts a subtree of at most budget nodes. Either side of the visibility lock is held.
func (m *Machine) countSmall(root string, budget int64) (u usage, ok bool) {
	n, state := m.look(root)
	if state == tree.Cold {
		return u, false
	}
	if n == nil {
		return u, true
	}
	u = usage{1, int64(len(n.Data))}
	if n.NumChildren == 0 {
		return u, true
	}
	if u.nodes += int64(n.NumChildren); u.nodes > budget {
		return u, false
	}
	u.nodes = 1
	names := m.children(root)
	if names == nil {
		return u, false
	}
	defer names.Close()
	ok = true
	err := names.Each(func(name string) bool {
		var below usage
		if below, ok = m.countSmall(join(root, name), budget-u.nodes); !ok {
			return false
		}
		u.nodes += below.nodes
		u.bytes += below.bytes
		return true
	})
	return u, ok && err == nil
}

// countStored counts in a picture of the store, which is as new as the state at the time of the call.
func (m *Machine) countStored(ctx context.Context, root string) (u usage, zxid int64, err error) {
	view, err := m.tree.View(ctx)
	if err != nil {
		return u, 0, err
	}
	defer view.Close()
	gone, err := departedIn(view)
	if err != nil {
		return u, 0, err
	}
	err = view.Walk(root, func(_ string, n *tree.Node) bool {
		if gone[n.Owner] {
			return true
		}
		u.nodes++
		u.bytes += int64(len(n.Data))
		return ctx.Err() == nil
	})
	if err == nil {
		err = ctx.Err()
	}
	return u, view.Zxid, err
}

func join(parent, name string) string {
	if parent == wire.RootPath {
		return parent + name
	}
	return parent + "/" + name
}

// readMulti answers multiRead: every operation by itself, all from one state (spec client-protocol, 8). Names of children are listed under the lock here, so that they belong to that state.
func (m *Machine) readMulti(r *reading, req *kernel.Request, w *wire.Request) {
	response := wire.Response{Result: wire.Result{Code: wire.OpMultiRead}, Results: make([]wire.Result, len(w.Ops))}
	size := 0
	for i := range w.Ops {
		o := &w.Ops[i]
		result := wire.Result{Code: o.Code}
		var n *tree.Node
		code := wire.ErrNoNode
		switch {
		case o.NullPath:
			code = wire.ErrMarshallingError
		default:
			if path := readPath(o.Path); treePath(path) {
				if n = m.at(path); n != nil {
					code = wire.ErrOK
				}
			}
		}
		if code == wire.ErrOK && !m.permits(m.acls.get(n.ACL), wire.PermRead, req.Identities) {
			code = wire.ErrNoAuth
		}
		if code == wire.ErrOK && o.Code == wire.OpGetData {
			result.Data, result.Stat = n.Data, m.statOf(n)
			size += len(n.Data)
		} else if code == wire.ErrOK {
			result.Children = []string{}
			code = m.namesInto(readPath(o.Path), &result.Children, &size)
		}
		if size > m.set.maxReply {
			r.fail(req, wire.ErrBadArguments)
			return
		}
		if code != wire.ErrOK {
			result = wire.Result{Code: wire.OpError, Err: code}
		}
		response.Results[i] = result
	}
	r.body = response.AppendTo(r.body)
	r.reply(req)
}

// namesInto appends the children of a node that is in memory, up to the longest reply, and adds their size.
func (m *Machine) namesInto(path string, into *[]string, size *int) wire.ErrorCode {
	names := m.children(path)
	if names == nil {
		return wire.ErrSystemError
	}
	defer names.Close()
	err := names.Each(func(name string) bool {
		*into = append(*into, name)
		*size += 4 + len(name)
		return *size <= m.set.maxReply
	})
	if err != nil {
		m.env.Logger.Error("the children of a znode could not be read from the node store", "path", path, "err", err)
		return wire.ErrSystemError
	}
	return wire.ErrOK
}
