package wire

import "github.com/zooid-project/zooid/sdk/jute"

// SessionRecord describes a session to an administrator: the answer to listSessions is a vector of them, by id as unsigned numbers.
//
//	long id, int timeOut ms, long expires ms, int ephemerals, bool local, ustring client
type SessionRecord struct {
	ID         int64
	TimeoutMs  int32
	ExpiresMs  int64 // from now; negative when overdue, and where it is not known: the leader knows it, and the server that the session is connected to
	Ephemerals int32
	Local      bool
	Client     string // the address that it is connected from, "" for none on this server
}

// sessionRecordMin is the shortest encoding in bytes.
const sessionRecordMin = 8 + 4 + 8 + 4 + 1 + 4

func decodeSessions(d *jute.Decoder) []SessionRecord {
	n, null := d.Vector(sessionRecordMin)
	if null || d.Err() != nil {
		return nil
	}
	list := make([]SessionRecord, n)
	for i := range list {
		s := &list[i]
		s.ID = d.Int64()
		s.TimeoutMs = d.Int32()
		s.ExpiresMs = d.Int64()
		s.Ephemerals = d.Int32()
		s.Local = d.Bool()
		s.Client = d.String()
	}
	return list
}

func appendSessions(dst []byte, list []SessionRecord) []byte {
	dst = jute.AppendVectorLen(dst, len(list))
	for i := range list {
		s := &list[i]
		dst = jute.AppendInt64(dst, s.ID)
		dst = jute.AppendInt32(dst, s.TimeoutMs)
		dst = jute.AppendInt64(dst, s.ExpiresMs)
		dst = jute.AppendInt32(dst, s.Ephemerals)
		dst = jute.AppendBool(dst, s.Local)
		dst = jute.AppendString(dst, s.Client)
	}
	return dst
}
