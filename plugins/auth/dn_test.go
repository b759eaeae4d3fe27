package auth

import (
	"encoding/hex"
	"testing"
)

func TestDistinguishedNameAsJavaPrintsIt(t *testing.T) {
	for _, c := range javaNames {
		raw, err := hex.DecodeString(c.der)
		if err != nil {
			t.Fatal(err)
		}
		text, err := DistinguishedName(raw)
		if text != c.text || (err != nil) != c.fail {
			t.Errorf("%s:\n got %q, %v\nwant %q, fail %v", c.der, text, err, c.text, c.fail)
		}
		if !c.fail && !ValidDistinguishedName(text) {
			t.Errorf("%q, a printed name, is not valid in an ACL", text)
		}
	}
}

func TestValidDistinguishedNameAsJavaReadsIt(t *testing.T) {
	for text, want := range javaReads {
		if got := ValidDistinguishedName(text); got != want {
			t.Errorf("%q: valid %v, want %v", text, got, want)
		}
	}
}

func FuzzDistinguishedName(f *testing.F) {
	for _, c := range javaNames {
		raw, _ := hex.DecodeString(c.der)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		text, err := DistinguishedName(raw)
		if err == nil && len(text) > 16*len(raw)+16 {
			t.Fatalf("%d bytes became %d", len(raw), len(text))
		}
	})
}

func FuzzValidDistinguishedName(f *testing.F) {
	for text := range javaReads {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text != "" && ValidDistinguishedName(text) && !ValidDistinguishedName(text+",CN=x") {
			t.Fatal("a valid name is not valid with one more RDN")
		}
	})
}
