package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/sasl"
)

func ids(pairs ...string) []kernel.Identity {
	var all []kernel.Identity
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, kernel.Identity{Scheme: pairs[i], ID: pairs[i+1]})
	}
	return all
}

// build makes a scheme from the registry, as a server does.
func build(t *testing.T, scheme string, given map[string]string) kernel.Authenticator {
	t.Helper()
	a, err := tryBuild(scheme, given)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func tryBuild(scheme string, given map[string]string) (kernel.Authenticator, error) {
	factory, err := kernel.Lookup(kernel.KindAuthenticator, scheme)
	if err != nil {
		return nil, err
	}
	options, err := kernel.NewOptions("auth", scheme, factory.Options, given, nil)
	if err != nil {
		return nil, err
	}
	return factory.New(kernel.Env{}, options)
}

func TestDigest(t *testing.T) {
	const super = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
	d := build(t, "digest", map[string]string{"superDigest": super})
	for data, want := range map[string][]kernel.Identity{
		"user:password": ids("digest", "user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY="),
		"super:test":    ids("super", "", "digest", super),
		"super:test2":   ids("digest", "super:hsJ0PTCvUe9atrxUA0knndSBXXc="),
		"":              ids("digest", ":2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
		"alone":         ids("digest", "alone:GwXWN/BAnMmbTdC1Aj5CHFLZt2Q="),
	} {
		got, err := d.Authenticate(kernel.Peer{}, []byte(data))
		if err != nil {
			t.Errorf("%q: %v", data, err)
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, want %v", data, got, want)
		}
	}
	if _, err := d.Authenticate(kernel.Peer{}, nil); err == nil {
		t.Error("an auth request without data was accepted")
	}
	if _, err := d.Authenticate(kernel.Peer{}, make([]byte, maxCredential+1)); err == nil {
		t.Error("an endless credential was accepted")
	}
	for id, want := range map[string]bool{
		"a:b": true, ":b": true, "a:b:": true, "a:b::": true,
		"abc": false, "a:": false, "a:b:c": false, "": false, ":": false, "::": false, "a::b": false, "::b": false,
	} {
		if d.ValidID(id) != want {
			t.Errorf("ACL id %q: valid %v", id, !want)
		}
	}
	if !d.Matches("a:b", "a:b") || d.Matches("a:b", "a:c") || d.Matches("a:b", "a:b:") {
		t.Error("digest does not match by equality")
	}
}

func TestDigestOptions(t *testing.T) {
	for algorithm, length := range map[string]int{"SHA1": 28, "sha-1": 28, "SHA-256": 44, "SHA256": 44, "SHA-512/256": 44, "MD5": 24, "SHA3-512": 88} {
		d := build(t, "digest", map[string]string{"digestAlg": algorithm})
		got, err := d.Authenticate(kernel.Peer{}, []byte("u:p"))
		if err != nil || len(got) != 1 || len(got[0].ID) != 2+length {
			t.Errorf("%s: %v, %v", algorithm, got, err)
		}
	}
	if _, err := tryBuild("digest", map[string]string{"digestAlg": "CRC32"}); err == nil || !strings.Contains(err.Error(), "digestAlg=CRC32") {
		t.Errorf("an unknown hash: %v", err)
	}
	off := build(t, "digest", map[string]string{"enabled": "false"})
	if _, err := off.Authenticate(kernel.Peer{}, []byte("u:p")); err == nil || off.ValidID("a:b") || off.Matches("a:b", "a:b") {
		t.Error("the scheme works although it is switched off")
	}
}

func TestIP(t *testing.T) {
	ip := build(t, "ip", nil)
	for addr, want := range map[string]string{
		"10.1.2.3:4":          "10.1.2.3",
		"[::ffff:10.1.2.3]:4": "10.1.2.3",
		"[::1]:4":             "0:0:0:0:0:0:0:1",
		"[2001:db8::a0b:0]:4": "2001:db8:0:0:0:0:a0b:0",
		"[fe80::1%lo]:4":      "fe80:0:0:0:0:0:0:1",
	} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ip.Authenticate(kernel.Peer{Addr: tcp}, []byte("ignored"))
		if err != nil || !reflect.DeepEqual(got, ids("ip", want)) {
			t.Errorf("%s: %v, %v, want %s", addr, got, err, want)
		}
	}
	for _, peer := range []kernel.Peer{{}, {Addr: &net.UnixAddr{Name: "/x", Net: "unix"}}, {Addr: &net.TCPAddr{}}} {
		if got, err := ip.Authenticate(peer, nil); err == nil {
			t.Errorf("%v: %v", peer.Addr, got)
		}
	}
	for id, want := range map[string]bool{
		"10.1.2.3": true, "10.1.2.3/0": true, "10.1.2.3/32": true, "010.001.2.3": true, "::1": true, "::1/128": true, "0:0:0:0:0:0:0:1/1": true,
		"::ffff:1.2.3.4": true, "::ffff:1.2.3.4/32": true,
		"10.1.2.3/33": false, "10.1.2.3/-1": false, "10.1.2.3/": false, "10.1.2.3/x": false, "10.1.2.3/8/8": false, "10.1.2": false, "10.1.2.256": false,
		"10.1.2.3.4": false, "10.1.2.+3": false, "host": false, "": false, "/": false, "/8": false, "::1/129": false, "fe80::1%lo": false, ":": false,
		"::ffff:1.2.3.4/128": false,
	} {
		if ip.ValidID(id) != want {
			t.Errorf("ACL id %q: valid %v", id, !want)
		}
	}
	for _, c := range []struct {
		id, aclID string
		want      bool
	}{
		{"10.1.2.3", "10.1.2.3", true},
		{"10.1.2.3", "10.1.2.4", false},
		{"10.1.2.3", "10.1.2.4/24", true},
		{"10.1.2.3", "10.1.3.3/23", true},
		{"10.1.2.3", "10.1.4.3/23", false},
		{"10.1.2.3", "0.0.0.0/0", true},
		{"0:0:0:0:0:0:0:1", "::1", true},
		{"2001:db8:0:0:0:0:0:1", "2001:db8::/32", true},
		{"2001:db9:0:0:0:0:0:1", "2001:db8::/32", false},
		{"2001:db9:0:0:0:0:0:1", "2001:db8::/31", true},
		{"0:0:0:0:0:0:0:1", "0.0.0.0/0", false},
		{"10.1.2.3", "::/0", false},
		{"10.1.2.3", "::ffff:10.1.2.3", true},
		{"10.1.2.3", "nonsense", false},
		{"nonsense", "10.1.2.3/0", false},
	} {
		if got := ip.Matches(c.id, c.aclID); got != c.want {
			t.Errorf("%s against %s: %v", c.id, c.aclID, got)
		}
	}
	if ip.Authenticated() {
		t.Error("an address counts for auth")
	}
}

// certificate makes a self-signed one for subject.
func certificate(t *testing.T, subject pkix.Name) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestX509(t *testing.T) {
	const name = "CN=joe,OU=Zoo,O=Acme,C=DE"
	raw := certificate(t, pkix.Name{CommonName: "joe", Organization: []string{"Acme"}, OrganizationalUnit: []string{"Zoo"}, Country: []string{"DE"}})
	peer := kernel.Peer{TLS: &kernel.PeerCertificates{Raw: [][]byte{raw}}}

	x := build(t, "x509", nil)
	if got, err := x.Authenticate(peer, nil); err != nil || !reflect.DeepEqual(got, ids("x509", name)) {
		t.Errorf("%v, %v", got, err)
	}
	if !x.Matches(name, name) || x.Matches(name, "CN=joe") || !x.ValidID(name) || x.ValidID("joe") || !x.Authenticated() {
		t.Error("wrong rules")
	}
	for _, bad := range []kernel.Peer{{}, {TLS: &kernel.PeerCertificates{}}, {TLS: &kernel.PeerCertificates{Raw: [][]byte{{1}}}}} {
		if got, err := x.Authenticate(bad, nil); err == nil {
			t.Errorf("without a certificate: %v", got)
		}
	}
	super := build(t, "x509", map[string]string{"superUser": name})
	if got, err := super.Authenticate(peer, nil); err != nil || !reflect.DeepEqual(got, ids("super", name, "x509", name)) {
		t.Errorf("the super user: %v, %v", got, err)
	}
	if !super.Matches(name, "CN=other") || super.Matches("CN=other", "CN=third") {
		t.Error("the super user's rule")
	}
}

func TestWorldSuperEnsemble(t *testing.T) {
	world, super := build(t, "world", nil), build(t, "super", nil)
	if !world.ValidID("anyone") || world.ValidID("") || world.ValidID("me") || !world.Matches("", "anyone") || world.Matches("me", "me") || world.Authenticated() {
		t.Error("world")
	}
	if super.ValidID("") || super.ValidID("x") || super.Matches("", "") || super.Authenticated() {
		t.Error("super")
	}
	for _, a := range []kernel.Authenticator{world, super} {
		if _, err := a.Authenticate(kernel.Peer{}, []byte("x")); err == nil {
			t.Errorf("somebody authenticated as %s", a.Scheme())
		}
	}
	e := build(t, "ensemble", map[string]string{"ensembleAuthName": "prod, ,east"})
	for _, name := range []string{"prod", "east", ""} {
		if got, err := e.Authenticate(kernel.Peer{}, []byte(name)); err != nil || got != nil {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
	if _, err := e.Authenticate(kernel.Peer{}, []byte("test")); !errors.Is(err, kernel.ErrWrongEnsemble) {
		t.Errorf("another ensemble: %v", err)
	}
	if _, err := build(t, "ensemble", nil).Authenticate(kernel.Peer{}, []byte("any")); err != nil {
		t.Errorf("no name configured: %v", err)
	}
	if e.ValidID("prod") || e.Matches("prod", "prod") || e.Authenticated() {
		t.Error("ensemble stands in ACLs")
	}
}

// login runs a whole exchange as user.
func login(t *testing.T, a kernel.Authenticator, user, password string) ([]kernel.Identity, error) {
	t.Helper()
	x := a.NewExchange(kernel.Peer{})
	if x == nil {
		t.Fatal("no exchange is configured")
	}
	return converse(x, sasl.NewClient(sasl.ClientOptions{User: user, Password: password}))
}

// converse lets both ends of an exchange talk until the server is done.
func converse(x kernel.Exchange, client *sasl.Client) ([]kernel.Identity, error) {
	var token []byte
	for {
		reply, identities, done, err := x.Next(token)
		if err != nil {
			return nil, err
		}
		if token, _, err = client.Step(reply); err != nil {
			return nil, err
		}
		if done {
			return identities, nil
		}
	}
}

func TestSASL(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jaas.conf")
	text := `Server { org.apache.zookeeper.server.auth.DigestLoginModule required user_bob="secret" user_super="old" user_admin="a" "user_zk/host@R"="k"; };` +
		`Other { M required user_eve="e"; }; Kerberos { com.sun.security.auth.module.Krb5LoginModule required; };`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	given := func(more ...string) map[string]string {
		m := map[string]string{"loginConfig": file}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	for _, c := range []struct {
		name           string
		given          map[string]string
		user, password string
		want           []kernel.Identity // nil: refused
	}{
		{"a user", given(), "bob", "secret", ids("sasl", "bob")},
		{"wrong password", given(), "bob", "Secret", nil},
		{"nobody", given(), "eve", "e", nil},
		{"another section", given("section", "Other"), "eve", "e", ids("sasl", "eve")},
		{"super's password in the file", given(), "super", "old", ids("sasl", "super")},
		{"super's password as a property", given("superPassword", "new"), "super", "new", ids("sasl", "super")},
		{"the property wins", given("superPassword", "new"), "super", "old", nil},
		{"super users", given("superUsers", "root, admin"), "admin", "a", ids("sasl", "admin", "super", "")},
		{"host and realm kept", given(), "zk/host@R", "k", ids("sasl", "zk/host@R")},
		{"host and realm cut", given("removeHost", "true", "removeRealm", "true", "superUsers", "zk"), "zk/host@R", "k", ids("sasl", "zk", "super", "")},
		{"FIPS mode", given("fipsMode", "true"), "bob", "secret", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := login(t, build(t, "sasl", c.given), c.user, c.password)
			if !reflect.DeepEqual(got, c.want) || (c.want == nil) != errors.Is(err, sasl.ErrRefused) {
				t.Errorf("%v, %v; want %v", got, err, c.want)
			}
		})
	}
	if x := build(t, "sasl", nil).NewExchange(kernel.Peer{}); x != nil {
		t.Error("an exchange without a login file")
	}
	if x := build(t, "sasl", given("section", "Nobody")).NewExchange(kernel.Peer{}); x != nil {
		t.Error("an exchange without a section")
	}
	if _, err := tryBuild("sasl", given("section", "Kerberos")); err == nil || !strings.Contains(err.Error(), "Kerberos") {
		t.Errorf("a Kerberos section: %v", err)
	}
	if _, err := tryBuild("sasl", map[string]string{"loginConfig": file + "x"}); err == nil {
		t.Error("a missing login file was accepted")
	}
	if _, err := build(t, "sasl", nil).Authenticate(kernel.Peer{}, []byte("bob:secret")); err == nil {
		t.Error("an auth request proved a sasl name")
	}
}

func TestSASLInACLs(t *testing.T) {
	a := build(t, "sasl", map[string]string{"providers": "x509,sasl", "anyUser": "wildcard"})
	for id, want := range map[string]bool{"bob": true, "": true, "a/b": true, "zk/host@R": true, "a@b@c": false, "a/b/c@d": false} {
		if a.ValidID(id) != want {
			t.Errorf("ACL id %q: valid %v", id, !want)
		}
	}
	for _, c := range []struct {
		id, aclID string
		want      bool
	}{{"bob", "bob", true}, {"bob", "eve", false}, {"super", "eve", true}, {"bob", "wildcard", true}, {"bob", "super", false}} {
		if a.Matches(c.id, c.aclID) != c.want {
			t.Errorf("%s against %s: %v", c.id, c.aclID, !c.want)
		}
	}
	off := build(t, "sasl", nil)
	if off.ValidID("bob") || off.Matches("bob", "bob") || off.Authenticated() || off.Matches("bob", "") {
		t.Error("sasl stands in ACLs although it was not asked for")
	}
}

func FuzzACLIDs(f *testing.F) {
	for _, id := range []string{"a:b", "10.1.2.3/24", "::1/64", "::ffff:1.2.3.4", "zk/host@R", "CN=a,O=b", "anyone", ""} {
		f.Add(id, "10.1.2.3")
	}
	digest, err := NewDigest(DigestOptions{})
	if err != nil {
		f.Fatal(err)
	}
	schemes := []kernel.Authenticator{digest, IP{}, NewX509("CN=root"), NewSASL(SASLOptions{InACLs: true}), World(), Super(), NewEnsemble("x")}
	f.Fuzz(func(t *testing.T, aclID, id string) {
		for _, s := range schemes {
			valid := s.ValidID(aclID)
			if s.Matches(id, aclID) && !valid && s.Scheme() == "ip" {
				t.Fatalf("%s: %q matches the ACL id %q, which is not valid", s.Scheme(), id, aclID)
			}
			if valid && s.Scheme() == "ip" {
				addr, _, _ := strings.Cut(aclID, "/")
				if !s.Matches(addr, aclID) {
					t.Fatalf("%q does not match its own address", aclID)
				}
			}
		}
	})
}
