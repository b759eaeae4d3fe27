package auth

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/sasl"
)

// SASLOptions configure the sasl scheme and its exchange.
type SASLOptions struct {
	// Users are the names with their passwords; nil means that no exchange is configured.
	Users map[string]string
	// SuperPassword is the password of the user "super", before what Users says.
	SuperPassword string
	// SuperUsers are authorization ids that are super.
	SuperUsers []string
	// AnyUserID is an ACL id that every sasl identity matches (letAnySaslUserDoX).
	AnyUserID string
	// InACLs lets the scheme stand in ACLs. ZooKeeper does so when the provider is listed in authProvider.N; the exchange works without.
	InACLs bool
	Names  sasl.NameRules
	// Refuse ends every exchange with a failure, for the reason given: fips-mode.
	Refuse error
}

// SASL is the scheme of names proven in a SASL exchange.
type SASL struct {
	options SASLOptions
}

var _ kernel.Authenticator = (*SASL)(nil)

// NewSASL keeps o.
func NewSASL(o SASLOptions) *SASL { return &SASL{options: o} }

// Scheme is "sasl".
func (s *SASL) Scheme() string { return schemeSASL }

// Authenticate always refuses: a name is proven by an exchange, not by an auth request.
func (s *SASL) Authenticate(kernel.Peer, []byte) ([]kernel.Identity, error) {
	return nil, errors.New("sasl is no scheme for auth requests: it takes an exchange")
}

// ValidID wants a Kerberos-style name (spec client-protocol, 9.1).
func (s *SASL) ValidID(id string) bool {
	_, err := sasl.ParsePrincipal(id)
	return s.options.InACLs && err == nil
}

// Matches is equality; the id "super" matches everything and AnyUserID is matched by everyone.
func (s *SASL) Matches(id, aclID string) bool {
	return s.options.InACLs && (id == aclID || id == "super" || s.options.AnyUserID != "" && aclID == s.options.AnyUserID)
}

// Authenticated says whether an identity of this scheme counts for "auth": only where it may stand in an ACL.
func (s *SASL) Authenticated() bool { return s.options.InACLs }

// NewExchange returns nil when no users are configured.
func (s *SASL) NewExchange(kernel.Peer) kernel.Exchange {
	if s.options.Users == nil {
		return nil
	}
	return &saslExchange{scheme: s, server: sasl.NewServer(sasl.ServerOptions{Password: s.password})}
}

func (s *SASL) password(user string) (string, bool) {
	if user == "super" && s.options.SuperPassword != "" {
		return s.options.SuperPassword, true
	}
	password, known := s.options.Users[user]
	return password, known
}

// saslExchange adds names and super to the mechanism.
type saslExchange struct {
	scheme *SASL
	server *sasl.Server
}

func (x *saslExchange) Next(token []byte) ([]byte, []kernel.Identity, bool, error) {
	if x.scheme.options.Refuse != nil {
		return nil, nil, false, fmt.Errorf("%w: %w", sasl.ErrRefused, x.scheme.options.Refuse)
	}
	reply, done, err := x.server.Step(token)
	if err != nil || !done {
		return reply, nil, false, err
	}
	id, err := x.scheme.options.Names.AuthorizationID(x.server.User())
	if err != nil {
		return nil, nil, false, fmt.Errorf("%w: %w", sasl.ErrRefused, err)
	}
	identities := []kernel.Identity{{Scheme: schemeSASL, ID: id}}
	if slices.Contains(x.scheme.options.SuperUsers, id) {
		identities = append(identities, superIdentity(""))
	}
	return reply, identities, true, nil
}

func init() {
	kernel.Register(kernel.KindAuthenticator, schemeSASL, kernel.Factory[kernel.Authenticator]{
		Doc: "names proven by SASL DIGEST-MD5",
		Options: []kernel.Option{
			{Key: "loginConfig", Config: "java.security.auth.login.config", Doc: "the JAAS login file with the users; empty: no SASL"},
			{Key: "section", Default: "Server", Config: "sasl.serverconfig", Doc: "section of the login file"},
			{Key: "providers", Config: "authProvider", Doc: "schemes that authProvider.N adds, separated by commas; with sasl among them it may stand in ACLs"},
			{Key: "superUsers", Config: "superUser", Doc: "names that pass every ACL check, separated by commas: superUser and all superUser.SUFFIX"},
			{Key: "superPassword", Config: "SASLAuthenticationProvider.superPassword", Secret: true, Doc: "password of the user super"},
			{Key: "anyUser", Config: "letAnySaslUserDoX", Doc: "an ACL id that every sasl user matches"},
			{Key: "removeHost", Type: kernel.TypeBool, Default: "false", Config: "kerberos.removeHostFromPrincipal", Doc: "cut /host from names"},
			{Key: "removeRealm", Type: kernel.TypeBool, Default: "false", Config: "kerberos.removeRealmFromPrincipal", Doc: "cut @realm from names"},
			{Key: "authToLocal", Default: "DEFAULT", Config: "security.auth_to_local", Allowed: []string{"DEFAULT"}, Doc: "rules for names; others than DEFAULT come with Kerberos"},
			{Key: "fipsMode", Type: kernel.TypeBool, Default: "false", Config: "fips-mode", Doc: "refuse DIGEST-MD5"},
		},
		New: func(_ kernel.Env, o kernel.Options) (kernel.Authenticator, error) { return newSASLFromOptions(o) },
	})
}

func newSASLFromOptions(o kernel.Options) (kernel.Authenticator, error) {
	options := SASLOptions{
		SuperPassword: o.String("superPassword"),
		AnyUserID:     o.String("anyUser"),
		InACLs:        slices.Contains(strings.Split(o.String("providers"), ","), schemeSASL),
		Names:         sasl.NameRules{RemoveHost: o.Bool("removeHost"), RemoveRealm: o.Bool("removeRealm")},
	}
	for _, name := range strings.Split(o.String("superUsers"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			options.SuperUsers = append(options.SuperUsers, name)
		}
	}
	if o.Bool("fipsMode") {
		options.Refuse = errors.New("DIGEST-MD5 is not allowed in FIPS mode; unset fips-mode to use it")
	}
	if location := o.String("loginConfig"); location != "" {
		file, err := sasl.ReadLoginFile(location, loginProperty)
		if err != nil {
			return nil, err
		}
		// A file without the server's section belongs to something else in the same process: as without a file, there is no exchange.
		if _, found := file[o.String("section")]; found {
			if options.Users, err = file.DigestUsers(o.String("section")); err != nil {
				return nil, err
			}
		}
	}
	return NewSASL(options), nil
}

// loginProperty gives the system properties that login files use.
func loginProperty(name string) (string, bool) {
	switch name {
	case "user.home":
		home, err := os.UserHomeDir()
		return home, err == nil
	case "user.dir":
		dir, err := os.Getwd()
		return dir, err == nil
	case "file.separator":
		return string(os.PathSeparator), true
	}
	return "", false
}
