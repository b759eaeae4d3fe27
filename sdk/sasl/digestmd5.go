package sasl

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
)

// The fixed words of ZooKeeper's exchange (spec client-protocol, 9.5).
const (
	Mechanism = "DIGEST-MD5"
	Protocol  = "zookeeper"   // first part of the digest-uri on the client port
	Realm     = "zk-sasl-md5" // realm and server name on the client port
	qopAuth   = "auth"        // the only quality of protection: authentication without a security layer
	onlyNonce = "00000001"    // nonces serve one exchange, so this is the only nonce count
)

// credentials are what both ends hash.
type credentials struct {
	user, realm, password string
	nonce, cnonce         string
	uri, authzid          string
}

// sessionKey is H(A1) in hex: md5-sess binds the password's hash to the nonces of this exchange.
func (c credentials) sessionKey() string {
	secret := md5.Sum(join(latin1(c.user), latin1(c.realm), latin1(c.password)))
	a1 := join(secret[:], []byte(c.nonce), []byte(c.cnonce))
	if c.authzid != "" {
		a1 = join(a1, []byte(c.authzid))
	}
	return hexMD5(a1)
}

// response is the client's proof; with method "" it is the server's answer to it, rspauth.
func (c credentials) response(method string) string {
	a2 := hexMD5([]byte(method + ":" + c.uri))
	return hexMD5([]byte(c.sessionKey() + ":" + c.nonce + ":" + onlyNonce + ":" + c.cnonce + ":" + qopAuth + ":" + a2))
}

// latin1 gives s as ISO 8859-1 if every character exists there, else as UTF-8: what RFC 2831 hashes for name, realm and password.
func latin1(s string) []byte {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return []byte(s)
		}
		b = append(b, byte(r))
	}
	return b
}

func join(parts ...[]byte) []byte {
	b := append([]byte(nil), parts[0]...)
	for _, p := range parts[1:] {
		b = append(append(b, ':'), p...)
	}
	return b
}

func hexMD5(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// newNonce reads 240 random bits and prints them in 40 characters.
func newNonce(random io.Reader) (string, error) {
	var b [30]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("no randomness for a nonce: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b[:]), nil
}
