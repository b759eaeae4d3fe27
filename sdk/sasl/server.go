package sasl

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrRefused is what every failed exchange wraps. The text behind it is for the server's log; the client learns only that it failed.
var ErrRefused = errors.New("SASL authentication refused")

// ServerOptions configure the server's end. Only Password is needed on the client port.
type ServerOptions struct {
	// Password returns the clear-text password of user. It is called once in an exchange.
	Password func(user string) (password string, known bool)
	// Protocol and Realm replace the client port's words (between servers: "zookeeper" and "zk-quorum-sasl-md5").
	Protocol, Realm string
	// Random replaces crypto/rand, in tests.
	Random io.Reader
}

// Server is the server's end of one DIGEST-MD5 exchange, for one goroutine. Its nonce serves this exchange alone, so a recorded response proves nothing elsewhere.
type Server struct {
	options ServerOptions
	state   serverState
	nonce   string
	user    string
}

type serverState uint8

const (
	awaitStart    serverState = iota // the client's empty first token
	awaitResponse                    // challenge sent
	succeeded
	failed
)

// NewServer returns the server's end of an exchange that has not begun.
func NewServer(o ServerOptions) *Server {
	if o.Protocol == "" {
		o.Protocol = Protocol
	}
	if o.Realm == "" {
		o.Realm = Realm
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	return &Server{options: o}
}

// Step takes the client's token, which it does not keep, and returns the server's. done: the client has proven to be User.
// Any error wraps ErrRefused and ends the exchange; so does a further step after done.
func (s *Server) Step(token []byte) (reply []byte, done bool, err error) {
	switch s.state {
	case awaitStart:
		reply, err = s.challenge(token)
	case awaitResponse:
		reply, err = s.verify(token)
		done = err == nil
	case succeeded:
		err = errors.New("the exchange is over: a connection authenticates once")
	case failed:
		err = errors.New("the exchange has failed before")
	}
	if err != nil {
		s.state = failed
		return nil, false, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return reply, done, nil
}

// User is the authenticated name. It is empty before Step has said done and after a failure.
func (s *Server) User() string {
	if s.state != succeeded {
		return ""
	}
	return s.user
}

func (s *Server) challenge(token []byte) ([]byte, error) {
	if len(token) != 0 {
		return nil, errors.New("the first token must be empty: the server speaks first in DIGEST-MD5")
	}
	var err error
	if s.nonce, err = newNonce(s.options.Random); err != nil {
		return nil, err
	}
	s.state = awaitResponse
	return []byte("realm=" + quote(s.options.Realm) + ",nonce=" + quote(s.nonce) + ",charset=utf-8,algorithm=md5-sess"), nil
}

// verify checks a response in the order: shape, what the challenge fixed, user, proof.
func (s *Server) verify(token []byte) ([]byte, error) {
	d, err := parseDirectives(token)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"username", "nonce", "cnonce", "nc", "digest-uri", "response"} {
		if d[name] == "" {
			return nil, fmt.Errorf("directive %s is missing", name)
		}
	}
	uri := s.options.Protocol + "/" + s.options.Realm
	switch qop, set := d["qop"]; {
	case d["nonce"] != s.nonce:
		return nil, errors.New("the nonce is not the one of this exchange")
	case d["nc"] != onlyNonce:
		return nil, fmt.Errorf("nonce count %q: a nonce serves once, so it must be %s", d["nc"], onlyNonce)
	case d["realm"] != s.options.Realm:
		return nil, fmt.Errorf("realm %q is not %q", d["realm"], s.options.Realm)
	case set && qop != qopAuth:
		return nil, fmt.Errorf("qop %q was not offered, only %s", qop, qopAuth)
	case !strings.EqualFold(d["digest-uri"], uri):
		return nil, fmt.Errorf("digest-uri %q is not %q", d["digest-uri"], uri)
	case d["authzid"] != "" && d["authzid"] != d["username"]:
		return nil, fmt.Errorf("user %q asks to act as %q", d["username"], d["authzid"])
	}

	password, known := s.options.Password(d["username"])
	proof := credentials{
		user: d["username"], realm: d["realm"], password: password, nonce: s.nonce,
		cnonce: d["cnonce"], uri: d["digest-uri"], authzid: d["authzid"],
	}
	// An unknown user costs the same arithmetic as a known one.
	if right := equal(proof.response("AUTHENTICATE"), d["response"]); !known || !right {
		return nil, fmt.Errorf("wrong user or password for %q", d["username"])
	}
	s.user, s.state = d["username"], succeeded
	return []byte("rspauth=" + proof.response("")), nil
}
