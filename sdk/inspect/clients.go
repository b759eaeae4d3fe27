package inspect

import (
	"net"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// Clients is what a gateway tells about the connections that it serves.
type Clients interface {
	// Connections yields a picture of every open connection until yield says false.
	Connections(yield func(Connection) bool)
	// Figures reports the gateway's counters by the name that mntr gives them, without its prefix.
	Figures(set func(name string, value float64))
	// ServerStats is the summary that the words srvr and stat print.
	ServerStats() ServerStats
	// Configuration is what the word conf prints.
	Configuration() Configuration
	// ResetServerStats and ResetConnectionStats set the figures of the server or of every connection back to their start (the words srst and crst).
	ResetServerStats()
	ResetConnectionStats()
	// TraceMask and SetTraceMask are behind the words gtmk and stmk. The mask is kept for tools that set it; nothing follows from it.
	TraceMask() int64
	SetTraceMask(mask int64)
}

// Connection is a picture of one client connection. Latencies are in milliseconds (spec server-surface, 2 and 3).
type Connection struct {
	Remote      net.Addr
	Secure      bool
	Session     kernel.SessionID // zero before the session is established; what follows Outstanding counts only after
	Received    int64            // frames
	Sent        int64            // frames
	Outstanding int64
	LastOp      string // GETD, SETD ...; NA for none
	Established time.Time
	Timeout     time.Duration
	LastCxid    int32 // -1 for none
	LastZxid    kernel.Zxid
	LastReply   time.Time
	Latency     Latency
}

// Latency sums up how long requests took from decode to the write of their reply, in milliseconds.
type Latency struct {
	Count          int64
	Last, Min, Max int64
	Sum            int64
}

// Average is the mean, 0 when nothing was counted.
func (l Latency) Average() float64 {
	if l.Count == 0 {
		return 0
	}
	return float64(l.Sum) / float64(l.Count)
}

// ServerStats is what srvr prints about a gateway.
type ServerStats struct {
	Latency     Latency
	Received    int64 // frames from clients
	Sent        int64 // frames to clients
	Connections int
	// Reply sizes in bytes; -1 when none was sent yet.
	LastReply, MinReply, MaxReply int64
	AuthFailed                    int64
	PlainConnections              int // without TLS
}

// Configuration are the settings of a gateway that administrators are shown.
type Configuration struct {
	ClientPort, SecureClientPort         int64 // as bound; -1 for none
	DataDir, LogDir                      string
	DataDirBytes, LogDirBytes            int64
	TickTime                             time.Duration
	MaxClientCnxns                       int64
	MinSessionTimeout, MaxSessionTimeout time.Duration
	ListenBacklog                        int64 // -1: the system's
}
