package auth

import (
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
)

// Schemes whose names are fixed by the protocol.
const (
	schemeWorld    = "world"
	schemeIP       = "ip"
	schemeDigest   = "digest"
	schemeX509     = "x509"
	schemeSASL     = "sasl"
	schemeSuper    = "super"
	schemeEnsemble = "ensemble"
)

// maxCredential bounds the data of an auth request and the ids made from it. Honest ones are far smaller.
const maxCredential = 64 << 10

var errNoCredential = errors.New("the auth request has no data")

// superIdentity is what passes every ACL check. Its id is informative.
func superIdentity(id string) kernel.Identity {
	return kernel.Identity{Scheme: schemeSuper, ID: id}
}

// oneStep is embedded by schemes whose authentication takes a single request.
type oneStep struct{}

// NewExchange is nil.
func (oneStep) NewExchange(kernel.Peer) kernel.Exchange { return nil }

// fixed is a scheme that no credential proves: world and super.
type fixed struct {
	oneStep
	scheme string
	aclID  string // the one id that may stand in an ACL; empty: none
}

var _ kernel.Authenticator = fixed{}

// World is the scheme of world:anyone: everyone has it, without holding an identity.
func World() kernel.Authenticator { return fixed{scheme: schemeWorld, aclID: "anyone"} }

// Super is the scheme of identities that pass every ACL check. It never stands in an ACL and is given out by digest, x509 and sasl.
func Super() kernel.Authenticator { return fixed{scheme: schemeSuper} }

func (f fixed) Scheme() string { return f.scheme }
func (f fixed) Authenticate(kernel.Peer, []byte) ([]kernel.Identity, error) {
	return nil, fmt.Errorf("nobody can authenticate as %s", f.scheme)
}
func (f fixed) ValidID(id string) bool       { return f.aclID != "" && id == f.aclID }
func (f fixed) Matches(_, aclID string) bool { return f.ValidID(aclID) }
func (f fixed) Authenticated() bool          { return false }

func init() {
	kernel.Register(kernel.KindAuthenticator, schemeWorld, kernel.Factory[kernel.Authenticator]{
		Doc: "world:anyone, which everyone matches",
		New: func(kernel.Env, kernel.Options) (kernel.Authenticator, error) { return World(), nil },
	})
	kernel.Register(kernel.KindAuthenticator, schemeSuper, kernel.Factory[kernel.Authenticator]{
		Doc: "reserves the scheme of identities that pass every ACL check",
		New: func(kernel.Env, kernel.Options) (kernel.Authenticator, error) { return Super(), nil },
	})
}
