package zookeeper

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// selfSigned writes a key with a certificate that is its own authority to a PEM file.
func selfSigned(t *testing.T, name string) (path string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	b := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	path = filepath.Join(t.TempDir(), name+".pem")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// subjectAuth names the certificate of the connection.
type subjectAuth struct{ fakeAuth }

func (subjectAuth) Authenticate(peer kernel.Peer, _ []byte) ([]kernel.Identity, error) {
	if peer.TLS == nil {
		return nil, io.ErrUnexpectedEOF
	}
	c, err := x509.ParseCertificate(peer.TLS.Raw[0])
	if err != nil {
		return nil, err
	}
	return []kernel.Identity{{Scheme: "x509", ID: c.Subject.CommonName}}, nil
}

func dialTLS(t *testing.T, addr string, pair *tls.Certificate) (*protocoltest.Raw, error) {
	t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true}
	if pair != nil {
		cfg.Certificates = []tls.Certificate{*pair}
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: protocoltest.Patience}, "tcp", addr, cfg)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	return &protocoltest.Raw{T: t, Conn: conn}, nil
}

func TestTLS(t *testing.T) {
	serverPEM, _ := selfSigned(t, "server")
	clientPEM, client := selfSigned(t, "joe")
	n := newFakeNode(t)
	n.auth["x509"] = subjectAuth{}
	g := startGateway(t, n, map[string]string{"securePort": "0", "secureAddress": "127.0.0.1", "portUnification": "true", "ssl.keyStore.location": serverPEM, "ssl.trustStore.location": clientPEM})
	secure := g.Addrs()["secure-client"].String()
	for name, addr := range map[string]string{"secure port": secure, "unified port": clientAddr(g)} {
		t.Run(name, func(t *testing.T) {
			r, err := dialTLS(t, addr, &client)
			if err != nil {
				t.Fatal(err)
			}
			r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000, HasReadOnly: true})
			r.ReceiveConnect(true)
			r.Do(create("/" + addr))
			big := make([]byte, 300000)
			r.Do(setData("/"+addr, big...))
			if got := r.Do(getData("/"+addr, false)); len(got.Data) != len(big) {
				t.Fatalf("%d bytes came back", len(got.Data))
			}
			found := false
			for _, c := range g.snapshot() {
				for _, id := range c.Identities() {
					found = found || id == kernel.Identity{Scheme: "x509", ID: "joe"}
				}
			}
			if !found {
				t.Error("no connection has the identity of its certificate")
			}
			r.Do(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})
			r.ExpectClosed()

			r, err = dialTLS(t, addr, &client)
			if err != nil {
				t.Fatal(err)
			}
			r.Send([]byte("ruok"))
			if b, err := io.ReadAll(r.Conn); err != nil || string(b) != "imok" {
				t.Fatalf("%q, %v", b, err)
			}
		})
	}
	t.Run("plain on the unified port", func(t *testing.T) {
		r := protocoltest.Connect(t, clientAddr(g))
		r.Ping()
		if s := protocoltest.Word(t, clientAddr(g), "ruok"); s != "imok" {
			t.Fatal(s)
		}
	})
	t.Run("plain on the secure port", func(t *testing.T) {
		r := protocoltest.Dial(t, secure)
		r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000})
		// TLS may send an alert; a frame never comes.
		r.Conn.SetReadDeadline(time.Now().Add(protocoltest.Patience))
		if b, _ := io.ReadAll(r.Conn); len(b) > 20 {
			t.Fatalf("%x", b)
		}
	})
	t.Run("no certificate", func(t *testing.T) {
		r, err := dialTLS(t, secure, nil)
		if err == nil { // TLS 1.3 tells the client after its own handshake
			r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000})
			if _, err = r.Conn.Read(make([]byte, 1)); err == nil {
				t.Fatal("a client without a certificate was served")
			}
		}
	})
}

func TestSecurePortWithoutKey(t *testing.T) {
	o, err := kernel.NewOptions("gateway", "zookeeper", append(options, tlsOptions()...), map[string]string{"securePort": "0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(kernel.Env{}, o); err == nil {
		t.Fatal("a secure port without a key was accepted")
	}
}
