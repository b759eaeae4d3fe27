package admin

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"sort"
	"strconv"
	"strings"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/inspect"
)

func (g *Gateway) configuration() (object, error) {
	var o object
	for _, clients := range g.clients() {
		c := clients.Configuration()
		o.add("client_port", c.ClientPort)
		o.add("data_dir", c.DataDir)
		o.add("data_log_dir", c.LogDir)
		o.add("tick_time", c.TickTime.Milliseconds())
		o.add("max_client_cnxns", c.MaxClientCnxns)
		o.add("min_session_timeout", c.MinSessionTimeout.Milliseconds())
		o.add("max_session_timeout", c.MaxSessionTimeout.Milliseconds())
		o.add("server_id", int64(g.host.Status().Server))
		o.add("client_port_listen_backlog", c.ListenBacklog)
		break
	}
	return o, nil
}

func (g *Gateway) dirs() (object, error) {
	var data, log int64
	for _, clients := range g.clients() {
		c := clients.Configuration()
		data, log = c.DataDirBytes, c.LogDirBytes
		break
	}
	return object{{"datadir_size", data}, {"logdir_size", log}}, nil
}

func (g *Gateway) environment() (object, error) {
	var o object
	for _, kv := range inspect.Environment() {
		o.add(kv[0], kv[1])
	}
	return o, nil
}

// systemProperties shows the -D properties that the server was started with: they are Java's way to configure it.
func (g *Gateway) systemProperties() (object, error) {
	properties := map[string]string{}
	for _, variable := range []string{"JVMFLAGS", "SERVER_JVMFLAGS"} {
		for _, flag := range strings.Fields(os.Getenv(variable)) {
			if kv, ok := strings.CutPrefix(flag, "-D"); ok {
				key, value, _ := strings.Cut(kv, "=")
				if strings.Contains(strings.ToLower(key), "password") || strings.Contains(key, "Digest") {
					value = "***"
				}
				properties[key] = value
			}
		}
	}
	keys := make([]string, 0, len(properties))
	for key := range properties {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	var o object
	for _, key := range keys {
		o.add(key, properties[key])
	}
	return o, nil
}

func (g *Gateway) isReadOnly() (object, error) {
	return object{{"read_only", g.host.Status().ReadOnly}}, nil
}

func (g *Gateway) leader() (object, error) {
	s := g.host.Status()
	if inspect.ServerState(s) == "standalone" {
		return nil, errors.New("server is not initialized")
	}
	ip := ""
	for _, m := range s.Members {
		if m.ID == s.Leader {
			ip, _, _ = strings.Cut(m.Text, ":")
		}
	}
	return object{{"is_leader", s.Role == kernel.Leading}, {"leader_id", int64(s.Leader)}, {"leader_ip", ip}}, nil
}

func (g *Gateway) monitor() (object, error) {
	var o object
	for _, f := range inspect.Monitor(g.host) {
		if f.Text != "" {
			o.add(f.Name, f.Text)
		} else if math.IsNaN(f.Value) || math.IsInf(f.Value, 0) {
			o.add(f.Name, nil)
		} else {
			o.add(f.Name, number(f.String()))
		}
	}
	return o, nil
}

// observers are those that get what is committed from this server. Their packets are not counted, and the address that a link comes from is the transport's: what is not known is null.
func (g *Gateway) observers() (object, error) {
	learners := g.host.Status().Figures.Learners
	all := list{}
	for _, l := range learners {
		if !l.Observer || !l.Synced {
			continue
		}
		all = append(all, object{
			{"remote_socket_address", nil}, {"sid", int64(l.ID)}, {"established", l.Since.UnixMilli()}, {"queued_packets", nil}, {"queued_packets_size", nil}, {"packets_received", nil},
			{"packets_sent", nil}, {"requests", nil}, {"last_zxid", fmt.Sprintf("0x%x", uint64(l.Told))},
		})
	}
	return object{{"synced_observers", len(all)}, {"observers", all}}, nil
}

func (g *Gateway) serverStats() (object, error) {
	status := g.host.Status()
	o := object{{"version", inspect.Version()}, {"read_only", status.ReadOnly}}
	for _, clients := range g.clients() {
		stats, c := clients.ServerStats(), clients.Configuration()
		sizes := object{{"last_buffer_size", stats.LastReply}, {"min_buffer_size", stats.MinReply}, {"max_buffer_size", stats.MaxReply}}
		o.add("server_stats", object{
			{"packets_sent", stats.Sent}, {"packets_received", stats.Received}, {"fsync_threshold_exceed_count", status.Syncs.Slow}, {"client_response_stats", sizes},
			{"provider_null", false}, {"server_state", inspect.ServerState(status)}, {"outstanding_requests", status.Outstanding},
			{"min_latency", stats.Latency.Min}, {"avg_latency", number(inspect.FormatNumber(stats.Latency.Average(), true))}, {"max_latency", stats.Latency.Max},
			{"data_dir_size", c.DataDirBytes}, {"log_dir_size", c.LogDirBytes}, {"last_processed_zxid", int64(status.LastApplied)},
			{"num_alive_client_connections", stats.Connections}, {"auth_failed_count", stats.AuthFailed},
			{"non_mtlsremote_conn_count", stats.PlainConnections}, {"non_mtlslocal_conn_count", 0}, {"uptime", uptime(status)},
		})
		o.add("client_response", sizes)
		break
	}
	if inspect.ServerState(status) == "leader" {
		sizes := inspect.ProposalSizes(status.Figures.Proposals)
		o.add("proposal_stats", object{{"last_buffer_size", sizes.Last}, {"min_buffer_size", sizes.Min}, {"max_buffer_size", sizes.Max}})
	}
	nodes := 0.0
	g.host.Machine().Gauges(func(name string, value float64) {
		if name == "znode_count" {
			nodes = value
		}
	})
	o.add("node_count", int64(nodes))
	return o, nil
}

func (g *Gateway) stats() (object, error) {
	o, err := g.serverStats()
	plain, secure := g.connectionLists(false)
	o.add("connections", plain)
	o.add("secure_connections", secure)
	return o, err
}

func (g *Gateway) votingView() (object, error) {
	var o object
	for _, m := range voters(g.host.Status()) {
		servers, client, _ := strings.Cut(m.Text, ";")
		parts := strings.Split(servers, ":")
		member := object{{"server_addresses", list{}}, {"election_addresses", list{}}, {"client_address", client}, {"learner_type", "PARTICIPANT"}}
		if len(parts) >= 3 {
			member[0].value = list{net.JoinHostPort(parts[0], parts[1])}
			member[1].value = list{net.JoinHostPort(parts[0], parts[2])}
		}
		o.add(strconv.FormatInt(int64(m.ID), 10), member)
	}
	return object{{"current_config", o}}, nil
}

func (g *Gateway) zabState() (object, error) {
	s := g.host.Status()
	voting := false
	for _, m := range voters(s) {
		voting = voting || m.ID == s.Server
	}
	if !g.serving() {
		return object{{"voting", voting}, {"zabstate", ""}}, nil
	}
	state := "broadcast"
	if s.Role == kernel.Looking {
		state = "election"
	}
	return object{
		{"myid", int64(s.Server)}, {"is_leader", s.Role == kernel.Leading}, {"voting", voting}, {"last_zxid", fmt.Sprintf("0x%x", uint64(s.LastApplied))},
		{"zab_epoch", int64(s.LastApplied.Epoch())}, {"zab_counter", int64(s.LastApplied.Counter())}, {"zabstate", state},
	}, nil
}

// initialConfiguration is the text that the server was configured with; null without a file.
func (g *Gateway) initialConfiguration() (object, error) {
	if g.cfg.initial == "" {
		return object{{"initial_configuration", nil}}, nil
	}
	return object{{"initial_configuration", g.cfg.initial}}, nil
}

// lastSnapshot is the state that a restart begins from: what ZooKeeper keeps in snapshots, the node store has on disk. The time is that of the flush or the snapshot, -1 for one before this start.
func (g *Gateway) lastSnapshot() (object, error) {
	saved := g.host.Status().Saved
	at := int64(-1)
	if !saved.Time.IsZero() {
		at = saved.Time.Unix()
	}
	return object{{"zxid", strconv.FormatUint(uint64(saved.Zxid), 16)}, {"timestamp", at}}, nil
}

func (g *Gateway) getTraceMask() (object, error) {
	for _, clients := range g.clients() {
		return object{{"tracemask", clients.TraceMask()}}, nil
	}
	return object{{"tracemask", 0}}, nil
}

func (g *Gateway) setTraceMask(query url.Values) (object, error) {
	mask, err := strconv.ParseInt(query.Get("traceMask"), 10, 64)
	if err != nil {
		return nil, errors.New("set_trace_mask needs traceMask=NUMBER")
	}
	for _, clients := range g.clients() {
		clients.SetTraceMask(mask)
	}
	return object{{"tracemask", mask}}, nil
}
