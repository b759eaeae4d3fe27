package znode

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// A snapshot is what ZooKeeper's servers send each other and keep inside their snapshot files (spec peer-wire-and-disk, 6.3 to 6.5):
//
//	sessions   i32 count, count times { i64 id, i32 time-out }
//	ACLs       i32 count, count times { i64 key, list of ACLs }
//	nodes      { string path, buffer data, i64 ACL key, 60 bytes of Stat } parents first; the root's path is ""
//	end        string "/"
const openKey int64 = -1 // the open ACL: not in the table

// Snapshot implements kernel.StateMachine.
func (m *Machine) Snapshot() (kernel.StateSnapshot, error) {
	view, err := m.tree.View(m.background)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	return &stateSnapshot{m: m, view: view}, nil
}

// stateSnapshot implements kernel.StateSnapshot.
type stateSnapshot struct {
	m    *Machine
	view *tree.View
}

func (s *stateSnapshot) Zxid() kernel.Zxid { return kernel.Zxid(s.view.Zxid) }

func (s *stateSnapshot) Close() error {
	s.view.Close()
	return nil
}

// WriteTo implements io.WriterTo.
func (s *stateSnapshot) WriteTo(w io.Writer) (int64, error) {
	counted := &counter{w: w}
	out := bufio.NewWriterSize(counted, 1<<16)
	if err := s.m.writeSnapshot(out, s.view); err != nil {
		return counted.n, fmt.Errorf("snapshot: %w", err)
	}
	return counted.n, nil
}

// counter counts what passes.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

func (m *Machine) writeSnapshot(out *bufio.Writer, view *tree.View) error {
	section := func(prefix string, encode func(dst []byte, key string, value []byte) []byte) error {
		n, body := 0, []byte(nil)
		err := view.ScanSide(prefix, func(key string, value []byte) bool {
			if with := encode(body, key, value); len(with) > len(body) {
				n++
				body = with
			}
			return true
		})
		if err != nil {
			return err
		}
		if _, err := out.Write(jute.AppendInt32(nil, int32(n))); err != nil {
			return err
		}
		_, err = out.Write(body)
		return err
	}
	if err := section(sideSession, func(dst []byte, key string, value []byte) []byte {
		return append(append(dst, key[1:]...), value...)
	}); err != nil {
		return err
	}
	if err := section(sideACL, func(dst []byte, key string, value []byte) []byte {
		dst = jute.AppendInt64(dst, int64(binary.BigEndian.Uint32([]byte(key[1:]))))
		return append(dst, value[8:]...)
	}); err != nil {
		return err
	}
	var buf []byte
	var failed error
	gone, err := departedIn(view)
	if err != nil {
		return err
	}
	err = view.Walk(wire.RootPath, func(path string, n *tree.Node) bool {
		if path == wire.RootPath {
			path = ""
		}
		if gone[n.Owner] {
			return m.background.Err() == nil
		}
		buf = appendSnapshotNode(buf[:0], path, n)
		_, failed = out.Write(buf)
		return failed == nil && m.background.Err() == nil
	})
	if err = errors.Join(err, failed, m.background.Err()); err != nil {
		return err
	}
	if _, err := out.Write(jute.AppendString(nil, wire.RootPath)); err != nil {
		return err
	}
	return out.Flush()
}

func appendSnapshotNode(dst []byte, path string, n *tree.Node) []byte {
	dst = jute.AppendString(dst, path)
	dst = jute.AppendBuffer(dst, n.Data)
	key := int64(n.ACL)
	if n.ACL == openIndex {
		key = openKey
	}
	stat := wire.StatPersisted{
		Czxid: n.Czxid, Mzxid: n.Mzxid, Ctime: n.Ctime, Mtime: n.Mtime, Version: n.Version, Cversion: n.Creates, Aversion: n.Aversion,
		EphemeralOwner: n.Owner, Pzxid: n.Pzxid,
	}
	return stat.AppendTo(jute.AppendInt64(dst, key))
}

// restoring is a snapshot being read.
type restoring struct {
	m        *Machine
	in       *bufio.Reader
	buf      []byte
	acls     map[int64][]wire.ACL
	children map[string]int32 // of nodes that have any
	pending  int              // nodes put
	// quotaNodes are the paths of limits and stats nodes.
	quotaNodes []string
}

// Restore implements kernel.StateMachine. A snapshot that ends early or makes no sense leaves an empty state, never a part of one. Clients are hung up on: what they had under way may be part of the
// new state or not.
func (m *Machine) Restore(in io.Reader, zxid kernel.Zxid) error {
	r := &restoring{m: m, in: bufio.NewReaderSize(in, 1<<16), acls: map[int64][]wire.ACL{}, children: map[string]int32{}}
	m.sessions.HangUp(kernel.CloseStateReplaced)
	m.tree.Lock()
	err := m.tree.Reset()
	m.empty()
	m.sessions.forget()
	m.fuzzy.Store(true)
	m.set.digest = m.set.digestWanted // every node is hashed anew
	m.keepDigest(true)
	m.tree.Unlock()
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := r.read(); err != nil {
		m.tree.Lock()
		defer m.tree.Unlock()
		m.empty()
		m.sessions.forget()
		if e := m.tree.Reset(); e != nil {
			return fmt.Errorf("restore: %w", errors.Join(err, e))
		}
		m.plant()
		return fmt.Errorf("restore: the snapshot cannot be read: %w", err)
	}
	m.tree.Lock()
	r.finish()
	m.tree.Advance(int64(zxid))
	if n := m.at(wire.ConfigPath); m.ensemble.Text != "" && n.Mzxid <= int64(m.ensemble.Version) { // what another server wrote without a transaction does not count here
		m.writeConfig(m.ensemble)
	}
	m.recordState()
	m.settle()
	m.tree.Unlock()
	return m.tree.Flush(context.Background())
}

func (r *restoring) read() error {
	m := r.m
	n, err := r.int32()
	if err != nil {
		return err
	}
	for range n {
		b, err := r.bytes(12)
		if err != nil {
			return fmt.Errorf("sessions: %w", err)
		}
		id, timeout := int64(binary.BigEndian.Uint64(b)), int32(binary.BigEndian.Uint32(b[8:]))
		m.tree.Lock()
		m.counts.state += m.sessions.add(kernel.SessionID(id), timeout)
		m.tree.SetSide(sessionKey(id), sessionValue(timeout))
		m.tree.Unlock()
	}
	if n, err = r.int32(); err != nil {
		return err
	}
	for range n {
		if err := r.readACL(); err != nil {
			return fmt.Errorf("ACLs: %w", err)
		}
	}
	for {
		path, err := r.string()
		if err != nil {
			return fmt.Errorf("nodes: %w", err)
		}
		if path == wire.RootPath {
			return r.end()
		}
		if err := r.readNode(path); err != nil {
			return fmt.Errorf("node %q: %w", path, err)
		}
	}
}

// end meets the end of the stream: until then a connection on which it came is not its transport's again.
func (r *restoring) end() error {
	switch _, err := r.in.ReadByte(); err {
	case nil:
		return errors.New("something follows its end")
	case io.EOF:
		return nil
	default:
		return err
	}
}

func (r *restoring) readACL() error {
	b, err := r.bytes(12)
	if err != nil {
		return err
	}
	key, n := int64(binary.BigEndian.Uint64(b)), int32(binary.BigEndian.Uint32(b[8:]))
	list := []wire.ACL{}
	for range max(n, 0) {
		perms, err := r.int32()
		if err != nil {
			return err
		}
		var a wire.ACL
		a.Perms = wire.Perms(perms)
		if a.ID.Scheme, err = r.string(); err != nil {
			return err
		}
		if a.ID.ID, err = r.string(); err != nil {
			return err
		}
		list = append(list, a)
	}
	r.acls[key] = list
	return nil
}

// restoreSlice is how many nodes are put under one hold of the lock, so that the tree can flush in between.
const restoreSlice = 1000

func (r *restoring) readNode(path string) error {
	m := r.m
	data, err := r.buffer()
	if err != nil {
		return err
	}
	b, err := r.bytes(8 + wire.StatPersistedSize)
	if err != nil {
		return err
	}
	d := jute.NewDecoder(b)
	key := d.Int64()
	var s wire.StatPersisted
	s.Decode(&d)
	n := &tree.Node{
		Czxid: s.Czxid, Mzxid: s.Mzxid, Pzxid: s.Pzxid, Ctime: s.Ctime, Mtime: s.Mtime, Version: s.Version, Creates: s.Cversion, Aversion: s.Aversion,
		Owner: s.EphemeralOwner, Data: data,
	}
	list, known := r.acls[key]
	switch {
	case key == openKey:
		list = wire.OpenACL
	case !known: // named later by the log that follows; until then nobody gets in
		list = []wire.ACL{{}}
	}
	if path == "" {
		path = wire.RootPath
	} else if !treePath(path) {
		return errors.New("not a path")
	}
	if err := m.relieve(); err != nil {
		return err
	}
	m.tree.Lock()
	defer m.tree.Unlock()
	if path != wire.RootPath {
		if m.at(parentOf(path)) == nil {
			return errors.New("its parent is not before it")
		}
		r.children[parentOf(path)]++
	}
	if m.at(path) != nil {
		return errors.New("it is there twice")
	}
	n.ACL = m.acls.hold(list)
	n.Hash = m.applyHash.share(path, n)
	m.put(path, nil, n)
	if root, _ := quotaRoot(path); root != "" {
		r.quotaNodes = append(r.quotaNodes, path)
	}
	if r.pending++; r.pending%restoreSlice == 0 {
		m.settle()
	}
	return nil
}

// relieve flushes when much is dirty. No lock is held.
func (m *Machine) relieve() error {
	if m.tree.Pressure() < 0.7 {
		return nil
	}
	return m.tree.Flush(context.Background())
}

// finish gives parents their number of children and finds the quota roots.
func (r *restoring) finish() {
	m := r.m
	for path, n := range r.children {
		old := m.at(path)
		after := *old
		after.NumChildren = n
		m.put(path, old, &after)
	}
	if m.at(wire.RootPath) == nil { // a snapshot without any node is that of an empty tree
		m.plant()
	}
	if m.at(wire.ConfigPath) == nil { // from before 3.5
		m.plantConfig()
	}
	for _, path := range r.quotaNodes { // all usage is counted afresh (spec client-semantics, 4.2)
		m.quotaNode(path, m.at(path).Data, true)
	}
}

// plantConfig adds the configuration node to a tree that lacks it.
func (m *Machine) plantConfig() {
	for _, path := range [...]string{wire.ZooKeeperPath, wire.QuotaPath, wire.ConfigPath} {
		if m.at(path) != nil {
			continue
		}
		parentPath := parentOf(path)
		parent := m.at(parentPath)
		n := &tree.Node{Data: []byte{}}
		if path == wire.ConfigPath {
			n.Aversion, n.ACL = -1, m.acls.hold(wire.ReadACL)
		}
		n.Hash = m.applyHash.share(path, n)
		m.put(path, nil, n)
		after := *parent
		after.NumChildren++
		m.put(parentPath, parent, &after)
	}
}

// bytes returns the next n bytes, valid until the next call.
func (r *restoring) bytes(n int) ([]byte, error) {
	if cap(r.buf) < n {
		r.buf = make([]byte, n)
	}
	b := r.buf[:n]
	_, err := io.ReadFull(r.in, b)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func (r *restoring) int32() (int32, error) {
	b, err := r.bytes(4)
	if err != nil {
		return 0, err
	}
	return int32(binary.BigEndian.Uint32(b)), nil
}

// readChunk bounds what a length that was read makes this server allocate before the bytes have come.
const readChunk = 1 << 20

// buffer returns a buffer of its own; null is nil.
func (r *restoring) buffer() ([]byte, error) {
	n, err := r.int32()
	if err != nil || n == -1 {
		return nil, err
	}
	if n < 0 {
		return nil, fmt.Errorf("length %d", n)
	}
	b := make([]byte, 0, min(int(n), readChunk))
	for len(b) < int(n) {
		more := min(int(n)-len(b), readChunk)
		b = append(b, make([]byte, more)...)
		if _, err := io.ReadFull(r.in, b[len(b)-more:]); err != nil {
			return nil, io.ErrUnexpectedEOF
		}
	}
	return b, nil
}

func (r *restoring) string() (string, error) {
	b, err := r.buffer()
	return string(b), err
}
