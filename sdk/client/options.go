package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// Options configure a Client. The zero value is usable.
type Options struct {
	// SessionTimeout is asked of the server, which may clamp it. Zero: 10 s.
	SessionTimeout time.Duration
	// DefaultACL is used by creates that name none. Nil: everything to everybody (wire.OpenACL).
	DefaultACL []wire.ACL
	// Auth is sent on every connection, in this order.
	Auth []Auth
	// SASL, if set, authenticates every connection by DIGEST-MD5 before anything else.
	SASL *SASLDigest
	// TLS, if set, is used for every connection. An empty ServerName is replaced by the host of the connect string.
	TLS *tls.Config
	// ReadOnly lets the client use a server without a quorum for reads until it finds one that serves writes too.
	ReadOnly bool
	// StayLost makes the loss of the session final: all further calls return wire.ErrSessionExpired. Otherwise a new session is opened, which owns none of the old one's ephemeral nodes.
	StayLost bool
	// SessionID and Password continue an existing session.
	SessionID int64
	Password  []byte
	// Retry says when calls are repeated.
	Retry Retry
	// MaxInFlight bounds the requests that await a reply. Zero: 65536. Beyond it calls fail with ErrTooManyInFlight.
	MaxInFlight int
	// MaxFrame is the servers' jute.maxbuffer in bytes: longer requests fail here with ErrRequestTooLarge, instead of costing the connection. Zero: wire.DefaultMaxFrame.
	MaxFrame int
	// MaxReply bounds a reply in bytes; a longer one costs the connection. Zero: 256 MiB.
	MaxReply int
	// DialTimeout bounds one attempt to connect to one address, TLS and session handshake included. Zero: the session timeout divided by the number of servers, at least 1 s.
	DialTimeout time.Duration
	// Dial replaces net.Dialer.DialContext.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolve replaces the look-up of a host name's addresses, done anew at each dial.
	Resolve func(ctx context.Context, host string) ([]string, error)
	// Logger gets a line per state change at debug level. Nil: none.
	Logger *slog.Logger
}

// Auth is one set of credentials, for example {"digest", []byte("user:password")}.
type Auth struct {
	Scheme string
	Data   []byte
}

// Retry is a policy. Reads and sync are repeated after a lost connection or a THROTTLEDOP, because doing them twice is the same as once. Writes that were certainly not sent are repeated too.
type Retry struct {
	// Attempts bounds the tries of one call; zero: only its context does.
	Attempts int
	// MinWait and MaxWait bound the pause before a further try after THROTTLEDOP, which doubles each time. Zero: 20 ms and 1 s. After a lost connection the next one is what is waited for.
	MinWait, MaxWait time.Duration
	// Writes makes writes of unknown outcome be repeated as well. Only for callers to whom a NODEEXISTS, NONODE or BADVERSION of their own making is no news. Prefer protected creates.
	Writes bool
}

func (o *Options) setDefaults() {
	setDefault(&o.SessionTimeout, 10*time.Second)
	setDefault(&o.MaxInFlight, 1<<16)
	setDefault(&o.MaxFrame, wire.DefaultMaxFrame)
	setDefault(&o.MaxReply, 256<<20)
	setDefault(&o.Retry.MinWait, 20*time.Millisecond)
	setDefault(&o.Retry.MaxWait, time.Second)
	if o.DefaultACL == nil {
		o.DefaultACL = wire.OpenACL
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	if o.Resolve == nil {
		o.Resolve = net.DefaultResolver.LookupHost
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

const defaultPort = "2181"

type server struct{ host, port string }

func (s server) String() string { return net.JoinHostPort(s.host, s.port) }

// parseConnect splits "host1:port,host2,[::1]:2182/chroot". The order of the servers is shuffled, so that clients spread.
func parseConnect(connect string) (servers []server, chroot string, err error) {
	hosts := connect
	if i := strings.IndexByte(connect, '/'); i >= 0 {
		hosts, chroot = connect[:i], connect[i:]
		if chroot == "/" {
			chroot = ""
		} else if err := wire.ValidatePath(chroot); err != nil {
			return nil, "", fmt.Errorf("client: connect string %q: chroot: %w", connect, err)
		}
	}
	for _, h := range strings.Split(hosts, ",") {
		h = strings.TrimSpace(h)
		if h == "" {
			continue
		}
		s := server{h, defaultPort}
		if host, port, err := net.SplitHostPort(h); err == nil && port != "" {
			s = server{host, port}
		} else if strings.HasPrefix(h, "[") && strings.HasSuffix(h, "]") {
			s.host = h[1 : len(h)-1]
		} else if strings.Count(h, ":") == 1 {
			return nil, "", fmt.Errorf("client: connect string %q: %q has no port after the colon", connect, h)
		}
		servers = append(servers, s)
	}
	if len(servers) == 0 {
		return nil, "", errors.New("client: connect string names no server; write for example 127.0.0.1:2181,127.0.0.1:2182/chroot")
	}
	rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	return servers, chroot, nil
}
