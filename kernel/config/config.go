package config

import "time"

// Mode is how a server runs (spec server-surface, 1.5).
type Mode int

const (
	Standalone Mode = iota // alone, and never asked who else there is
	Replicated             // as a member of an ensemble, which may have one voter
)

func (m Mode) String() string {
	if m == Replicated {
		return "replicated"
	}
	return "standalone"
}

// Config is everything a server is configured with. It is complete: defaults are filled in, derived values computed, rules checked. Read-only and safe to share.
type Config struct {
	File     string // the static file, as it was named; "" if there was none
	Source   string // its text, secrets masked
	Mode     Mode
	ServerID int64 // from myid; 0 for a standalone server without one

	DataDir                 string
	DataLogDir              string
	ClientPort              int    // 0: no listener without TLS
	ClientPortAddress       string // "" is all addresses
	SecureClientPort        int
	SecureClientPortAddress string
	ClientPortUnification   bool
	ClientTCPKeepAlive      bool
	ListenBacklog           int // -1 is the system's own
	DynamicConfigFile       string
	DataDirAutoCreate       bool

	TickTime               time.Duration
	MinSessionTimeout      time.Duration
	MaxSessionTimeout      time.Duration
	MaxClientConnections   int // per address; 0 is no limit
	MaxConnections         int // per listener; 0 is no limit
	JuteMaxBuffer          int // bytes
	LocalSessions          bool
	LocalSessionsUpgrading bool
	ReadOnlyMode           bool
	EnforceQuota           bool
	ExtendedTypes          bool
	Emulate353TTL          bool
	ContainerCheckInterval time.Duration
	ContainerMaxPerMinute  int
	ContainerMaxNeverUsed  time.Duration // 0 is never

	Words    []string // four-letter words that are answered, "*" for all; srvr and isro are added where they belong
	FIPSMode bool

	Storage   Storage
	Throttle  Throttle
	Auth      Auth
	TLS       TLS // for clients
	QuorumTLS TLS // for peers
	Admin     Admin
	Metrics   Metrics
	Quorum    Quorum

	Membership Membership
	Proposed   *Membership // proposed but not committed when the server last stopped; nil if there is none

	Plugins  map[string]Plugin // by kind, as written behind "plugin."
	Warnings []*Problem

	settings map[string]setting // what was set, by the key's name in the table or as written
}

// Plugin is what a configuration says about one kind: plugin.KIND and plugin.KIND.OPTION. The plugin registry checks names and options.
type Plugin struct {
	Name    Setting            // Value is "" if only options are given
	Options map[string]Setting // by option name
}

// Setting is a text value and where it stands.
type Setting struct {
	Value  string
	Origin Origin
}

// Storage is about the log, snapshots and the tree.
type Storage struct {
	SnapCount         int
	SnapSizeLimitKiB  int64
	LogSizeLimitKiB   int64
	PreallocateKiB    int64
	SnapRetainCount   int
	PurgeInterval     time.Duration
	ForceSync         bool
	SlowSync          time.Duration
	Digest            bool
	AutoCreate        bool
	CloseSessionPaths bool
}

// Throttle is about load.
type Throttle struct {
	OutstandingLimit      int
	HandshakeTimeout      time.Duration // for a connection to open a session
	MaxRequests           int           // 0 is off
	ThrottledOpWait       time.Duration // 0 is off
	LargeRequestMaxBytes  int64
	LargeRequestThreshold int64 // bytes; -1 is off
	ConnectionTokens      int   // 0 is off
	ConnectionFillTime    time.Duration
	ConnectionFillCount   int
	TLSHandshakes         int // -1 is no limit
}

// Auth is about identities and rights.
type Auth struct {
	DigestEnabled     bool
	SuperDigest       string
	DigestAlgorithm   string
	X509SuperUser     string
	SASLSuperUser     string
	SASLSuperUsers    []string // SASLSuperUser and the superUser.NAME ones, sorted
	TrustForwardedFor bool
	EnsembleNames     []string
	RequireSASL       bool
	Enforce           bool     // also set by RequireSASL
	EnforceSchemes    []string // also set by RequireSASL
	AllowFailedSASL   bool
	SuperPassword     string // of the SASL user super
	AnySASLUser       string // an ACL id that every SASL user matches; "" is none
	RemoveHost        bool   // from Kerberos names
	RemoveRealm       bool
	AuthToLocal       string
	SkipACL           bool
	EagerACL          bool
	JAASFile          string
	JAASSection       string
	Schemes           []string // what authProvider.N adds, as scheme names: sasl, x509, ensemble ...
}

// TLS is one set of TLS keys.
type TLS struct {
	KeyStore, TrustStore       Store
	Protocol                   string // Java's name; "" is the newest
	EnabledProtocols           []string
	CipherSuites               []string // Java's names
	ClientAuth                 string   // none, want or need
	HostnameVerification       bool
	ClientHostnameVerification bool
	DetectionTimeout           time.Duration
	Reload                     bool
}

// Store is a key or trust store. PasswordPath, if set, wins over Password.
type Store struct {
	Path         string
	Password     string
	PasswordPath string
	Type         string // JKS, PEM, PKCS12, BCFKS; "" is by suffix
}

// Admin is the HTTP server for administration.
type Admin struct {
	Enabled     bool
	Address     string
	Port        int
	CommandURL  string
	IdleTimeout time.Duration
}

// Metrics is the metrics provider.
type Metrics struct {
	Provider    string // class name; "" is the built-in one
	Prometheus  bool   // Provider is the Prometheus one
	None        bool   // Provider is the one that keeps nothing
	Host        string
	Port        int
	ProcessInfo bool
}

// Quorum is about being one of several servers. Limits are in ticks.
type Quorum struct {
	InitLimit              int
	SyncLimit              int
	ConnectLimit           int
	LeaderServes           bool
	PeerType               string
	StandaloneEnabled      bool
	ReconfigEnabled        bool
	ListenOnAllIPs         bool
	ObserverMasterPort     int
	SyncEnabled            bool
	ObserverReconnectDelay time.Duration
	ObserverElectionDelay  time.Duration
	MultiAddress           bool
	ConnectTimeout         time.Duration
	ReadTimeout            time.Duration
	ElectionBindRetry      int // 0 is for ever
	MinNotificationWait    time.Duration
	MaxNotificationWait    time.Duration
	MaxEpochWait           time.Duration // negative: InitLimit alone counts
	TCPKeepAlive           bool
	SnapshotSyncs          int // observers at one time; voters are not counted
	DiffSyncs              int
	TLS                    bool
	PortUnification        bool
}

// ClientListenAddress is host:port for the listener without TLS, "" if there is none. An empty host is all addresses.
func (c *Config) ClientListenAddress() string {
	return listenAddress(c.ClientPortAddress, c.ClientPort)
}

// SecureClientListenAddress is the same for the listener with TLS.
func (c *Config) SecureClientListenAddress() string {
	return listenAddress(c.SecureClientPortAddress, c.SecureClientPort)
}

// Get returns a value as text by its name in zoo.cfg, also one that no field holds: set in a file or flag, or else the default. ok is false if there is neither.
// Secrets are returned as they are.
func (c *Config) Get(name string) (s Setting, ok bool) {
	k, known := LookUp(name)
	if known {
		name = k.Name
	}
	if set, ok := c.settings[name]; ok {
		return Setting{set.value, set.origin}, true
	}
	return Setting{Value: k.Default}, known && k.Default != ""
}
