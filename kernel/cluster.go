package kernel

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ForeignError: a peer belongs to another cluster. Its link is closed; nothing that it says counts.
type ForeignError struct {
	Peer         ServerID
	Theirs, Ours ClusterID
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("server %d belongs to cluster %v and this server to cluster %v: they refuse each other. Correct the addresses or the data directory (dataDir) of the one that is wrong; "+
		"a server that is to change over starts with an empty directory and copies everything (zooid docs operations)", e.Peer, e.Theirs, e.Ours)
}

// foreignFor is how long a foreign peer is remembered after it was heard last, and how often it is logged at most.
const foreignFor = time.Minute

// foreigners are the peers of other clusters that have tried to link up lately. The loop notes them, whoever asks for the status looks.
type foreigners struct {
	mu    sync.Mutex
	heard map[ServerID]foreigner
}

type foreigner struct {
	err           *ForeignError
	heard, logged time.Time
}

// note takes a report of a core. It tells whether it is one that the log has already.
func (f *foreigners) note(report error, now time.Time) (repeated bool) {
	var err *ForeignError
	if !errors.As(report, &err) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.heard == nil {
		f.heard = map[ServerID]foreigner{}
	}
	was, known := f.heard[err.Peer]
	repeated = known && *was.err == *err && now.Sub(was.logged) < foreignFor
	if !repeated {
		was.logged = now
	}
	f.heard[err.Peer] = foreigner{err: err, heard: now, logged: was.logged}
	return repeated
}

// warnings are what an operator must know, by id of the peer.
func (f *foreigners) warnings(now time.Time) (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, peer := range f.heard {
		if now.Sub(peer.heard) > foreignFor {
			delete(f.heard, id)
			continue
		}
		all = append(all, peer.err.Error())
	}
	slices.Sort(all)
	return all
}
