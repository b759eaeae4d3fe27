package auth

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
)

// X509 is the scheme of TLS client certificates: the id is the subject's name.
type X509 struct {
	oneStep
	superUser string
}

var _ kernel.Authenticator = (*X509)(nil)

// NewX509 takes the name that is super, empty for none, in the form that DistinguishedName prints.
func NewX509(superUser string) *X509 { return &X509{superUser: superUser} }

// Scheme is "x509".
func (x *X509) Scheme() string { return schemeX509 }

// Authenticate names the certificate of the connection, which TLS has verified; data is ignored.
func (x *X509) Authenticate(peer kernel.Peer, _ []byte) ([]kernel.Identity, error) {
	if peer.TLS == nil || len(peer.TLS.Raw) == 0 {
		return nil, errors.New("the connection has no client certificate")
	}
	certificate, err := x509.ParseCertificate(peer.TLS.Raw[0])
	if err != nil {
		return nil, fmt.Errorf("the client's certificate: %w", err)
	}
	name, err := DistinguishedName(certificate.RawSubject)
	if err != nil {
		return nil, fmt.Errorf("the subject of the client's certificate: %w", err)
	}
	identities := []kernel.Identity{{Scheme: schemeX509, ID: name}}
	if x.superUser != "" && name == x.superUser {
		identities = append([]kernel.Identity{superIdentity(name)}, identities...)
	}
	return identities, nil
}

// ValidID wants a distinguished name.
func (x *X509) ValidID(id string) bool { return ValidDistinguishedName(id) }

// Matches is equality; the super user matches everything.
func (x *X509) Matches(id, aclID string) bool {
	return id == aclID || x.superUser != "" && id == x.superUser
}

// Authenticated is true.
func (x *X509) Authenticated() bool { return true }

func init() {
	kernel.Register(kernel.KindAuthenticator, schemeX509, kernel.Factory[kernel.Authenticator]{
		Doc:     "TLS client certificates",
		Options: []kernel.Option{{Key: "superUser", Config: "X509AuthenticationProvider.superUser", Doc: "subject name that passes every ACL check"}},
		New: func(_ kernel.Env, o kernel.Options) (kernel.Authenticator, error) {
			return NewX509(o.String("superUser")), nil
		},
	})
}
