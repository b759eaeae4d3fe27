package sim

import "github.com/zooid-project/zooid/kernel"

// Marks are scenarios of spec zab, 18, that a world can tell it has been in: World.Tally counts them under these names. A fault shows that something was done to the servers, a mark that it met them where it
// could hurt.
var Marks = []string{
	markAcceptedUnwritten, markBrokeOff, markCutInSync, MarkStreamTorn, markDiskGaveUp, markLatePartner, markEmptyVoter, markWitness, markChangeOutlives, markLeaderLeaves,
}

// MarkStreamTorn is the one that a story waits for.
const MarkStreamTorn = "S-58 a snapshot breaks off on its way"

const (
	markAcceptedUnwritten = "S-36 power is lost by who serves what it has only read back"
	markBrokeOff          = "S-08 a synchronization breaks off behind a cut or a snapshot"
	markCutInSync         = "S-51 power is lost inside a disk operation of a synchronization"
	markDiskGaveUp        = "S-71 a server gives up after a disk error"
	markLatePartner       = "S-92 a server starts while others serve"
	markEmptyVoter        = "S-82 a voter with an empty disk looks for a leader"
	markWitness           = "S-82 a server without its history votes for others only"
	markChangeOutlives    = "S-105 a change of the members is committed by another leader than proposed it"
	markLeaderLeaves      = "S-103 a leader is changed out of the voters"
)

func (w *World) reach(name string) {
	w.Tally[name]++
	w.Logf("mark: %s", name)
}

// joining tells whether a server is being brought up by a leader.
func (s *Server) joining() bool {
	if s.stepper == nil {
		return false
	}
	role := s.stepper.Role()
	return role.Role != kernel.Looking && role.Role != kernel.Leading && !role.Established
}

// markRole looks at how a learner's synchronization began, went on and ended, at each of its turns.
func (s *Server) markRole() {
	role := s.stepper.Role()
	learns := role.Role != kernel.Looking && role.Role != kernel.Leading
	switch {
	case learns && !role.Established:
		if !s.learning {
			s.learning, s.replaced = true, 0
		}
	case learns && s.learning:
		s.learning = false
		if s.replaced == 0 {
			s.world.Tally["DIFF"]++
		}
	case s.learning:
		s.learning = false
		if s.replaced > 0 {
			s.world.reach(markBrokeOff)
		}
	}
}
