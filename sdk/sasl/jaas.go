package sasl

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// LoginFile is a parsed JAAS login file: the modules of every section, in order.
//
//	Server {
//	    org.apache.zookeeper.server.auth.DigestLoginModule required
//	    user_joe="his password"
//	    user_ann="hers";
//	};
type LoginFile map[string][]LoginModule

// LoginModule is one entry of a section.
type LoginModule struct {
	Class   string
	Flag    string // required, requisite, sufficient or optional
	Options map[string]string
}

// LoginFileError says where a login file cannot be understood.
type LoginFileError struct {
	File string
	Line int
	Text string
}

func (e *LoginFileError) Error() string {
	return e.File + ":" + strconv.Itoa(e.Line) + ": " + e.Text
}

// ReadLoginFile reads the file that the property java.security.auth.login.config names: a path or a file: URL, with or without a "=" before it.
// property looks up what ${...} in quoted text stands for.
func ReadLoginFile(location string, property func(name string) (string, bool)) (LoginFile, error) {
	path := strings.TrimPrefix(location, "=")
	if rest, isURL := strings.CutPrefix(path, "file:"); isURL {
		path = "/" + strings.TrimLeft(rest, "/")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the login file that java.security.auth.login.config names: %w", err)
	}
	return ParseLoginFile(path, text, property)
}

// ParseLoginFile reads a login file as Java does: sections with modules, options with quoted or plain values, comments after // or / and between /* and */.
// The errors are *LoginFileError with file as their file; no password appears in them.
func ParseLoginFile(file string, text []byte, property func(name string) (string, bool)) (LoginFile, error) {
	if !utf8.Valid(text) {
		return nil, &LoginFileError{file, 1, "the file is not UTF-8"}
	}
	p := &jaasParser{file: file, rest: string(text), line: 1, property: property}
	sections := make(LoginFile)
	for p.next(); p.token != tokenEnd && p.err == nil; p.next() {
		p.section(sections)
	}
	if p.err != nil {
		return nil, p.err
	}
	return sections, nil
}

// DigestUsers returns the users of a section: its options user_NAME="password", over all its modules.
// Sections that log in with Kerberos are an error: this build has no GSSAPI.
func (f LoginFile) DigestUsers(section string) (map[string]string, error) {
	modules, found := f[section]
	if !found {
		return nil, fmt.Errorf("the login file has no section %q, only %s", section, f.names())
	}
	users := make(map[string]string)
	for _, m := range modules {
		if strings.HasSuffix(m.Class, ".Krb5LoginModule") {
			return nil, fmt.Errorf("section %q of the login file asks for Kerberos (%s), which this server does not speak: use a DigestLoginModule", section, m.Class)
		}
		for name, password := range m.Options {
			if user, isUser := strings.CutPrefix(name, "user_"); isUser {
				users[user] = password
			}
		}
	}
	return users, nil
}

func (f LoginFile) names() string {
	var names []string
	for name := range f {
		names = append(names, strconv.Quote(name))
	}
	if len(names) == 0 {
		return "no section at all"
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// jaasParser reads tokens off the front of rest. The first error stays.
type jaasParser struct {
	file     string
	rest     string
	line     int
	property func(string) (string, bool)
	token    jaasToken
	text     string // of a word or string
	err      error
}

type jaasToken rune

// Punctuation is its own token.
const (
	tokenEnd    jaasToken = -1
	tokenWord   jaasToken = 'w'
	tokenString jaasToken = 's'
)

func (p *jaasParser) section(sections LoginFile) {
	name := p.name("a section's name")
	p.next()
	p.want('{', "{ after the section's name")
	modules := []LoginModule{}
	for p.next(); p.token != '}' && p.err == nil; p.next() {
		modules = append(modules, p.module())
	}
	p.next()
	p.want(';', "; after the } of a section")
	if _, twice := sections[name]; twice && p.err == nil {
		p.fail("section " + strconv.Quote(name) + " appears twice")
	}
	sections[name] = modules
}

func (p *jaasParser) module() LoginModule {
	m := LoginModule{Class: p.name("a login module's class"), Options: make(map[string]string)}
	p.next()
	m.Flag = strings.ToLower(p.name("required, requisite, sufficient or optional"))
	switch m.Flag {
	case "required", "requisite", "sufficient", "optional":
	default:
		p.fail("a module's flag is required, requisite, sufficient or optional, not " + strconv.Quote(m.Flag))
	}
	for p.next(); p.token != ';' && p.err == nil; p.next() {
		key := p.name("an option's name, or ; after the last option")
		p.next()
		p.want('=', "= after the option "+strconv.Quote(key))
		p.next()
		m.Options[key] = p.name("the value of option " + strconv.Quote(key) + ", in double quotes")
	}
	return m
}

// name takes the text of the current token, a word or a string.
func (p *jaasParser) name(what string) string {
	if p.token != tokenWord && p.token != tokenString {
		p.want(tokenWord, what)
		return ""
	}
	if p.token == tokenString {
		return p.expand(p.text)
	}
	return p.text
}

func (p *jaasParser) want(token jaasToken, what string) {
	switch {
	case p.token == token:
	case p.token == tokenEnd:
		p.fail("the file ends where there should be " + what)
	case p.token == tokenWord || p.token == tokenString: // its text may be a password
		p.fail("there should be " + what + " here")
	default:
		p.fail("there should be " + what + " here, not " + string(rune(p.token)))
	}
}

func (p *jaasParser) fail(text string) {
	if p.err == nil {
		p.err = &LoginFileError{p.file, p.line, text}
	}
}

// next reads one token.
func (p *jaasParser) next() {
	p.skip()
	if p.rest == "" {
		p.token = tokenEnd
		return
	}
	switch c := p.rest[0]; c {
	case '{', '}', ';', '=':
		p.token, p.rest = jaasToken(c), p.rest[1:]
	case '"':
		p.token = tokenString
		p.quoted()
	case ',', '\'':
		p.token = jaasToken(c)
		p.fail("unexpected " + string(rune(c)) + ": options stand side by side, and quotes are double quotes")
	default:
		end := strings.IndexAny(p.rest, "{};=,\"'/ \t\r\n\f\v")
		if end < 0 {
			end = len(p.rest)
		}
		p.token, p.text, p.rest = tokenWord, p.rest[:end], p.rest[end:]
	}
}

// skip passes over white space and comments, and counts lines.
func (p *jaasParser) skip() {
	for p.rest != "" {
		switch c := p.rest[0]; {
		case strings.HasPrefix(p.rest, "/*"):
			end := strings.Index(p.rest[2:], "*/")
			if end < 0 {
				p.fail("a comment is not closed by */")
				p.rest = ""
				return
			}
			p.line += strings.Count(p.rest[:end+4], "\n")
			p.rest = p.rest[end+4:]
		case c == '/':
			end := strings.IndexByte(p.rest, '\n')
			if end < 0 {
				end = len(p.rest)
			}
			p.rest = p.rest[end:]
		case c == '\n':
			p.line++
			p.rest = p.rest[1:]
		case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
			p.rest = p.rest[1:]
		default:
			return
		}
	}
}

// quoted reads a string in double quotes: backslash escapes are those of C, octal ones included.
func (p *jaasParser) quoted() {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; c {
		case '"':
			p.text, p.rest = b.String(), p.rest[i+1:]
			return
		case '\n', '\r':
			p.fail("a string is not closed on its line")
			p.rest = ""
			return
		case '\\':
			c, n := unescape(p.rest[i+1:])
			b.WriteRune(c)
			i += n
		default:
			b.WriteByte(c)
		}
	}
	p.fail("a string is not closed")
	p.rest = ""
}

// unescape reads what follows a backslash and says how many bytes it took.
func unescape(s string) (rune, int) {
	if s == "" {
		return '\\', 0
	}
	if s[0] >= '0' && s[0] <= '7' {
		limit := 2 // \0 to \377: three digits only after a small first one
		if s[0] <= '3' {
			limit = 3
		}
		var value rune
		n := 0
		for n < limit && n < len(s) && s[n] >= '0' && s[n] <= '7' {
			value = value*8 + rune(s[n]-'0')
			n++
		}
		return value, n
	}
	if i := strings.IndexByte("abfnrtv", s[0]); i >= 0 {
		return rune("\a\b\f\n\r\t\v"[i]), 1
	}
	return utf8.DecodeRuneInString(s)
}

// expand replaces ${name} by a property and ${/} by a slash; ${{...}} stays as it is.
func (p *jaasParser) expand(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		closing, length := "}", 1
		if strings.HasPrefix(after, "{") {
			closing, length = "}}", 2
		}
		end := strings.Index(after, closing)
		if end < 0 {
			b.WriteString("${" + after)
			return b.String()
		}
		name := after[:end]
		s = after[end+length:]
		switch {
		case length == 2:
			b.WriteString("${" + name + closing)
		case name == "/":
			b.WriteByte('/')
		default:
			value, known := "", false
			if p.property != nil {
				value, known = p.property(name)
			}
			if !known {
				p.fail("${...} names a property that is not set")
			}
			b.WriteString(value)
		}
	}
}
