package tcp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

// authority signs certificates for a test.
type authority struct {
	t           *testing.T
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	trustStore  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.trustStore = a.write("trust.pem", &pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) write(name string, blocks ...*pem.Block) string {
	a.t.Helper()
	var b []byte
	for _, block := range blocks {
		b = append(b, pem.EncodeToMemory(block)...)
	}
	path := filepath.Join(a.t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// keyStore makes a key and its certificate for hosts, names or addresses.
func (a *authority) keyStore(hosts ...string) string {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "server"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(crand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write("key.pem", &pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}, &pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// protected is what zoo.cfg says: TLS with this key.
func (a *authority) protected(keyStore string, more ...string) map[string]string {
	config := map[string]string{"sslQuorum": "true", "ssl.quorum.keyStore.location": keyStore, "ssl.quorum.trustStore.location": a.trustStore}
	for _, m := range more {
		key, value, _ := strings.Cut(m, "=")
		config[key] = value
	}
	return config
}

// settingsOf are the TLS settings that a configuration gives.
func settingsOf(t *testing.T, config map[string]string) TLS {
	t.Helper()
	factory, err := kernel.Lookup(kernel.KindTransport, "tcp")
	if err != nil {
		t.Fatal(err)
	}
	o, err := kernel.NewOptions("transport", "tcp", factory.Options, nil, func(key string) (string, bool) {
		value, ok := config[key]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := loadTLS(kernel.Env{Logger: logger(t)}, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestConformanceTLS is TestConformance over TLS.
func TestConformanceTLS(t *testing.T) {
	ca := newAuthority(t)
	protected := settingsOf(t, ca.protected(ca.keyStore("127.0.0.1")))
	plugintest.Transport(t, func(t *testing.T, sinks map[kernel.ServerID]kernel.TransportSink, queueBytes int) map[kernel.ServerID]kernel.Transport {
		return configured(t, sinks, patient(Settings{QueueBytes: queueBytes, TLS: protected}))
	}, traits)
}

// trio are three servers that each have TLS settings of their own: 1 is at "localhost", 2 and 3 at 127.0.0.1.
func trio(t *testing.T, settings ...TLS) (one, two *server, members []kernel.Member) {
	t.Helper()
	p := ports(t, 6)
	members = []kernel.Member{{ID: 1, Voter: true, Text: fmt.Sprintf("localhost:%d:%d", p[0], p[1])}, line(2, p[2], p[3]), line(3, p[4], p[5])}
	var servers []*server
	for i, s := range settings {
		sink := plugintest.NewSink(t)
		tr := New(members[i].ID, sink, patient(Settings{ListenOnAllIPs: true, TLS: s}), logger(t))
		t.Cleanup(func() { tr.Close() })
		tr.Configure(members)
		if err := tr.Listen(); err != nil {
			t.Fatal(err)
		}
		servers = append(servers, &server{tr, sink, fmt.Sprintf("127.0.0.1:%d", p[2*i]), fmt.Sprintf("127.0.0.1:%d", p[2*i+1])})
	}
	return servers[0], servers[1], members
}

// Certificates are for the servers that the configuration names, on both sides of a connection.
func TestNames(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	here := ca.protected(ca.keyStore("localhost"))
	for _, c := range []struct {
		name          string
		one, two      map[string]string
		dials, listen bool // server 2 gets a link that it dials; one that it listens for
		why           string
	}{
		{"both right", here, ca.protected(ca.keyStore("127.0.0.1")), true, true, ""},
		{"two is somebody else", here, ca.protected(ca.keyStore("localhost")), false, false, "not for server 2"},
		{"two is somebody else, nobody minds", ca.protected(ca.keyStore("localhost"), "ssl.quorum.hostnameVerification=false"), ca.protected(ca.keyStore("localhost")), true, true, ""},
		{"two is somebody else, who dials does not mind", ca.protected(ca.keyStore("localhost"), "ssl.quorum.clientHostnameVerification=false"),
			ca.protected(ca.keyStore("localhost")), true, false, "not for server 2"},
		{"two is signed by others", here, other.protected(other.keyStore("127.0.0.1")), false, false, "certificate"},
		{"two is plain", here, nil, false, false, ""},
		{"two is plain, one takes that", ca.protected(ca.keyStore("localhost"), "portUnification=true"), nil, true, false, ""},
		{"two has no key of its own to dial with", here, map[string]string{"portUnification": "true", "ssl.quorum.keyStore.location": ca.keyStore("127.0.0.1"),
			"ssl.quorum.trustStore.location": ca.trustStore}, false, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			one, two, _ := trio(t, settingsOf(t, c.one), settingsOf(t, c.two))

			near := two.Dial(1, kernel.ForBroadcast)
			dialled := outcome(t, two, near)
			if dialled == nil {
				two.Send(near, hello(2))
				if c.dials {
					works(t, two, one, near, accepted(one))
				} else if e := two.sink.Next(); !e.Down {
					t.Fatalf("%v", e)
				}
			} else if c.dials {
				t.Fatalf("2 cannot dial 1: %v", dialled)
			}

			near = one.Dial(2, kernel.ForBroadcast)
			dialled = outcome(t, one, near)
			if dialled == nil {
				one.Send(near, hello(1))
				if c.listen {
					works(t, one, two, near, accepted(two))
				} else if e := one.sink.Next(); !e.Down {
					t.Fatalf("%v", e)
				}
			} else if c.listen || !strings.Contains(dialled.Error(), c.why) {
				t.Fatalf("1 dials 2: %v", dialled)
			}
		})
	}
}

// outcome of a dial; nil: up.
func outcome(t *testing.T, s *server, link kernel.LinkID) error {
	t.Helper()
	e := s.sink.Next()
	if e.Link != link || !e.Up && !e.Down {
		t.Fatalf("%v", e)
	}
	return e.Reason
}

// accepted waits for a link and its introduction.
func accepted(s *server) kernel.LinkID {
	link := s.sink.NextUp(true)
	s.sink.Message(link)
	return link
}

// Election ports are protected alike: the knock, the call back, and who claims to be whom.
func TestElectionTLS(t *testing.T) {
	ca := newAuthority(t)
	one, two, _ := trio(t, settingsOf(t, ca.protected(ca.keyStore("localhost"))), settingsOf(t, ca.protected(ca.keyStore("127.0.0.1"))))
	one.Dial(2, kernel.ForElection)
	far := two.sink.NextUp(true)
	var near kernel.LinkID
	for near.Peer == 0 {
		if e := one.sink.Next(); e.Up {
			near = e.Link
		}
	}
	two.Send(far, kernel.Message{Payload: []byte("over TLS")})
	for {
		e := one.sink.Next()
		if e.Down {
			continue // the knock
		}
		if e.Link != near || string(e.Message.Payload) != "over TLS" {
			t.Fatalf("%v", e)
		}
		break
	}

	// Server 1, with a good certificate, says that it is server 3.
	store := ca.keyStore("localhost")
	pair, err := tls.LoadX509KeyPair(store, store)
	if err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{
		"ffffffffffff0000 0000000000000003" + text("127.0.0.1:9"), // of the configuration, at 127.0.0.1
		"ffffffffffff0000 0000000000000009" + text("127.0.0.1:9"), // of nobody, from 127.0.0.1
	} {
		conn, err := tls.Dial("tcp", two.election, &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		s := newRaw(t, conn)
		s.put(says)
		s.wantEnd()
	}
	two.Send(far, kernel.Message{Payload: []byte("still here")}) // nothing came of them
	if m := one.sink.Message(near); string(m.Payload) != "still here" {
		t.Fatalf("%q", m.Payload)
	}
}

// Strangers who do not get through the handshake are gone in time.
func TestSlowHandshake(t *testing.T) {
	ca := newAuthority(t)
	p := ports(t, 2)
	sink := plugintest.NewSink(t)
	tr := New(1, sink, Settings{ConnectTimeout: 100 * time.Millisecond, TLS: settingsOf(t, ca.protected(ca.keyStore("127.0.0.1")))}, logger(t))
	defer tr.Close()
	tr.Configure([]kernel.Member{line(1, p[0], p[1])})
	if err := tr.Listen(); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"", "16", "160301ffff", "0000000b"} {
		s := dialRaw(t, fmt.Sprintf("127.0.0.1:%d", p[0]))
		s.put(says)
		for b := make([]byte, 100); ; { // an alert may come first
			if _, err := s.Read(b); err != nil {
				if os.IsTimeout(err) {
					t.Errorf("after %q the connection stays", says)
				}
				break
			}
		}
	}
}

func TestTLSSettings(t *testing.T) {
	ca := newAuthority(t)
	if s := settingsOf(t, nil); s != (TLS{}) {
		t.Errorf("%+v", s)
	}
	s := settingsOf(t, ca.protected(ca.keyStore("a")))
	if !s.Dial || s.Plain || !s.VerifyServers || !s.VerifyClients || s.Sniff != 5*time.Second {
		t.Errorf("%+v", s)
	}
	factory, _ := kernel.Lookup(kernel.KindTransport, "tcp")
	o, err := kernel.NewOptions("transport", "tcp", factory.Options, map[string]string{"ssl": "true"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := factory.New(kernel.Env{Server: 1, Sink: plugintest.NewSink(t)}, o); err == nil || !strings.Contains(err.Error(), "ssl.quorum.keyStore.location") {
		t.Errorf("TLS without a key: %v", err)
	}
}
