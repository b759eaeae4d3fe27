package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// property is one key and value of a .properties text, both trimmed as ZooKeeper trims them.
type property struct {
	key, value string
	line, last int // the natural lines it stands on, from 1
}

// syntaxError is text that no reader of .properties accepts.
type syntaxError struct {
	line int
	what string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.what) }

// parseProperties reads Java .properties syntax (spec server-surface, 1.1): = or : or blank between key and value, # and ! comments, backslash escapes,
// a backslash at the end of a line joins the next. Duplicates are all returned, in order. Text that is not UTF-8 is read as ISO 8859-1, as Java reads all of it.
func parseProperties(text []byte) ([]property, error) {
	var out []property
	lines := splitLines(decodeText(text))
	for i := 0; i < len(lines); i++ {
		first := i
		logical := strings.TrimLeft(lines[i], blanks)
		if logical == "" || logical[0] == '#' || logical[0] == '!' {
			continue
		}
		for endsInBackslash(logical) {
			logical = logical[:len(logical)-1]
			if i+1 == len(lines) {
				break
			}
			i++
			logical += strings.TrimLeft(lines[i], blanks)
			if strings.TrimLeft(lines[i], blanks) == "" {
				break
			}
		}
		if logical == "" {
			continue
		}
		rawKey, rawValue := cutKey(logical)
		key, err := unescape(rawKey)
		if err == nil {
			var value string
			if value, err = unescape(rawValue); err == nil {
				out = append(out, property{strings.TrimSpace(key), strings.TrimSpace(value), first + 1, min(i, len(lines)-1) + 1})
				continue
			}
		}
		return nil, &syntaxError{first + 1, err.Error()}
	}
	return out, nil
}

// blanks are what .properties calls white space inside a line.
const blanks = " \t\f"

func decodeText(text []byte) string {
	if utf8.Valid(text) {
		return string(text)
	}
	runes := make([]rune, len(text))
	for i, b := range text {
		runes[i] = rune(b)
	}
	return string(runes)
}

func splitLines(s string) []string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.ReplaceAll(s, "\r", "\n")
	return strings.Split(s, "\n")
}

func endsInBackslash(s string) bool {
	n := 0
	for n < len(s) && s[len(s)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// cutKey splits at the first separator that no backslash protects.
func cutKey(s string) (key, value string) {
	end := len(s)
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
			continue
		}
		if strings.IndexByte(blanks+"=:", s[i]) >= 0 {
			end = i
			break
		}
	}
	value = strings.TrimLeft(s[end:], blanks)
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], blanks)
	}
	return s[:end], value
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 'f':
			b.WriteByte('\f')
		case 'u':
			unit, err := hexUnit(s, i)
			if err != nil {
				return "", err
			}
			i += 4
			r := rune(unit)
			if utf16.IsSurrogate(r) && strings.HasPrefix(s[i+1:], `\u`) {
				if low, err := hexUnit(s, i+2); err == nil {
					if pair := utf16.DecodeRune(r, rune(low)); pair != utf8.RuneError {
						r, i = pair, i+6
					}
				}
			}
			b.WriteRune(r)
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}

// hexUnit reads the four digits after the u at s[at].
func hexUnit(s string, at int) (uint16, error) {
	if at+5 > len(s) {
		return 0, fmt.Errorf(`\u needs four hexadecimal digits`)
	}
	unit, err := strconv.ParseUint(s[at+1:at+5], 16, 16)
	if err != nil {
		return 0, fmt.Errorf(`\u%s: \u needs four hexadecimal digits`, s[at+1:at+5])
	}
	return uint16(unit), nil
}
