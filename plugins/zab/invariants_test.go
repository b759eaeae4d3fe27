package zab

import (
	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/sdk/peer"
)

// checker holds what must be true of a whole run (spec zab, 16). It sees every append, acknowledgement, vote, commit and application, in the order in which they happen.
//
// Histories are compared by a hash that covers everything before: proposed says for each zxid which history stands behind it, so one comparison per append covers I4, I7, I12 and I14.
type checker struct {
	proposed    map[kernel.Zxid]entry
	leaders     map[kernel.Epoch]kernel.ServerID // I8
	initial     map[kernel.Epoch]entry           // end of the established leader's initial history
	history     []entry                          // committed, in order: what anybody has applied
	known       map[kernel.ServerID]words
	cluster     peer.Cluster // the one id that was agreed on
	commits     map[kernel.Epoch]kernel.Zxid
	wipedVoters map[kernel.ServerID]bool

	configs map[kernel.Zxid]*kernel.Ensemble // by the zxid of their transaction; 0: the first
	under   map[kernel.Zxid]kernel.Zxid      // the newest configuration in the history up to a zxid, proposed or not
	decided kernel.Zxid                      // the newest that is committed
}

func (k *checker) init(first *kernel.Ensemble) {
	k.configs = map[kernel.Zxid]*kernel.Ensemble{0: first}
	k.under = map[kernel.Zxid]kernel.Zxid{}
	k.proposed = map[kernel.Zxid]entry{}
	k.leaders = map[kernel.Epoch]kernel.ServerID{}
	k.initial = map[kernel.Epoch]entry{}
	k.known = map[kernel.ServerID]words{}
	k.commits = map[kernel.Epoch]kernel.Zxid{}
	k.wipedVoters = map[kernel.ServerID]bool{}
}

// position is the zxid that n applied transactions end at.
func (k *checker) position(n int) kernel.Zxid {
	if n == 0 {
		return 0
	}
	return k.history[n-1].zxid
}

func (k *checker) hashAt(n int) uint64 {
	if n == 0 {
		return 0
	}
	return k.history[n-1].hash
}

func (k *checker) wiped(s *server) {
	delete(k.known, s.id)
	k.wipedVoters[s.id] = true
}

// recovered: I11 at a recovery point.
func (k *checker) recovered(w *world, s *server) {
	words := decoded(s.words)
	end := s.end()
	if words.cutting {
		end = min(end, words.mark)
	}
	if !words.unsynced && end.Epoch() > words.current {
		w.fail("I11: server %d starts with a log that ends at %s and current epoch %d", s.id, trace(end), words.current)
	}
}

// wordsSaved: I11.
func (k *checker) wordsSaved(w *world, s *server, b []byte) {
	words, err := decodeWords(b)
	if before := k.known[s.id]; err != nil || words.accepted < before.accepted || words.current < before.current {
		w.fail("I11: server %d saves words %+v over %+v (%v)", s.id, words, before, err)
	}
	k.known[s.id] = words
	if words.cluster.Foreign(k.cluster) {
		w.fail("server %d has agreed on cluster %d in epoch %d, and another one on cluster %d", s.id, words.cluster.ID[0], words.cluster.Epoch, k.cluster.ID[0])
	}
	if words.cluster.Agreed {
		k.cluster = words.cluster
	}
}

// appended: I1, I4, I7, I12. A leader's own is the first of its zxid; everybody else's has the same history behind it.
func (k *checker) appended(w *world, s *server, e *entry) {
	first, ok := k.proposed[e.zxid]
	switch {
	case !ok && s.role.Role == kernel.Leading && s.role.Established:
		k.proposed[e.zxid] = *e
		k.under[e.zxid] = k.under[s.tip.zxid]
		if e.text != "" {
			c, err := config.ParseEnsemble(e.text)
			if err != nil {
				w.fail("%s proposes what is no configuration: %v", trace(e.zxid), err)
				return
			}
			if under := k.under[s.tip.zxid]; under > k.decided {
				w.fail("I21: server %d proposes the configuration %s while %s is not committed", s.id, trace(e.zxid), trace(under))
			}
			k.configs[e.zxid], k.under[e.zxid] = &c, e.zxid
		}
	case !ok:
		w.fail("I1: server %d appends %s, which nobody proposed", s.id, trace(e.zxid))
	case s.role.Role == kernel.Leading:
		w.fail("I7: server %d proposes %s, which server %d proposed", s.id, trace(e.zxid), k.leaders[e.zxid.Epoch()])
	case first.value != e.value:
		w.fail("I7: server %d appends another %s", s.id, trace(e.zxid))
	case first.hash != e.hash:
		w.fail("I12: server %d appends %s behind another history than its leader's", s.id, trace(e.zxid))
	}
}

// has tells whether a server's stable storage holds an entry with its whole history.
func (k *checker) has(s *server, e entry) bool {
	if e.zxid == 0 || e.zxid <= s.base.zxid {
		return true
	}
	for i := s.synced - 1; i >= 0; i-- {
		if s.log[i].zxid == e.zxid {
			return s.log[i].hash == e.hash
		}
	}
	return false
}

// joint are the configurations that have to agree to what stands at z: the newest in the history up to there and, while that is not committed, the one before (I21).
func (k *checker) joint(z kernel.Zxid) []*kernel.Ensemble {
	under := k.under[z]
	if under > k.decided {
		return []*kernel.Ensemble{k.configs[k.decided], k.configs[under]}
	}
	return []*kernel.Ensemble{k.configs[under]}
}

func (k *checker) quorumHas(w *world, e entry, configs []*kernel.Ensemble) bool {
	for _, c := range configs {
		if !c.IsQuorum(func(id kernel.ServerID) bool { return k.has(w.byID(id), e) || k.wipedVoters[id] }) {
			return false
		}
	}
	return true
}

// establishedLeader: I8, I9 and, for the history that the epoch begins with, I10.
func (k *checker) establishedLeader(w *world, s *server, e kernel.Epoch) {
	if other, ok := k.leaders[e]; ok {
		w.fail("I8: epoch %d of server %d was established by server %d", e, s.id, other)
	}
	k.leaders[e] = s.id
	end := s.durableEnd()
	k.initial[e] = end
	n := len(k.history)
	for n > 0 && k.history[n-1].zxid.Epoch() >= e { // a later epoch may have been established already: acknowledgements can be late
		n--
	}
	if n > 0 && !k.contains(s, k.history[n-1]) {
		w.fail("I9: server %d establishes epoch %d without %s, which is committed: its history ends at %s", s.id, e, trace(k.history[n-1].zxid), trace(end.zxid))
	}
	if !k.quorumHas(w, end, k.joint(end.zxid)) {
		w.fail("I10, I21: epoch %d is established and no quorum has its history up to %s", e, trace(end.zxid))
	}
}

// contains tells whether an entry is in a server's history, and not only passed by it.
func (k *checker) contains(s *server, e entry) bool {
	if e.zxid == s.base.zxid {
		return e.hash == s.base.hash
	}
	return k.has(s, e) // below the base: the base's hash was compared when it became one
}

// looks: I16.
func (k *checker) looks(w *world, s *server, l *kernel.Look) {
	stable := decoded(s.words)
	if l.Epoch > stable.current || !l.NoVote && l.Zxid > s.durableEnd().zxid || l.Witness && (!stable.claimed || l.Zxid != stable.mark) {
		w.fail("I16: server %d votes with epoch %d and %s; on its disk are %d and %s", s.id, l.Epoch, trace(l.Zxid), stable.current, trace(s.durableEnd().zxid))
	}
	if stable.cutting || len(s.jobs) > 0 {
		w.fail("G12: server %d votes with %d disk jobs under way, cutting=%v", s.id, len(s.jobs), stable.cutting)
	}
}

// sent looks at what servers say of themselves: I14, I15, R1, I10.
func (k *checker) sent(w *world, s *server, m *kernel.Message) {
	stable := decoded(s.words)
	switch m.Type {
	case peer.LeaderInfo:
		if stable.accepted < m.Zxid.Epoch() {
			w.fail("R1: server %d announces epoch %d with %d on its disk", s.id, m.Zxid.Epoch(), stable.accepted)
		}
	case peer.AckEpoch:
		if stable.accepted != s.core.epoch || m.Zxid > s.durableEnd().zxid {
			w.fail("R1, G6: server %d promises epoch %d with %d and %s on its disk", s.id, s.core.epoch, stable.accepted, trace(s.durableEnd().zxid))
		}
	case peer.Ack:
		e := m.Zxid.Epoch()
		if stable.current != e {
			w.fail("I15: server %d acknowledges %s with current epoch %d on its disk", s.id, trace(m.Zxid), stable.current)
		}
		if under := k.under[m.Zxid]; w.config.Text != "" && under > knownConfig(stable) {
			w.fail("I21: server %d acknowledges %s and its words do not know of the configuration %s", s.id, trace(m.Zxid), trace(under))
		}
		if m.Zxid.Counter() > 0 {
			if !k.has(s, k.proposed[m.Zxid]) {
				w.fail("I14: server %d acknowledges %s, which its disk does not hold (%s)", s.id, trace(m.Zxid), trace(s.durableEnd().zxid))
			}
		} else if init, ok := k.initial[e]; ok && !k.contains(s, init) {
			w.fail("I15: server %d accepts epoch %d without its initial history up to %s", s.id, e, trace(init.zxid))
		} else if s.synced != len(s.log) {
			w.fail("R2: server %d accepts epoch %d with %d entries not synced", s.id, e, len(s.log)-s.synced)
		}
	case peer.Commit, peer.CommitAndActivate:
		k.committedBy(w, s, m.Zxid)
	}
}

// committedBy: I10, when an entry is first called committed.
func (k *checker) committedBy(w *world, s *server, z kernel.Zxid) {
	if s.role.Role != kernel.Leading || !s.role.Established || z <= k.commits[z.Epoch()] || z.Epoch() != s.role.Epoch {
		return
	}
	k.commits[z.Epoch()] = z
	if !k.quorumHas(w, k.proposed[z], k.joint(z)) {
		w.fail("I10, I21: server %d commits %s and no quorum has it on stable storage", s.id, trace(z))
	}
	k.decided = max(k.decided, k.under[z])
}

// applied: I2, I3, I5, I6. There is one committed history, and everybody applies it in order from where it stands.
func (k *checker) applied(w *world, s *server, e *entry) {
	if s.applied == len(k.history) {
		k.history = append(k.history, *e)
		if e.text != "" {
			k.decided = e.zxid
		}
		return
	}
	if k.history[s.applied] != *e {
		w.fail("I2: server %d applies %s as number %d; another has applied %s", s.id, trace(e.zxid), s.applied+1, trace(k.history[s.applied].zxid))
	}
}

// knownConfig is the newest configuration that words know of.
func knownConfig(w words) (version kernel.Zxid) {
	for _, text := range []string{w.config, w.next} {
		if text == "" {
			continue
		}
		if e, err := config.ParseEnsemble(text); err == nil {
			version = max(version, e.Version)
		}
	}
	return version
}

// everywhere is what holds of every server at any time.
func (k *checker) everywhere(w *world) {
	for _, s := range w.servers {
		c := s.core
		if c == nil || c.broken != nil {
			continue
		}
		switch {
		case c.durable > c.last, c.applied > c.durable && c.role != kernel.Looking, c.words.current > c.words.accepted:
			w.fail("server %d: durable %s, last %s, applied %s, words %+v", s.id, trace(c.durable), trace(c.last), trace(c.applied), c.words)
		}
	}
}

// plainly: a learner of ZooKeeper's ends its process when COMMIT is not for the oldest proposal that it waits with; versions of it break when anything comes between NEWLEADER and UPTODATE,
// and none understands a batch (spec zab, 8.6, S-53 and S-54).
func (k *checker) plainly(w *world, s *server, e *kernel.Envelope) {
	l := w.linkOf(s, e.Link)
	if l == nil || !w.byID(e.Link.Peer).plain && !s.plain {
		return
	}
	m := &e.Message
	if m.Type >= peer.Proposals {
		w.fail("server %d sends %s to server %d, which does not know that", s.id, peer.TypeName(m.Type), e.Link.Peer)
	}
	if l.side(s) == 0 { // from the learner
		if m.Type == peer.Ack && m.Zxid.Counter() == 0 {
			l.asked = false
		}
		return
	}
	if l.asked {
		w.fail("server %d sends %s to server %d between NEWLEADER and its acknowledgement", s.id, peer.TypeName(m.Type), e.Link.Peer)
	}
	switch m.Type {
	case peer.NewLeader:
		l.asked = true
	case peer.UpToDate:
		l.told = true
	case peer.Ping:
		if !l.told && m.Zxid.Counter() != 0 {
			w.fail("server %d pings server %d before UPTODATE", s.id, e.Link.Peer)
		}
	case peer.Proposal:
		l.pending = append(l.pending, m.Zxid)
	case peer.Commit, peer.CommitAndActivate:
		if len(l.pending) == 0 || l.pending[0] != m.Zxid {
			w.fail("server %d sends COMMIT %s to server %d, which waits for %v", s.id, trace(m.Zxid), e.Link.Peer, l.pending)
			return
		}
		l.pending = l.pending[1:]
	}
}
