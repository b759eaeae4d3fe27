package peer

import (
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
)

// What stands first in an initial message: a version below 0, or, from servers before 3.5, the id itself.
const (
	InitialV1 int64 = -65536 // one address
	InitialV2 int64 = -65535 // several
)

// MaxInitialAddress is the longest text of addresses in bytes.
const MaxInitialAddress = 2048

// Address is where an election port listens.
type Address struct {
	Host string // name or IP address, no brackets
	Port int
}

// String puts brackets around IPv6.
func (a Address) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// Wildcard tells whether the address means "all of mine", which nobody else can dial.
func (a Address) Wildcard() bool {
	ip := net.ParseIP(a.Host)
	return ip != nil && ip.IsUnspecified()
}

// Initial is what the side that opened a connection to an election port says first (spec peer-wire-and-disk, 2.1). Nothing answers it.
//
//	i64 version | i64 id | i32 length | addresses with | between
type Initial struct {
	Server    kernel.ServerID
	Addresses []Address // of the sender's election port; none after decoding the old form, or when all were wildcards
	Several   bool      // version 2: since 3.6, spoken where multiAddress.enabled is set
	Old       bool      // from a server before 3.5, or from anybody who has sent eight bytes; AppendTo knows no such form
}

// AppendTo appends the encoding. It must leave in one write: ZooKeeper's servers expect to read the addresses at once. There must be an address.
func (m *Initial) AppendTo(dst []byte) []byte {
	version, addresses := InitialV1, m.Addresses[:1]
	if m.Several {
		version, addresses = InitialV2, m.Addresses
	}
	dst = jute.AppendInt64(dst, version)
	dst = jute.AppendInt64(dst, int64(m.Server))
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	for i, a := range addresses {
		if i > 0 {
			dst = append(dst, '|')
		}
		if strings.Contains(a.Host, ":") {
			dst = append(append(append(dst, '['), a.Host...), ']')
		} else {
			dst = append(dst, a.Host...)
		}
		dst = strconv.AppendInt(append(dst, ':'), int64(a.Port), 10)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// ReadInitial reads an initial message, and not a byte more. An error that does not wrap ErrMalformed is r's.
func ReadInitial(r io.Reader) (Initial, error) {
	var head [8 + 8 + 4]byte
	if _, err := io.ReadFull(r, head[:8]); err != nil {
		return Initial{}, err
	}
	version := int64(binary.BigEndian.Uint64(head[:]))
	if version >= 0 {
		return Initial{Server: kernel.ServerID(version), Old: true}, nil
	}
	if version != InitialV1 && version != InitialV2 {
		return Initial{}, malformed("initial message: version %d", version)
	}
	if _, err := io.ReadFull(r, head[8:]); err != nil {
		return Initial{}, err
	}
	m := Initial{Server: kernel.ServerID(binary.BigEndian.Uint64(head[8:])), Several: version == InitialV2}
	n := int32(binary.BigEndian.Uint32(head[16:]))
	if n <= 0 || n > MaxInitialAddress {
		return Initial{}, malformed("initial message: addresses of %d bytes", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return Initial{}, err
	}
	if !m.Several && strings.ContainsRune(string(text), '|') {
		return Initial{}, malformed("initial message: several addresses in version 1")
	}
	for _, one := range strings.Split(string(text), "|") {
		a, ok := parseAddress(one)
		if !ok {
			return Initial{}, malformed("initial message: address %q", one)
		}
		if !a.Wildcard() {
			m.Addresses = append(m.Addresses, a)
		}
	}
	return m, nil
}

func parseAddress(text string) (Address, bool) {
	host, portText, err := net.SplitHostPort(text)
	if err != nil || host == "" || strings.ContainsAny(host, "[]/ \x00") {
		return Address{}, false
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return Address{}, false
	}
	return Address{Host: host, Port: int(port)}, true
}
