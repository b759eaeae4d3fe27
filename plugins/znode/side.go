package znode

import (
	"encoding/binary"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/znode/tree"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// What the machine keeps beside the nodes, in the same atomic flush:
//
//	s <session id, 8 bytes>           i32 time-out in milliseconds
//	a <number, 4 bytes>               i64 references, list of ACLs
//	e <session id, 8 bytes> <path>    an ephemeral node of the session: u32 share of the digest, u32 bytes of path and data, u64 share of the state digest
//	d <session id, 8 bytes>           nothing: the session has ended, and its ephemeral nodes only wait to be taken out
//	c <path>                          a container or TTL node: i64 ttl (0: container), i64 mtime, i32 creates, i32 children
//	q <path>                          a quota root: 1 byte, 1 while its usage is being counted
//	m                                 i64 nodes, i64 bytes, i64 digest, 1 byte: 1 while the digest is kept; i64 state digest, 1 byte: 1 if it began with an empty state
//
// Before version 0.2 nothing was noted of the state digest. What stands behind what it knows a version passes over.
const (
	sideSession   = "s"
	sideACL       = "a"
	sideEphemeral = "e"
	sideDeparted  = "d"
	sideAged      = "c"
	sideQuota     = "q"
	sideCounts    = "m"
)

func sessionKey(id int64) string {
	return string(binary.BigEndian.AppendUint64([]byte(sideSession), uint64(id)))
}

func sessionValue(timeoutMs int32) []byte { return jute.AppendInt32(nil, timeoutMs) }

func aclKey(index uint32) string {
	return string(binary.BigEndian.AppendUint32([]byte(sideACL), index))
}

// aclIndex is the number in a key.
func aclIndex(key string) uint32 { return binary.BigEndian.Uint32([]byte(key[1:])) }

func ephemeralKey(session int64, path string) string {
	b := make([]byte, 0, 9+len(path))
	b = binary.BigEndian.AppendUint64(append(b, sideEphemeral...), uint64(session))
	return string(append(b, path...))
}

func departedKey(session int64) string {
	return string(binary.BigEndian.AppendUint64([]byte(sideDeparted), uint64(session)))
}

// sessionOf is the session id in a key.
func sessionOf(key string) int64 {
	if len(key) < 9 {
		return 0
	}
	return int64(binary.BigEndian.Uint64([]byte(key[1:9])))
}

func (s share) encode() []byte {
	b := jute.AppendInt32(jute.AppendInt32(make([]byte, 0, 16), int32(s.hash)), int32(s.size))
	return jute.AppendInt64(b, int64(s.state))
}

func decodeShare(d *jute.Decoder) share {
	s := share{hash: uint32(d.Int32()), size: uint32(d.Int32())}
	if d.Remaining() > 0 {
		s.state = uint64(d.Int64())
	}
	return s
}

func agedKey(path string) string { return sideAged + path }

func quotaKey(root string) string { return sideQuota + root }

// counts are figures of the whole tree. Guarded by the visibility lock.
type counts struct {
	nodes  int64
	bytes  int64 // of paths and data
	digest uint64
	state  uint64 // digest: see statedigest.go
	// stateKnown: state is that of everything, not only of what has changed since something that an older version has left.
	stateKnown bool
}

func decodeCounts(d *jute.Decoder) (c counts, kept bool) {
	c = counts{nodes: d.Int64(), bytes: d.Int64(), digest: uint64(d.Int64())}
	kept = d.Bool()
	if d.Remaining() > 0 {
		c.state, c.stateKnown = uint64(d.Int64()), d.Bool()
	}
	return c, kept
}

// settle writes what a slice of apply changed beside the nodes. The visibility lock is held.
func (m *Machine) settle() {
	m.quotas.render(m)
	if len(m.acls.dirty) > 0 {
		m.acls.write(m.tree.SetSide, m.tree.DeleteSide)
	}
	b := jute.AppendInt64(m.scratch[:0], m.counts.nodes)
	b = jute.AppendInt64(b, m.counts.bytes)
	b = jute.AppendInt64(b, int64(m.counts.digest))
	b = jute.AppendBool(b, m.set.digest)
	b = jute.AppendInt64(b, int64(m.counts.state))
	m.scratch = jute.AppendBool(b, m.counts.stateKnown)
	m.tree.SetSide(sideCounts, m.scratch)
}

// scanRecords decodes the records of one kind, with keys of at least keyLen bytes.
func scanRecords(scan func(prefix string, yield func(key string, value []byte) bool) error, prefix string, keyLen int, decode func(key string, d *jute.Decoder)) error {
	var bad error
	err := scan(prefix, func(key string, value []byte) bool {
		d := jute.NewDecoder(value)
		if len(key) < keyLen {
			bad = fmt.Errorf("record %q: its key is too short", key)
		} else if decode(key, &d); d.Err() != nil {
			bad = fmt.Errorf("record %q: %w", key, d.Err())
		}
		return bad == nil
	})
	if err == nil {
		err = bad
	}
	return err
}

// load rebuilds what the machine keeps in memory from the flushed records. Called at start, before anything else.
func (m *Machine) load() error {
	each := func(prefix string, keyLen int, decode func(key string, d *jute.Decoder)) error {
		return scanRecords(m.tree.ScanSide, prefix, keyLen, decode)
	}
	steps := []func() error{
		func() error {
			return each(sideCounts, 1, func(_ string, d *jute.Decoder) {
				var kept bool
				m.counts, kept = decodeCounts(d)
				m.keepDigest(kept)
			})
		},
		func() error {
			defer m.acls.loaded()
			return each(sideACL, 5, func(key string, d *jute.Decoder) {
				m.acls.load(aclIndex(key), d.Int64(), wire.DecodeACLs(d, nil))
			})
		},
		func() error {
			return each(sideSession, 9, func(key string, d *jute.Decoder) {
				m.sessions.add(kernel.SessionID(binary.BigEndian.Uint64([]byte(key[1:]))), d.Int32())
			})
		},
		func() error {
			return each(sideEphemeral, 9, func(key string, d *jute.Decoder) {
				m.ephemerals.set(sessionOf(key), key[9:], decodeShare(d))
			})
		},
		func() error {
			return each(sideDeparted, 9, func(key string, _ *jute.Decoder) {
				if o := m.ephemerals.take(sessionOf(key)); o != nil {
					m.departed = append(m.departed, &departure{session: sessionOf(key), owned: o})
				}
			})
		},
		func() error {
			return each(sideAged, 1, func(key string, d *jute.Decoder) {
				m.cleaner.load(key[1:], aged{ttl: d.Int64(), mtime: d.Int64(), creates: d.Int32(), children: d.Int32()})
			})
		},
		func() error {
			roots := map[string]bool{}
			if err := each(sideQuota, 1, func(key string, d *jute.Decoder) { roots[key[1:]] = d.Bool() }); err != nil {
				return err
			}
			return m.loadQuotas(roots)
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	m.warnTTL()
	return nil
}

// keepDigest sets whether a digest is kept, now that it is known whether one was. Nodes that were written without one cannot get theirs by and by.
func (m *Machine) keepDigest(was bool) {
	if m.set.digest && !was {
		m.env.Logger.Warn("this data was written with digest.enabled=false; the digest stays off until the state is restored from a snapshot")
		m.set.digest = false
	}
	m.prepHash.enabled, m.applyHash.enabled = m.set.digest, m.set.digest
}

// warnTTL tells the operator what a switch that was turned off does to nodes that exist (spec client-semantics, 5).
func (m *Machine) warnTTL() {
	if m.set.extended {
		return
	}
	n := 0
	for _, a := range m.cleaner.nodes {
		if a.ttl > 0 {
			n++
		}
	}
	if n > 0 {
		m.env.Logger.Warn("nodes with a time to live exist, but extendedTypesEnabled is false: they are never deleted, and look like ephemeral nodes", "nodes", n)
	}
}

// plant makes the nodes that no transaction creates (spec client-protocol, 6). Their times, zxids and counters are zero. The visibility lock is held.
func (m *Machine) plant() {
	put := func(path string, n *tree.Node) {
		if n.Data == nil {
			n.Data = []byte{}
		}
		n.Hash = m.applyHash.share(path, n)
		m.put(path, nil, n)
	}
	put(wire.RootPath, &tree.Node{NumChildren: 1})
	put(wire.ZooKeeperPath, &tree.Node{NumChildren: 2})
	put(wire.QuotaPath, &tree.Node{})
	put(wire.ConfigPath, &tree.Node{Aversion: -1, ACL: m.acls.hold(wire.ReadACL)})
	m.settle()
}
