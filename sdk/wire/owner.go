package wire

// OwnerKind is what a stored ephemeralOwner says about a node (spec client-protocol, 4.8).
type OwnerKind uint8

// The kinds.
const (
	OwnerPersistent OwnerKind = iota
	OwnerEphemeral
	OwnerContainer
	OwnerTTL
)

const (
	// ContainerOwner is the stored ephemeralOwner of a container.
	ContainerOwner int64 = -1 << 63
	// MaxTTL is the longest time to live in milliseconds, 34.8 years.
	MaxTTL int64 = 1<<40 - 1

	ttlOwnerBase int64 = -1 << 56 // 0xff00000000000000
	ttlOwnerMask int64 = -1 << 40 // high byte 0xff, feature bits 55-40 zero
)

// TTLOwner returns the stored ephemeralOwner of a node with a time to live in milliseconds, which must be in 1...MaxTTL.
func TTLOwner(ttl int64) int64 { return ttlOwnerBase | ttl&MaxTTL }

// KindOfOwner classifies a stored ephemeralOwner. Without extendedTypes there are no TTL nodes and 0xff... is a session id. For OwnerTTL, ttl is the time to live in milliseconds.
func KindOfOwner(owner int64, extendedTypes bool) (kind OwnerKind, ttl int64) {
	switch {
	case owner == 0:
		return OwnerPersistent, 0
	case owner == ContainerOwner:
		return OwnerContainer, 0
	case extendedTypes && owner&ttlOwnerMask == ttlOwnerBase && owner&MaxTTL != 0:
		return OwnerTTL, owner & MaxTTL
	}
	return OwnerEphemeral, 0
}

// ShownOwner returns what a client's Stat shows for a stored ephemeralOwner: the session id of an ephemeral node, 0 for all others.
func ShownOwner(owner int64, extendedTypes bool) int64 {
	if kind, _ := KindOfOwner(owner, extendedTypes); kind != OwnerEphemeral {
		return 0
	}
	return owner
}
