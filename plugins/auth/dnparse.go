package auth

import (
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"strings"
)

// dnKeywords are the attribute keywords that Java reads, in any case.
var dnKeywords = map[string]bool{
	"CN": true, "C": true, "L": true, "S": true, "ST": true, "O": true, "OU": true, "T": true, "IP": true, "STREET": true, "DC": true,
	"DNQ": true, "DNQUALIFIER": true, "SURNAME": true, "GIVENNAME": true, "INITIALS": true, "GENERATION": true,
	"EMAIL": true, "EMAILADDRESS": true, "UID": true, "SERIALNUMBER": true,
}

// ValidDistinguishedName says whether Java reads text as a distinguished name, which is what makes an id valid in an ACL of the x509 scheme:
// keyword=value pairs joined by "+", "," or ";", values plain with escapes, in quotes, or "#" with DER in hex. The empty name is one.
func ValidDistinguishedName(text string) bool {
	if text == "" {
		return true
	}
	for {
		keyword, rest, found := strings.Cut(text, "=")
		if !found || !validKeyword(strings.TrimFunc(keyword, isControlOrSpace)) {
			return false
		}
		rest, ok := skipValue(strings.TrimLeft(rest, " \n"))
		if !ok {
			return false
		}
		if rest == "" {
			return true
		}
		text = rest[1:] // after the separator
	}
}

func isControlOrSpace(r rune) bool { return r <= ' ' }

// validKeyword accepts a known word or an object identifier, with or without "OID." before it.
func validKeyword(word string) bool {
	upper := strings.ToUpper(word)
	upper = strings.TrimPrefix(upper, "OID.")
	if upper == "" || upper[0] < '0' || upper[0] > '9' {
		return dnKeywords[upper]
	}
	parts := strings.Split(upper, ".")
	var numbers []*big.Int
	for _, part := range parts {
		if part == "" || strings.Trim(part, "0123456789") != "" || len(part) > 64 {
			return false
		}
		n, _ := new(big.Int).SetString(part, 10)
		numbers = append(numbers, n)
	}
	two, forty := big.NewInt(2), big.NewInt(40)
	return len(parts) >= 2 && numbers[0].Cmp(two) <= 0 && (numbers[0].Cmp(two) == 0 || numbers[1].Cmp(forty) < 0)
}

// skipValue passes over one value. What is left is empty or begins with a separator.
func skipValue(s string) (rest string, ok bool) {
	switch {
	case strings.HasPrefix(s, "#"):
		end := strings.IndexAny(s, "+,;")
		if end < 0 {
			end = len(s)
		}
		der, err := hex.DecodeString(s[1:end])
		if err != nil {
			return "", false
		}
		var value asn1.RawValue
		tail, err := asn1.Unmarshal(der, &value)
		return s[end:], err == nil && len(tail) == 0
	case strings.HasPrefix(s, `"`):
		return skipQuoted(s[1:])
	}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+', ',', ';':
			return s[i:], true
		case '"', '<', '>':
			return "", false
		case '\\':
			n, ok := escapeLength(s[i+1:])
			if !ok {
				return "", false
			}
			i += n
		}
	}
	return "", true
}

// skipQuoted passes over what follows an opening quote.
func skipQuoted(s string) (rest string, ok bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			rest = strings.TrimLeft(s[i+1:], " \n")
			return rest, rest == "" || strings.IndexByte("+,;", rest[0]) >= 0
		case '\\':
			n, ok := escapeLength(s[i+1:])
			if !ok {
				return "", false
			}
			i += n
		}
	}
	return "", false
}

// escapeLength says how many bytes follow a backslash: one that may be escaped, or two hex digits.
func escapeLength(s string) (int, bool) {
	if s == "" {
		return 0, false
	}
	if len(s) >= 2 && isHex(s[0]) && isHex(s[1]) {
		return 2, true
	}
	return 1, strings.IndexByte(",=+<>#;\"\\ \n\r", s[0]) >= 0
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
