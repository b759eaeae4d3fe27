package tlsmaterial

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// checkEvery is how often at most handshakes look whether the files have changed.
const checkEvery = time.Second

// Material is what one kind of connection needs for TLS. All methods may be called from any goroutine.
//
// With Options.Reload the handshake that finds the files changed loads them; others go on with what there was. A file that cannot be
// used leaves everything as it is and is logged once, until it changes again. Connections that exist are never touched.
type Material struct {
	options  Options
	protocol protocol
	logger   *slog.Logger
	now      func() time.Time

	current   atomic.Pointer[loaded]
	nextCheck atomic.Int64 // unix nanoseconds
	reloading sync.Mutex   // guards seen
	seen      []os.FileInfo
}

// loaded is one immutable state of the files.
type loaded struct {
	pairs  []tls.Certificate
	roots  *x509.CertPool // nil: those of the operating system
	server *tls.Config
}

// New loads the stores and checks all settings. needKey says that there must be a key store: a server without one cannot serve.
// logger hears of reloads; nil means slog's default.
func New(o Options, needKey bool, logger *slog.Logger) (*Material, error) {
	switch o.ClientAuth {
	case "":
		o.ClientAuth = ClientAuthNeed
	case ClientAuthNone, ClientAuthWant, ClientAuthNeed:
	default:
		return nil, fmt.Errorf("%sclientAuth=%s: use none, want or need", o.Prefix, o.ClientAuth)
	}
	if needKey && o.KeyStore.Location == "" {
		return nil, fmt.Errorf("%skeyStore.location is not set: a TLS server needs a key. Name a PEM, PKCS#12 or JKS file", o.Prefix)
	}
	p, err := o.resolveProtocol()
	if err != nil {
		return nil, err
	}
	if o.TrustStore.Location == "" {
		p.warnings = append(p.warnings, fmt.Sprintf("%strustStore.location is not set: every certificate that this machine trusts is accepted", o.Prefix))
	}
	if logger == nil {
		logger = slog.Default()
	}
	m := &Material{options: o, protocol: p, logger: logger, now: time.Now}
	m.seen = m.stat()
	l, err := m.load()
	if err != nil {
		return nil, err
	}
	m.current.Store(l)
	return m, nil
}

// Warnings are settings that are safe to go on with, but not what an operator wants.
func (m *Material) Warnings() []string { return m.protocol.warnings }

// ServerConfig is for listeners. Each handshake uses the stores as they are then.
func (m *Material) ServerConfig() *tls.Config {
	return &tls.Config{
		MinVersion: m.protocol.min,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			config := m.newest().server
			if !m.options.ClientHostnameVerification {
				return config, nil
			}
			config = config.Clone()
			remote := hello.Conn.RemoteAddr()
			config.VerifyConnection = func(state tls.ConnectionState) error {
				return verifyClientAddress(state, remote, m.options.ReverseLookup)
			}
			return config, nil
		},
	}
}

// ClientConfig is for one connection to host, a name or an address without port, with the stores as they are now.
func (m *Material) ClientConfig(host string) *tls.Config {
	l := m.newest()
	name := host
	if !m.options.HostnameVerification {
		name = ""
	}
	return &tls.Config{
		Certificates: l.pairs,
		ServerName:   host,
		MinVersion:   m.protocol.min,
		MaxVersion:   m.protocol.max,
		CipherSuites: m.protocol.suites,
		// The check is made below: Go's own knows no common names and cannot leave the name out.
		InsecureSkipVerify: true,
		VerifyConnection:   func(state tls.ConnectionState) error { return verifyServer(state, l.roots, name) },
	}
}

// Certificates gives authenticators what TLS has verified of the other end; nil when it sent no certificate.
func Certificates(state tls.ConnectionState) *kernel.PeerCertificates {
	if len(state.PeerCertificates) == 0 {
		return nil
	}
	peer := &kernel.PeerCertificates{}
	for _, c := range state.PeerCertificates {
		peer.Raw = append(peer.Raw, c.Raw)
	}
	return peer
}

func (m *Material) load() (*loaded, error) {
	l := &loaded{}
	var err error
	if m.options.KeyStore.Location != "" {
		if l.pairs, err = m.options.KeyStore.keyPairs(); err != nil {
			return nil, err
		}
	}
	if m.options.TrustStore.Location != "" {
		trusted, err := m.options.TrustStore.trusted()
		if err != nil {
			return nil, err
		}
		l.roots = x509.NewCertPool()
		for _, c := range trusted {
			l.roots.AddCert(c)
		}
	}
	auth := tls.NoClientCert
	switch m.options.ClientAuth {
	case ClientAuthWant:
		auth = tls.VerifyClientCertIfGiven
	case ClientAuthNeed:
		auth = tls.RequireAndVerifyClientCert
	}
	l.server = &tls.Config{
		Certificates: l.pairs,
		ClientCAs:    l.roots,
		ClientAuth:   auth,
		MinVersion:   m.protocol.min,
		MaxVersion:   m.protocol.max,
		CipherSuites: m.protocol.suites,
	}
	return l, nil
}

// newest returns the current state, after a look at the files when one is due.
func (m *Material) newest() *loaded {
	if m.options.Reload {
		now := m.now().UnixNano()
		if due := m.nextCheck.Load(); now >= due && m.nextCheck.CompareAndSwap(due, now+int64(checkEvery)) {
			m.reload()
		}
	}
	return m.current.Load()
}

// reload is called by one handshake at a time, seldom by two when loading takes longer than checkEvery.
func (m *Material) reload() {
	m.reloading.Lock()
	defer m.reloading.Unlock()
	files := m.stat()
	if same(files, m.seen) {
		return
	}
	m.seen = files
	l, err := m.load()
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) { // a file that is being replaced is not worth a line
			m.logger.Error("the changed TLS files cannot be used; the old ones stay in use", "error", err)
		}
		return
	}
	m.current.Store(l)
	m.logger.Info("new TLS connections use the changed files", "keyStore", m.options.KeyStore.Location, "trustStore", m.options.TrustStore.Location)
}

// stat looks at every file involved; nil stands for one that is not there.
func (m *Material) stat() []os.FileInfo {
	var files []os.FileInfo
	for _, path := range []string{m.options.KeyStore.Location, m.options.KeyStore.PasswordPath, m.options.TrustStore.Location, m.options.TrustStore.PasswordPath} {
		if path != "" {
			info, _ := os.Stat(path)
			files = append(files, info)
		}
	}
	return files
}

func same(a, b []os.FileInfo) bool {
	for i := range a {
		if a[i] == nil || b[i] == nil {
			if a[i] != b[i] {
				return false
			}
			continue
		}
		if !os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime()) {
			return false
		}
	}
	return true
}
