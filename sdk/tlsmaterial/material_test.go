package tlsmaterial

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// settings makes Options as a server does.
func settings(t *testing.T, prefix string, given map[string]string) Options {
	t.Helper()
	o, err := Read(prefix, func(key string) (string, bool) { v, set := given[key]; return v, set })
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func material(t *testing.T, o Options) *Material {
	t.Helper()
	m, err := New(o, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// handshake connects both ends over loopback and returns what the server saw and both errors.
func handshake(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan error, 1)
	go func() {
		plain, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			done <- err
			return
		}
		conn := tls.Client(plain, client)
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		if err = conn.Handshake(); err == nil { // under TLS 1.3 the server's refusal comes with the first read
			if _, err = conn.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
				err = nil
			}
		}
		done <- err
	}()
	plain, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Server(plain, server)
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	serverErr = conn.Handshake()
	state = conn.ConnectionState()
	conn.Close()
	return state, serverErr, <-done
}

func TestHandshake(t *testing.T) {
	ca, stranger := newAuthority(t, "ca"), newAuthority(t, "another")
	server := ca.issue("nobody", "localhost", "127.0.0.1")
	commonName := ca.issue("localhost")
	client := ca.issue("client")
	here := ca.issue("client", "127.0.0.1")
	unknown := stranger.issue("client")

	for _, c := range []struct {
		name           string
		server, client identity
		given          map[string]string
		host           string
		noClientKey    bool
		ok             bool
		certificates   int // seen by the server
	}{
		{name: "both known", server: server, client: client, host: "localhost", ok: true, certificates: 1},
		{name: "by address", server: server, client: client, host: "127.0.0.1", ok: true, certificates: 1},
		{name: "by common name", server: commonName, client: client, host: "localhost", ok: true, certificates: 1},
		{name: "another host", server: server, client: client, host: "example.org"},
		{name: "another host, not checked", server: server, client: client, host: "example.org", given: map[string]string{"hostnameVerification": "false"}, ok: true, certificates: 1},
		{name: "stranger", server: server, client: unknown, host: "localhost"},
		{name: "strange server", server: stranger.issue("x", "localhost"), client: client, host: "localhost"},
		{name: "no certificate, needed", server: server, noClientKey: true, host: "localhost"},
		{name: "no certificate, wanted", server: server, noClientKey: true, host: "localhost", given: map[string]string{"clientAuth": "want"}, ok: true},
		{name: "stranger, wanted", server: server, client: unknown, host: "localhost", given: map[string]string{"clientAuth": "want"}},
		{name: "known, none asked for", server: server, client: client, host: "localhost", given: map[string]string{"clientAuth": "none"}, ok: true},
		{name: "client's address", server: server, client: here, host: "localhost", given: map[string]string{"clientHostnameVerification": "true"}, ok: true, certificates: 1},
		{name: "client from elsewhere", server: server, client: client, host: "localhost", given: map[string]string{"clientHostnameVerification": "true"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := settings(t, "ssl.", c.given)
			o.KeyStore, o.TrustStore = stores(t, "pem", t.TempDir(), "", ca, c.server)
			p := settings(t, "ssl.", c.given)
			p.TrustStore = o.TrustStore
			if !c.noClientKey {
				p.KeyStore, _ = stores(t, "jks", t.TempDir(), "secret", ca, c.client)
			}
			peer, err := New(p, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			config := peer.ClientConfig(c.host)
			if !c.noClientKey { // sent even when the server names other authorities
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &config.Certificates[0], nil }
			}
			state, serverErr, clientErr := handshake(t, material(t, o).ServerConfig(), config)
			if ok := serverErr == nil && clientErr == nil; ok != c.ok {
				t.Fatalf("server: %v, client: %v", serverErr, clientErr)
			}
			got := 0
			if seen := Certificates(state); seen != nil {
				got = len(seen.Raw)
				if c.ok && !bytes.Equal(seen.Raw[0], c.client.cert.Raw) {
					t.Error("another certificate than the client's")
				}
			}
			if c.ok && (got > 0) != (c.certificates > 0) {
				t.Errorf("the server saw %d certificates", got)
			}
		})
	}
}

func TestReload(t *testing.T) {
	for _, format := range []string{"pem", "p12", "jks"} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			ca := newAuthority(t, "ca")
			first, second := ca.issue("first", "localhost"), ca.issue("second", "localhost")
			o := settings(t, "ssl.", map[string]string{"clientAuth": "none"})
			o.KeyStore, o.TrustStore = stores(t, format, dir, "secret", ca, first)
			o.Reload = true
			var log bytes.Buffer
			m, err := New(o, true, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now()
			m.now = func() time.Time { return now }
			config := m.ServerConfig()
			serves := func(want string) {
				t.Helper()
				client := &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
					if got := s.PeerCertificates[0].Subject.CommonName; got != want {
						t.Errorf("the server shows %s, want %s", got, want)
					}
					return nil
				}}
				if _, serverErr, clientErr := handshake(t, config, client); serverErr != nil || clientErr != nil {
					t.Fatalf("server: %v, client: %v", serverErr, clientErr)
				}
			}
			serves("first")

			good, broken := mustRead(t, o.KeyStore.Location), []byte("half of a file")
			write(t, dir, "key."+format, broken)
			serves("first") // not looked at yet: a second has not passed
			if log.Len() != 0 {
				t.Errorf("looked too early: %s", &log)
			}
			for range 3 {
				now = now.Add(checkEvery)
				serves("first")
			}
			if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "key."+format) {
				t.Errorf("a broken file is to be logged once: %q", &log)
			}

			if err := os.Remove(o.KeyStore.Location); err != nil { // as between removal and rename
				t.Fatal(err)
			}
			now = now.Add(checkEvery)
			serves("first")

			stores(t, format, dir, "secret", ca, second)
			now = now.Add(checkEvery)
			serves("second")
			if lines := strings.Count(log.String(), "\n"); lines != 2 {
				t.Errorf("log: %q", &log)
			}

			write(t, dir, "key."+format, good)
			m.options.Reload = false
			now = now.Add(checkEvery)
			serves("second")
		})
	}
}

func TestProtocols(t *testing.T) {
	const both = tls.VersionTLS13
	for _, c := range []struct {
		given    map[string]string
		min, max uint16
		suites   []uint16
		warnings []string // parts of each, in order
		err      string
	}{
		{given: nil, min: tls.VersionTLS12, max: both},
		{given: map[string]string{"protocol": "TLSv1.2"}, min: tls.VersionTLS12, max: tls.VersionTLS12},
		{given: map[string]string{"protocol": "TLSv1.3"}, min: tls.VersionTLS12, max: both},
		{given: map[string]string{"protocol": "TLS"}, min: tls.VersionTLS12, max: both},
		{given: map[string]string{"enabledProtocols": "TLSv1.3"}, min: both, max: both},
		{given: map[string]string{"enabledProtocols": " TLSv1.2 , TLSv1.3", "protocol": "TLSv1.2"}, min: tls.VersionTLS12, max: both},
		{given: map[string]string{"enabledProtocols": "TLSv1.1,TLSv1.2,SSLv2Hello"}, min: tls.VersionTLS11, max: tls.VersionTLS12, warnings: []string{"TLS 1.1, which is not safe"}},
		{given: map[string]string{"enabledProtocols": "TLSv1.1,TLSv1.3"}, min: tls.VersionTLS11, max: both, warnings: []string{"TLS 1.2 is spoken too", "not safe"}},
		{given: map[string]string{"enabledProtocols": "SSLv3"}, err: `ssl.enabledProtocols=SSLv3: "SSLv3" is not spoken`},
		{given: map[string]string{"protocol": "TLSv1.4"}, err: "ssl.protocol=TLSv1.4"},
		{given: map[string]string{"ciphersuites": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_AES_128_GCM_SHA256"}, min: tls.VersionTLS12, max: both,
			suites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}},
		{given: map[string]string{"ciphersuites": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}, min: tls.VersionTLS12, max: tls.VersionTLS12,
			suites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}},
		{given: map[string]string{"ciphersuites": "TLS_AES_256_GCM_SHA384"}, min: both, max: both},
		{given: map[string]string{"ciphersuites": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"}, min: tls.VersionTLS12, max: tls.VersionTLS12,
			suites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}, warnings: []string{"TLS_DHE_RSA_WITH_AES_128_GCM_SHA256 is not available"}},
		{given: map[string]string{"ciphersuites": "SSL_RSA_WITH_3DES_EDE_CBC_SHA"}, min: tls.VersionTLS12, max: tls.VersionTLS12,
			suites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}, warnings: []string{"not safe"}},
		{given: map[string]string{"ciphersuites": "TLS_NOTHING"}, err: "ssl.ciphersuites=TLS_NOTHING: none of these"},
		{given: map[string]string{"ciphersuites": "TLS_AES_128_GCM_SHA256", "protocol": "TLSv1.2"}, err: "none of these"},
	} {
		p, err := settings(t, "ssl.", c.given).resolveProtocol()
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v: %v, want %q", c.given, err, c.err)
			}
			continue
		}
		if err != nil || p.min != c.min || p.max != c.max || !slices.Equal(p.suites, c.suites) || len(p.warnings) != len(c.warnings) {
			t.Errorf("%v: %+v, %v", c.given, p, err)
			continue
		}
		for i, w := range c.warnings {
			if !strings.Contains(p.warnings[i], w) {
				t.Errorf("%v: warning %q, want %q", c.given, p.warnings[i], w)
			}
		}
	}
}

func TestSettings(t *testing.T) {
	o := settings(t, "ssl.", nil)
	if o.ClientAuth != ClientAuthNeed || !o.HostnameVerification || o.ClientHostnameVerification || o.ReverseLookup || o.SniffTimeout != 5*time.Second {
		t.Errorf("defaults: %+v", o)
	}
	q := settings(t, "ssl.quorum.", nil)
	if !q.ClientHostnameVerification || !q.ReverseLookup || q.KeyStore.Setting != "ssl.quorum.keyStore" {
		t.Errorf("defaults between servers: %+v", q)
	}
	if q = settings(t, "ssl.quorum.", map[string]string{"hostnameVerification": "false"}); q.ClientHostnameVerification {
		t.Error("client host names are checked although host names are not")
	}
	full := settings(t, "ssl.", map[string]string{"keyStore.location": " /k.jks", "keyStore.password": " p ", "keyStore.passwordPath": "/p", "keyStore.type": "JKS", "clientAuth": "Want", "ciphersuites": "a, b,"})
	want := Store{Setting: "ssl.keyStore", Location: "/k.jks", Password: " p ", PasswordPath: "/p", Type: "JKS"}
	if full.KeyStore != want || full.ClientAuth != ClientAuthWant || !slices.Equal(full.CipherSuites, []string{"a", "b"}) {
		t.Errorf("%+v", full)
	}
	for key, value := range map[string]string{
		"crl": "true", "ocsp": "true", "context.supplier.class": "a.B", "hostnameVerification": "yes", "handshakeDetectionTimeoutMillis": "0",
	} {
		_, err := Read("ssl.", func(k string) (string, bool) { return value, k == key })
		if err == nil || !strings.HasPrefix(err.Error(), "ssl."+key+"="+value+": ") {
			t.Errorf("%s=%s: %v", key, value, err)
		}
	}
	if _, err := New(settings(t, "ssl.", map[string]string{"clientAuth": "maybe"}), false, nil); err == nil || !strings.Contains(err.Error(), "none, want or need") {
		t.Errorf("clientAuth=maybe: %v", err)
	}
	if _, err := New(o, true, nil); err == nil || !strings.Contains(err.Error(), "ssl.keyStore.location is not set") {
		t.Errorf("no key store: %v", err)
	}
	if m, err := New(o, false, nil); err != nil || len(m.Warnings()) != 1 {
		t.Errorf("no trust store: %v", err)
	}
}

func TestSniff(t *testing.T) {
	for _, c := range []struct {
		sent string
		tls  bool
	}{{"\x16\x03\x01", true}, {"ruok", false}, {"\x00\x00\x00\x2d", false}, {"\x16", true}} {
		server, client := net.Pipe()
		go func() {
			client.Write([]byte(c.sent))
			client.Close()
		}()
		isTLS, conn, err := Sniff(server, time.Minute)
		if err != nil || isTLS != c.tls {
			t.Errorf("%q: TLS %v, %v", c.sent, isTLS, err)
			continue
		}
		all, err := io.ReadAll(conn)
		if string(all) != c.sent || err != nil {
			t.Errorf("%q became %q, %v", c.sent, all, err)
		}
		if conn.(interface{ NetConn() net.Conn }).NetConn() != server {
			t.Error("NetConn is not the connection")
		}
	}
	server, client := net.Pipe()
	defer client.Close()
	if _, _, err := Sniff(server, time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("silence: %v", err)
	}
	client.Close()
	if _, _, err := Sniff(server, time.Minute); err == nil {
		t.Error("a closed connection was sniffed")
	}
}

func TestSniffThenHandshake(t *testing.T) {
	ca := newAuthority(t, "ca")
	o := settings(t, "ssl.", map[string]string{"clientAuth": "none"})
	o.KeyStore, o.TrustStore = stores(t, "pem", t.TempDir(), "", ca, ca.issue("x", "localhost"))
	m := material(t, o)
	server, client := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- tls.Client(client, m.ClientConfig("localhost")).Handshake() }()
	isTLS, conn, err := Sniff(server, time.Minute)
	if err != nil || !isTLS {
		t.Fatalf("TLS %v, %v", isTLS, err)
	}
	if err := tls.Server(conn, m.ServerConfig()).Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
