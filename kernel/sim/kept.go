package sim

import (
	"bytes"
	"errors"

	"github.com/zooid-project/zooid/kernel"
)

// readBack is what a reader of the log gets, and the durable words.
func (s *Server) readBack() (found []record, words []byte) {
	err := s.log.Read(s.log.First(), func(r kernel.Record) bool {
		found = append(found, record{r.Zxid, s.world.watch.hash(r.Data)})
		return true
	})
	if err != nil && !errors.Is(err, kernel.ErrPurged) { // an empty log goes on behind its base, and has nothing at it
		s.world.Fail("server %d cannot read its log: %v", s.id, err)
	}
	words, err = s.log.Words()
	if err != nil {
		s.world.Fail("server %d cannot read its words: %v", s.id, err)
	}
	return found, words
}

// readLog takes what the log has found as what it holds on stable storage: it was synced when it was opened (spec zab, R7).
func (s *Server) readLog() {
	found, words := s.readBack()
	if s.damage.rotten { // what a flipped bit has cost is no fault of the log's, and this server's vote is gone with it
		s.once = append(s.once, s.synced...)
		s.damage.rotten = false
		if words == nil {
			words = s.words
		}
	} else {
		s.kept(found, words)
	}
	if words != nil && !s.damage.lost {
		s.damage.words = bytes.Clone(words) // a crash may have left the copy behind
	}
	s.base = s.machine.Position()
	s.synced, s.appended, s.words = found, nil, words
	s.cutting, s.resetting, s.savingWords = nil, false, nil
}

// kept checks what a start, or a reader in between, has found: nothing that was confirmed is missing, and nothing is there that was never written.
func (s *Server) kept(found []record, words []byte) {
	if !bytes.Equal(words, s.words) && !bytes.Equal(words, s.savingWords) {
		s.world.Fail("server %d finds other words (%x) than it has saved (%x) (rule 22)", s.id, words, s.words)
	}
	if s.resetting {
		return // the old log or an empty one
	}
	all := append(append([]record(nil), s.synced...), s.appended...)
	confirmed := len(s.synced)
	if s.cutting != nil {
		for confirmed > 0 && s.synced[confirmed-1].zxid > *s.cutting {
			confirmed--
		}
	}
	if len(found) > 0 { // what stands before may have been purged
		for len(all) > 0 && all[0].zxid < found[0].zxid {
			all = all[1:]
			confirmed--
		}
	} else if confirmed > 0 && s.log.Last() >= s.synced[confirmed-1].zxid {
		return
	}
	if len(found) < confirmed {
		s.world.Fail("server %d has lost %s, which its log had confirmed (rule 22)", s.id, all[len(found)].zxid)
		return
	}
	for i := range found {
		if i >= len(all) || found[i] != all[i] {
			s.world.Fail("server %d finds %s in its log, which was never written there in this place (rule 22)", s.id, found[i].zxid)
			return
		}
	}
}
