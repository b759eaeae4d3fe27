package wire

import "github.com/zooid-project/zooid/sdk/jute"

// ID is an identity, or in an ACL a pattern for identities: "world" "anyone", "ip" "10.0.0.0/8", "digest" "user:hash" (spec client-protocol, 9.1).
type ID struct {
	Scheme string
	ID     string
}

// ACL gives permissions to whoever matches ID.
type ACL struct {
	Perms Perms
	ID    ID
}

// WorldAnyone is the identity that everybody has.
var WorldAnyone = ID{Scheme: "world", ID: "anyone"}

// The usual lists. They are shared: do not change them, append to a copy.
var (
	OpenACL       = []ACL{{PermAll, WorldAnyone}}                // everything to everybody: the default of clients
	ReadACL       = []ACL{{PermRead, WorldAnyone}}               // read to everybody
	CreatorAllACL = []ACL{{PermAll, ID{Scheme: "auth", ID: ""}}} // everything to the creator's authenticated identities
)

// AppendTo appends the encoding.
func (i *ID) AppendTo(dst []byte) []byte {
	return jute.AppendString(jute.AppendString(dst, i.Scheme), i.ID)
}

// Decode reads the record; null strings become "". The strings that nearly every ACL holds are not allocated anew.
func (i *ID) Decode(d *jute.Decoder) {
	i.Scheme = commonString(d.Buffer())
	i.ID = commonString(d.Buffer())
}

func commonString(b []byte) string {
	switch string(b) { // the compiler does not allocate for this comparison
	case "world":
		return "world"
	case "anyone":
		return "anyone"
	case "digest":
		return "digest"
	case "sasl":
		return "sasl"
	case "auth":
		return "auth"
	case "x509":
		return "x509"
	}
	return string(b)
}

// AppendTo appends the encoding.
func (a *ACL) AppendTo(dst []byte) []byte {
	return a.ID.AppendTo(jute.AppendInt32(dst, int32(a.Perms)))
}

// Decode reads the record.
func (a *ACL) Decode(d *jute.Decoder) {
	a.Perms = Perms(d.Int32())
	a.ID.Decode(d)
}

// AppendACLs appends a list. A nil list is the null vector.
func AppendACLs(dst []byte, list []ACL) []byte {
	if list == nil {
		return jute.AppendVectorLen(dst, -1)
	}
	dst = jute.AppendVectorLen(dst, len(list))
	for i := range list {
		dst = list[i].AppendTo(dst)
	}
	return dst
}

// DecodeACLs reads a list into dst[:0], whose capacity is used again. A null vector gives nil; an empty one is not nil.
func DecodeACLs(d *jute.Decoder, dst []ACL) []ACL {
	n, null := d.Vector(12)
	if null || d.Err() != nil {
		return nil
	}
	if dst == nil || cap(dst) < n {
		dst = make([]ACL, 0, n)
	}
	dst = dst[:n]
	for i := range dst {
		dst[i].Decode(d)
	}
	return dst
}
