package sasl

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxToken bounds what a peer may send: the largest honest response is a few hundred bytes.
const maxToken = 4096

// directives is a parsed DIGEST-MD5 token: name=value pairs, each name once.
type directives map[string]string

// parseDirectives reads `name=value,name="quoted value", ...` (RFC 2831, 7.2). Empty elements between commas are allowed, repeated names are not.
// charset decides how octets become text: without charset=utf-8 a value is ISO 8859-1.
func parseDirectives(token []byte) (directives, error) {
	if len(token) > maxToken {
		return nil, fmt.Errorf("the token has %d bytes; at most %d are accepted", len(token), maxToken)
	}
	d := make(directives)
	rest := string(token)
	for {
		rest = strings.TrimLeft(rest, " \t\r\n,")
		if rest == "" {
			break
		}
		equals := strings.IndexByte(rest, '=')
		if equals < 0 {
			return nil, errors.New("a directive has no value")
		}
		name := strings.TrimRight(rest[:equals], " \t\r\n")
		if !isToken(name) {
			return nil, fmt.Errorf("%q is not a directive's name", name)
		}
		value, after, err := parseValue(strings.TrimLeft(rest[equals+1:], " \t\r\n"))
		if err != nil {
			return nil, fmt.Errorf("directive %s: %w", name, err)
		}
		after = strings.TrimLeft(after, " \t\r\n")
		if after != "" && after[0] != ',' {
			return nil, fmt.Errorf("directive %s: no comma after its value", name)
		}
		name = strings.ToLower(name)
		if _, twice := d[name]; twice {
			return nil, fmt.Errorf("directive %s appears twice", name)
		}
		d[name] = value
		rest = after
	}
	return d, d.decode()
}

// parseValue takes one quoted or plain value from the front of s.
func parseValue(s string) (value, after string, err error) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ", \t\r\n")
		if end < 0 {
			end = len(s)
		}
		if value = s[:end]; !isToken(value) {
			return "", "", errors.New("its value is not a token and not quoted")
		}
		return value, s[end:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			if i++; i == len(s) {
				return "", "", errors.New("its value ends in a backslash")
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errors.New("its value has no closing quote")
}

// decode turns the octets of every value into UTF-8, by the charset directive.
func (d directives) decode() error {
	switch charset, set := d["charset"]; {
	case !set:
		for name, value := range d {
			d[name] = fromLatin1(value)
		}
	case strings.EqualFold(charset, "utf-8"):
		for name, value := range d {
			if !utf8.ValidString(value) {
				return fmt.Errorf("directive %s is not UTF-8", name)
			}
		}
	default:
		return errors.New("the only charset is utf-8")
	}
	return nil
}

// isToken tells whether s is a token of RFC 2616: printable ASCII without separators. Slash, equals and colon are let through, which some clients leave unquoted.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`()<>@,;\"[]?{}`, s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}

// quote writes s as a quoted string.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func fromLatin1(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}
