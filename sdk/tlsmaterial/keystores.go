package tlsmaterial

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

// decodePKCS12Keys takes the one key of a PKCS#12 store with all its certificates.
func decodePKCS12Keys(content []byte, password string) ([]crypto.PrivateKey, []*x509.Certificate, error) {
	key, leaf, others, err := pkcs12.DecodeChain(content, password)
	if err != nil {
		return nil, nil, explainPKCS12(err, "a key store has exactly one private key with its certificate")
	}
	return []crypto.PrivateKey{key}, append([]*x509.Certificate{leaf}, others...), nil
}

// decodePKCS12Trust takes the certificates that are marked as trusted, as keytool does. A store that also has a key is refused:
// its other certificates are only the key's chain.
func decodePKCS12Trust(content []byte, password string) ([]*x509.Certificate, error) {
	certificates, err := pkcs12.DecodeTrustStore(content, password)
	if err != nil {
		return nil, explainPKCS12(err, "a trust store has trusted certificates only; make it with keytool -importcert")
	}
	return certificates, nil
}

func explainPKCS12(err error, want string) error {
	if errors.Is(err, pkcs12.ErrIncorrectPassword) || errors.Is(err, pkcs12.ErrDecryption) {
		return ErrPassword
	}
	return fmt.Errorf("it cannot be used as PKCS#12 (%w): %s", err, want)
}

// decodeJKSKeys takes every key of a JKS store; they have the store's password, as ZooKeeper wants it.
func decodeJKSKeys(content []byte, password string) ([]crypto.PrivateKey, []*x509.Certificate, error) {
	store, err := openJKS(content, password)
	if err != nil {
		return nil, nil, err
	}
	secret, err := jksPassword(password)
	if err != nil {
		return nil, nil, err
	}
	var keys []crypto.PrivateKey
	var certificates []*x509.Certificate
	for _, alias := range store.Aliases() {
		if !store.IsPrivateKeyEntry(alias) {
			continue
		}
		entry, err := store.GetPrivateKeyEntry(alias, secret)
		if err != nil {
			return nil, nil, fmt.Errorf("its key %q does not open with the store's password (%w). Give it the same: keytool -keypasswd -alias %s", alias, err, alias)
		}
		key, err := x509.ParsePKCS8PrivateKey(entry.PrivateKey)
		if err != nil {
			return nil, nil, fmt.Errorf("its key %q: %w", alias, err)
		}
		keys = append(keys, key)
		for _, c := range entry.CertificateChain {
			certificate, err := x509.ParseCertificate(c.Content)
			if err != nil {
				return nil, nil, fmt.Errorf("a certificate of its key %q: %w", alias, err)
			}
			certificates = append(certificates, certificate)
		}
	}
	return keys, certificates, nil
}

// decodeJKSTrust takes the trusted certificates, and of keys the first of the chain, as Java does.
func decodeJKSTrust(content []byte, password string) ([]*x509.Certificate, error) {
	store, err := openJKS(content, password)
	if err != nil {
		return nil, err
	}
	var certificates []*x509.Certificate
	for _, alias := range store.Aliases() {
		var raw []byte
		if store.IsTrustedCertificateEntry(alias) {
			entry, err := store.GetTrustedCertificateEntry(alias)
			if err != nil {
				return nil, fmt.Errorf("its entry %q: %w", alias, err)
			}
			raw = entry.Certificate.Content
		} else {
			chain, err := store.GetPrivateKeyEntryCertificateChain(alias)
			if err != nil || len(chain) == 0 {
				continue
			}
			raw = chain[0].Content
		}
		certificate, err := x509.ParseCertificate(raw)
		if err != nil {
			return nil, fmt.Errorf("its certificate %q: %w", alias, err)
		}
		certificates = append(certificates, certificate)
	}
	return certificates, nil
}

// openJKS checks the store's digest, which covers the password, before anything in it is believed.
func openJKS(content []byte, password string) (keystore.KeyStore, error) {
	store := keystore.New(keystore.WithOrderedAliases(), keystore.WithCaseExactAliases())
	if len(content) < 12+sha1.Size {
		return store, errors.New("it is too short for a JKS store")
	}
	secret, err := jksPassword(password)
	if err != nil {
		return store, err
	}
	digest := sha1.New()
	for _, b := range secret {
		digest.Write([]byte{0, b})
	}
	digest.Write([]byte("Mighty Aphrodite")) // part of the format
	digest.Write(content[:len(content)-sha1.Size])
	if !bytes.Equal(digest.Sum(nil), content[len(content)-sha1.Size:]) {
		return store, fmt.Errorf("it is damaged, or %w", ErrPassword)
	}
	if err := store.Load(bytes.NewReader(content), secret); err != nil {
		return store, fmt.Errorf("it is a damaged JKS store: %w", err)
	}
	return store, nil
}

// jksPassword gives the password as ISO 8859-1: JKS hashes two bytes for a character, and the library takes one.
func jksPassword(password string) ([]byte, error) {
	var b []byte
	for _, r := range password {
		if r > 0xff {
			return nil, errors.New("a password with characters outside ISO 8859-1 works with PKCS#12 only")
		}
		b = append(b, byte(r))
	}
	return b, nil
}
