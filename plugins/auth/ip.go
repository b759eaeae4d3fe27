package auth

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/zooid-project/zooid/kernel"
)

// IP is the scheme of addresses. Every connection holds its own from the start.
type IP struct{ oneStep }

var _ kernel.Authenticator = IP{}

// Scheme is "ip".
func (IP) Scheme() string { return schemeIP }

// Authenticate gives the peer's address, whatever data is.
func (IP) Authenticate(peer kernel.Peer, _ []byte) ([]kernel.Identity, error) {
	addr, err := peerAddr(peer.Addr)
	if err != nil {
		return nil, err
	}
	return []kernel.Identity{{Scheme: schemeIP, ID: addrText(addr)}}, nil
}

// ValidID wants an address, or an address and a number of bits after a slash.
func (IP) ValidID(id string) bool {
	_, ok := parsePrefix(id)
	return ok
}

// Matches compares the first bits of addresses of the same family.
func (IP) Matches(id, aclID string) bool {
	prefix, ok := parsePrefix(aclID)
	if !ok {
		return false
	}
	addr, err := parseAddr(id)
	return err == nil && prefix.Contains(addr)
}

// Authenticated is false: an address alone does not count for the scheme "auth".
func (IP) Authenticated() bool { return false }

// peerAddr takes the address out of what a listener reports. Connections inside the process have none.
func peerAddr(a net.Addr) (netip.Addr, error) {
	var addr netip.Addr
	switch a := a.(type) {
	case *net.TCPAddr:
		addr = a.AddrPort().Addr()
	default:
		if a == nil {
			return addr, fmt.Errorf("the connection has no address")
		}
		ap, err := netip.ParseAddrPort(a.String())
		if err != nil {
			return addr, fmt.Errorf("%s address %q is not an IP address", a.Network(), a)
		}
		addr = ap.Addr()
	}
	if !addr.IsValid() {
		return addr, fmt.Errorf("the connection has no address")
	}
	return addr.Unmap().WithZone(""), nil
}

// addrText prints IPv4 dotted and IPv6 as Java does: eight groups, none left out (spec client-protocol, 9.1).
func addrText(a netip.Addr) string {
	if a.Is4() {
		return a.String()
	}
	b := a.As16()
	var text strings.Builder
	for i := 0; i < 16; i += 2 {
		if i > 0 {
			text.WriteByte(':')
		}
		text.WriteString(strconv.FormatUint(uint64(b[i])<<8|uint64(b[i+1]), 16))
	}
	return text.String()
}

// parsePrefix reads the id of an ACL entry. The bits below the prefix may be anything.
func parsePrefix(id string) (netip.Prefix, bool) {
	text, bitsText, hasBits := strings.Cut(id, "/")
	addr, err := parseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	bits := addr.BitLen()
	if hasBits {
		if bits, err = parseSmall(bitsText); err != nil || bits > addr.BitLen() {
			return netip.Prefix{}, false
		}
	}
	return netip.PrefixFrom(addr, bits), true
}

// parseAddr reads an address as it stands in ids. An IPv4 address mapped into IPv6 is an IPv4 address; its parts may have leading zeros and are decimal.
func parseAddr(text string) (netip.Addr, error) {
	if strings.Contains(text, ":") {
		addr, err := netip.ParseAddr(text)
		if err == nil && addr.Zone() != "" {
			err = fmt.Errorf("%q has a zone", text)
		}
		return addr.Unmap(), err
	}
	var b [4]byte
	parts := strings.Split(text, ".")
	if len(parts) != 4 {
		return netip.Addr{}, fmt.Errorf("%q is not an address", text)
	}
	for i, part := range parts {
		n, err := parseSmall(part)
		if err != nil || n > 255 {
			return netip.Addr{}, fmt.Errorf("%q is not an address", text)
		}
		b[i] = byte(n)
	}
	return netip.AddrFrom4(b), nil
}

// parseSmall reads a decimal number without sign.
func parseSmall(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err
}

func init() {
	kernel.Register(kernel.KindAuthenticator, schemeIP, kernel.Factory[kernel.Authenticator]{
		Doc: "addresses and networks",
		New: func(kernel.Env, kernel.Options) (kernel.Authenticator, error) { return IP{}, nil },
	})
}
