package client

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"strings"

	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// SASLDigest authenticates by DIGEST-MD5 (RFC 2831), which is what servers without Kerberos offer (spec client-protocol, 9.5). It does not protect what follows; use TLS for that.
type SASLDigest struct {
	User     string
	Password string
}

const saslURI = "zookeeper/zk-sasl-md5"

// authenticate runs the exchange on a new connection, before any other request.
func (s *SASLDigest) authenticate(nc net.Conn, r *frameReader) error {
	challenge, err := saslStep(nc, r, 1, []byte{})
	if err != nil {
		return err
	}
	if challenge == nil {
		return fmt.Errorf("%w: the server has no SASL configured", wire.ErrAuthFailed)
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	response, expect, err := s.respond(string(challenge), hex.EncodeToString(random[:]))
	if err != nil {
		return fmt.Errorf("%w: %w", wire.ErrAuthFailed, err)
	}
	final, err := saslStep(nc, r, 2, []byte(response))
	if err != nil {
		return err
	}
	if string(final) != expect {
		return fmt.Errorf("%w: the server does not know the password it should", wire.ErrAuthFailed)
	}
	return nil
}

func saslStep(nc net.Conn, r *frameReader, xid int32, token []byte) ([]byte, error) {
	frame, start := wire.StartFrame(nil)
	h := wire.RequestHeader{Xid: xid, Op: wire.OpSASL}
	req := wire.Request{Op: wire.Op{Code: wire.OpSASL}, Auth: token}
	frame = req.AppendTo(h.AppendTo(frame))
	wire.FinishFrame(frame, start)
	if _, err := nc.Write(frame); err != nil {
		return nil, err
	}
	b, err := r.next()
	if err != nil {
		return nil, err
	}
	d := jute.NewDecoder(b)
	var rep wire.ReplyHeader
	if rep.Decode(&d); d.Err() != nil {
		return nil, d.Err()
	}
	if rep.Err != wire.ErrOK {
		return nil, fmt.Errorf("%w: SASL: %w", wire.ErrAuthFailed, rep.Err)
	}
	answer := d.Buffer()
	return answer, d.Err()
}

// respond answers a challenge and tells what the server must say to prove that it knows the password too.
func (s *SASLDigest) respond(challenge, cnonce string) (response, expect string, err error) {
	fields := saslFields(challenge)
	nonce, realm := fields["nonce"], fields["realm"]
	if nonce == "" || !strings.EqualFold(fields["algorithm"], "md5-sess") {
		return "", "", fmt.Errorf("SASL challenge is not DIGEST-MD5: %q", challenge)
	}
	sum := func(b string) string { h := md5.Sum([]byte(b)); return string(h[:]) }
	a1 := sum(sum(s.User+":"+realm+":"+s.Password) + ":" + nonce + ":" + cnonce)
	proof := func(a2 string) string {
		return hex.EncodeToString([]byte(sum(hex.EncodeToString([]byte(a1)) + ":" + nonce + ":00000001:" + cnonce + ":auth:" + hex.EncodeToString([]byte(sum(a2))))))
	}
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace
	response = fmt.Sprintf(`charset=utf-8,username="%s",realm="%s",nonce="%s",nc=00000001,cnonce="%s",digest-uri="%s",response=%s,qop=auth`,
		quote(s.User), quote(realm), quote(nonce), cnonce, saslURI, proof("AUTHENTICATE:"+saslURI))
	return response, "rspauth=" + proof(":"+saslURI), nil
}

// saslFields splits key=value pairs with optional quotes.
func saslFields(s string) map[string]string {
	fields := map[string]string{}
	for s != "" {
		key, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		var value strings.Builder
		quoted, i := false, 0
		for ; i < len(rest); i++ {
			ch := rest[i]
			if ch == '"' {
				quoted = !quoted
				continue
			}
			if ch == ',' && !quoted {
				i++
				break
			}
			if ch == '\\' && quoted && i+1 < len(rest) {
				i++
				ch = rest[i]
			}
			value.WriteByte(ch)
		}
		fields[strings.TrimSpace(key)] = value.String()
		s = rest[i:]
	}
	return fields
}
