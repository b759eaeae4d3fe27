package zookeeper

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/tlsmaterial"
)

// tlsOptions are the ssl. settings as options of this plugin.
func tlsOptions() []kernel.Option {
	list := []kernel.Option{{Key: "certReload", Type: kernel.TypeBool, Default: "false", Config: "client.certReload", Doc: "new TLS connections use changed key and trust stores"}}
	for _, s := range tlsmaterial.Settings {
		list = append(list, kernel.Option{Key: "ssl." + s.Key, Type: kernel.TypeString, Default: s.Default, Config: "ssl." + s.Key, Doc: s.Doc, Secret: s.Secret})
	}
	return list
}

// loadTLS reads keys and certificates when a listener needs them.
func loadTLS(env kernel.Env, o kernel.Options, cfg *config) error {
	if cfg.securePort < 0 && !cfg.unification {
		return nil
	}
	settings, err := tlsmaterial.Read("ssl.", func(key string) (string, bool) {
		v := o.String("ssl." + key)
		return v, v != ""
	})
	if err != nil {
		return err
	}
	settings.Reload = o.Bool("certReload")
	material, err := tlsmaterial.New(settings, true, env.Logger)
	if err != nil {
		return fmt.Errorf("secureClientPort: %w", err)
	}
	for _, w := range material.Warnings() {
		if env.Logger != nil {
			env.Logger.Warn(w)
		}
	}
	cfg.tls, cfg.sniffTimeout = material.ServerConfig(), settings.SniffTimeout
	return nil
}

// handshakeTime bounds a TLS handshake.
const handshakeTime = 10 * time.Second

// secured makes the connection a TLS one where it is to be: on the secure port, and with port unification where the client begins with TLS. first is what was read of a plain connection on the way.
func (c *conn) secured() (first []byte, err error) {
	if c.g.cfg.tls == nil {
		return nil, nil
	}
	socket := c.socket
	if !c.secure {
		isTLS, wrapped, err := tlsmaterial.Sniff(c.socket, c.g.cfg.sniffTimeout)
		if err != nil {
			return nil, err
		}
		if !isTLS {
			first = make([]byte, 1)
			_, err = wrapped.Read(first)
			return first, err
		}
		socket = wrapped
	}
	secure := tls.Server(socket, c.g.cfg.tls)
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	c.peer.TLS = tlsmaterial.Certificates(secure.ConnectionState())
	if a := c.g.auth["x509"]; a != nil && c.peer.TLS != nil {
		identities, err := a.Authenticate(c.peer, nil)
		if err != nil {
			return nil, err
		}
		c.identify(identities)
	}
	c.mu.Lock()
	c.socket, c.secure = secure, true
	c.mu.Unlock()
	return nil, nil
}
