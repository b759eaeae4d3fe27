package inspect

import (
	"sort"
	"strconv"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// ServerState is the word for what a server is: standalone, leader, follower, observer, looking or read-only.
func ServerState(s kernel.Status) string {
	switch {
	case s.ReadOnly:
		return "read-only"
	case len(s.Members) == 0: // an ensemble of one, which may grow, has a member
		return "standalone"
	case s.Role == kernel.Leading:
		return "leader"
	case s.Role == kernel.Following:
		return "follower"
	case s.Role == kernel.Observing:
		return "observer"
	}
	return s.Role.String()
}

// Figure is one line of mntr without the prefix zk_.
type Figure struct {
	Name  string
	Text  string  // set for the few that are no numbers
	Value float64 // if Text is empty
}

// String is the value as mntr prints it: whole numbers plain, but averages always with a decimal.
func (f Figure) String() string {
	if f.Text != "" {
		return f.Text
	}
	return FormatNumber(f.Value, f.Name == "avg_latency")
}

// FormatNumber prints whole numbers plain, others with up to four decimals; float asks for at least one.
func FormatNumber(v float64, float bool) string {
	if v == float64(int64(v)) {
		s := strconv.FormatInt(int64(v), 10)
		if float {
			s += ".0"
		}
		return s
	}
	s := strconv.FormatFloat(v, 'f', 4, 64)
	for s[len(s)-1] == '0' && s[len(s)-2] != '.' {
		s = s[:len(s)-1]
	}
	return s
}

// Monitor gathers what mntr and its kin show: version, server_state and in an ensemble peer_state first, then the figures of gateways, machine, node and process by name (spec server-surface, 4).
func Monitor(host kernel.Host) []Figure {
	status := host.Status()
	values := map[string]float64{
		"outstanding_requests": float64(status.Outstanding),
		"uptime":               float64(time.Since(status.Started).Milliseconds()),
		"warnings":             float64(len(status.Warnings)),
		"refusing_writes":      0,
		"read_only":            0,
		"repairing":            0,
		"last_proposed_zxid":   float64(status.LastProposed),
		"last_durable_zxid":    float64(status.LastDurable),
		"last_applied_zxid":    float64(status.LastApplied),
	}
	if status.Refusing != nil {
		values["refusing_writes"] = 1
	}
	if status.Repairing {
		values["repairing"] = 1
	}
	if status.ReadOnly {
		values["read_only"] = 1
	}
	// What monitoring asks every server for is there even where it is always zero here.
	for _, name := range []string{
		"znode_count", "watch_count", "ephemerals_count", "approximate_data_size", "global_sessions", "local_sessions",
		"unrecoverable_error_count", "digest_mismatches_count", "request_throttle_wait_count", "throttled_ops", "connection_drop_probability", "outstanding_tls_handshake",
	} {
		values[name] = 0
	}
	set := func(name string, value float64) { values[name] = value }
	host.Machine().Gauges(set)
	for _, g := range host.Gateways() {
		if clients, ok := g.(Clients); ok {
			clients.Figures(set)
		}
	}
	process(set)
	nodeFigures(status, set)
	stageFigures(host.Stages(), set)
	list := []Figure{{Name: "version", Text: Version()}, {Name: "server_state", Text: ServerState(status)}}
	if state := peerState(status); state != "" {
		list = append(list, Figure{Name: "peer_state", Text: state})
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		list = append(list, Figure{Name: name, Value: values[name]})
	}
	return list
}
