package zab

import (
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// Promises is what a server's durable words say, for people.
type Promises struct {
	Accepted kernel.Epoch     // the highest epoch that it has promised
	Current  kernel.Epoch     // of the leader whose history it has accepted
	Cluster  kernel.ClusterID // that its ensemble has agreed on; zero: none is known
	// End is where the history that it has accepted ends, when the log goes on behind that; else zero.
	End kernel.Zxid
}

// recoveredEpochs is how far above everything that a survivor has promised its new ensemble begins: further than a lost majority can have come by then, and not so far that others would not believe it.
const recoveredEpochs = 1000

// Recover makes the words of a survivor those of a new ensemble, which begins with what this server has: another cluster, an epoch above all that its old ensemble can have had, and the configuration
// that its files name. Servers of the old ensemble are refused from then on, and could not lead if they were not. words are as the log store holds them; the result is to replace them.
//
// It fails where the server has no history to go on from.
func Recover(words []byte, cluster kernel.ClusterID) (recovered []byte, was Promises, err error) {
	if words == nil {
		return nil, was, errors.New("this server has never been part of an ensemble that had a leader: there is nothing here to go on from")
	}
	w, err := decodeWords(words)
	if err != nil {
		return nil, was, err
	}
	was = Promises{Accepted: w.accepted, Current: w.current}
	if w.cluster.Agreed {
		was.Cluster = w.cluster.ID
	}
	if w.cutting {
		was.End = w.mark
	}
	if w.unsynced {
		return nil, was, errors.New("what this server holds is not whole: it was lost, or was being replaced by a snapshot that has not come to its end. Choose another survivor")
	}
	if int64(w.accepted)+recoveredEpochs >= maxEpoch {
		return nil, was, fmt.Errorf("this server has promised epoch %d, and there are none left above it", w.accepted)
	}
	w.accepted += recoveredEpochs
	w.current = w.accepted
	w.config, w.next = "", ""
	w.cluster = peer.Cluster{ID: cluster, Epoch: w.accepted, Agreed: true}
	return w.encode(), was, nil
}
