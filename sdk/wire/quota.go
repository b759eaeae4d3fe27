package wire

import (
	"sort"
	"strconv"
	"strings"
)

// NoLimit is the value of an absent or unreadable quota key.
const NoLimit int64 = -1

// Quota is the text of a zookeeper_limits or zookeeper_stats node (spec client-protocol, 10; client-semantics, 4.1). In limits -1 means none; in stats only Count and Bytes count.
type Quota struct {
	Count, Bytes         int64 // soft limits, or usage
	HardCount, HardBytes int64
	Long                 bool         // the hard limits' keys were there or shall be rendered even when they are -1, as command line tools write them
	Other                []QuotaEntry // keys this server does not know, kept and written back
}

// QuotaEntry is an unknown key of a quota text.
type QuotaEntry struct {
	Key   string
	Value int64
}

// Names of the two nodes under QuotaPath + P that make up the quota of subtree P.
const (
	QuotaLimitsNode = "zookeeper_limits"
	QuotaStatsNode  = "zookeeper_stats"
)

// ParseQuota reads a quota text. It never fails, because the text is an ordinary node that any client may write: what cannot be read is NoLimit, and ok is false if anything could not.
func ParseQuota(text []byte) (q Quota, ok bool) {
	q = Quota{Count: NoLimit, Bytes: NoLimit, HardCount: NoLimit, HardBytes: NoLimit}
	ok = true
	pairs := strings.FieldsFunc(string(text), func(r rune) bool { return r == ',' || r == ';' })
	for _, pair := range pairs {
		key, rest, found := strings.Cut(pair, "=")
		value, _, _ := strings.Cut(rest, "=") // a second "=" ends the value
		n := NoLimit
		if !found || key == "" {
			ok = false
			continue
		}
		if value != "" {
			v, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				ok = false
			} else {
				n = v
			}
		}
		switch key {
		case "count":
			q.Count = n
		case "bytes":
			q.Bytes = n
		case "countHardLimit":
			q.HardCount, q.Long = n, true
		case "byteHardLimit":
			q.HardBytes, q.Long = n, true
		default:
			q.setOther(key, n)
		}
	}
	return q, ok
}

func (q *Quota) setOther(key string, n int64) {
	for i := range q.Other {
		if q.Other[i].Key == key {
			q.Other[i].Value = n
			return
		}
	}
	q.Other = append(q.Other, QuotaEntry{key, n})
}

// AppendTo appends the text: the two old keys, then, if there are more, "=" and the others in the order of their names, which parsers of before 3.7 do not see.
func (q *Quota) AppendTo(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, "count="...), q.Count, 10)
	dst = strconv.AppendInt(append(dst, ",bytes="...), q.Bytes, 10)
	more := append([]QuotaEntry(nil), q.Other...)
	if q.Long || q.HardCount != NoLimit || q.HardBytes != NoLimit {
		more = append(more, QuotaEntry{"byteHardLimit", q.HardBytes}, QuotaEntry{"countHardLimit", q.HardCount})
	}
	if len(more) == 0 {
		return dst
	}
	sort.Slice(more, func(i, j int) bool { return more[i].Key < more[j].Key })
	dst = append(dst, '=')
	for _, e := range more {
		dst = append(append(append(dst, ';'), e.Key...), '=')
		dst = strconv.AppendInt(dst, e.Value, 10)
	}
	return dst
}

// String returns the text.
func (q Quota) String() string { return string(q.AppendTo(nil)) }
