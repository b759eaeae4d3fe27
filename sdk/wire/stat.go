package wire

import "github.com/zooid-project/zooid/sdk/jute"

// Stat is what clients learn about a node besides its data (spec client-protocol, 5.3). Times are milliseconds since 1970 by the leader's clock.
type Stat struct {
	Czxid          int64 // created by this transaction
	Mzxid          int64 // data last set by this one
	Ctime          int64
	Mtime          int64
	Version        int32 // of the data
	Cversion       int32 // changes with every child created or deleted
	Aversion       int32 // of the ACL
	EphemeralOwner int64 // session id; 0 also for containers and TTL nodes
	DataLength     int32 // bytes
	NumChildren    int32
	Pzxid          int64 // last child created or deleted by this one
}

// StatSize is the length of an encoded Stat in bytes.
const StatSize = 68

// AppendTo appends the encoding.
func (s *Stat) AppendTo(dst []byte) []byte {
	dst = jute.AppendInt64(dst, s.Czxid)
	dst = jute.AppendInt64(dst, s.Mzxid)
	dst = jute.AppendInt64(dst, s.Ctime)
	dst = jute.AppendInt64(dst, s.Mtime)
	dst = jute.AppendInt32(dst, s.Version)
	dst = jute.AppendInt32(dst, s.Cversion)
	dst = jute.AppendInt32(dst, s.Aversion)
	dst = jute.AppendInt64(dst, s.EphemeralOwner)
	dst = jute.AppendInt32(dst, s.DataLength)
	dst = jute.AppendInt32(dst, s.NumChildren)
	return jute.AppendInt64(dst, s.Pzxid)
}

// Decode reads the record.
func (s *Stat) Decode(d *jute.Decoder) {
	s.Czxid = d.Int64()
	s.Mzxid = d.Int64()
	s.Ctime = d.Int64()
	s.Mtime = d.Int64()
	s.Version = d.Int32()
	s.Cversion = d.Int32()
	s.Aversion = d.Int32()
	s.EphemeralOwner = d.Int64()
	s.DataLength = d.Int32()
	s.NumChildren = d.Int32()
	s.Pzxid = d.Int64()
}

// StatPersisted is a node's stat as snapshots store it (spec peer-wire-and-disk, 1 and 6.4). Cversion is the stored child counter, not what clients see, and EphemeralOwner is raw (see Owner).
type StatPersisted struct {
	Czxid          int64
	Mzxid          int64
	Ctime          int64
	Mtime          int64
	Version        int32
	Cversion       int32
	Aversion       int32
	EphemeralOwner int64
	Pzxid          int64
}

// StatPersistedSize is the length of an encoded StatPersisted in bytes.
const StatPersistedSize = 60

// AppendTo appends the encoding.
func (s *StatPersisted) AppendTo(dst []byte) []byte {
	dst = jute.AppendInt64(dst, s.Czxid)
	dst = jute.AppendInt64(dst, s.Mzxid)
	dst = jute.AppendInt64(dst, s.Ctime)
	dst = jute.AppendInt64(dst, s.Mtime)
	dst = jute.AppendInt32(dst, s.Version)
	dst = jute.AppendInt32(dst, s.Cversion)
	dst = jute.AppendInt32(dst, s.Aversion)
	dst = jute.AppendInt64(dst, s.EphemeralOwner)
	return jute.AppendInt64(dst, s.Pzxid)
}

// Decode reads the record.
func (s *StatPersisted) Decode(d *jute.Decoder) {
	s.Czxid = d.Int64()
	s.Mzxid = d.Int64()
	s.Ctime = d.Int64()
	s.Mtime = d.Int64()
	s.Version = d.Int32()
	s.Cversion = d.Int32()
	s.Aversion = d.Int32()
	s.EphemeralOwner = d.Int64()
	s.Pzxid = d.Int64()
}
