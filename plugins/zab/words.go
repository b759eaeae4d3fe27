package zab

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// words are the protocol's durable words (spec zab, 3): one record, replaced atomically (G1).
//
//	byte 0       version, 3
//	bytes 1-4    accepted epoch, big endian: the highest this server promised to follow
//	bytes 5-8    current epoch: that of the leader whose history it accepted
//	byte 9       flags: 1 unsynced, 2 cutting, 4 claimed, 8 the cluster id is agreed on
//	bytes 10-17  a zxid: where the log is to be cut, or what is claimed; else zero
//	bytes 18-33  the cluster id, zero if there is none
//	bytes 34-37  the epoch in which it was taken up last, big endian
//	bytes 38-    two configurations, each a 32-bit length and its text: the one in force, the one proposed last
//
// Version 2 has no cluster, version 1 ends after the epochs.
type words struct {
	accepted kernel.Epoch
	current  kernel.Epoch
	// unsynced: what the log holds was not accepted as a history by anybody: this server cannot lead, and asks for a snapshot (G4).
	unsynced bool
	// claimed: the history that this server had before it became unsynced ended at mark, in the current epoch. Nobody who has less may lead with this server's promise: so it still counts
	// in quorums, and a snapshot that breaks off does not cost the ensemble a voter.
	claimed bool
	// cutting: the log is being changed into another leader's history; whoever starts from here drops what is above mark first (G3).
	cutting bool
	mark    kernel.Zxid
	config  string // empty: that of the configuration file
	next    string // empty: none
	cluster peer.Cluster
}

const (
	wordsVersion = 3
	flagUnsynced = 1
	flagCutting  = 2
	flagClaimed  = 4
	flagAgreed   = 8
)

func (w words) encode() []byte {
	b := make([]byte, 0, 46+len(w.config)+len(w.next))
	b = append(b, wordsVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(w.accepted))
	b = binary.BigEndian.AppendUint32(b, uint32(w.current))
	flags := byte(0)
	if w.unsynced {
		flags |= flagUnsynced
	}
	if w.cutting {
		flags |= flagCutting
	}
	if w.claimed {
		flags |= flagClaimed
	}
	if w.cluster.Agreed {
		flags |= flagAgreed
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(w.mark))
	b = append(b, w.cluster.ID[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(w.cluster.Epoch))
	for _, text := range []string{w.config, w.next} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
		b = append(b, text...)
	}
	return b
}

// errNewerWords: they may be good words, but not for this version.
var errNewerWords = errors.New("zab: the durable words were written by a newer version: start that one")

// settle forgets what was under way with the history: it is whole, and accepted.
func (w *words) settle() { w.unsynced, w.claimed, w.cutting, w.mark = false, false, false, 0 }

// lose notes that there is no history any more. What it was is known only if it was there until now.
func (w *words) lose(claimed bool, end kernel.Zxid) {
	if w.unsynced {
		return
	}
	w.settle()
	w.unsynced = true
	if claimed {
		w.claimed, w.mark = true, end
	}
}

// decodeWords reads all versions, and nothing else: what it does not know could be a promise.
func decodeWords(b []byte) (words, error) {
	unknown := fmt.Errorf("zab: the durable words have an unknown form (%d bytes)", len(b))
	if len(b) > 0 && b[0] > wordsVersion {
		return words{}, errNewerWords
	}
	if len(b) < 9 || b[0] < 1 || b[0] == 1 && len(b) != 9 {
		return words{}, unknown
	}
	w := words{accepted: kernel.Epoch(binary.BigEndian.Uint32(b[1:])), current: kernel.Epoch(binary.BigEndian.Uint32(b[5:]))}
	if b[0] > 1 {
		known, texts := byte(flagUnsynced|flagCutting|flagClaimed), 18
		if b[0] > 2 {
			known, texts = known|flagAgreed, 38
		}
		if len(b) < texts || b[9]&^known != 0 {
			return words{}, unknown
		}
		if b[0] > 2 {
			w.cluster = peer.Cluster{ID: kernel.ClusterID(b[18:34]), Epoch: kernel.Epoch(binary.BigEndian.Uint32(b[34:])), Agreed: b[9]&flagAgreed != 0}
		}
		w.unsynced, w.cutting, w.claimed = b[9]&flagUnsynced != 0, b[9]&flagCutting != 0, b[9]&flagClaimed != 0
		w.mark = kernel.Zxid(binary.BigEndian.Uint64(b[10:]))
		rest := b[texts:]
		for _, text := range []*string{&w.config, &w.next} {
			if len(rest) < 4 || uint64(binary.BigEndian.Uint32(rest)) > uint64(len(rest)-4) {
				return words{}, unknown
			}
			n := int(binary.BigEndian.Uint32(rest))
			*text, rest = string(rest[4:4+n]), rest[4+n:]
		}
		if len(rest) > 0 || w.mark != 0 && !w.cutting && !w.claimed || w.cutting && w.unsynced || w.claimed && !w.unsynced ||
			w.cluster.ID == (kernel.ClusterID{}) && w.cluster != (peer.Cluster{}) {
			return words{}, unknown
		}
	}
	if w.current < 0 || w.current > w.accepted {
		return words{}, fmt.Errorf("zab: current epoch %d and accepted epoch %d contradict each other", w.current, w.accepted)
	}
	return w, nil
}
