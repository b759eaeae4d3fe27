package election

import (
	"time"

	"github.com/zooid-project/zooid/kernel"
)

const (
	// answerOnce is the time in which the same message on the same link is not answered twice in the same way. Two servers that answer each other's answers would fill their link.
	answerOnce = 100 * time.Millisecond
	// maxAnswers bounds what is remembered.
	maxAnswers = 64
)

// answer is one that was given.
type answer struct {
	link  kernel.LinkID
	to    heard
	given heard
	at    time.Duration
}

// answers are the latest ones, the oldest overwritten first.
type answers struct {
	given []answer
	next  int
}

// repeats tells whether a has been given just now, and notes it if not.
func (s *answers) repeats(a answer) bool {
	for i := range s.given {
		if g := &s.given[i]; g.link == a.link && g.to == a.to && g.given == a.given {
			if a.at-g.at < answerOnce {
				return true
			}
			g.at = a.at
			return false
		}
	}
	if len(s.given) < maxAnswers {
		s.given = append(s.given, a)
		return false
	}
	s.given[s.next] = a
	s.next = (s.next + 1) % maxAnswers
	return false
}

// answer sends this server's vote back on a link (spec zab, 4.7). Only a voter's word is of use to anybody who is looking, so others keep silent.
func (c *Core) answer(link kernel.LinkID, to heard) {
	if p := c.member(link.Peer); p != nil && !(p.up && p.link == link) {
		return // heard before the link was lost
	}
	if c.phase == idle || !c.isVoter(c.self) || c.phase == looking && c.voice == mute {
		return
	}
	if !c.answered.repeats(answer{link: link, to: to, given: c.says(), at: c.now}) {
		c.send(link)
	}
}
