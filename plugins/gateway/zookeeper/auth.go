package zookeeper

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// ipIdentities are what every connection begins with (spec client-protocol, 9.1).
func ipIdentities(addr net.Addr) *[]kernel.Identity {
	list := []kernel.Identity{}
	if tcp, ok := addr.(*net.TCPAddr); ok {
		list = append(list, kernel.Identity{Scheme: "ip", ID: ipText(tcp.IP)})
	}
	return &list
}

// ipText prints an address as ACLs have it: IPv4 dotted, also when it came mapped into IPv6; IPv6 as eight groups without "::".
func ipText(ip net.IP) string {
	if v4 := ip.To4(); v4 != nil {
		return v4.String()
	}
	var b strings.Builder
	for i := 0; i+1 < len(ip); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(strconv.FormatUint(uint64(ip[i])<<8|uint64(ip[i+1]), 16))
	}
	return b.String()
}

// identify adds identities to the connection: frames that come later have them. false: there would be too many.
func (c *conn) identify(more []kernel.Identity) bool {
	have := c.Identities()
	list := slices.Clone(have)
	for _, id := range more {
		if !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	if len(list) > c.g.cfg.maxIdentities {
		return false
	}
	if len(list) > len(have) {
		c.identities.Store(&list)
	}
	return true
}

// permitted says whether the connection has an identity of one of the enforced schemes (spec client-protocol, 9.6).
func (c *conn) permitted() bool {
	if len(c.g.cfg.enforced) == 0 {
		return true
	}
	for _, id := range c.Identities() {
		if slices.Contains(c.g.cfg.enforced, id.Scheme) {
			return true
		}
	}
	return false
}

// authenticate handles auth and sasl when their frame is read, so that every later frame has the identities; the answer leaves in order (spec client-protocol, 3.3 and 9.2).
func (c *conn) authenticate(b *burst, xid int32, op wire.OpCode, body []byte) error {
	r := newRequest()
	defer r.recycle()
	if err := wire.DecodeRequest(op, body, &r.decoded); err != nil {
		return errMalformed
	}
	if op == wire.OpSASL {
		return c.sasl(b, xid, r.decoded.Auth)
	}
	scheme := r.decoded.Scheme
	a := c.g.auth[scheme]
	switch scheme {
	case "world", "auth", "super", "sasl":
		a = nil
	}
	if a != nil {
		ids, err := a.Authenticate(c.peer, r.decoded.Auth)
		if err == nil && c.identify(ids) {
			c.local(b, xid, op, 0, wire.ErrOK, nil, false)
			return nil
		}
		if errors.Is(err, kernel.ErrWrongEnsemble) {
			return err // without an answer: the client is to try another address, not to give up
		}
		c.g.log.Info("authentication failed", "client", c.peer.Addr.String(), "scheme", scheme, "err", err)
	} else {
		c.g.log.Info("authentication failed: no such scheme", "client", c.peer.Addr.String(), "scheme", scheme)
	}
	c.g.stats.authFailed.Add(1)
	c.local(b, xid, op, 0, wire.ErrAuthFailed, nil, true)
	return nil
}

// sasl takes one token (spec client-protocol, 9.5).
func (c *conn) sasl(b *burst, xid int32, token []byte) error {
	if token == nil {
		return errMalformed
	}
	null := jute.AppendBuffer(nil, nil)
	if c.exchange == nil && !c.proven {
		if a := c.g.auth["sasl"]; a != nil {
			c.exchange = a.NewExchange(c.peer)
		}
		if c.exchange == nil { // not configured: clients find out from the empty token
			c.local(b, xid, wire.OpSASL, 0, wire.ErrOK, null, false)
			return nil
		}
	}
	if !c.proven {
		reply, ids, done, err := c.exchange.Next(token)
		if err == nil && c.identify(ids) {
			c.proven = done
			if done {
				c.exchange = nil
			}
			c.local(b, xid, wire.OpSASL, 0, wire.ErrOK, jute.AppendBuffer(nil, reply), false)
			return nil
		}
		c.g.log.Info("SASL authentication failed", "client", c.peer.Addr.String(), "err", err)
		c.exchange = nil
	}
	c.g.stats.authFailed.Add(1)
	enforced := slices.Contains(c.g.cfg.enforced, "sasl")
	switch {
	case enforced:
		c.local(b, xid, wire.OpSASL, 0, wire.ErrSessionClosedRequireSASLAuth, null, true)
	case c.g.cfg.allowSASLFailed && !c.proven:
		c.local(b, xid, wire.OpSASL, 0, wire.ErrOK, null, false)
	default:
		c.local(b, xid, wire.OpSASL, 0, wire.ErrAuthFailed, null, true)
	}
	return nil
}
