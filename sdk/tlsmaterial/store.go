package tlsmaterial

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Store names a file with keys or certificates.
type Store struct {
	Setting      string // what the store is called in the configuration, for instance "ssl.keyStore"; for errors
	Location     string
	Type         string // PEM, PKCS12 or JKS; empty: by the suffix of Location
	Password     string
	PasswordPath string // a file with the password; wins over Password
}

// StoreError says what is wrong with a store and what to do about it.
type StoreError struct {
	Store Store
	Err   error
}

func (e *StoreError) Error() string {
	return fmt.Sprintf("%s.location=%s: %v", e.Store.Setting, e.Store.Location, e.Err)
}

func (e *StoreError) Unwrap() error { return e.Err }

// ErrPassword means that a store does not open with the password it was given.
var ErrPassword = errors.New("the password is wrong")

// maxStoreBytes bounds what is read of a store.
const maxStoreBytes = 16 << 20

// The formats of stores.
const (
	formatPEM    = "PEM"
	formatPKCS12 = "PKCS12"
	formatJKS    = "JKS"
)

// keyPairs loads every private key of the store with its chain, the leaf first.
func (s Store) keyPairs() ([]tls.Certificate, error) {
	content, format, password, err := s.open()
	if err != nil {
		return nil, err
	}
	var keys []crypto.PrivateKey
	var certificates []*x509.Certificate
	switch format {
	case formatPEM:
		keys, certificates, err = decodePEM(content, password)
	case formatPKCS12:
		keys, certificates, err = decodePKCS12Keys(content, password)
	case formatJKS:
		keys, certificates, err = decodeJKSKeys(content, password)
	}
	if err == nil && len(keys) == 0 {
		err = errors.New("there is no private key in it")
	}
	if err != nil {
		return nil, s.fail(err)
	}
	var pairs []tls.Certificate
	for _, key := range keys {
		pair, err := withChain(key, certificates)
		if err != nil {
			return nil, s.fail(err)
		}
		pairs = append(pairs, pair)
	}
	return pairs, nil
}

// trusted loads the certificates that the store trusts.
func (s Store) trusted() ([]*x509.Certificate, error) {
	content, format, password, err := s.open()
	if err != nil {
		return nil, err
	}
	var certificates []*x509.Certificate
	switch format {
	case formatPEM:
		certificates, err = decodePEMCertificates(content)
	case formatPKCS12:
		certificates, err = decodePKCS12Trust(content, password)
	case formatJKS:
		certificates, err = decodeJKSTrust(content, password)
	}
	if err == nil && len(certificates) == 0 {
		err = errors.New("there is no trusted certificate in it")
	}
	if err != nil {
		return nil, s.fail(err)
	}
	return certificates, nil
}

// open reads the file and the password, and decides on the format.
func (s Store) open() (content []byte, format, password string, err error) {
	if format, err = s.format(); err != nil {
		return nil, "", "", s.fail(err)
	}
	if content, err = readBounded(s.Location); err != nil {
		return nil, "", "", s.fail(err)
	}
	if format != formatPEM {
		if format, err = binaryFormat(content); err != nil {
			return nil, "", "", s.fail(err)
		}
	}
	password = s.Password
	if s.PasswordPath != "" {
		text, err := readBounded(s.PasswordPath)
		if err != nil {
			return nil, "", "", fmt.Errorf("%s.passwordPath: %w", s.Setting, err)
		}
		password = strings.TrimSpace(string(text))
	}
	return content, format, password, nil
}

// format is what the configuration says.
func (s Store) format() (string, error) {
	format := strings.ToUpper(s.Type)
	if format == "" {
		name := strings.ToLower(s.Location)
		for suffix, f := range map[string]string{".pem": formatPEM, ".p12": formatPKCS12, ".pfx": formatPKCS12, ".jks": formatJKS, ".bcfks": "BCFKS"} {
			if strings.HasSuffix(name, suffix) {
				format = f
			}
		}
	}
	switch format {
	case formatPEM, formatPKCS12, formatJKS:
		return format, nil
	case "BCFKS":
		return "", errors.New("BCFKS stores can be read by Java with Bouncy Castle only. Convert it: keytool -importkeystore -srcstoretype BCFKS -deststoretype PKCS12 ...")
	case "":
		return "", fmt.Errorf("its name does not end in .pem, .p12, .pfx or .jks: set %s.type to PEM, PKCS12 or JKS", s.Setting)
	}
	return "", fmt.Errorf("%s.type=%s: there is no such type; use PEM, PKCS12 or JKS", s.Setting, s.Type)
}

// binaryFormat looks at the content: for years keytool has written PKCS#12 whatever the file is called, and Java reads either under both names.
func binaryFormat(content []byte) (string, error) {
	switch {
	case bytes.HasPrefix(content, []byte{0xfe, 0xed, 0xfe, 0xed}):
		return formatJKS, nil
	case bytes.HasPrefix(content, []byte{0xce, 0xce, 0xce, 0xce}):
		return "", errors.New("it is a JCEKS store. Convert it: keytool -importkeystore -srcstoretype JCEKS -deststoretype PKCS12 ...")
	case bytes.HasPrefix(content, []byte{0x30}):
		return formatPKCS12, nil
	case len(content) == 0:
		return "", errors.New("the file is empty")
	case bytes.Contains(content, []byte("-----BEGIN ")):
		return "", errors.New("it looks like PEM: give it a name that ends in .pem, or set its type to PEM")
	}
	return "", errors.New("it is neither a JKS nor a PKCS#12 store")
}

// fail adds the store to err, and to a wrong password where the password comes from.
func (s Store) fail(err error) error {
	if errors.Is(err, ErrPassword) {
		err = fmt.Errorf("%w: set %s.password or %s.passwordPath", err, s.Setting, s.Setting)
	}
	return &StoreError{Store: s, Err: err}
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxStoreBytes {
		return nil, fmt.Errorf("%s has %d bytes, which is no key store", path, info.Size())
	}
	return os.ReadFile(path)
}

// withChain finds the certificate of key among all and puts behind it those that lead towards its root.
func withChain(key crypto.PrivateKey, all []*x509.Certificate) (tls.Certificate, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return tls.Certificate{}, fmt.Errorf("a key of type %T cannot sign", key)
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return tls.Certificate{}, fmt.Errorf("a key of type %T cannot be used for TLS", key)
	}
	var leaf *x509.Certificate
	for _, c := range all {
		if public.Equal(c.PublicKey) {
			leaf = c
			break
		}
	}
	if leaf == nil {
		return tls.Certificate{}, errors.New("it has a private key, but no certificate for it")
	}
	pair := tls.Certificate{PrivateKey: key, Leaf: leaf, Certificate: [][]byte{leaf.Raw}}
	for last := leaf; len(pair.Certificate) <= len(all) && !bytes.Equal(last.RawIssuer, last.RawSubject); {
		i := indexIssuer(last, all)
		if i < 0 {
			break
		}
		last = all[i]
		pair.Certificate = append(pair.Certificate, last.Raw)
	}
	return pair, nil
}

func indexIssuer(of *x509.Certificate, all []*x509.Certificate) int {
	for i, c := range all {
		if c != of && bytes.Equal(of.RawIssuer, c.RawSubject) && of.CheckSignatureFrom(c) == nil {
			return i
		}
	}
	return -1
}
