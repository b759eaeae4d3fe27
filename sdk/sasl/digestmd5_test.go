package sasl

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// Exchanges recorded once between the client and the server of javax.security.sasl (OpenJDK 17), with the words of ZooKeeper's client port.
var recorded = []struct {
	user, password  string
	nonce, response string
	rspauth         string
}{
	{
		user: "bob", password: "secret",
		nonce:    "ayPyolohhPumOIeufwvuEugPQKWQe7Y2WIMi9S/y",
		response: `charset=utf-8,username="bob",realm="zk-sasl-md5",nonce="ayPyolohhPumOIeufwvuEugPQKWQe7Y2WIMi9S/y",nc=00000001,cnonce="ZVUpCS7g2ix/2/vzecpLVKjwK/mkeWjnaZeQ+djO",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=4b7fc0cbdf5905169b0d772ff4b04220,qop=auth,authzid="bob"`,
		rspauth:  "8b6b940409ec424d6b46ab3ba4d68bb6",
	},
	{ // both words exist in ISO 8859-1, so their hash is of that form
		user: "josé", password: "päss",
		nonce:    "3OcefN2DEyyPNFF0ZddmzKQzMSjSR0FhdUui3OPg",
		response: `charset=utf-8,username="josé",realm="zk-sasl-md5",nonce="3OcefN2DEyyPNFF0ZddmzKQzMSjSR0FhdUui3OPg",nc=00000001,cnonce="Q9eY0g8oAL8HxAqz7ZER10lRJOrhfwp8s30ZE/H1",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=efa8d81a90b22b87dbde51796b367498,qop=auth,authzid="josé"`,
		rspauth:  "9baada9a604bfab1ba419682fbb68ad0",
	},
	{
		user: "Żółw", password: "ź",
		nonce:    "VSF+SK4QnE3KAXLw84qpOCdriIMnEni3veE7uzdm",
		response: `charset=utf-8,username="Żółw",realm="zk-sasl-md5",nonce="VSF+SK4QnE3KAXLw84qpOCdriIMnEni3veE7uzdm",nc=00000001,cnonce="XcKg/AhALdGVP68RosqhZ3htSYETmLD8P6z1Jkj5",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=a7720a977967be0ae3cb28e80031cce9,qop=auth,authzid="Żółw"`,
		rspauth:  "24666be69a154a47d578a6bef2e4f0d6",
	},
	{
		user: `a"b\c`, password: `q"u\o`,
		nonce:    "wbuMmNeK39u0XrsSJbp7ODnxCRUg0FWvYeLk2guw",
		response: `charset=utf-8,username="a\"b\\c",realm="zk-sasl-md5",nonce="wbuMmNeK39u0XrsSJbp7ODnxCRUg0FWvYeLk2guw",nc=00000001,cnonce="+Cq4bniYx8hqcNcsg8UaZTuvV5NQSWdyxSEsrqpi",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=2c00d3a1c520f3779e28c94cd92259e9,qop=auth,authzid="a\"b\\c"`,
		rspauth:  "0e26fa86b4daff8939e06a6179d4dcd3",
	},
}

// serverWithNonce has sent its challenge, with a nonce that was recorded.
func serverWithNonce(t testing.TB, nonce, user, password string) *Server {
	t.Helper()
	random, err := base64.StdEncoding.DecodeString(nonce)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(ServerOptions{
		Random:   bytes.NewReader(random),
		Password: func(name string) (string, bool) { return password, name == user },
	})
	challenge, done, err := s.Step(nil)
	if err != nil || done {
		t.Fatalf("first step: done %v, error %v", done, err)
	}
	if want := `realm="zk-sasl-md5",nonce="` + nonce + `",charset=utf-8,algorithm=md5-sess`; string(challenge) != want {
		t.Fatalf("challenge\n got %s\nwant %s", challenge, want)
	}
	return s
}

func TestServerAnswersTheRecordedClient(t *testing.T) {
	for _, r := range recorded {
		s := serverWithNonce(t, r.nonce, r.user, r.password)
		reply, done, err := s.Step([]byte(r.response))
		if err != nil || !done {
			t.Fatalf("%s: done %v, error %v", r.user, done, err)
		}
		if want := "rspauth=" + r.rspauth; string(reply) != want {
			t.Errorf("%s: got %s, want %s", r.user, reply, want)
		}
		if s.User() != r.user {
			t.Errorf("user %q, want %q", s.User(), r.user)
		}
		if _, _, err := s.Step([]byte(r.response)); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: a step after the end gave %v", r.user, err)
		}
		if s.User() != "" {
			t.Errorf("%s: still authenticated after a refused step", r.user)
		}
	}
}

func TestServerRefuses(t *testing.T) {
	r := recorded[0]
	cases := map[string]func(string) string{
		"wrong proof":            func(s string) string { return strings.Replace(s, "response=4b", "response=4c", 1) },
		"another user":           func(s string) string { return strings.ReplaceAll(s, `"bob"`, `"eve"`) },
		"another nonce":          func(s string) string { return strings.Replace(s, `nonce="ay`, `nonce="by`, 1) },
		"second use of a nonce":  func(s string) string { return strings.Replace(s, "nc=00000001", "nc=00000002", 1) },
		"another realm":          func(s string) string { return strings.Replace(s, `realm="zk-sasl-md5"`, `realm="x"`, 1) },
		"no realm":               func(s string) string { return strings.Replace(s, `realm="zk-sasl-md5",`, ``, 1) },
		"another service":        func(s string) string { return strings.Replace(s, "zookeeper/", "ldap/", 1) },
		"a security layer":       func(s string) string { return strings.Replace(s, "qop=auth", "qop=auth-int", 1) },
		"acting as someone else": func(s string) string { return strings.Replace(s, `authzid="bob"`, `authzid="super"`, 1) },
		"authzid dropped":        func(s string) string { return strings.Replace(s, `,authzid="bob"`, ``, 1) },
		"a directive twice":      func(s string) string { return s + `,username="bob"` },
		"no username":            func(s string) string { return strings.Replace(s, `username="bob",`, ``, 1) },
		"no cnonce":              func(s string) string { return strings.Replace(s, `cnonce=`, `x=`, 1) },
		"no response":            func(s string) string { return strings.Replace(s, `response=`, `x=`, 1) },
		"open quote":             func(s string) string { return s[:len(s)-1] },
		"not UTF-8":              func(s string) string { return strings.Replace(s, `"bob"`, "\"b\xffb\"", 1) },
		"other charset":          func(s string) string { return strings.Replace(s, "utf-8", "utf-16", 1) },
		"empty":                  func(string) string { return "" },
		"too long":               func(s string) string { return s + strings.Repeat(" ", maxToken) },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			changed := change(r.response)
			if changed == r.response {
				t.Fatal("the case changes nothing")
			}
			s := serverWithNonce(t, r.nonce, r.user, r.password)
			reply, done, err := s.Step([]byte(changed))
			if !errors.Is(err, ErrRefused) || done || reply != nil || s.User() != "" {
				t.Fatalf("reply %q, done %v, user %q, error %v", reply, done, s.User(), err)
			}
			if strings.Contains(err.Error(), r.password) {
				t.Errorf("the error tells the password: %v", err)
			}
			if _, _, err := s.Step([]byte(r.response)); !errors.Is(err, ErrRefused) {
				t.Errorf("the right response after a failure gave %v", err)
			}
		})
	}
	t.Run("first token not empty", func(t *testing.T) {
		if _, _, err := NewServer(ServerOptions{}).Step([]byte("x")); !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
	})
	t.Run("recorded response on a new exchange", func(t *testing.T) {
		s := NewServer(ServerOptions{Password: func(string) (string, bool) { return r.password, true }})
		if _, _, err := s.Step(nil); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Step([]byte(r.response)); !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
	})
	t.Run("unknown user with the empty password", func(t *testing.T) {
		s := NewServer(ServerOptions{Password: func(string) (string, bool) { return "", false }})
		c := NewClient(ClientOptions{User: "eve"})
		if err := exchange(s, c); !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
	})
}

// exchange lets both ends talk until both are done or one refuses.
func exchange(s *Server, c *Client) error {
	challenge, _, err := s.Step(nil)
	if err != nil {
		return err
	}
	response, _, err := c.Step(challenge)
	if err != nil {
		return err
	}
	last, _, err := s.Step(response)
	if err != nil {
		return err
	}
	_, done, err := c.Step(last)
	if err == nil && !done {
		return errors.New("the client is not done")
	}
	return err
}

func TestClientAndServerMeet(t *testing.T) {
	for _, r := range recorded {
		s := NewServer(ServerOptions{Password: func(name string) (string, bool) { return r.password, name == r.user }})
		if err := exchange(s, NewClient(ClientOptions{User: r.user, Password: r.password})); err != nil {
			t.Errorf("%s: %v", r.user, err)
		}
		if s.User() != r.user {
			t.Errorf("user %q, want %q", s.User(), r.user)
		}
		if err := exchange(NewServer(s.options), NewClient(ClientOptions{User: r.user, Password: r.password + "x"})); !errors.Is(err, ErrRefused) {
			t.Errorf("%s with a wrong password: %v", r.user, err)
		}
	}
	quorum := ServerOptions{Realm: "zk-quorum-sasl-md5", Password: func(string) (string, bool) { return "p", true }}
	if err := exchange(NewServer(quorum), NewClient(ClientOptions{User: "u", Password: "p", Host: "zk-quorum-sasl-md5"})); err != nil {
		t.Errorf("between servers: %v", err)
	}
}

func TestClientRefuses(t *testing.T) {
	const good = `realm="zk-sasl-md5",nonce="bm9uY2U=",charset=utf-8,algorithm=md5-sess`
	for name, challenge := range map[string]string{
		"no nonce":       `realm="x",algorithm=md5-sess`,
		"algorithm md5":  `realm="x",nonce="n",algorithm=md5`,
		"only integrity": good + `,qop="auth-int,auth-conf"`,
		"not directives": `{}`,
	} {
		if _, _, err := NewClient(ClientOptions{User: "u"}).Step([]byte(challenge)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	c := NewClient(ClientOptions{User: "u", Password: "p"})
	if _, _, err := c.Step([]byte(good + `,qop="auth-int, auth"`)); err != nil {
		t.Fatal(err)
	}
	if _, done, err := c.Step([]byte("rspauth=00000000000000000000000000000000")); err == nil || done {
		t.Errorf("a server that does not know the password was believed")
	}
}

func FuzzServer(f *testing.F) {
	for _, r := range recorded {
		f.Add([]byte(r.response))
	}
	f.Add([]byte(`username=bob , realm = "zk-sasl-md5",,nonce="\"`))
	f.Fuzz(func(t *testing.T, token []byte) {
		s := serverWithNonce(t, recorded[0].nonce, "bob", "another password")
		if _, done, err := s.Step(token); err == nil || done {
			t.Fatal("accepted without the password")
		}
		if d, err := parseDirectives(token); err == nil {
			var parts []string
			for name, value := range d {
				if name != "charset" {
					parts = append(parts, name+"="+quote(value))
				}
			}
			again, err := parseDirectives([]byte("charset=utf-8," + strings.Join(parts, ",")))
			if err != nil && len(token) < maxToken/4 {
				t.Fatalf("what was parsed cannot be parsed again: %v", err)
			}
			for name, value := range d {
				if err == nil && name != "charset" && again[name] != value {
					t.Fatalf("%s: %q became %q", name, value, again[name])
				}
			}
		}
	})
}
