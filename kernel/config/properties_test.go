package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestProperties(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a=b", "1 a=b"},
		{"a = b ", "1 a=b"},
		{"a:b", "1 a=b"},
		{"a b", "1 a=b"},
		{"  a\t=\tb c", "1 a=b c"},
		{"a==b", "1 a==b"},
		{"a", "1 a="},
		{"=b", "1 =b"},
		{"# no\n! no\n\n  # no\na=1", "5 a=1"},
		{"a=1\\\n   2\nb=3", "1 a=12; 3 b=3"},
		{"a=1\\\\\nb=2", `1 a=1\; 2 b=2`},
		{"a=1\\\n#2\nb=3", "1 a=1#2; 3 b=3"},
		{"a=1\\\n\nb=2", "1 a=1; 3 b=2"},
		{"a=1\\", "1 a=1"},
		{"# c\\\na=1", "2 a=1"},
		{"a=1\r\nb=2\rc=3", "1 a=1; 2 b=2; 3 c=3"},
		{`a\=b\:c\ d=e`, "1 a=b:c d=e"},
		{`a=C\:\\dir\tx\q`, "1 a=C:\\dir\txq"},
		{`a=\u00e9\ud83d\ude00`, "1 a=é😀"},
		{`a=\ud83dx`, "1 a=\uFFFDx"},
		{"a=\xe9", "1 a=é"},
		{"a=é", "1 a=é"},
		{"a=1\na=2", "1 a=1; 2 a=2"},
	} {
		got, err := parseProperties([]byte(c.text))
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		var parts []string
		for _, p := range got {
			parts = append(parts, fmt.Sprintf("%d %s=%s", p.line, p.key, p.value))
		}
		if s := strings.Join(parts, "; "); s != c.want {
			t.Errorf("%q read as %s, want %s", c.text, s, c.want)
		}
	}
	for _, text := range []string{`a=\u12`, `a=\u12g4`, "x=1\n" + `\u=2`} {
		if got, err := parseProperties([]byte(text)); err == nil {
			t.Errorf("%q read as %v", text, got)
		}
	}
}

func FuzzProperties(f *testing.F) {
	for _, s := range []string{"a=b", "a\\\n b:c", `\u0041 = \t`, "!x\n#y\r\nz"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		properties, err := parseProperties(text)
		if err != nil {
			return
		}
		// Written out with everything escaped, it reads back the same.
		var b strings.Builder
		for _, p := range properties {
			b.WriteString(escapeAll(p.key) + "=" + escapeAll(p.value) + "\n")
		}
		again, err := parseProperties([]byte(b.String()))
		if err != nil || len(again) != len(properties) {
			t.Fatalf("%d properties, read back %d, %v", len(properties), len(again), err)
		}
		for i := range again {
			if again[i].key != properties[i].key || again[i].value != properties[i].value {
				t.Fatalf("%+v read back as %+v", properties[i], again[i])
			}
		}
	})
}

func escapeAll(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r > 0xffff {
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
			continue
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}

func FuzzConfig(f *testing.F) {
	f.Add("dataDir=/d\nclientPort=2181\n", "-Dzookeeper.snapCount=5 -Xmx1g")
	f.Add("dataDir=/d\nserver.1=a:1:2\nserver.2=[::1]:1:2:observer;3\ngroup.1=1:2\nweight.1=0\nplugin.log.size=1", "-Djute.maxbuffer=x")
	f.Fuzz(func(t *testing.T, text, flags string) {
		if strings.Contains(text, "dynamicConfigFile") {
			return // would read files of this machine
		}
		c, err := Parse("fuzz.cfg", strings.NewReader(text), []string{"JVMFLAGS=" + flags})
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error that says nothing")
			}
			return
		}
		if c.DataDir == "" || c.TickTime <= 0 || c.MinSessionTimeout > c.MaxSessionTimeout {
			t.Fatalf("accepted: %+v", c)
		}
		for _, e := range c.Effective() {
			if k, ok := LookUp(e.Key); ok && k.Secret && e.Value != mask {
				t.Fatalf("%s printed", e.Key)
			}
		}
	})
}
