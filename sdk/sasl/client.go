package sasl

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ClientOptions configure the client's end.
type ClientOptions struct {
	User, Password string
	// Protocol and Host are the parts of the digest-uri; empty means those of the client port.
	Protocol, Host string
	// Random replaces crypto/rand, in tests.
	Random io.Reader
}

// Client is the client's end of one DIGEST-MD5 exchange, for one goroutine. It begins by sending an empty token.
type Client struct {
	options ClientOptions
	proof   credentials // zero before the challenge was answered
	done    bool
}

// NewClient returns the client's end of an exchange that has not begun.
func NewClient(o ClientOptions) *Client {
	if o.Protocol == "" {
		o.Protocol = Protocol
	}
	if o.Host == "" {
		o.Host = Realm
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	return &Client{options: o}
}

// Step takes the server's token, which it does not keep, and returns the client's. done: the server has proven to know the password; nothing more is sent.
func (c *Client) Step(token []byte) (reply []byte, done bool, err error) {
	switch {
	case c.done:
		return nil, false, errors.New("sasl: the exchange is over")
	case c.proof.nonce == "":
		reply, err = c.respond(token)
	default:
		err = c.confirm(token)
		c.done = err == nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("sasl: %w", err)
	}
	return reply, c.done, nil
}

func (c *Client) respond(challenge []byte) ([]byte, error) {
	d, err := parseDirectives(challenge)
	if err != nil {
		return nil, fmt.Errorf("the server's challenge: %w", err)
	}
	if d["nonce"] == "" || d["algorithm"] != "md5-sess" {
		return nil, errors.New("the server's challenge has no nonce or not the algorithm md5-sess")
	}
	if qop, set := d["qop"]; set && !offers(qop, qopAuth) {
		return nil, fmt.Errorf("the server offers qop %q, not %s", qop, qopAuth)
	}
	if d["charset"] == "" && !isASCII(c.options.User) {
		return nil, fmt.Errorf("the server does not speak UTF-8, which the name %q needs", c.options.User)
	}
	cnonce, err := newNonce(c.options.Random)
	if err != nil {
		return nil, err
	}
	c.proof = credentials{
		user: c.options.User, realm: d["realm"], password: c.options.Password, nonce: d["nonce"],
		cnonce: cnonce, uri: c.options.Protocol + "/" + c.options.Host,
	}
	var b strings.Builder
	if d["charset"] != "" {
		b.WriteString("charset=utf-8,")
	}
	fmt.Fprintf(&b, "username=%s,realm=%s,nonce=%s,nc=%s,cnonce=%s,digest-uri=%s,response=%s,qop=%s",
		quote(c.proof.user), quote(c.proof.realm), quote(c.proof.nonce), onlyNonce, quote(cnonce), quote(c.proof.uri), c.proof.response("AUTHENTICATE"), qopAuth)
	return []byte(b.String()), nil
}

func (c *Client) confirm(token []byte) error {
	d, err := parseDirectives(token)
	if err != nil {
		return fmt.Errorf("the server's last token: %w", err)
	}
	if !equal(d["rspauth"], c.proof.response("")) {
		return errors.New("the server could not prove that it knows the password")
	}
	return nil
}

// offers tells whether a comma list contains word.
func offers(list, word string) bool {
	for _, w := range strings.Split(list, ",") {
		if strings.TrimSpace(w) == word {
			return true
		}
	}
	return false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
