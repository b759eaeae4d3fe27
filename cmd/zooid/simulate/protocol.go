package simulate

import (
	"encoding/binary"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/sim"
	"github.com/zooid-project/zooid/sdk/peer"
)

// What zab's messages and words promise (spec zab, 16), checked as they leave and as they are saved.

// sent checks acknowledgements: whoever acknowledges has it on stable storage (I14), and whoever accepts a leader's history has its epoch there (I15).
func (r *run) sent(s *sim.Server, link kernel.LinkID, m *kernel.Message) {
	r.checkPlain(s, link, m)
	if link.Purpose != kernel.ForBroadcast || m.Type != peer.Ack {
		return
	}
	if m.Zxid.Counter() == 0 {
		if _, current, ok := epochs(s.Words()); !ok || current != m.Zxid.Epoch() {
			r.fail("server %d accepts the history of epoch %d, and its words on disk say %x (I15)", s.ID(), m.Zxid.Epoch(), s.Words())
		}
		return
	}
	if m.Zxid > s.StableEnd() {
		r.fail("server %d acknowledges %s and has %s on stable storage (I14)", s.ID(), m.Zxid, s.StableEnd())
	}
}

// checkWords: the epochs never fall, and nobody has accepted a history of an epoch that it has not promised (I11).
func checkWords(before, after []byte) error {
	accepted, current, ok := epochs(after)
	if !ok || current > accepted {
		return fmt.Errorf("saves the words %x (I11)", after)
	}
	if a, c, ok := epochs(before); ok && (accepted < a || current < c) {
		return fmt.Errorf("saves accepted epoch %d, current epoch %d over %d and %d (I11)", accepted, current, a, c)
	}
	return nil
}

// epochs reads the epochs from the durable words: they stand in the same place in all versions.
func epochs(words []byte) (accepted, current kernel.Epoch, ok bool) {
	if len(words) < 9 {
		return 0, 0, false
	}
	return kernel.Epoch(binary.BigEndian.Uint32(words[1:])), kernel.Epoch(binary.BigEndian.Uint32(words[5:])), true
}
