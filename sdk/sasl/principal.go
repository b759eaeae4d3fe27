package sasl

import (
	"fmt"
	"strings"
)

// Principal is a Kerberos-style name: primary[/host][@realm].
type Principal struct {
	Primary, Host, Realm string
	hasHost, hasRealm    bool
}

// ParsePrincipal reads a name. Without "@" the whole name is the primary, slashes included; with one it must be primary[/host]@realm (spec client-protocol, 9.1).
func ParsePrincipal(name string) (Principal, error) {
	before, realm, found := strings.Cut(name, "@")
	if !found {
		return Principal{Primary: name}, nil
	}
	primary, host, hasHost := strings.Cut(before, "/")
	if strings.ContainsAny(host, "/") || strings.ContainsAny(realm, "/@") {
		return Principal{}, fmt.Errorf("%q is not a name of the form primary[/host]@realm", name)
	}
	return Principal{Primary: primary, Host: host, Realm: realm, hasHost: hasHost, hasRealm: true}, nil
}

// NameRules say what is cut from an authenticated name before it becomes an identity.
type NameRules struct {
	RemoveHost  bool // kerberos.removeHostFromPrincipal
	RemoveRealm bool // kerberos.removeRealmFromPrincipal
}

// AuthorizationID is the identity that an authenticated name stands for. Names without a realm, which DIGEST-MD5 users usually have, pass unchanged.
func (r NameRules) AuthorizationID(name string) (string, error) {
	p, err := ParsePrincipal(name)
	if err != nil {
		return "", err
	}
	id := p.Primary
	if p.hasHost && !r.RemoveHost {
		id += "/" + p.Host
	}
	if p.hasRealm && !r.RemoveRealm {
		id += "@" + p.Realm
	}
	return id, nil
}
