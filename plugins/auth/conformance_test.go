package auth

import (
	"crypto/x509/pkix"
	"net"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
	"github.com/zooid-project/zooid/sdk/sasl"
)

func TestConformance(t *testing.T) {
	digest, err := NewDigest(DigestOptions{SuperDigest: "super:D/InIHSb7yEEbrWz8b9l71RjZJU="})
	if err != nil {
		t.Fatal(err)
	}
	known := kernel.Peer{TLS: &kernel.PeerCertificates{Raw: [][]byte{certificate(t, pkix.Name{CommonName: "joe"})}}}
	here := kernel.Peer{Addr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 4}}
	users := NewSASL(SASLOptions{Users: map[string]string{"bob": "secret"}, InACLs: true})

	for _, c := range []struct {
		plugin kernel.Authenticator
		cases  plugintest.AuthenticatorCases
	}{
		{World(), plugintest.AuthenticatorCases{ValidIDs: []string{"anyone"}, InvalidIDs: []string{"", "me"}, Matches: []plugintest.IDMatch{{ID: "", ACLID: "anyone", Want: true}}}},
		{Super(), plugintest.AuthenticatorCases{InvalidIDs: []string{"", "super"}}},
		{digest, plugintest.AuthenticatorCases{
			Credentials: []plugintest.Credential{
				{Data: []byte("user:password"), Want: ids("digest", "user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY=")},
				{Data: []byte("super:test"), Want: ids("super", "", "digest", "super:D/InIHSb7yEEbrWz8b9l71RjZJU=")},
				{Refused: true},
			},
			ValidIDs: []string{"a:b"}, InvalidIDs: []string{"a"}, Matches: []plugintest.IDMatch{{ID: "a:b", ACLID: "a:b", Want: true}, {ID: "a:b", ACLID: "a:c"}},
		}},
		{IP{}, plugintest.AuthenticatorCases{
			Credentials: []plugintest.Credential{{Peer: here, Data: []byte("x"), Want: ids("ip", "10.1.2.3")}, {Refused: true}},
			ValidIDs:    []string{"10.0.0.0/8", "::1"}, InvalidIDs: []string{"host"}, Matches: []plugintest.IDMatch{{ID: "10.1.2.3", ACLID: "10.0.0.0/8", Want: true}},
		}},
		{NewX509("CN=root"), plugintest.AuthenticatorCases{
			Credentials: []plugintest.Credential{{Peer: known, Want: ids("x509", "CN=joe")}, {Peer: here, Refused: true}},
			ValidIDs:    []string{"CN=joe"}, InvalidIDs: []string{"joe"}, Matches: []plugintest.IDMatch{{ID: "CN=root", ACLID: "CN=joe", Want: true}},
		}},
		{NewEnsemble("prod"), plugintest.AuthenticatorCases{
			Credentials: []plugintest.Credential{{Data: []byte("prod")}, {Data: []byte("test"), Refused: true}}, InvalidIDs: []string{"prod"},
		}},
		{users, plugintest.AuthenticatorCases{
			Credentials: []plugintest.Credential{{Data: []byte("bob:secret"), Refused: true}},
			ValidIDs:    []string{"bob"}, InvalidIDs: []string{"a@b@c"},
			Exchange: func(x kernel.Exchange) ([]kernel.Identity, error) {
				return converse(x, sasl.NewClient(sasl.ClientOptions{User: "bob", Password: "secret"}))
			},
		}},
	} {
		t.Run(c.plugin.Scheme(), func(t *testing.T) { plugintest.Authenticator(t, c.plugin, c.cases) })
	}
}
