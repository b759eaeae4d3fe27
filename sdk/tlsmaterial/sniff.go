package tlsmaterial

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// handshakeRecord is the first byte of every TLS connection. No frame of ZooKeeper's protocols begins with it: as a length it would be hundreds of
// megabytes, and four-letter words are letters.
const handshakeRecord = 0x16

// Sniff waits up to timeout for the first byte of conn and says whether it begins TLS. The connection it returns gives that byte again and is to be used instead of conn,
// whose read deadline is cleared. On an error conn is still the caller's to close.
func Sniff(conn net.Conn, timeout time.Duration) (isTLS bool, wrapped net.Conn, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return false, nil, err
	}
	first := make([]byte, 1)
	for n := 0; n == 0; {
		if n, err = conn.Read(first); err != nil && n == 0 {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = fmt.Errorf("nothing came for %v, neither TLS nor anything else: %w", timeout, err)
			}
			return false, nil, err
		}
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return false, nil, err
	}
	return first[0] == handshakeRecord, &sniffed{Conn: conn, first: first}, nil
}

// sniffed gives the byte that was read ahead, then the rest.
type sniffed struct {
	net.Conn
	first []byte
}

func (s *sniffed) Read(b []byte) (int, error) {
	if len(s.first) > 0 && len(b) > 0 {
		n := copy(b, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	return s.Conn.Read(b)
}

// NetConn is the connection below, for socket options.
func (s *sniffed) NetConn() net.Conn { return s.Conn }
