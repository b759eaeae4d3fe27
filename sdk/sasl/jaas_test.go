package sasl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What Java's own reader of login files makes of each text was looked up once, with OpenJDK 17. Where we take more than it does, the case says so.
var loginFiles = []struct {
	text string
	want string // the sections as show prints them, or a part of the error
	fail bool
}{
	{text: `Server { M required user_a="b"; };`, want: `Server{M required map[user_a:b]}`},
	{text: `Server { M required user_a=b; };`, want: `Server{M required map[user_a:b]}`},
	{text: `Server { M required user_a=10; };`, want: `Server{M required map[user_a:10]}`}, // Java: a plain number is an error
	{text: `Server { M required user_a='b'; };`, want: "double quotes", fail: true},
	{text: "Server { M required\n user_a=\"b\\\"c\\\\d\\n\\101\"\n user_b=\"x y\"; };", want: "Server{M required map[user_a:b\"c\\d\nA user_b:x y]}"},
	{text: "// c\n/* d */ Server { M REQUIRED; };", want: `Server{M required map[]}`},
	{text: "/ c\nServer { M REQUIRED; };", want: `Server{M required map[]}`},
	{text: "# c\nServer { M REQUIRED; };", want: "x:1: there should be { after the section's name", fail: true},
	{text: `Server { M required user_a="/path//x"; };`, want: `Server{M required map[user_a:/path//x]}`},
	{text: `Server { M required user_a=/path; };`, want: "the file ends", fail: true},
	{text: `"Server" { M required; };`, want: `Server{M required map[]}`},
	{text: `Server { "M" "required" "user_a"="b"; };`, want: `Server{M required map[user_a:b]}`},
	{text: `Server { M required; N optional x="1"; };`, want: `Server{M required map[];N optional map[x:1]}`},
	{text: "Server { M required; } ;\nClient { N optional x=\"1\"; };", want: `Client{N optional map[x:1]}Server{M required map[]}`},
	{text: `Server { M required; }`, want: "the file ends where there should be ; after the }", fail: true},
	{text: `Server { M required };`, want: "or ; after the last option", fail: true},
	{text: `Server { };`, want: `Server{}`},
	{text: `Server { M; };`, want: "there should be required, requisite", fail: true},
	{text: `Server { M sometimes; };`, want: `not "sometimes"`, fail: true},
	{text: `Server { M required; }; Server { N required; };`, want: `section "Server" appears twice`, fail: true},
	{text: ``, want: ``},
	{text: `Server { M required a="${user.dir}"; };`, want: `Server{M required map[a:/home/zk]}`},
	{text: `Server { M required a="${nope}"; };`, want: "property that is not set", fail: true},
	{text: `Server { M required a="x$y${/}"; };`, want: `Server{M required map[a:x$y/]}`},
	{text: `Server { M required a="${{x}}"; };`, want: `Server{M required map[a:${{x}}]}`},
	{text: `Server { M required a="b; };`, want: "a string is not closed", fail: true},
	{text: "Server { M required a=\"b\n\"; };", want: "x:1: a string is not closed on its line", fail: true},
	{text: `Server { M required a = "b" c= "d"; };`, want: `Server{M required map[a:b c:d]}`},
	{text: `Server { M required a="b" a="c"; };`, want: `Server{M required map[a:c]}`},
	{text: `Server { M required user_a-b="c"; };`, want: `Server{M required map[user_a-b:c]}`},
	{text: `Server { M required user_a.b@c="c"; };`, want: `Server{M required map[user_a.b@c:c]}`}, // Java: such a name needs quotes
	{text: `Server { M required user_é="é"; };`, want: `Server{M required map[user_é:é]}`},
	{text: `Server { M required user_a=x*y; };`, want: `Server{M required map[user_a:x*y]}`},
	{text: `Server { M required user_a="b",user_c="d"; };`, want: "side by side", fail: true},
	{text: `Server { M required a=; };`, want: `the value of option "a"`, fail: true},
	{text: `Server { M required a; };`, want: `= after the option "a"`, fail: true},
	{text: `Server{M required a="";};`, want: `Server{M required map[a:]}`},
	{text: "Server { M required a=tr/ue\n; };", want: `Server{M required map[a:tr]}`},
	{text: `com.sun.Server { M required a="\7771\x\t\400"; };`, want: "com.sun.Server{M required map[a:?71x\t 0]}"},
	{text: "Server { M required a=\"x\" /* y */ b=\"//z\" // q\n; };", want: `Server{M required map[a:x b://z]}`},
	{text: "Server {\n M required /* open a=\"x\"; };", want: "x:2: a comment is not closed", fail: true},
	{text: "Server { M required a=\"secret\"\n\"hidden\" };", want: "x:2: there should be = after", fail: true},
	{text: "\xff", want: "not UTF-8", fail: true},
}

func properties(name string) (string, bool) {
	if name == "user.dir" {
		return "/home/zk", true
	}
	return "", false
}

func show(f LoginFile) string {
	var b strings.Builder
	for _, name := range []string{"Client", "Server", "com.sun.Server"} {
		modules, found := f[name]
		if !found {
			continue
		}
		var texts []string
		for _, m := range modules {
			texts = append(texts, fmt.Sprintf("%s %s %v", m.Class, m.Flag, m.Options))
		}
		b.WriteString(name + "{" + strings.Join(texts, ";") + "}")
	}
	return b.String()
}

func TestParseLoginFile(t *testing.T) {
	for _, c := range loginFiles {
		f, err := ParseLoginFile("x", []byte(c.text), properties)
		switch {
		case c.fail && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q: error %v, want one with %q", c.text, err, c.want)
		case !c.fail && (err != nil || show(f) != c.want):
			t.Errorf("%q:\n got %q, %v\nwant %q", c.text, show(f), err, c.want)
		}
	}
}

func TestReadLoginFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jaas.conf")
	text := "Server {\n  org.apache.zookeeper.server.auth.DigestLoginModule required\n  user_super=\"adm in\"\n  user_bob=\"b\";\n};\n" +
		"Kerberos { com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true; };\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, location := range []string{path, "=" + path, "file:" + path, "file://" + path, "=file://" + path} {
		f, err := ReadLoginFile(location, nil)
		if err != nil {
			t.Fatalf("%s: %v", location, err)
		}
		users, err := f.DigestUsers("Server")
		if err != nil || len(users) != 2 || users["super"] != "adm in" || users["bob"] != "b" {
			t.Errorf("%s: users %v, error %v", location, users, err)
		}
		if _, err := f.DigestUsers("Kerberos"); err == nil || !strings.Contains(err.Error(), "Krb5LoginModule") {
			t.Errorf("a Kerberos section: %v", err)
		}
		if _, err := f.DigestUsers("Zoo"); err == nil || !strings.Contains(err.Error(), `only "Kerberos", "Server"`) {
			t.Errorf("no such section: %v", err)
		}
	}
	if _, err := ReadLoginFile(path+"x", nil); err == nil || !strings.Contains(err.Error(), "java.security.auth.login.config") {
		t.Errorf("no such file: %v", err)
	}
}

func FuzzLoginFile(f *testing.F) {
	for _, c := range loginFiles {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		sections, err := ParseLoginFile("x", text, properties)
		if err != nil && sections != nil {
			t.Fatal("an error and a result")
		}
		if err == nil && len(sections) > len(text) {
			t.Fatal("more sections than bytes")
		}
	})
}
