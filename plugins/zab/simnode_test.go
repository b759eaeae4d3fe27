package zab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

func (w *world) takeSnapshot(s snapshot) {
	if s.from.core == nil || s.from.born != s.born {
		return
	}
	z := w.check.position(s.from.applied)
	s.from.inbox = append(s.from.inbox, kernel.SnapshotBegun{ID: s.what.ID, Zxid: z})
	if l := w.linkOf(s.from, s.what.Link); l != nil && !l.broken {
		w.snapsTaken++
		w.holds[s.what.Link] = s.from.applied
		other := 1 - l.side(s.from)
		l.queue[other] = append(l.queue[other], item{msg: kernel.Message{Type: s.what.Type, Zxid: z, Body: &body{applied: s.from.applied, link: l}}})
	}
}

// moveDisk does the next piece of a server's disk work.
func (w *world) moveDisk(s *server) {
	if s.core == nil {
		return
	}
	if len(s.reads) > 0 && w.rng.IntN(2) == 0 {
		r := s.reads[0]
		s.reads = s.reads[1:]
		s.inbox = append(s.inbox, w.readLog(s, r))
		return
	}
	if len(s.jobs) == 0 {
		return
	}
	j := &s.jobs[0]
	switch {
	case j.entries != nil && !j.written:
		for _, e := range j.entries {
			if !follows(s.end(), e.zxid) {
				w.fail("I12: server %d appends %s behind %s", s.id, trace(e.zxid), trace(s.end()))
				return
			}
			s.log = append(s.log, e)
		}
		j.written = true
		if w.bug == ackBeforeDurable {
			s.inbox = append(s.inbox, kernel.Durable{ID: j.id, Zxid: s.end()})
		}
		return
	case j.entries != nil:
		s.synced = len(s.log)
		s.inbox = append(s.inbox, kernel.Durable{ID: j.id, Zxid: s.end()})
	case j.words != nil:
		if w.bug == promiseNotKept && s.words != nil {
			kept := decoded(j.words)
			kept.accepted = max(decoded(s.words).accepted, kept.current)
			j.words = kept.encode()
		}
		if w.bug == intentForgotten {
			kept := decoded(j.words)
			kept.settle()
			j.words = kept.encode()
		}
		if w.bug == nextForgotten {
			kept := decoded(j.words)
			kept.next = ""
			j.words = kept.encode()
		}
		w.check.wordsSaved(w, s, j.words)
		s.words = j.words
		s.inbox = append(s.inbox, kernel.WordsSaved{ID: j.id})
	case j.cut != nil:
		if w.bug != noTruncation {
			n := len(s.log)
			for n > 0 && s.log[n-1].zxid > j.cut.To {
				n--
			}
			s.log, s.synced = s.log[:n], min(s.synced, n)
			if s.end() != j.cut.To && j.cut.To != s.base.zxid {
				w.fail("server %d cuts at %s, which it does not have: its log ends at %s", s.id, trace(j.cut.To), trace(s.end()))
			}
			if w.check.position(s.applied) > j.cut.To {
				w.fail("server %d cuts at %s and has applied %s", s.id, trace(j.cut.To), trace(w.check.position(s.applied)))
			}
			s.tip = s.durableEnd()
		}
		s.inbox = append(s.inbox, kernel.Truncated{ID: j.id})
	case j.restore != nil && !j.written: // the log is reset, durably; then the state is taken over
		s.log, s.synced, s.base = nil, 0, entry{zxid: j.restore.Zxid, hash: w.check.hashAt(j.restore.Body.(*body).applied)}
		s.tip = s.base
		s.applied, s.flushed = 0, 0
		j.written = true
		return
	case j.restore != nil:
		b := j.restore.Body.(*body)
		done := kernel.Restored{ID: j.id}
		if b.link.broken && w.rng.IntN(2) == 0 {
			done.Err = errors.New("the link is down")
		} else {
			s.applied, s.flushed = b.applied, b.applied
		}
		s.inbox = append(s.inbox, done)
	}
	s.jobs = s.jobs[1:]
}

func (w *world) readLog(s *server, r kernel.ReadLog) kernel.LogRead {
	out := kernel.LogRead{ID: r.ID, Done: true}
	if r.From < s.base.zxid || r.From == s.base.zxid && r.From.Counter() != 0 {
		out.Err = kernel.ErrPurged
		return out
	}
	n := 0
	for _, e := range s.log {
		if e.zxid < r.From {
			continue
		}
		if e.zxid > r.To {
			break
		}
		if n > 3 || n > r.MaxBytes { // small pieces
			out.Done = false
			break
		}
		n++
		out.Records = append(out.Records, e.record())
	}
	return out
}

func (e *entry) record() kernel.Record {
	return kernel.Record{Zxid: e.zxid, Data: append(binary.BigEndian.AppendUint64(nil, e.value), e.text...)}
}

// inspectEntry is the machine's Inspect.
func inspectEntry(data []byte) (kernel.TxnInfo, error) {
	if len(data) <= 8 {
		return kernel.TxnInfo{}, nil
	}
	return kernel.TxnInfo{Config: data[8:]}, nil
}

// stepServer gives a core some of what has queued for it.
func (w *world) stepServer(s *server) {
	if s.core == nil {
		return
	}
	n := min(len(s.inbox), 1+w.rng.IntN(3))
	in := slices.Clone(s.inbox[:n])
	s.inbox = s.inbox[n:]
	if s.wake != 0 && w.now >= s.wake {
		in = append(in, kernel.Tick{})
	}
	if len(in) == 0 {
		return
	}
	w.run(s, in...)
}

func (w *world) run(s *server, in ...kernel.Input) {
	if w.tracing {
		for _, i := range in {
			w.logf("%d <- %s", s.id, describeInput(i))
		}
	}
	w.plant(s)
	e := s.core.Step(w.now, in...)
	w.plant(s)
	w.perform(s, e)
}

// plant breaks a rule inside a core.
func (w *world) plant(s *server) {
	c := s.core
	switch w.bug {
	case commitWithoutQuorum:
		if c.leads() {
			c.lead.durable.configs = active{kernel.Ensemble{Voters: []kernel.ServerID{s.id}}}
		}
	case oneQuorum:
		if c.proposed() != nil {
			c.active = c.active[1:]
			if c.role == kernel.Leading {
				c.lead.durable.configs, c.lead.answered.configs = c.active, c.active
			}
		}
	case epochBeforeHistory:
		if c.learn.state == accepting {
			c.durable = c.last
		}
	case voteFromMemory:
		if c.role == kernel.Looking && c.active != nil && !c.looked && !c.words.cutting {
			c.durable = c.last
		}
	case applyBeforeCommit:
		if c.role == kernel.Following && c.learn.state == attached {
			c.learn.known = c.last
		}
	}
}

// perform is the node.
func (w *world) perform(s *server, e *kernel.Effects) {
	if e.Fatal != nil {
		w.fail("server %d: %v", s.id, e.Fatal)
		return
	}
	for _, r := range e.Reports {
		w.logf("%d: %v", s.id, r)
	}
	s.wake = e.Wake
	if e.Config != nil {
		w.logf("%d has configuration %s in force", s.id, trace(e.Config.Version))
	}
	if e.Next != nil {
		w.logf("%d expects configuration %s", s.id, trace(e.Next.Version))
	}
	if e.Role != nil {
		w.logf("%d role %s of %d epoch %d established=%v", s.id, e.Role.Role, e.Role.Leader, e.Role.Epoch, e.Role.Established)
		s.role = *e.Role
		clear(s.barriers)
		if e.Role.Established && e.Role.Role == kernel.Leading {
			w.established++
			w.check.establishedLeader(w, s, e.Role.Epoch)
		}
	}
	if e.SaveWords != nil {
		s.jobs = append(s.jobs, job{id: e.SaveWords.ID, words: slices.Clone(e.SaveWords.Words)})
	}
	if e.Truncate != nil {
		t := *e.Truncate
		s.jobs = append(s.jobs, job{id: t.ID, cut: &t})
	}
	if e.Restore != nil {
		r := *e.Restore
		s.jobs = append(s.jobs, job{id: r.ID, restore: &r})
	}
	s.reads = append(s.reads, e.ReadLog...)
	if len(e.Append) > 0 {
		w.append(s, e)
	}
	for _, d := range e.Dial {
		w.dials = append(w.dials, dial{from: s, born: s.born, what: d})
	}
	for i := range e.Send {
		w.check.sent(w, s, &e.Send[i].Message)
		w.check.plainly(w, s, &e.Send[i])
		w.send(s, &e.Send[i])
	}
	for _, id := range e.Flush {
		if l := w.linkOf(s, id); l != nil && !l.broken {
			l.queue[l.side(s)] = append(l.queue[l.side(s)], item{flushed: true})
		}
	}
	for _, sn := range e.Snapshots {
		w.snaps = append(w.snaps, snapshot{from: s, born: s.born, what: sn})
	}
	for _, id := range e.Release {
		delete(w.holds, id)
	}
	for _, id := range e.Hangup {
		if l := w.linkOf(s, id); l != nil && !l.broken {
			w.breakLink(l)
		}
	}
	if e.Look != nil {
		look := look{*e.Look}
		s.look = &look
		w.logf("%d looks: epoch %d zxid %s empty=%v novote=%v", s.id, look.Epoch, trace(look.Zxid), look.Empty, look.NoVote)
		w.check.looks(w, s, &look.Look)
	}
	if e.Commit != 0 {
		w.apply(s, e.Commit)
	}
	for _, id := range e.Barriers {
		if want, ok := s.barriers[id]; ok {
			delete(s.barriers, id)
			w.barriersPassed++
			if s.applied < want {
				w.fail("I20: a sync on server %d passed with %d applied; %d were complete when it was asked for", s.id, s.applied, want)
			}
		}
	}
	for _, d := range e.Deliver {
		if d.Kind == kernel.HeartbeatDue || d.Kind == kernel.SessionAsked {
			s.inbox = append(s.inbox, kernel.Answer{To: kernel.Delivery{Kind: d.Kind, Link: d.Link, Zxid: d.Zxid}, Payload: []byte{}})
		}
	}
	for _, req := range e.Requests {
		if req.Barrier {
			s.asked++
			s.inbox = append(s.inbox, kernel.AskBarrier{ID: s.asked, Request: req})
		}
	}
}

func (w *world) append(s *server, e *kernel.Effects) {
	j := job{id: e.Ordered}
	for i := range e.Append {
		r := &e.Append[i]
		en := entry{zxid: r.Zxid, value: binary.BigEndian.Uint64(r.Data), text: string(r.Data[8:])}
		en.hash = chain(s.tip.hash, en.zxid, en.value)
		w.check.appended(w, s, &en)
		s.tip = en
		j.entries = append(j.entries, en)
	}
	s.jobs = append(s.jobs, j)
}

func (w *world) send(s *server, e *kernel.Envelope) {
	l := w.linkOf(s, e.Link)
	if l == nil || l.broken {
		return
	}
	w.logf("%d -> %d %s %s", s.id, e.Link.Peer, peer.TypeName(e.Message.Type), trace(e.Message.Zxid))
	switch e.Message.Type {
	case peer.Diff:
		w.diffs++
	case peer.Trunc:
		w.truncs++
	}
	l.queue[1-l.side(s)] = append(l.queue[1-l.side(s)], item{msg: e.Message})
}

// apply applies what is committed. All of it must be durable here (R8).
func (w *world) apply(s *server, z kernel.Zxid) {
	w.check.committedBy(w, s, z)
	for {
		have := w.check.position(s.applied)
		if have >= z {
			return
		}
		i, _ := slices.BinarySearchFunc(s.log, have+1, func(e entry, z kernel.Zxid) int { return int(e.zxid - z) })
		if i >= len(s.log) || s.log[i].zxid > z || i >= s.synced || i > 0 && s.log[i-1].zxid != have || i == 0 && s.base.zxid != have {
			w.fail("R8: server %d is to apply up to %s, has %s, and its durable log is %s..%s", s.id, trace(z), trace(have), trace(s.base.zxid), trace(s.durableEnd().zxid))
			return
		}
		w.check.applied(w, s, &s.log[i])
		s.applied++
	}
}

func describeInput(i kernel.Input) string {
	switch i := i.(type) {
	case kernel.Received:
		return fmt.Sprintf("%s %s from %d", peer.TypeName(i.Message.Type), trace(i.Message.Zxid), i.Link.Peer)
	case kernel.Durable:
		return "durable " + trace(i.Zxid)
	case kernel.Elected:
		return fmt.Sprintf("elected %d, %s", i.Leader, i.Role)
	case kernel.Propose:
		return fmt.Sprintf("propose %s +%d", trace(i.Batch[0].Zxid), len(i.Batch))
	}
	return fmt.Sprintf("%T", i)
}
