package sim

import (
	"bytes"
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
)

// damage is what is wrong with what a server's disk holds, and what the server does about it. It stands for what servers do outside the node: see kernel/repair.go.
type damage struct {
	rotten bool   // a bit was flipped since the last start
	found  error  // in a start that has ended: the next one sets everything aside
	lost   bool   // everything was set aside, and the server has not served since
	words  []byte // the copy of the durable words, elsewhere
	ever   bool   // there was any: only then is finding some no failure of the log
}

// Rot flips a bit of the log of a server that is down, somewhere in what the log has written.
func (s *Server) Rot() {
	var written []string
	for _, name := range files(s.fs, "/") {
		if strings.Contains(name, "/log/segment.") {
			written = append(written, name)
		}
	}
	if len(written) == 0 {
		return
	}
	rng := s.world.rng
	name := written[rng.IntN(len(written))]
	b, err := content(s.fs, name)
	used := len(bytes.TrimRight(b, "\x00"))
	if err != nil || used == 0 {
		return
	}
	at := rng.IntN(used)
	b[at] ^= 1 << rng.IntN(8)
	f, err := s.fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return
	}
	_, err = f.WriteAt(b[at:at+1], int64(at))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		s.world.Fail("server %d: %v", s.id, err)
		return
	}
	s.damage.rotten, s.damage.ever = true, true
	s.world.Logf("server %d: a bit of %s is flipped at byte %d of %d", s.id, name, at, used)
	s.world.fault("flipped bits")
}

// isDamage tells whether a server ends because its disk has rotten.
func (d *damage) isDamage(err error) bool {
	var corrupt *kernel.CorruptError
	return d.ever && errors.As(err, &corrupt)
}

// setAside takes everything away that the disk holds, but for the copy of the words.
func (s *Server) setAside(found error) {
	s.world.Logf("server %d sets its data aside: %v", s.id, found)
	s.world.Tally["repairs"]++
	s.fs = vfs.NewCrashableMem()
	s.nodes.wipe()
	s.once = append(s.once, s.synced...)
	s.synced, s.appended, s.base = nil, nil, 0
	s.cutting, s.resetting, s.savingWords = nil, false, nil
	s.damage.rotten, s.damage.found, s.damage.lost = true, nil, true
}

// repair is how the node of this server is repaired.
func (s *Server) repair() kernel.Repair {
	d := &s.damage
	return kernel.Repair{
		Lost: d.lost, Words: bytes.Clone(d.words),
		SaveWords: func(words []byte) error {
			d.words = bytes.Clone(words)
			return nil
		},
		Damaged: func(err error) { d.found = err },
		Done:    func() { d.lost = false },
	}
}
