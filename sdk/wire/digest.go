package wire

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
)

// DigestID returns the id of scheme digest for auth data "user:password": the user, a colon and the base64 of the SHA-1 of the whole auth data (spec client-protocol, 9.1). Auth data without a
// colon is all user. SHA-1 is what every client and every stored ACL uses; it protects nothing against who can guess.
func DigestID(auth []byte) string {
	user, _, _ := bytes.Cut(auth, []byte(":"))
	sum := sha1.Sum(auth)
	return string(user) + ":" + base64.StdEncoding.EncodeToString(sum[:])
}
