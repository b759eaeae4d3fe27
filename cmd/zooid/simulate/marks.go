package simulate

// marks are the scenarios of spec zab, 18, that clients can tell they have been in, beside those of the world (sim.Marks).
var marks = []string{markLostSync, markMovedMulti, markLostOpening}

const (
	markLostSync    = "S-12 a sync gets no answer"
	markMovedMulti  = "S-111 a connection is lost with a multi under way"
	markLostOpening = "S-115 a connection is lost while its session is made"
)
