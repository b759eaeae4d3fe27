package tcp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/tlsmaterial"
)

// TLS is how the connections of a transport are protected. The zero value is plain.
//
// Names are those of the configuration: the certificate of a server is for a host of its server.N line, whichever side has connected, and reverse DNS is never asked. A server that is not in
// the configuration must have one for the address it comes from.
type TLS struct {
	Material *tlsmaterial.Material // made without checks of names; nil: no TLS at all
	Dial     bool                  // connections that this server makes are TLS (sslQuorum)
	Plain    bool                  // connections that it accepts may be plain too (portUnification)
	Sniff    time.Duration         // in which one must show which it is

	VerifyServers bool // names of servers that this one connects to
	VerifyClients bool // names of servers that connect to this one, when they have a certificate
}

// secureAccepted turns what was accepted into what is to be read: it finds out whether it is TLS, and shakes hands.
func (t *Transport) secureAccepted(conn net.Conn) (net.Conn, error) {
	s := t.settings.TLS
	if s.Material == nil {
		return conn, nil
	}
	until := time.Now().Add(t.settings.ConnectTimeout)
	isTLS, sniffed, err := tlsmaterial.Sniff(conn, min(s.Sniff, t.settings.ConnectTimeout))
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(until); err != nil {
		return nil, err
	}
	if !isTLS {
		if !s.Plain {
			return nil, errors.New("it is not TLS, and portUnification is off")
		}
		return sniffed, nil
	}
	secure := tls.Server(sniffed, s.Material.ServerConfig())
	if err := secure.HandshakeContext(t.life); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return secure, nil
}

// secureDialled protects a connection to a host of server id.
func (t *Transport) secureDialled(ctx context.Context, conn net.Conn, id kernel.ServerID, host string) (net.Conn, error) {
	s := t.settings.TLS
	if !s.Dial {
		return conn, nil
	}
	secure := tls.Client(conn, s.Material.ClientConfig(host))
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS to %s: %w", conn.RemoteAddr(), err)
	}
	if s.VerifyServers {
		if err := t.verifyNames(id, secure.ConnectionState(), host); err != nil {
			return nil, fmt.Errorf("TLS to %s: %w", conn.RemoteAddr(), err)
		}
	}
	return secure, nil
}

// verifyClient checks who has introduced himself as server id, once that is known.
func (t *Transport) verifyClient(id kernel.ServerID, conn net.Conn) error {
	secure, ok := conn.(*tls.Conn)
	if !ok || !t.settings.TLS.VerifyClients {
		return nil
	}
	state := secure.ConnectionState()
	if len(state.PeerCertificates) == 0 {
		return nil // clientAuth says whether one is needed
	}
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		return err
	}
	return t.verifyNames(id, state, host)
}

// verifyNames checks that a certificate is for one of a server's hosts; other is the host of one that is not in the configuration.
func (t *Transport) verifyNames(id kernel.ServerID, state tls.ConnectionState, other string) error {
	leaf := state.PeerCertificates[0]
	addresses := t.addresses(id, kernel.ForElection)
	if len(addresses) == 0 {
		return forServer(id, tlsmaterial.VerifyName(leaf, other))
	}
	var err error
	for _, a := range addresses {
		if err = tlsmaterial.VerifyName(leaf, a.Host); err == nil {
			return nil
		}
	}
	return forServer(id, err)
}

func forServer(id kernel.ServerID, err error) error {
	var wrong x509.HostnameError
	if errors.As(err, &wrong) {
		return fmt.Errorf("the certificate is not for server %d: %w", id, err)
	}
	return err
}

// tlsOptions are the ssl.quorum. settings as options of this plugin.
func tlsOptions() []kernel.Option {
	list := []kernel.Option{
		{Key: "ssl", Type: kernel.TypeBool, Default: "false", Config: "sslQuorum", Doc: "TLS between servers"},
		{Key: "portUnification", Type: kernel.TypeBool, Default: "false", Config: "portUnification", Doc: "accept servers with and without TLS"},
		{Key: "certReload", Type: kernel.TypeBool, Default: "false", Config: "sslQuorumReloadCertFiles", Doc: "new TLS connections use changed key and trust stores"},
	}
	for _, s := range tlsmaterial.Settings {
		value := s.Default
		if s.Key == "clientHostnameVerification" {
			value = "true"
		}
		list = append(list, kernel.Option{Key: "ssl." + s.Key, Type: kernel.TypeString, Default: value, Config: "ssl.quorum." + s.Key, Doc: s.Doc, Secret: s.Secret})
	}
	return list
}

// loadTLS reads keys and certificates when connections need them.
func loadTLS(env kernel.Env, o kernel.Options) (TLS, error) {
	if !o.Bool("ssl") && !o.Bool("portUnification") {
		return TLS{}, nil
	}
	settings, err := tlsmaterial.Read("ssl.quorum.", func(key string) (string, bool) {
		v := o.String("ssl." + key)
		return v, v != ""
	})
	if err != nil {
		return TLS{}, err
	}
	s := TLS{Dial: o.Bool("ssl"), Plain: o.Bool("portUnification"), Sniff: settings.SniffTimeout, VerifyServers: settings.HostnameVerification, VerifyClients: settings.ClientHostnameVerification}
	settings.HostnameVerification, settings.ClientHostnameVerification = false, false // see TLS
	settings.Reload = o.Bool("certReload")
	if s.Material, err = tlsmaterial.New(settings, true, env.Logger); err != nil {
		return TLS{}, fmt.Errorf("TLS between servers: %w", err)
	}
	if env.Logger != nil {
		for _, w := range s.Material.Warnings() {
			env.Logger.Warn(w)
		}
	}
	return s, nil
}
