package admin

import (
	"net"
	"sort"
	"strconv"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/inspect"
)

func (g *Gateway) connections() (object, error) {
	plain, secure := g.connectionLists(true)
	return object{{"connections", plain}, {"secure_connections", secure}}, nil
}

func (g *Gateway) connectionLists(full bool) (plain, secure list) {
	for _, clients := range g.clients() {
		clients.Connections(func(c inspect.Connection) bool {
			if c.Secure {
				secure = append(secure, connection(c, full))
			} else {
				plain = append(plain, connection(c, full))
			}
			return true
		})
	}
	return plain, secure
}

func connection(c inspect.Connection, full bool) object {
	o := object{
		{"remote_socket_address", address(c.Remote)}, {"interest_ops", 1}, {"outstanding_requests", c.Outstanding}, {"packets_received", c.Received}, {"packets_sent", c.Sent},
	}
	if !full || c.Session == 0 {
		return o
	}
	o.add("session_id", int64(c.Session))
	o.add("last_operation", c.LastOp)
	o.add("established", c.Established.UnixMilli())
	o.add("session_timeout", c.Timeout.Milliseconds())
	o.add("last_cxid", c.LastCxid)
	o.add("last_zxid", int64(c.LastZxid))
	lastReply := int64(0)
	if !c.LastReply.IsZero() {
		lastReply = c.LastReply.UnixMilli()
	}
	o.add("last_response_time", lastReply)
	o.add("last_latency", c.Latency.Last)
	o.add("min_latency", c.Latency.Min)
	o.add("avg_latency", int64(c.Latency.Average()))
	o.add("max_latency", c.Latency.Max)
	return o
}

func address(a net.Addr) string { return "/" + a.String() }

func (g *Gateway) connectionStatReset() (object, error) {
	for _, clients := range g.clients() {
		clients.ResetConnectionStats()
	}
	return nil, nil
}

func (g *Gateway) statReset() (object, error) {
	for _, clients := range g.clients() {
		clients.ResetServerStats()
	}
	return nil, nil
}

func (g *Gateway) dump() (object, error) {
	now := time.Now()
	byExpiry := map[int64]list{}
	g.host.Machine().Sessions().List(func(s kernel.SessionInfo) bool {
		at := now.Add(s.Expires).UnixMilli()
		byExpiry[at] = append(byExpiry[at], int64(s.ID))
		return true
	})
	times := make([]int64, 0, len(byExpiry))
	for at := range byExpiry {
		times = append(times, at)
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	var expiry object
	for _, at := range times {
		expiry.add(strconv.FormatInt(at, 10), byExpiry[at])
	}
	paths := grouped{}
	if m := g.inspected(); m != nil {
		m.Ephemerals(func(session kernel.SessionID, path string) bool {
			paths.add(strconv.FormatInt(int64(session), 10), path)
			return true
		})
	}
	return object{{"expiry_time_to_session_ids", expiry}, {"session_id_to_ephemeral_paths", paths.object()}}, nil
}

// grouped collects values by key in the order in which the keys came.
type grouped struct {
	keys   []string
	values map[string]list
}

func (p *grouped) add(key string, value any) {
	if p.values == nil {
		p.values = map[string]list{}
	}
	if _, ok := p.values[key]; !ok {
		p.keys = append(p.keys, key)
	}
	p.values[key] = append(p.values[key], value)
}

func (p *grouped) object() object {
	o := object{}
	for _, key := range p.keys {
		o.add(key, p.values[key])
	}
	return o
}

func (g *Gateway) watches() (object, error) {
	var sessions grouped
	if m := g.inspected(); m != nil {
		m.Watches(func(path string, session kernel.SessionID) bool {
			sessions.add(strconv.FormatInt(int64(session), 10), path)
			return true
		})
	}
	return object{{"session_id_to_watched_paths", sessions.object()}}, nil
}

func (g *Gateway) watchesByPath() (object, error) {
	var paths grouped
	if m := g.inspected(); m != nil {
		m.Watches(func(path string, session kernel.SessionID) bool {
			paths.add(path, int64(session))
			return true
		})
	}
	return object{{"path_to_session_ids", paths.object()}}, nil
}

func (g *Gateway) watchSummary() (object, error) {
	var connections, paths, watches int
	if m := g.inspected(); m != nil {
		connections, paths, watches = m.WatchSummary()
	}
	return object{{"num_connections", connections}, {"num_paths", paths}, {"num_total_watches", watches}}, nil
}

func (g *Gateway) hash() (object, error) {
	digests := list{}
	if m := g.inspected(); m != nil {
		m.Digests(func(zxid kernel.Zxid, version int32, digest uint64) bool {
			digests = append(digests, object{{"zxid", int64(zxid)}, {"digest", number(strconv.FormatUint(digest, 10))}, {"digest_version", version}})
			return true
		})
	}
	return object{{"digests", digests}}, nil
}

func uptime(s kernel.Status) int64 { return time.Since(s.Started).Milliseconds() }
