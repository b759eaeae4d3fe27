package auth

import (
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"strings"
)

// The attribute types that RFC 2253 names. Java prints every other as its object identifier with the value in hex.
var rfc2253Types = map[string]string{
	"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
}

// DistinguishedName prints a DER name as X500Principal.getName() of Java does, which is what ids of the x509 scheme in existing trees are:
// the last RDN first, the parts of one RDN as encoded, values as UTF-8 text with RFC 2253's escapes.
func DistinguishedName(raw []byte) (string, error) {
	if len(raw) == 0 {
		return "", nil
	}
	var rdns asn1.RawValue
	if rest, err := asn1.Unmarshal(raw, &rdns); err != nil || len(rest) != 0 || rdns.Tag != asn1.TagSequence {
		return "", errors.New("it is not a DER name")
	}
	var texts []string
	for rest := rdns.Bytes; len(rest) > 0; {
		var rdn asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &rdn); err != nil || rdn.Tag != asn1.TagSet {
			return "", errors.New("it is not a DER name: an RDN is no set")
		}
		text, err := rdnText(rdn.Bytes)
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	for i, j := 0, len(texts)-1; i < j; i, j = i+1, j-1 {
		texts[i], texts[j] = texts[j], texts[i]
	}
	return strings.Join(texts, ","), nil
}

func rdnText(set []byte) (string, error) {
	var parts []string
	for len(set) > 0 {
		var attribute struct {
			Type  asn1.ObjectIdentifier
			Value asn1.RawValue
		}
		var err error
		if set, err = asn1.Unmarshal(set, &attribute); err != nil {
			return "", errors.New("it is not a DER name: an attribute is damaged")
		}
		oid := attribute.Type.String()
		keyword, named := rfc2253Types[oid]
		if named && isText(attribute.Value) {
			parts = append(parts, keyword+"="+escape(javaText(attribute.Value.Bytes)))
			continue
		}
		if !named {
			keyword = oid
		}
		parts = append(parts, keyword+"=#"+hex.EncodeToString(attribute.Value.FullBytes))
	}
	return strings.Join(parts, "+"), nil
}

// isText tells which string types Java prints as text. The bytes of all of them are taken for UTF-8.
func isText(v asn1.RawValue) bool {
	if v.Class != asn1.ClassUniversal {
		return false
	}
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagT61String, asn1.TagIA5String, asn1.TagGeneralString, asn1.TagBMPString:
		return true
	}
	return false
}

// javaText decodes UTF-8; what is none becomes U+FFFD.
func javaText(b []byte) string { return string([]rune(string(b))) }

// escape writes a value with the escapes of RFC 2253. Spaces, and carriage returns with them, need one at both ends.
func escape(value string) string {
	lead := len(value) - len(strings.TrimLeft(value, " \r"))
	trail := len(strings.TrimRight(value, " \r"))
	var b strings.Builder
	for i, r := range value {
		switch {
		case r == 0:
			b.WriteString(`\00`)
			continue
		case i < lead, i >= trail, strings.ContainsRune(`,=+<>#;"\`, r):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
