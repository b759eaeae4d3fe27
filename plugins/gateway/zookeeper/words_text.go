package zookeeper

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"sort"
	"strings"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/inspect"
)

// The texts of the words have the layout that monitoring tools parse (spec server-surface, 2).

func wordSrvr(g *Gateway, w *bufio.Writer, _ []byte) {
	writeVersion(w)
	g.writeServer(w)
}

func writeVersion(w *bufio.Writer) { fmt.Fprintf(w, "Zookeeper version: %s\n", inspect.Version()) }

func wordStat(g *Gateway, w *bufio.Writer, _ []byte) {
	writeVersion(w)
	w.WriteString("Clients:\n")
	g.Connections(func(c inspect.Connection) bool {
		writeConnection(w, c, false)
		return true
	})
	w.WriteString("\n")
	g.writeServer(w)
}

func (g *Gateway) writeServer(w *bufio.Writer) {
	status, stats := g.host.Status(), g.ServerStats()
	if status.ReadOnly {
		w.WriteString("READ-ONLY mode; serving only read-only clients\n")
	}
	fmt.Fprintf(w, "Latency min/avg/max: %d/%s/%d\n", stats.Latency.Min, inspect.FormatNumber(stats.Latency.Average(), true), stats.Latency.Max)
	fmt.Fprintf(w, "Received: %d\n", stats.Received)
	fmt.Fprintf(w, "Sent: %d\n", stats.Sent)
	fmt.Fprintf(w, "Connections: %d\n", stats.Connections)
	fmt.Fprintf(w, "Outstanding: %d\n", status.Outstanding)
	fmt.Fprintf(w, "Zxid: %s\n", status.LastApplied)
	state := inspect.ServerState(status)
	fmt.Fprintf(w, "Mode: %s\n", state)
	fmt.Fprintf(w, "Node count: %d\n", gauge(g.host.Machine(), "znode_count"))
	if state == "leader" {
		sizes := inspect.ProposalSizes(status.Figures.Proposals)
		fmt.Fprintf(w, "Proposal sizes last/min/max: %d/%d/%d\n", sizes.Last, sizes.Min, sizes.Max)
	}
}

func wordCons(g *Gateway, w *bufio.Writer, _ []byte) {
	g.Connections(func(c inspect.Connection) bool {
		writeConnection(w, c, true)
		return true
	})
	w.WriteString("\n")
}

// interestOps is what the second field of a connection line says: the server waits for the connection to become readable.
const interestOps = "1"

func writeConnection(w *bufio.Writer, c inspect.Connection, full bool) {
	fmt.Fprintf(w, " /%s[%s](queued=%d,recved=%d,sent=%d", addressText(c.Remote), interestOps, c.Outstanding, c.Received, c.Sent)
	if full && c.Session != 0 {
		fmt.Fprintf(w, ",sid=%s,lop=%s,est=%d,to=%d", c.Session, c.LastOp, c.Established.UnixMilli(), c.Timeout.Milliseconds())
		if c.LastCxid >= 0 {
			fmt.Fprintf(w, ",lcxid=0x%x", c.LastCxid)
		}
		lastReply := int64(0)
		if !c.LastReply.IsZero() {
			lastReply = c.LastReply.UnixMilli()
		}
		fmt.Fprintf(w, ",lzxid=%s,lresp=%d,llat=%d,minlat=%d,avglat=%d,maxlat=%d", c.LastZxid, lastReply, c.Latency.Last, c.Latency.Min, int64(c.Latency.Average()), c.Latency.Max)
	}
	w.WriteString(")\n")
}

func addressText(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ip := ipText(tcp.IP)
		if strings.Contains(ip, ":") {
			ip = "[" + ip + "]"
		}
		return fmt.Sprintf("%s:%d", ip, tcp.Port)
	}
	return a.String()
}

func wordMntr(g *Gateway, w *bufio.Writer, _ []byte) {
	for _, f := range inspect.Monitor(g.host) {
		fmt.Fprintf(w, "zk_%s\t%s\n", f.Name, f)
	}
}

func wordConf(g *Gateway, w *bufio.Writer, _ []byte) {
	status, c := g.host.Status(), g.Configuration()
	for _, kv := range []struct {
		key   string
		value any
	}{
		{"clientPort", c.ClientPort}, {"secureClientPort", c.SecureClientPort}, {"dataDir", c.DataDir}, {"dataDirSize", c.DataDirBytes},
		{"dataLogDir", c.LogDir}, {"dataLogSize", c.LogDirBytes}, {"tickTime", c.TickTime.Milliseconds()}, {"maxClientCnxns", c.MaxClientCnxns},
		{"minSessionTimeout", c.MinSessionTimeout.Milliseconds()}, {"maxSessionTimeout", c.MaxSessionTimeout.Milliseconds()},
		{"clientPortListenBacklog", c.ListenBacklog}, {"serverId", int64(status.Server)},
	} {
		fmt.Fprintf(w, "%s=%v\n", kv.key, kv.value)
	}
	if len(status.Members) > 0 {
		w.WriteString("membership: \n")
		for _, m := range status.Members {
			fmt.Fprintf(w, "server.%d=%s\n", int64(m.ID), m.Text)
		}
	}
}

// Configuration implements inspect.Clients.
func (g *Gateway) Configuration() inspect.Configuration {
	addrs := g.Addrs()
	port := func(name string) int64 {
		if tcp, ok := addrs[name].(*net.TCPAddr); ok {
			return int64(tcp.Port)
		}
		return -1
	}
	return inspect.Configuration{
		ClientPort: port("client"), SecureClientPort: port("secure-client"), DataDir: g.env.DataDir, LogDir: g.env.LogDir,
		DataDirBytes: inspect.DirectorySize(g.env.FS, g.env.DataDir), LogDirBytes: inspect.DirectorySize(g.env.FS, g.env.LogDir),
		TickTime: g.cfg.tickTime, MaxClientCnxns: int64(g.cfg.maxClientCnxns), MinSessionTimeout: g.cfg.minSession, MaxSessionTimeout: g.cfg.maxSession,
		ListenBacklog: g.cfg.backlog,
	}
}

func wordEnvi(_ *Gateway, w *bufio.Writer, _ []byte) {
	w.WriteString("Environment:\n")
	for _, kv := range inspect.Environment() {
		fmt.Fprintf(w, "%s=%s\n", kv[0], kv[1])
	}
}

func wordDirs(g *Gateway, w *bufio.Writer, _ []byte) {
	fmt.Fprintf(w, "datadir_size: %d\nlogdir_size: %d\n", inspect.DirectorySize(g.env.FS, g.env.DataDir), inspect.DirectorySize(g.env.FS, g.env.LogDir))
}

// inspected is the machine as administrators see it; nil when it tells nothing.
func (g *Gateway) inspected() inspect.Machine {
	m, _ := g.host.Machine().(inspect.Machine)
	return m
}

func wordDump(g *Gateway, w *bufio.Writer, _ []byte) {
	w.WriteString("SessionTracker dump:\n")
	var list []kernel.SessionInfo
	g.host.Machine().Sessions().List(func(s kernel.SessionInfo) bool {
		list = append(list, s)
		return true
	})
	writeBuckets(w, "Session Sets", g.cfg.tickTime, list)

	ephemerals := map[kernel.SessionID][]string{}
	var order []kernel.SessionID
	if m := g.inspected(); m != nil {
		m.Ephemerals(func(session kernel.SessionID, path string) bool {
			if _, ok := ephemerals[session]; !ok {
				order = append(order, session)
			}
			ephemerals[session] = append(ephemerals[session], path)
			return true
		})
	}
	fmt.Fprintf(w, "ephemeral nodes dump:\nSessions with Ephemerals (%d):\n", len(order))
	for _, id := range order {
		fmt.Fprintf(w, "%s:\n", id)
		for _, path := range ephemerals[id] {
			fmt.Fprintf(w, "\t%s\n", path)
		}
	}
	w.WriteString("Connections dump:\n")
	g.writeConnectionSets(w)
}

// writeBuckets groups sessions by the tick in which they expire.
func writeBuckets(w *bufio.Writer, title string, tick time.Duration, list []kernel.SessionInfo) {
	now := time.Now()
	buckets := map[time.Time][]kernel.SessionID{}
	for _, s := range list {
		at := now.Add(s.Expires).Truncate(max(tick, time.Millisecond))
		buckets[at] = append(buckets[at], s.ID)
	}
	fmt.Fprintf(w, "%s (%d)/(%d):\n", title, len(buckets), len(list))
	for _, at := range sortedTimes(buckets) {
		ids := buckets[at]
		fmt.Fprintf(w, "%d expire at %s:\n", len(ids), at.Format(time.UnixDate))
		for _, id := range ids {
			fmt.Fprintf(w, "\t%s\n", id)
		}
	}
}

func (g *Gateway) writeConnectionSets(w *bufio.Writer) {
	now := time.Now()
	buckets := map[time.Time][]string{}
	all := 0
	for _, c := range g.snapshot() {
		c.mu.Lock()
		at, over := c.lastFrame.Add(c.timeout), c.dead || c.phase == phaseFinished
		c.mu.Unlock()
		if over {
			continue
		}
		at = now.Add(at.Sub(now)).Truncate(idleBucket)
		buckets[at] = append(buckets[at], fmt.Sprintf("\tip: /%s sessionId: %s\n", addressText(c.peer.Addr), c.Session()))
		all++
	}
	fmt.Fprintf(w, "Connections Sets (%d)/(%d):\n", len(buckets), all)
	for _, at := range sortedTimes(buckets) {
		fmt.Fprintf(w, "%d expire at %s:\n", len(buckets[at]), at.Format(time.UnixDate))
		for _, line := range buckets[at] {
			w.WriteString(line)
		}
	}
}

func sortedTimes[V any](m map[time.Time]V) []time.Time {
	list := make([]time.Time, 0, len(m))
	for t := range m {
		list = append(list, t)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Before(list[j]) })
	return list
}

func wordWchs(g *Gateway, w *bufio.Writer, _ []byte) {
	var connections, paths, watches int
	if m := g.inspected(); m != nil {
		connections, paths, watches = m.WatchSummary()
	}
	fmt.Fprintf(w, "%d connections watching %d paths\nTotal watches:%d\n", connections, paths, watches)
}

func wordWchc(g *Gateway, w *bufio.Writer, _ []byte) {
	bySession := map[kernel.SessionID][]string{}
	if m := g.inspected(); m != nil {
		m.Watches(func(path string, session kernel.SessionID) bool {
			bySession[session] = append(bySession[session], path)
			return true
		})
	}
	ids := make([]kernel.SessionID, 0, len(bySession))
	for id := range bySession {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	for _, id := range ids {
		fmt.Fprintf(w, "%s\n", id)
		for _, path := range bySession[id] {
			fmt.Fprintf(w, "\t%s\n", path)
		}
	}
	w.WriteString("\n")
}

func wordWchp(g *Gateway, w *bufio.Writer, _ []byte) {
	last, first := "", true
	if m := g.inspected(); m != nil {
		m.Watches(func(path string, session kernel.SessionID) bool {
			if first || path != last {
				fmt.Fprintf(w, "%s\n", path)
				last, first = path, false
			}
			fmt.Fprintf(w, "\t%s\n", session)
			return true
		})
	}
	w.WriteString("\n")
}

func wordHash(g *Gateway, w *bufio.Writer, _ []byte) {
	if m := g.inspected(); m != nil {
		m.Digests(func(zxid kernel.Zxid, _ int32, digest uint64) bool {
			fmt.Fprintf(w, "%x: %d\n", uint64(zxid), digest)
			return true
		})
	}
}

// The trace mask is kept for tools that set it; nothing here traces by it.
func wordGtmk(g *Gateway, w *bufio.Writer, _ []byte) { fmt.Fprintf(w, "%d", g.traceMask.Load()) }

func wordStmk(g *Gateway, w *bufio.Writer, argument []byte) {
	mask := int64(binary.BigEndian.Uint64(argument))
	g.traceMask.Store(mask)
	fmt.Fprintf(w, "%d", mask)
}
