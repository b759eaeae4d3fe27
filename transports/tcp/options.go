package tcp

import (
	"fmt"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// Bounds that are not worth a setting.
const (
	maxStrangers   = 128     // connections that have not introduced themselves; the oldest makes room
	maxUnknown     = 64      // links accepted from servers that are not in the configuration, together
	maxFromOne     = 4       // links accepted from one server of the configuration, for each port
	maxIntroducing = 4 << 10 // bytes of the packet by which a learner introduces itself
	maxBodies      = 16      // bodies that travel in pieces on a link in one direction at once
	writeBytes     = 256 << 10
	chunkBytes     = 64 << 10
	windowBytes    = 1 << 20 // of a body that the receiver has not read yet
	overhead       = 64      // what a received message costs besides its bytes, so that empty ones are bounded too
)

// Settings of a transport. Zero values mean the defaults.
type Settings struct {
	// QueueBytes bounds what waits on a link in one direction, and the payload of a packet.
	QueueBytes int
	// ConnectTimeout is for a dial to an election port, and for the introduction of a peer on either port. Default: 5 seconds.
	ConnectTimeout time.Duration
	// LeaderConnectTimeout is for a dial to a quorum port. Default: 20 seconds.
	LeaderConnectTimeout time.Duration
	// WriteTimeout is how long a peer may take nothing of what is sent to it before its link goes down. Default: 20 seconds.
	WriteTimeout time.Duration
	// ListenOnAllIPs makes both ports listen on every address of the machine, whatever this server's own line says.
	ListenOnAllIPs bool
	// BindRetries is how often a port that cannot be bound at the start is tried again, a second later each time; below zero: for ever.
	BindRetries int
	// Several makes this server tell all of its election addresses, which servers before ZooKeeper 3.6 do not understand.
	Several bool
	// ObserverMasterPort is where every voter serves observers, on the addresses of its quorum port. 0: nowhere.
	ObserverMasterPort int
	// TLS protects all ports.
	TLS TLS
}

func (s Settings) withDefaults() Settings {
	if s.QueueBytes <= 0 {
		s.QueueBytes = 64 << 20
	}
	if s.ConnectTimeout <= 0 {
		s.ConnectTimeout = 5 * time.Second
	}
	if s.LeaderConnectTimeout <= 0 {
		s.LeaderConnectTimeout = 20 * time.Second
	}
	if s.WriteTimeout <= 0 {
		s.WriteTimeout = 20 * time.Second
	}
	return s
}

func init() {
	kernel.Register(kernel.KindTransport, "tcp", kernel.Factory[kernel.Transport]{
		Doc: "ZooKeeper's peer protocol on the ports of the server.N lines",
		Options: append([]kernel.Option{
			{Key: "queue", Type: kernel.TypeBytes, Default: "64MiB", Doc: "bytes that may wait on a link in one direction before it is taken down, and the most that one packet may hold"},
			{Key: "connectTimeout", Type: kernel.TypeDuration, Default: "5000", Config: "cnxTimeout", Doc: "time for a connection to an election port, and for a peer to introduce itself"},
			{Key: "writeTimeout", Type: kernel.TypeDuration, Default: "20s", Doc: "time in which a peer must take something of what is sent to it"},
			{Key: "listenOnAllIPs", Type: kernel.TypeBool, Default: "false", Config: "quorumListenOnAllIPs", Doc: "listen on every address of the machine"},
			{Key: "bindRetries", Type: kernel.TypeInt, Default: "3", Config: "electionPortBindRetry", Doc: "how often a port that cannot be bound at the start is tried again, a second later each time; 0: for ever"},
			{Key: "multiAddress", Type: kernel.TypeBool, Default: "false", Config: "multiAddress.enabled", Doc: "tell peers all addresses of this server"},
			{Key: "observerMasterPort", Type: kernel.TypeInt, Default: "0", Config: "observerMasterPort", Doc: "port on which voters serve observers; 0: none"},
			{Key: "connectTicks", Type: kernel.TypeInt, Default: "0", Config: "connectToLearnerMasterLimit", Doc: "ticks for a connection to the leader; 0: initLimit"},
			{Key: "initLimit", Type: kernel.TypeInt, Default: "10", Config: "initLimit", Doc: "ticks that a server may take to connect to the leader and to catch up"},
			{Key: "tickTime", Type: kernel.TypeDuration, Default: "2000", Config: "tickTime", Doc: "the length of a tick"},
		}, tlsOptions()...),
		New: func(env kernel.Env, o kernel.Options) (kernel.Transport, error) {
			ticks := o.Int("connectTicks")
			if ticks <= 0 {
				ticks = o.Int("initLimit")
			}
			s := Settings{
				QueueBytes:           int(o.Bytes("queue")),
				ConnectTimeout:       o.Duration("connectTimeout"),
				LeaderConnectTimeout: time.Duration(ticks) * o.Duration("tickTime"),
				WriteTimeout:         o.Duration("writeTimeout"),
				ListenOnAllIPs:       o.Bool("listenOnAllIPs"),
				Several:              o.Bool("multiAddress"),
				ObserverMasterPort:   int(o.Int("observerMasterPort")),
				BindRetries:          int(o.Int("bindRetries")),
			}
			if s.BindRetries == 0 {
				s.BindRetries = -1
			}
			if s.QueueBytes < 64<<10 {
				return nil, fmt.Errorf("plugin.transport.queue=%d: a link needs room for at least 64KiB", s.QueueBytes)
			}
			var err error
			if s.TLS, err = loadTLS(env, o); err != nil {
				return nil, err
			}
			return New(env.Server, env.Sink, s, env.Logger), nil
		},
	})
}
