package auth

import (
	"crypto"
	_ "crypto/md5" // registers the hashes that digestAlg may name
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha3"
	_ "crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/zooid-project/zooid/kernel"
)

// digestAlgorithms are the hashes of digestAlg by their Java names without dashes before digits, in upper case.
var digestAlgorithms = map[string]crypto.Hash{
	"MD5": crypto.MD5, "SHA": crypto.SHA1, "SHA1": crypto.SHA1, "SHA224": crypto.SHA224, "SHA256": crypto.SHA256, "SHA384": crypto.SHA384, "SHA512": crypto.SHA512,
	"SHA512/224": crypto.SHA512_224, "SHA512/256": crypto.SHA512_256,
	"SHA3224": crypto.SHA3_224, "SHA3256": crypto.SHA3_256, "SHA3384": crypto.SHA3_384, "SHA3512": crypto.SHA3_512,
}

// DigestOptions configure the digest scheme. The zero value is ZooKeeper's default, except for Disabled's name.
type DigestOptions struct {
	Algorithm   string // a Java name of a hash; empty means SHA1
	SuperDigest string // user:hash whose owner is super
	Disabled    bool   // nobody authenticates, no ACL id is valid, entries in old ACLs match nobody
}

// Digest is the scheme of names and passwords sent in clear: the id is user:base64(hash(user:password)).
type Digest struct {
	oneStep
	hash        crypto.Hash
	superDigest string
	disabled    bool
}

var _ kernel.Authenticator = (*Digest)(nil)

// NewDigest fails when the algorithm is unknown.
func NewDigest(o DigestOptions) (*Digest, error) {
	if o.Algorithm == "" {
		o.Algorithm = "SHA1"
	}
	hash, known := digestAlgorithms[strings.ReplaceAll(strings.ToUpper(o.Algorithm), "-", "")]
	if !known {
		return nil, fmt.Errorf("DigestAuthenticationProvider.digestAlg=%s: no such hash; use SHA1, SHA-256, SHA-384, SHA-512 or SHA3-256", o.Algorithm)
	}
	return &Digest{hash: hash, superDigest: o.SuperDigest, disabled: o.Disabled}, nil
}

// Scheme is "digest".
func (d *Digest) Scheme() string { return schemeDigest }

// Authenticate takes user:password. Any name with any password is an identity; whoever hits superDigest is super as well.
func (d *Digest) Authenticate(_ kernel.Peer, data []byte) ([]kernel.Identity, error) {
	switch {
	case d.disabled:
		return nil, fmt.Errorf("the digest scheme is switched off (DigestAuthenticationProvider.enabled)")
	case data == nil:
		return nil, errNoCredential
	case len(data) > maxCredential:
		return nil, fmt.Errorf("a credential of %d bytes is too large", len(data))
	}
	id := d.id(data)
	identities := []kernel.Identity{{Scheme: schemeDigest, ID: id}}
	if d.superDigest != "" && subtle.ConstantTimeCompare([]byte(id), []byte(d.superDigest)) == 1 {
		identities = append([]kernel.Identity{superIdentity("")}, identities...)
	}
	return identities, nil
}

// id hashes the whole of data; the name is what stands before the first colon.
func (d *Digest) id(data []byte) string {
	text := string(data)
	if !utf8.ValidString(text) {
		text = string([]rune(text)) // each wrong byte becomes U+FFFD: an id is text
	}
	user, _, _ := strings.Cut(text, ":")
	h := d.hash.New()
	h.Write([]byte(text))
	return user + ":" + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// ValidID wants two pieces around one colon; the first may be empty, and colons at the end count for nothing (spec client-protocol, 9.1).
func (d *Digest) ValidID(id string) bool {
	return !d.disabled && strings.Count(strings.TrimRight(id, ":"), ":") == 1
}

// Matches is equality.
func (d *Digest) Matches(id, aclID string) bool { return !d.disabled && id == aclID }

// Authenticated is true.
func (d *Digest) Authenticated() bool { return true }

func init() {
	kernel.Register(kernel.KindAuthenticator, schemeDigest, kernel.Factory[kernel.Authenticator]{
		Doc: "names and passwords, hashed",
		Options: []kernel.Option{
			{Key: "digestAlg", Default: "SHA1", Config: "DigestAuthenticationProvider.digestAlg", Doc: "hash of names and passwords; the same on all servers"},
			{Key: "superDigest", Config: "DigestAuthenticationProvider.superDigest", Secret: true, Doc: "user:hash whose owner passes every ACL check"},
			{Key: "enabled", Type: kernel.TypeBool, Default: "true", Config: "DigestAuthenticationProvider.enabled", Doc: "whether the scheme can be used at all"},
		},
		New: func(_ kernel.Env, o kernel.Options) (kernel.Authenticator, error) {
			return NewDigest(DigestOptions{Algorithm: o.String("digestAlg"), SuperDigest: o.String("superDigest"), Disabled: !o.Bool("enabled")})
		},
	})
}
