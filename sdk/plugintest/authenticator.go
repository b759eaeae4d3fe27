package plugintest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/zooid-project/zooid/kernel"
)

// AuthenticatorCases are what the author of an Authenticator knows about it.
type AuthenticatorCases struct {
	Credentials []Credential
	ValidIDs    []string // may stand in an ACL
	InvalidIDs  []string
	Matches     []IDMatch
	// Exchange runs one whole exchange that must succeed, as a client; nil for schemes without one.
	Exchange func(x kernel.Exchange) ([]kernel.Identity, error)
}

// Credential is one authentication in a single step.
type Credential struct {
	Peer    kernel.Peer
	Data    []byte
	Want    []kernel.Identity
	Refused bool
}

// IDMatch is an identity of the scheme against the id of an ACL entry.
type IDMatch struct {
	ID, ACLID string
	Want      bool
}

// Authenticator checks kernel.Authenticator's contract: the cases; that nothing is kept of arguments and nothing is changed in them; that answers do not
// depend on what was asked before or on who asks beside; and that nothing hostile makes it panic. Run it with -race too.
func Authenticator(t *testing.T, a kernel.Authenticator, c AuthenticatorCases) {
	t.Run("Scheme", func(t *testing.T) {
		scheme := a.Scheme()
		if scheme == "" || strings.ContainsAny(scheme, ": ,") {
			t.Errorf("the scheme is %q: want a word", scheme)
		}
		if slices.Contains([]string{"auth", "world", "super"}, scheme) && (len(c.Credentials) > 0 || a.Authenticated()) {
			t.Errorf("nobody can authenticate as %q", scheme)
		}
	})
	t.Run("Credentials", func(t *testing.T) {
		for _, k := range c.Credentials {
			checkCredential(t, a, k)
		}
	})
	t.Run("IDs", func(t *testing.T) { checkIDs(t, a, c) })
	t.Run("Hostile", func(t *testing.T) { checkHostile(t, a, c) })
	t.Run("Exchange", func(t *testing.T) { checkExchange(t, a, c) })
	t.Run("Concurrent", func(t *testing.T) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 20 {
					for _, k := range c.Credentials {
						checkCredential(t, a, k)
					}
					checkIDs(t, a, c)
				}
			})
		}
		all.Wait()
	})
}

func checkCredential(t *testing.T, a kernel.Authenticator, k Credential) {
	data := slices.Clone(k.Data)
	got, err := a.Authenticate(k.Peer, data)
	if !bytes.Equal(data, k.Data) {
		t.Errorf("%q: the data was changed to %q", k.Data, data)
	}
	for i := range data {
		data[i] = '!' // what was kept of it shows below
	}
	if k.Refused {
		if err == nil || len(got) > 0 {
			t.Errorf("%q: %v, %v; want it refused, without identities", k.Data, got, err)
		}
		return
	}
	if err != nil || !sameIdentities(got, k.Want) {
		t.Errorf("%q: %v, %v; want %v", k.Data, got, err, k.Want)
		return
	}
	for _, id := range got {
		if id.Scheme != a.Scheme() && id.Scheme != "super" {
			t.Errorf("%q: an authenticator of %s gives an identity of %s", k.Data, a.Scheme(), id.Scheme)
		}
		if id.Scheme == a.Scheme() && a.ValidID(id.ID) && !a.Matches(id.ID, id.ID) {
			t.Errorf("identity %q may stand in an ACL and does not match itself there", id.ID)
		}
	}
	again, err := a.Authenticate(k.Peer, slices.Clone(k.Data))
	if err != nil || !sameIdentities(again, k.Want) {
		t.Errorf("%q a second time: %v, %v; want %v", k.Data, again, err, k.Want)
	}
}

// sameIdentities ignores the order, which means nothing.
func sameIdentities(a, b []kernel.Identity) bool {
	sorted := func(ids []kernel.Identity) []kernel.Identity {
		ids = append([]kernel.Identity{}, ids...)
		slices.SortFunc(ids, func(x, y kernel.Identity) int { return strings.Compare(x.Scheme+"\x00"+x.ID, y.Scheme+"\x00"+y.ID) })
		return ids
	}
	return reflect.DeepEqual(sorted(a), sorted(b))
}

func checkIDs(t *testing.T, a kernel.Authenticator, c AuthenticatorCases) {
	for _, id := range c.ValidIDs {
		if !a.ValidID(id) {
			t.Errorf("%q is not valid in an ACL", id)
		}
	}
	for _, id := range c.InvalidIDs {
		if a.ValidID(id) {
			t.Errorf("%q is valid in an ACL", id)
		}
	}
	for _, m := range c.Matches {
		if got := a.Matches(m.ID, m.ACLID); got != m.Want {
			t.Errorf("%q against %q in an ACL: %v", m.ID, m.ACLID, got)
		}
	}
}

// checkHostile feeds what clients may send: nothing, too much, bytes that are no text, and the cases with bytes changed.
func checkHostile(t *testing.T, a kernel.Authenticator, c AuthenticatorCases) {
	texts := []string{"", ":", "/", "@", "=", "\x00", "\xff\xfe", "%s%n", "a:b:c:d", strings.Repeat("a", 1<<20), strings.Repeat(":", 1<<16), strings.Repeat("/8", 1<<16), strings.Repeat("CN=a,", 1<<16)}
	random := rand.New(rand.NewPCG(1, 2))
	seeds := append(append([]string{"x"}, c.ValidIDs...), c.InvalidIDs...)
	for _, k := range c.Credentials {
		seeds = append(seeds, string(k.Data))
	}
	for range 500 {
		b := []byte(seeds[random.IntN(len(seeds))])
		for range 3 {
			at := random.IntN(len(b) + 1)
			switch random.IntN(3) {
			case 0:
				b = slices.Insert(b, at, byte(random.IntN(256)))
			case 1:
				b = b[:at]
			case 2:
				if at < len(b) {
					b[at] = byte(random.IntN(256))
				}
			}
		}
		texts = append(texts, string(b))
	}
	peers := []kernel.Peer{{}, {TLS: &kernel.PeerCertificates{}}, {TLS: &kernel.PeerCertificates{Raw: [][]byte{nil, {0x30}}}}}
	for _, k := range c.Credentials {
		peers = append(peers, k.Peer)
	}
	for i, text := range texts {
		a.ValidID(text)
		a.Matches(text, texts[(i+1)%len(texts)])
		a.Matches(texts[(i+1)%len(texts)], text)
		for _, p := range peers {
			if got, err := a.Authenticate(p, []byte(text)); err != nil && len(got) > 0 {
				t.Errorf("%.40q is refused and gives %v", text, got)
			}
		}
	}
	for _, p := range peers {
		if got, err := a.Authenticate(p, nil); err != nil && len(got) > 0 {
			t.Errorf("no data is refused and gives %v", got)
		}
	}
}

func checkExchange(t *testing.T, a kernel.Authenticator, c AuthenticatorCases) {
	if c.Exchange == nil {
		if a.NewExchange(kernel.Peer{}) != nil {
			t.Error("there is an exchange, and no case for it")
		}
		return
	}
	run := func() error {
		x := a.NewExchange(kernel.Peer{})
		if x == nil {
			return fmt.Errorf("NewExchange gives nil")
		}
		identities, err := c.Exchange(x)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(identities, func(id kernel.Identity) bool { return id.Scheme == a.Scheme() }) {
			return fmt.Errorf("the exchange proved %v, nothing of %s", identities, a.Scheme())
		}
		if _, more, done, err := x.Next(nil); err == nil || done || len(more) > 0 {
			return fmt.Errorf("a step after the end: %v, done %v, error %v", more, done, err)
		}
		return nil
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup // exchanges do not know of each other
	for range 8 {
		all.Go(func() {
			if err := run(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, garbage := range [][]byte{[]byte("\x00\xff"), []byte("=,=\""), bytes.Repeat([]byte("a"), 1<<20)} {
		x := a.NewExchange(kernel.Peer{})
		for range 3 {
			if _, identities, done, err := x.Next(garbage); done || len(identities) > 0 {
				t.Fatalf("garbage proved %v", identities)
			} else if err != nil {
				break
			}
		}
	}
}
