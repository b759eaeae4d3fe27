package zookeeper

import (
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// config are the gateway's settings, read once.
type config struct {
	address, secureAddress string
	port, securePort       int64 // -1: no such listener
	maxClientCnxns         int
	maxCnxns               int
	keepAlive              bool
	sessionless            time.Duration

	maxFrame      int
	discard       int
	maxReply      int
	window        int
	maxQueue      int
	maxQueueBytes int
	maxOutput     int
	budget        int
	outputBudget  int
	maxIdentities int
	maxSessions   int

	throttleTokens    int64
	throttleFillTime  time.Duration
	throttleFillCount int64

	outstanding    int64 // of the whole ensemble; 0: no limit
	maxRequests    int64 // 0: no limit
	throttledWait  time.Duration
	largeThreshold int64 // -1: nothing is large
	largeMaxBytes  int64

	enforced        []string
	allowSASLFailed bool

	words         []string // enabled ones; "*" for all
	readOnlyMode  bool
	leaderServes  bool
	localSessions bool
	upgrading     bool // local sessions become global ones when they need to
	tickTime      time.Duration
	minSession    time.Duration
	maxSession    time.Duration
	backlog       int64
	unification   bool
	tls           *tls.Config // nil: no TLS
	sniffTimeout  time.Duration
}

var options = []kernel.Option{
	{Key: "port", Type: kernel.TypeInt, Default: "-1", Config: "clientPort", Doc: "port for clients without TLS; 0 any free one, -1 none"},
	{Key: "address", Type: kernel.TypeString, Config: "clientPortAddress", Doc: "address for clients without TLS; empty: all"},
	{Key: "securePort", Type: kernel.TypeInt, Default: "-1", Config: "secureClientPort", Doc: "port for clients with TLS; 0 any free one, -1 none"},
	{Key: "secureAddress", Type: kernel.TypeString, Config: "secureClientPortAddress", Doc: "address for clients with TLS; empty: all"},
	{Key: "portUnification", Type: kernel.TypeBool, Default: "false", Config: "client.portUnification", Doc: "the port without TLS takes TLS too"},
	{Key: "maxClientCnxns", Type: kernel.TypeInt, Default: "0", Config: "maxClientCnxns", Doc: "connections from one address; 0: no limit"},
	{Key: "maxCnxns", Type: kernel.TypeInt, Default: "0", Config: "maxCnxns", Doc: "connections in all; 0: what the limit of open files allows, less a reserve for the server's own files"},
	{Key: "keepAlive", Type: kernel.TypeBool, Default: "false", Config: "clientTcpKeepAlive", Doc: "TCP keep-alive on client connections"},
	{Key: "sessionlessTimeout", Type: kernel.TypeDuration, Default: "10000", Config: "nio.sessionlessCnxnTimeout", Doc: "a connection without a session is closed after this"},
	{Key: "maxFrame", Type: kernel.TypeBytes, Default: "1048575", Config: "jute.maxbuffer", Doc: "longest request; a longer one is answered BADARGUMENTS"},
	{Key: "maxDiscard", Type: kernel.TypeBytes, Default: "0", Doc: "longest request that is read and refused; a longer one closes the connection; 0 is twice maxFrame"},
	{Key: "maxReply", Type: kernel.TypeBytes, Default: "64MiB", Doc: "longest reply; a request whose reply would be longer is answered BADARGUMENTS"},
	{Key: "window", Type: kernel.TypeInt, Default: "256", Doc: "writes of one connection in the write path; more wait in its queue"},
	{Key: "maxQueue", Type: kernel.TypeInt, Default: "4096", Doc: "requests of one connection that are not answered; above it the server stops reading from it"},
	{Key: "maxQueueBytes", Type: kernel.TypeBytes, Default: "4MiB", Doc: "as maxQueue, in bytes of requests"},
	{Key: "maxOutput", Type: kernel.TypeBytes, Default: "16MiB", Doc: "bytes that may wait for a client to read; above it the connection is closed"},
	{Key: "budget", Type: kernel.TypeBytes, Default: "256MiB", Doc: "bytes of requests that all connections together may have unanswered or half received"},
	{Key: "outputBudget", Type: kernel.TypeBytes, Default: "512MiB", Doc: "bytes that may wait for all clients together to read, without the first 64 KiB of each; above it a connection that adds to it is closed"},
	{Key: "maxIdentities", Type: kernel.TypeInt, Default: "64", Doc: "identities of one connection; one more is answered AUTHFAILED"},
	{Key: "maxSessions", Type: kernel.TypeInt, Default: "65536", Doc: "sessions that clients of one address (of IPv6: of one network of 64 bits) have at this server, those that they left open without a connection counted until they end; one more is refused: its connection is closed; 0: no limit"},
	{Key: "throttleTokens", Type: kernel.TypeInt, Default: "0", Config: "connection_throttle_tokens", Doc: "connections that may open at once before they are throttled; 0: no throttle"},
	{Key: "throttleFillTime", Type: kernel.TypeDuration, Default: "1", Config: "connection_throttle_fill_time", Doc: "how often throttleFillCount tokens come back"},
	{Key: "throttleFillCount", Type: kernel.TypeInt, Default: "1", Config: "connection_throttle_fill_count", Doc: "tokens that come back every throttleFillTime"},
	{Key: "outstandingLimit", Type: kernel.TypeInt, Default: "0", Config: "globalOutstandingLimit", Doc: "requests that all servers together may have under way: each has its share, above which clients that wait for an answer are not read from; 0: no limit"},
	{Key: "maxRequests", Type: kernel.TypeInt, Default: "0", Config: "request_throttle_max_requests", Doc: "writes of all connections in the write path; more wait for their turn; 0: what the node takes"},
	{Key: "throttledOpWait", Type: kernel.TypeDuration, Default: "0", Config: "throttled_op_wait_time", Doc: "a request that waited longer than this for its turn is answered THROTTLEDOP; 0: it waits"},
	{Key: "largeRequest", Type: kernel.TypeBytes, Default: "-1", Config: "largeRequestThreshold", Doc: "a longer request counts as large; -1: none does"},
	{Key: "largeRequestMax", Type: kernel.TypeBytes, Default: "100MiB", Config: "largeRequestMaxBytes", Doc: "bytes of large requests that all connections together may have unanswered; a connection that sends more is closed"},
	{Key: "enforceAuth", Type: kernel.TypeBool, Default: "false", Config: "enforce.auth.enabled", Doc: "refuse connections without an identity of enforceSchemes"},
	{Key: "enforceSchemes", Type: kernel.TypeString, Config: "enforce.auth.schemes", Doc: "comma list of schemes"},
	{Key: "requireSASL", Type: kernel.TypeBool, Default: "false", Config: "sessionRequireClientSASLAuth", Doc: "as enforceAuth with the scheme sasl"},
	{Key: "allowSASLFailed", Type: kernel.TypeBool, Default: "false", Config: "allowSaslFailedClients", Doc: "a client whose SASL authentication failed goes on without"},
	{Key: "words", Type: kernel.TypeString, Default: "srvr", Config: "4lw.commands.whitelist", Doc: "four-letter words that are answered: a comma list, or *"},
	{Key: "readOnlyMode", Type: kernel.TypeBool, Default: "false", Config: "readonlymode.enabled", Doc: "the word isro is answered"},
	{Key: "leaderServes", Type: kernel.TypeBool, Default: "true", Config: "leaderServes", Doc: "clients are served while this server leads others; false: they are sent to those"},
	{Key: "localSessions", Type: kernel.TypeBool, Default: "false", Config: "localSessionsEnabled", Doc: "sessions live on their server only, without a transaction"},
	{Key: "upgradeSessions", Type: kernel.TypeBool, Default: "false", Config: "localSessionsUpgradingEnabled", Doc: "a local session becomes a global one when it first creates an ephemeral node"},
	{Key: "tickTime", Type: kernel.TypeDuration, Default: "3000", Config: "tickTime", Doc: "shown by the word conf, and the base of the limits of time-outs"},
	{Key: "minSessionTimeout", Type: kernel.TypeInt, Default: "-1", Config: "minSessionTimeout", Doc: "shown by the word conf; -1: two ticks"},
	{Key: "maxSessionTimeout", Type: kernel.TypeInt, Default: "-1", Config: "maxSessionTimeout", Doc: "shown by the word conf; -1: twenty ticks"},
	{Key: "listenBacklog", Type: kernel.TypeInt, Default: "-1", Config: "clientPortListenBacklog", Doc: "shown by the word conf; the system's limit holds"},
}

func init() {
	kernel.Register(kernel.KindGateway, "zookeeper", kernel.Factory[kernel.Gateway]{
		Doc: "the ZooKeeper client protocol, with and without TLS, and the four-letter words", Options: append(options, tlsOptions()...),
		New: func(env kernel.Env, o kernel.Options) (kernel.Gateway, error) { return New(env, o) },
	})
}

// New makes a gateway from checked options. Nothing runs before Start.
func New(env kernel.Env, o kernel.Options) (*Gateway, error) {
	cfg := config{
		address: o.String("address"), secureAddress: o.String("secureAddress"), port: o.Int("port"), securePort: o.Int("securePort"),
		maxClientCnxns: int(o.Int("maxClientCnxns")), maxCnxns: int(o.Int("maxCnxns")), keepAlive: o.Bool("keepAlive"), sessionless: o.Duration("sessionlessTimeout"),
		maxFrame: int(o.Bytes("maxFrame")), discard: int(o.Bytes("maxDiscard")), maxReply: int(o.Bytes("maxReply")), window: int(o.Int("window")),
		maxQueue: int(o.Int("maxQueue")), maxQueueBytes: int(o.Bytes("maxQueueBytes")), maxOutput: int(o.Bytes("maxOutput")), budget: int(o.Bytes("budget")), outputBudget: int(o.Bytes("outputBudget")),
		maxIdentities: int(o.Int("maxIdentities")), maxSessions: int(o.Int("maxSessions")),
		throttleTokens: o.Int("throttleTokens"), throttleFillTime: o.Duration("throttleFillTime"), throttleFillCount: o.Int("throttleFillCount"),
		outstanding: o.Int("outstandingLimit"), maxRequests: o.Int("maxRequests"), throttledWait: o.Duration("throttledOpWait"),
		largeThreshold: o.Bytes("largeRequest"), largeMaxBytes: o.Bytes("largeRequestMax"),
		allowSASLFailed: o.Bool("allowSASLFailed"), words: splitList(o.String("words")), readOnlyMode: o.Bool("readOnlyMode"), leaderServes: o.Bool("leaderServes"), localSessions: o.Bool("localSessions"),
		upgrading: o.Bool("localSessions") && o.Bool("upgradeSessions"),
		tickTime:  o.Duration("tickTime"), minSession: time.Duration(o.Int("minSessionTimeout")) * time.Millisecond, maxSession: time.Duration(o.Int("maxSessionTimeout")) * time.Millisecond, backlog: o.Int("listenBacklog"),
		unification: o.Bool("portUnification"),
	}
	if cfg.discard == 0 {
		cfg.discard = 2 * cfg.maxFrame
	}
	switch {
	case o.Bool("requireSASL"):
		cfg.enforced = []string{"sasl"}
	case o.Bool("enforceAuth"):
		cfg.enforced = splitList(o.String("enforceSchemes"))
		if len(cfg.enforced) == 0 {
			return nil, fmt.Errorf("enforce.auth.enabled is set but enforce.auth.schemes names no scheme")
		}
	}
	for _, positive := range []struct {
		key   string
		value int
	}{{"maxFrame", cfg.maxFrame}, {"window", cfg.window}, {"maxQueue", cfg.maxQueue}, {"maxQueueBytes", cfg.maxQueueBytes}, {"maxOutput", cfg.maxOutput}, {"budget", cfg.budget}, {"outputBudget", cfg.outputBudget}, {"maxIdentities", cfg.maxIdentities}, {"maxReply", cfg.maxReply}} {
		if positive.value <= 0 {
			return nil, fmt.Errorf("plugin.gateway.zookeeper.%s=%d: want more than zero", positive.key, positive.value)
		}
	}
	if cfg.sessionless <= 0 {
		return nil, fmt.Errorf("plugin.gateway.zookeeper.sessionlessTimeout=%v: want more than zero", cfg.sessionless)
	}
	if cfg.minSession < 0 {
		cfg.minSession = 2 * cfg.tickTime
	}
	if cfg.maxSession < 0 {
		cfg.maxSession = 20 * cfg.tickTime
	}
	if cfg.readOnlyMode && !slices.Contains(cfg.words, "isro") {
		cfg.words = append(cfg.words, "isro")
	}
	if err := loadTLS(env, o, &cfg); err != nil {
		return nil, err
	}
	return newGateway(env, cfg), nil
}
