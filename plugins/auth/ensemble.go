package auth

import (
	"fmt"
	"strings"

	"github.com/zooid-project/zooid/kernel"
)

// Ensemble lets a client make sure that it speaks to the ensemble it means. It gives no identity and never stands in an ACL.
type Ensemble struct {
	oneStep
	names map[string]bool
}

var _ kernel.Authenticator = (*Ensemble)(nil)

// NewEnsemble takes a comma list of names; an empty one accepts every client.
func NewEnsemble(names string) *Ensemble {
	e := &Ensemble{names: make(map[string]bool)}
	for _, name := range strings.Split(names, ",") {
		if name = strings.TrimSpace(name); name != "" {
			e.names[name] = true
		}
	}
	return e
}

// Scheme is "ensemble".
func (e *Ensemble) Scheme() string { return schemeEnsemble }

// Authenticate accepts a name of this ensemble, or no name. Any other gives kernel.ErrWrongEnsemble.
func (e *Ensemble) Authenticate(_ kernel.Peer, data []byte) ([]kernel.Identity, error) {
	if len(e.names) == 0 || len(data) == 0 || e.names[string(data)] {
		return nil, nil
	}
	return nil, fmt.Errorf("%w: %.64q", kernel.ErrWrongEnsemble, data)
}

// ValidID is false.
func (e *Ensemble) ValidID(string) bool { return false }

// Matches is false.
func (e *Ensemble) Matches(string, string) bool { return false }

// Authenticated is false.
func (e *Ensemble) Authenticated() bool { return false }

func init() {
	kernel.Register(kernel.KindAuthenticator, schemeEnsemble, kernel.Factory[kernel.Authenticator]{
		Doc:     "clients that name the ensemble they expect",
		Options: []kernel.Option{{Key: "ensembleAuthName", Config: "ensembleAuthName", Doc: "names of this ensemble, separated by commas; empty accepts any"}},
		New: func(_ kernel.Env, o kernel.Options) (kernel.Authenticator, error) {
			return NewEnsemble(o.String("ensembleAuthName")), nil
		},
	})
}
