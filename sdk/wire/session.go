package wire

import "crypto/subtle"

// PasswordSize is the length of a session's password in bytes.
const PasswordSize = 16

// SessionPassword returns the password that goes with a session id. It holds no secret: it follows from the id alone, by the 48-bit linear congruential generator of spec client-protocol, 2.3,
// so that sessions can move between Zooid and Apache servers.
func SessionPassword(id int64) (p [PasswordSize]byte) {
	const multiplier, increment, mask = 0x5DEECE66D, 0xB, 1<<48 - 1
	state := (uint64(id) ^ 0xB3415C00 ^ multiplier) & mask
	for i := 0; i < PasswordSize; i += 4 {
		state = (state*multiplier + increment) & mask
		word := uint32(state >> 16)
		p[i], p[i+1], p[i+2], p[i+3] = byte(word), byte(word>>8), byte(word>>16), byte(word>>24)
	}
	return p
}

// CheckSessionPassword reports whether password belongs to id. Id 0 has none.
func CheckSessionPassword(id int64, password []byte) bool {
	want := SessionPassword(id)
	return id != 0 && subtle.ConstantTimeCompare(want[:], password) == 1
}
