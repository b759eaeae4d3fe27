package zookeeper

import (
	"crypto/tls"
	"os"
	"testing"
	"time"

	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestCertificateReload replaces the key store of a gateway that serves, as whoever renews certificates does: by a file that is moved over the old one.
func TestCertificateReload(t *testing.T) {
	for reload, want := range map[string]string{"true": "new", "false": "old"} {
		t.Run("certReload="+reload, func(t *testing.T) {
			store, _ := selfSigned(t, "old")
			renewed, _ := selfSigned(t, "new")
			g := startGateway(t, newFakeNode(t), map[string]string{"securePort": "0", "secureAddress": "127.0.0.1", "ssl.keyStore.location": store, "ssl.trustStore.location": store, "ssl.clientAuth": "none", "certReload": reload})
			addr := g.Addrs()["secure-client"].String()
			before, name := served(t, addr)
			if name != "old" {
				t.Fatalf("the certificate is %s's before anything has changed", name)
			}
			if err := os.Rename(renewed, store); err != nil {
				t.Fatal(err)
			}
			// Handshakes look at the files once a second at most. Without reloading no number of them changes anything; a few seconds stand for all of them.
			deadline := time.Now().Add(protocoltest.Patience)
			if reload == "false" {
				deadline = time.Now().Add(2 * time.Second)
			}
			for name != "new" && time.Now().Before(deadline) {
				time.Sleep(20 * time.Millisecond) // between two handshakes
				_, name = served(t, addr)
			}
			if name != want {
				t.Errorf("the certificate of a new connection is %s's, want %s's", name, want)
			}
			before.Ping() // what was connected stays so
		})
	}
}

// served opens a session over TLS and says whose certificate the gateway has shown.
func served(t *testing.T, addr string) (r *protocoltest.Raw, name string) {
	t.Helper()
	r, err := dialTLS(t, addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SendConnect(wire.ConnectRequest{TimeoutMs: 10000, HasReadOnly: true})
	r.ReceiveConnect(true)
	return r, r.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
}
