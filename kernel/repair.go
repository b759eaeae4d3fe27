package kernel

import (
	"errors"
	"fmt"
)

// A server that finds its own data damaged, gone, or to be another server's does not refuse to start for good, and does not go on as if nothing were: its peers have everything. What is damaged is set aside,
// and the server comes back without a vote: it is not elected, promises nothing that counts, and acknowledges nothing, until a leader has brought it up with a snapshot.
//
// Why it may count again then. Two things that it may have told others are in danger: that it has transactions on disk, and that it has promised an epoch.
//
// Transactions. The leader that brings it up was elected without it, and was promised its epoch e by a quorum without it. Whatever a quorum had acknowledged before that, this server included, some member of
// the other quorum had acknowledged as well, so it is part of the history of e (spec zab, 6.7). This server accepts all of that history, durably, before it says so; from then on its log holds everything that it
// may have acknowledged and that was committed.
//
// Promises. It may have promised an epoch f to a candidate that is still about to lead. Did it now follow a leader of an epoch below f, both could count it. So its promise outlives its log: the durable
// words have a copy elsewhere (Repair.Words), it follows nobody below f, and e >= f. If e = f its promise for f belongs to the same leader, or that other candidate cannot have a quorum for f: the quorum that
// has promised e without this server meets every other one in a server that has promised f once.
//
// Who has lost the copy as well (an emptied data directory, or another server's) is in the place of a server that has never been there: see election's newcomer.go and spec zab, S-82. The leader is one that
// was elected without it, so nothing that was committed is lost. What remains is a candidate that it promised its epoch to just before it lost its disk, that is still in its discovery, and that its present
// leader has not heard of: such a server is to be started again only when nobody waits for it any more, which is what the limits of discovery (initLimit) see to unless it comes back within them.

// Repair is how a server is repaired from its peers. The zero value is for one that is not: it has no peers, or whoever runs it does not want that.
type Repair struct {
	// Lost: the stores lack what this server had.
	Lost bool
	// Words are a copy of the protocol's durable words, for a log that has none any more; nil: there is none.
	Words []byte
	// SaveWords keeps that copy: it is called by the disk goroutine with all that the log store has saved, and an error is final.
	SaveWords func(words []byte) error
	// Damaged hears of damage that has ended the node, on any goroutine: the next start is to begin with the repair.
	Damaged func(err error)
	// Done is called whenever the server has come to serve, on the apply goroutine: from then on it has nothing to be repaired.
	Done func()
}

// begin tells of the end of a node, if that is because of damage.
func (r *Repair) begin(err error) {
	var corrupt *CorruptError
	var promise *PromiseError
	if r.Damaged != nil && (errors.As(err, &corrupt) || errors.As(err, &promise)) {
		r.Damaged(err)
	}
}

func (r *Repair) end() {
	if r.Done != nil {
		r.Done()
	}
}

// LostError: so many voters have lost their history that those who have theirs are no quorum. Nobody can be elected.
type LostError struct{ Servers []ServerID }

func (e *LostError) Error() string {
	return fmt.Sprintf("servers %d have no history that counts (damaged, replaced or emptied directories), and the other voters are no quorum: nobody can be elected. Bring back a server or a directory that is whole "+
		"(what was damaged lies in set-aside-* beside the data); if none is left, make a new ensemble of a survivor: zooid recover (zooid docs operations)", e.Servers)
}

// note takes a report of a core: what an operator has to decide on is a warning as long as nobody leads.
func (n *Node) note(report error) (repeated bool) {
	var lost *LostError
	if errors.As(report, &lost) {
		n.lostVoters.Store(lost)
	}
	return n.foreigners.note(report, n.cfg.Now())
}

// warnings are those of the configuration, and what has come up since.
func (n *Node) warnings() []string {
	all := append([]string{}, n.cfg.Warnings...)
	if lost := n.lostVoters.Load(); lost != nil {
		all = append(all, lost.Error())
	}
	return append(all, n.foreigners.warnings(n.cfg.Now())...)
}
