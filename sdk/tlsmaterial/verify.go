package tlsmaterial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"
)

// lookupTimeout bounds the reverse look-up in a handshake.
const lookupTimeout = 5 * time.Second

// VerifyName checks that a certificate is for host, a name or an address. As in ZooKeeper the common name counts when there is no alternative name of either kind.
func VerifyName(c *x509.Certificate, host string) error {
	if common := c.Subject.CommonName; len(c.DNSNames)+len(c.IPAddresses) == 0 && common != "" {
		named := *c
		if ip := net.ParseIP(common); ip != nil {
			named.IPAddresses = []net.IP{ip}
		} else {
			named.DNSNames = []string{common}
		}
		c = &named
	}
	return c.VerifyHostname(host)
}

// verifyServer is the check of a client that dialled host; host "" leaves the name out.
func verifyServer(state tls.ConnectionState, roots *x509.CertPool, host string) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the server sent no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	if _, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates}); err != nil {
		return err
	}
	if host == "" {
		return nil
	}
	return VerifyName(state.PeerCertificates[0], host)
}

// verifyClientAddress is the check of a server that a client's certificate is for the address it comes from, or with reverse for one of the names of that address.
func verifyClientAddress(state tls.ConnectionState, remote net.Addr, reverse bool) error {
	if len(state.PeerCertificates) == 0 {
		return nil // whether one is needed was decided before
	}
	host, _, err := net.SplitHostPort(remote.String())
	if err != nil {
		return fmt.Errorf("the client's address: %w", err)
	}
	leaf := state.PeerCertificates[0]
	err = VerifyName(leaf, host)
	if err == nil || !reverse {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	names, lookupErr := net.DefaultResolver.LookupAddr(ctx, host)
	if lookupErr != nil {
		return fmt.Errorf("%w (and the address has no name: %w)", err, lookupErr)
	}
	for _, name := range names {
		if VerifyName(leaf, name) == nil {
			return nil
		}
	}
	return fmt.Errorf("%w; its names are %v", err, names)
}
