package tlsmaterial

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

// authority signs certificates for tests.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// identity is a key with its certificate.
type identity struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	a.cert = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, a.key)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign fills in what every certificate has; without a certificate of its own yet the authority signs itself.
func (a *authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	template.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<60))
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent := a.cert
	if parent == nil {
		parent = template
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// issue makes a certificate with a common name and alternative names.
func (a *authority) issue(name string, alternative ...string) identity {
	a.t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}}
	for _, alt := range alternative {
		if ip := net.ParseIP(alt); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, alt)
		}
	}
	key := newKey(a.t)
	return identity{a.sign(template, key), key}
}

func pkcs8Of(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func write(t testing.TB, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// stores writes key and trust stores of one format that say the same.
func stores(t testing.TB, format, dir, password string, ca *authority, id identity) (key, trust Store) {
	t.Helper()
	var keyFile, trustFile []byte
	var err error
	switch format {
	case "pem":
		keyFile = []byte(pemOf("CERTIFICATE", ca.cert.Raw) + pemOf("CERTIFICATE", id.cert.Raw) + pemOf("PRIVATE KEY", pkcs8Of(t, id.key)))
		trustFile = []byte(pemOf("CERTIFICATE", ca.cert.Raw))
	case "p12":
		if keyFile, err = pkcs12.Modern.Encode(id.key, id.cert, []*x509.Certificate{ca.cert}, password); err == nil {
			trustFile, err = pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{ca.cert}, password)
		}
	case "jks":
		keyFile = jksOf(t, password, func(s keystore.KeyStore) error {
			return s.SetPrivateKeyEntry("zk", keystore.PrivateKeyEntry{CreationTime: time.Now(), PrivateKey: pkcs8Of(t, id.key),
				CertificateChain: []keystore.Certificate{{Type: "X509", Content: id.cert.Raw}, {Type: "X509", Content: ca.cert.Raw}}}, []byte(password))
		})
		trustFile = jksOf(t, password, func(s keystore.KeyStore) error {
			return s.SetTrustedCertificateEntry("ca", keystore.TrustedCertificateEntry{CreationTime: time.Now(), Certificate: keystore.Certificate{Type: "X509", Content: ca.cert.Raw}})
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	key = Store{Setting: "ssl.keyStore", Location: write(t, dir, "key."+format, keyFile), Password: password}
	trust = Store{Setting: "ssl.trustStore", Location: write(t, dir, "trust."+format, trustFile), Password: password}
	return key, trust
}

func jksOf(t testing.TB, password string, fill func(keystore.KeyStore) error) []byte {
	t.Helper()
	store := keystore.New()
	var b bytes.Buffer
	if err := fill(store); err != nil {
		t.Fatal(err)
	}
	if err := store.Store(&b, []byte(password)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestStores(t *testing.T) {
	ca := newAuthority(t, "ca")
	id := ca.issue("localhost")
	for _, format := range []string{"pem", "p12", "jks"} {
		t.Run(format, func(t *testing.T) {
			key, trust := stores(t, format, t.TempDir(), "secret", ca, id)
			pairs, err := key.keyPairs()
			if err != nil {
				t.Fatal(err)
			}
			if len(pairs) != 1 || len(pairs[0].Certificate) != 2 || !bytes.Equal(pairs[0].Certificate[0], id.cert.Raw) || !bytes.Equal(pairs[0].Certificate[1], ca.cert.Raw) || !id.key.Equal(pairs[0].PrivateKey) {
				t.Errorf("%d pairs, the first with %d certificates", len(pairs), len(pairs[0].Certificate))
			}
			trusted, err := trust.trusted()
			if err != nil || len(trusted) != 1 || !trusted[0].Equal(ca.cert) {
				t.Errorf("%d trusted, %v", len(trusted), err)
			}

			// The password may come from a file, which wins; the type may be said, which the suffix then does not matter for.
			moved := Store{Setting: "ssl.keyStore", Location: write(t, t.TempDir(), "store", mustRead(t, key.Location)), Type: map[string]string{"pem": "pem", "p12": "PKCS12", "jks": "JKS"}[format],
				Password: "wrong", PasswordPath: write(t, t.TempDir(), "password", []byte("secret\n"))}
			if _, err := moved.keyPairs(); err != nil {
				t.Error(err)
			}
			if format == "pem" {
				return
			}
			for _, s := range []Store{key, trust} {
				s.Password = "wrong"
				_, keyErr := s.keyPairs()
				_, trustErr := s.trusted()
				for _, err := range []error{keyErr, trustErr} {
					if !errors.Is(err, ErrPassword) || !strings.Contains(err.Error(), s.Setting+".passwordPath") || !strings.Contains(err.Error(), s.Location) {
						t.Errorf("wrong password: %v", err)
					}
				}
			}
			if _, err := trust.keyPairs(); err == nil {
				t.Error("a trust store served as key store")
			}
		})
	}
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The files in testdata were made by keytool and openssl.
func TestStoresOfOtherPrograms(t *testing.T) {
	for _, suffix := range []string{"jks", "p12"} {
		pairs, err := Store{Location: "testdata/server." + suffix, Password: "changeit"}.keyPairs()
		if err != nil {
			t.Errorf("%s: %v", suffix, err)
			continue
		}
		trusted, err := Store{Location: "testdata/trust." + suffix, Password: "changeit"}.trusted()
		if err != nil || len(trusted) != 1 || trusted[0].Subject.CommonName != "Test CA" {
			t.Errorf("%s: %d trusted, %v", suffix, len(trusted), err)
			continue
		}
		if leaf := pairs[0].Leaf; len(pairs) != 1 || len(pairs[0].Certificate) != 2 || leaf.CheckSignatureFrom(trusted[0]) != nil || leaf.Subject.CommonName != "localhost" {
			t.Errorf("%s: %d pairs, %d certificates, leaf %s", suffix, len(pairs), len(pairs[0].Certificate), leaf.Subject)
		}
	}
	// In JKS the key's own certificate is trusted as well, as in Java. In PKCS#12 a trust store with a key is refused.
	if trusted, err := (Store{Location: "testdata/server.jks", Password: "changeit"}).trusted(); err != nil || len(trusted) != 2 {
		t.Errorf("server.jks trusts %d, %v", len(trusted), err)
	}
	if _, err := (Store{Setting: "ssl.trustStore", Location: "testdata/server.p12", Password: "changeit"}).trusted(); err == nil || !strings.Contains(err.Error(), "keytool -importcert") {
		t.Errorf("server.p12 as trust store: %v", err)
	}
	// Java reads either format under both names.
	renamed := write(t, t.TempDir(), "server.jks", mustRead(t, "testdata/server.p12"))
	if _, err := (Store{Location: renamed, Password: "changeit"}).keyPairs(); err != nil {
		t.Errorf("PKCS#12 called .jks: %v", err)
	}

	for _, name := range []string{"aes256", "aes128sha1", "des3"} {
		s := Store{Setting: "ssl.keyStore", Location: "testdata/" + name + ".pem", Password: "changeit"}
		if _, err := s.keyPairs(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s.Password = "changeit2"
		if _, err := s.keyPairs(); !errors.Is(err, ErrPassword) {
			t.Errorf("%s with a wrong password: %v", name, err)
		}
	}
	for _, name := range []string{"pbes1", "scrypt"} {
		if _, err := (Store{Location: "testdata/" + name + ".pem", Password: "changeit"}).keyPairs(); !errors.Is(err, errKeyEncryption) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStoreErrors(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, "ca")
	id, other := ca.issue("a"), ca.issue("b")
	keyOnly := pemOf("PRIVATE KEY", pkcs8Of(t, id.key))
	for _, c := range []struct {
		name, content, kind string
		want                string
	}{
		{"x.bcfks", "x", "", "keytool -importkeystore"},
		{"x.pem", "x", "BCFKS", "keytool -importkeystore"},
		{"x.store", "x", "", "set ssl.keyStore.type to PEM, PKCS12 or JKS"},
		{"x.jks", "x", "RSA", "ssl.keyStore.type=RSA"},
		{"x.jks", "", "", "the file is empty"},
		{"x.jks", "x", "", "neither a JKS nor a PKCS#12"},
		{"x.p12", keyOnly, "", "it looks like PEM"},
		{"x.jks", "\xce\xce\xce\xce", "", "JCEKS"},
		{"x.jks", "\xfe\xed\xfe\xed", "", "too short"},
		{"x.jks", "\xfe\xed\xfe\xed" + strings.Repeat("\xff", 40), "", "password is wrong"},
		{"x.p12", "\x30\x00", "", "PKCS#12"},
		{"x.pem", "hello", "", "not a PEM file"},
		{"x.pem", keyOnly, "", "no certificate for it"},
		{"x.pem", keyOnly + pemOf("CERTIFICATE", other.cert.Raw), "", "no certificate for it"},
		{"x.pem", pemOf("CERTIFICATE", id.cert.Raw), "", "no private key"},
		{"x.pem", pemOf("CERTIFICATE", []byte{1}), "", "certificate 1 in it"},
		{"x.pem", pemOf("PRIVATE KEY", []byte{1}), "", "its private key"},
		{"x.pem", pemOf("ENCRYPTED PRIVATE KEY", []byte{1}), "", "its encrypted key"},
		{"x.pem", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "", "openssl pkcs8 -topk8"},
	} {
		s := Store{Setting: "ssl.keyStore", Location: write(t, dir, c.name, []byte(c.content)), Type: c.kind}
		_, err := s.keyPairs()
		var storeErr *StoreError
		if !errors.As(err, &storeErr) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "ssl.keyStore.location="+s.Location) {
			t.Errorf("%s %q: %v, want %q", c.name, c.content, err, c.want)
		}
	}
	if _, err := (Store{Setting: "ssl.keyStore", Location: filepath.Join(dir, "none.pem")}).keyPairs(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	s := Store{Setting: "ssl.keyStore", Location: write(t, dir, "y.pem", []byte(keyOnly)), PasswordPath: filepath.Join(dir, "none")}
	if _, err := s.keyPairs(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "ssl.keyStore.passwordPath") {
		t.Errorf("no password file: %v", err)
	}
	if _, err := (Store{Setting: "ssl.trustStore", Location: write(t, dir, "t.pem", []byte(keyOnly))}).trusted(); err == nil || !strings.Contains(err.Error(), "no trusted certificate") {
		t.Errorf("a trust store without certificates: %v", err)
	}
}

func TestOtherKeysInPEM(t *testing.T) {
	ca := newAuthority(t, "ca")
	id := ca.issue("a")
	der, err := x509.MarshalECPrivateKey(id.key)
	if err != nil {
		t.Fatal(err)
	}
	s := Store{Location: write(t, t.TempDir(), "ec.pem", []byte(pemOf("EC PRIVATE KEY", der)+pemOf("CERTIFICATE", id.cert.Raw)))}
	if _, err := s.keyPairs(); err != nil {
		t.Errorf("EC PRIVATE KEY: %v", err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s.Location = write(t, t.TempDir(), "rsa.pem", []byte(pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))+pemOf("CERTIFICATE", raw)))
	if _, err := s.keyPairs(); err != nil {
		t.Errorf("RSA PRIVATE KEY: %v", err)
	}
}

func FuzzStores(f *testing.F) {
	for _, name := range []string{"server.jks", "trust.jks", "server.p12", "trust.p12", "aes256.pem", "scrypt.pem"} {
		content, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if bytes.Contains(content, []byte("ENCRYPTED")) && len(content) > 2000 {
			t.Skip() // many keys would only cost time
		}
		decodePEM(content, "changeit")
		decodeJKSKeys(content, "changeit")
		decodeJKSTrust(content, "changeit")
	})
}

func FuzzPKCS8(f *testing.F) {
	for _, name := range []string{"aes256.pem", "aes128sha1.pem", "des3.pem", "pbes1.pem", "scrypt.pem"} {
		content, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		block, _ := pem.Decode(content)
		f.Add(block.Bytes)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if plain, err := decryptPKCS8(der, "another"); err == nil && len(plain) > len(der) {
			t.Fatal("more came out than went in")
		}
	})
}
