package simulate

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
	"github.com/zooid-project/zooid/sdk/wire"
)

// Bug is a planted one: a way to be wrong that the checkers must find (FIELD, 2.6, rule 25). Bugs are wrappers around the real parts, between them and the node, a wrong option for one, or inside the simulated gateway: the code that
// servers run has none of them.
type Bug struct {
	Name string
	Doc  string
	// Rules are those of which any may be the first to see it: invariants as "zooid docs rules" numbers them (I10), rules as "zooid docs checks" does (rule 4). What fails by other checks alone is not found.
	Rules []string
	wrap  func(*run, kernel.Env, *kernel.Parts)
}

// Bugs are all of them, by name.
var Bugs = []Bug{
	{"ack-before-sync", "the log confirms what only the page cache has", []string{"rule 22", "I14", "I10", "I16"}, func(_ *run, _ kernel.Env, p *kernel.Parts) { p.Log = &unsyncedLog{LogStore: p.Log} }},
	{"ack-on-receipt", "a follower acknowledges a proposal before its log has confirmed it", []string{"I14"}, broadcastBug(ackOnReceipt)},
	{"apply-before-commit", "a learner applies what it has on disk, committed or not", []string{"I10"}, broadcastBug(applyBeforeCommit)},
	{"commit-without-quorum", "a leader commits what it has on disk itself", []string{"I10"}, broadcastBug(commitWithoutQuorum)},
	{"diverging-apply", "one server applies a write with other data", []string{"I17", "rule 4"}, func(r *run, _ kernel.Env, p *kernel.Parts) {
		p.Machine = &divergingMachine{StateMachine: p.Machine, run: r}
	}},
	{"doubled-held-write", "what was sent to the last leader is sent to the next one, decided or not", []string{"I19", "rule 1"}, broadcastBug(doubledWrite)},
	{"early-expiry", "a session expires in half its time-out", []string{"rule 11"}, func(_ *run, _ kernel.Env, p *kernel.Parts) { p.Machine = &hastyMachine{StateMachine: p.Machine} }},
	{"early-read", "the gateway reads without waiting for the session's own writes", []string{"I18", "rule 4"}, nil},
	{"kept-difference", "servers do not say what their states are", []string{"I17"}, func(_ *run, _ kernel.Env, p *kernel.Parts) { p.Broadcast = &taciturnBroadcast{Broadcast: p.Broadcast} }},
	{"late-expiry", "a session expires in three times its time-out", []string{"rule 11"}, func(_ *run, _ kernel.Env, p *kernel.Parts) { p.Machine = &tardyMachine{StateMachine: p.Machine} }},
	{"lost-ephemeral", "a server forgets to remove the nodes of a session that ends", []string{"I17", "rule 4", "rule 9", "rule 12", "rule 15", "rule 16"}, func(_ *run, _ kernel.Env, p *kernel.Parts) { p.Machine = &leakingMachine{StateMachine: p.Machine} }},
	{"missing-truncation", "a truncation is confirmed and not done", []string{"I2", "I3", "I10", "I14", "rule 22"}, func(_ *run, _ kernel.Env, p *kernel.Parts) { p.Log = &uncutLog{LogStore: p.Log} }},
	{"old-quorum", "a change of the members is decided by the members of before alone", []string{"I10", "I21"}, nil},
	{"reordered-requests", "a learner forwards two requests of one session the wrong way round", []string{"rule 1", "I18"}, broadcastBug(reorder)},
	{"reply-before-commit", "the leader answers when it has prepared", []string{"rule 4"}, func(_ *run, _ kernel.Env, p *kernel.Parts) { p.Machine = &eagerMachine{StateMachine: p.Machine} }},
	{"repaired-at-once", "a server whose log was damaged votes before its peers have brought it up", []string{"I9", "I2", "I3", "I10"}, func(_ *run, _ kernel.Env, p *kernel.Parts) {
		p.Broadcast = &carelessBroadcast{Broadcast: p.Broadcast}
	}},
	{"reset-without-restore", "a snapshot from a peer is read and not taken over", []string{"I2", "I17", "rule 4"}, func(_ *run, _ kernel.Env, p *kernel.Parts) { p.Machine = &forgetfulMachine{StateMachine: p.Machine} }},
	{"snapshot-ahead", "a snapshot says that it is newer than it is", []string{"I13"}, func(_ *run, _ kernel.Env, p *kernel.Parts) { p.Machine = &boastfulMachine{StateMachine: p.Machine} }},
	{"stale-sync", "the leader answers a sync without asking whether it still leads", []string{"I18", "I20", "I19"}, broadcastBug(staleSync)},
	{"swallowed-sync-error", "a sync that has failed counts as one that has not", []string{"rule 22", "I14"}, func(_ *run, _ kernel.Env, p *kernel.Parts) { p.Log = &swallowingLog{LogStore: p.Log} }},
	{"vote-from-memory", "a server votes with what it has sent to its disk, there yet or not, and with what was truncated since", []string{"I16"}, broadcastBug(voteFromMemory)},
	{"wall-clock-expiry", "sessions expire by the clock that people set", []string{"rule 11"}, func(_ *run, env kernel.Env, p *kernel.Parts) {
		p.Machine = &wallMachine{StateMachine: p.Machine, wall: env.Wall}
	}},
	{"watch-lost", "every tenth watch event is not sent", []string{"rule 15"}, nil},
	{"words-not-saved", "the durable words are confirmed and not saved", []string{"I15", "I11", "rule 22"}, func(_ *run, _ kernel.Env, p *kernel.Parts) { p.Log = &wordlessLog{LogStore: p.Log} }},
}

// FindBug returns a bug by name.
func FindBug(name string) (Bug, error) {
	i := slices.IndexFunc(Bugs, func(b Bug) bool { return b.Name == name })
	if i < 0 {
		var known []string
		for _, b := range Bugs {
			known = append(known, b.Name)
		}
		return Bug{}, &kernel.UnknownError{What: "planted bug", Name: name, Known: known, Nearest: kernel.Nearest(name, known)}
	}
	return Bugs[i], nil
}

// bugs is what the simulated gateway does wrong, and how the parts are configured wrongly.
type bugs struct {
	oldQuorum  bool
	earlyRead  bool
	loseEvents bool
	events     int
}

func (b *bugs) loseEvent() bool {
	b.events++
	return b.loseEvents && b.events%10 == 0
}

// plant puts the chosen bug into the parts of a server.
func (r *run) plant(env kernel.Env, p *kernel.Parts) {
	if r.bug.wrap != nil {
		r.bug.wrap(r, env, p)
	}
}

type unsyncedLog struct{ kernel.LogStore }

func (l *unsyncedLog) Sync() (kernel.Zxid, error) { return l.Last(), nil }

type uncutLog struct{ kernel.LogStore }

func (l *uncutLog) Truncate(kernel.Zxid) error { return nil }

type swallowingLog struct{ kernel.LogStore }

func (l *swallowingLog) Sync() (kernel.Zxid, error) {
	if z, err := l.LogStore.Sync(); err == nil {
		return z, nil
	}
	return l.Last(), nil
}

type wordlessLog struct{ kernel.LogStore }

func (l *wordlessLog) SaveWords([]byte) error { return nil }

// hastyMachine sees time go twice as fast.
type hastyMachine struct {
	kernel.StateMachine
	first time.Time
}

func (m *hastyMachine) Tick(now time.Time, stalled bool) []*kernel.Request {
	if m.first.IsZero() {
		m.first = now
	}
	return m.StateMachine.Tick(m.first.Add(2*now.Sub(m.first)), stalled)
}

// tardyMachine sees time go a third as fast.
type tardyMachine struct {
	kernel.StateMachine
	first time.Time
}

func (m *tardyMachine) Tick(now time.Time, stalled bool) []*kernel.Request {
	if m.first.IsZero() {
		m.first = now
	}
	return m.StateMachine.Tick(m.first.Add(now.Sub(m.first)/3), stalled)
}

// wallMachine measures time with the wall clock.
type wallMachine struct {
	kernel.StateMachine
	wall func() time.Time
}

func (m *wallMachine) Tick(_ time.Time, stalled bool) []*kernel.Request {
	return m.StateMachine.Tick(m.wall(), stalled)
}

// leakingMachine takes the end of a session for an error.
type leakingMachine struct{ kernel.StateMachine }

func (m *leakingMachine) Apply(txns []kernel.Committed) {
	for i := range txns {
		var e wire.Entry
		if wire.DecodeEntry(txns[i].Data, &e) == nil && e.Header.Type == wire.OpCloseSession && len(e.Txn.Paths) > 0 && txns[i].Request == nil && txns[i].Note == nil {
			e.Txn.Paths = e.Txn.Paths[1:]
			e.Header.Type, e.HasDigest = wire.OpError, false
			txns[i].Data = e.AppendTo(nil)
		}
	}
	m.StateMachine.Apply(txns)
}

// divergingMachine changes a byte of what is written on the server with the highest id.
type divergingMachine struct {
	kernel.StateMachine
	run *run
}

func (m *divergingMachine) Apply(txns []kernel.Committed) {
	for i := range txns {
		var e wire.Entry
		if wire.DecodeEntry(txns[i].Data, &e) == nil && e.Header.Type == wire.OpSetData && e.Header.Zxid%50 == 0 && txns[i].Note == nil && len(e.Txn.Data) > 0 {
			e.Txn.Data = append([]byte{'x'}, e.Txn.Data[1:]...)
			txns[i].Data = e.AppendTo(nil)
		}
	}
	m.StateMachine.Apply(txns)
}

// taciturnBroadcast does not hear what its server's state is.
type taciturnBroadcast struct{ kernel.Broadcast }

func (b *taciturnBroadcast) Step(now time.Duration, in ...kernel.Input) *kernel.Effects {
	return b.Broadcast.Step(now, slices.DeleteFunc(slices.Clone(in), func(i kernel.Input) bool {
		_, is := i.(kernel.StateIs)
		return is
	})...)
}

// eagerMachine answers this server's clients from Prepare.
type eagerMachine struct{ kernel.StateMachine }

func (m *eagerMachine) Prepare(pos kernel.Position, reqs []*kernel.Request, batch *kernel.Batch) {
	from := len(batch.Txns)
	m.StateMachine.Prepare(pos, reqs, batch)
	for _, t := range batch.Txns[from:] {
		if t.Request != nil && t.Request.Conn != nil && t.Request.Op == int32(wire.OpDelete) {
			t.Request.Conn.Reply(t.Request, kernel.Reply{Zxid: t.Record.Zxid})
		}
	}
}

// forgetfulMachine has its state of before after a snapshot.
type forgetfulMachine struct{ kernel.StateMachine }

func (m *forgetfulMachine) Restore(r io.Reader, _ kernel.Zxid) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// boastfulMachine names its snapshots by the zxid after theirs.
type boastfulMachine struct{ kernel.StateMachine }

func (m *boastfulMachine) Snapshot() (kernel.StateSnapshot, error) {
	s, err := m.StateMachine.Snapshot()
	return boastful{s}, err
}

type boastful struct{ kernel.StateSnapshot }

func (s boastful) Zxid() kernel.Zxid { return s.StateSnapshot.Zxid() + 1 }

// carelessBroadcast starts with what there is, as if that were all there ever was.
type carelessBroadcast struct{ kernel.Broadcast }

func (b *carelessBroadcast) Step(now time.Duration, in ...kernel.Input) *kernel.Effects {
	in = slices.Clone(in)
	for i := range in {
		if s, ok := in[i].(kernel.Start); ok {
			s.NoVote, s.Torn = false, false
			in[i] = s
		}
	}
	return b.Broadcast.Step(now, in...)
}

// broken is a broadcast with something wrong about its effects.
type broken struct {
	kernel.Broadcast
	role    kernel.RoleChange
	link    kernel.LinkID // to the leader
	highest kernel.Zxid   // ever appended
	look    kernel.Look   // the last one
	sent    []*kernel.Request
	change  func(b *broken, in []kernel.Input, e *kernel.Effects)
}

func broadcastBug(change func(*broken, []kernel.Input, *kernel.Effects)) func(*run, kernel.Env, *kernel.Parts) {
	return func(_ *run, _ kernel.Env, p *kernel.Parts) {
		p.Broadcast = &broken{Broadcast: p.Broadcast, change: change}
	}
}

func (b *broken) Step(now time.Duration, in ...kernel.Input) *kernel.Effects {
	in = slices.Clone(in)
	for _, i := range in {
		if m, ok := i.(kernel.Received); ok && m.Message.Type == peer.NewLeader {
			b.link = m.Link
		}
	}
	e := b.Broadcast.Step(now, in...)
	if e.Role != nil {
		b.role = *e.Role
	}
	for _, r := range e.Append {
		b.highest = max(b.highest, r.Zxid)
	}
	b.change(b, in, e)
	return e
}

func (b *broken) following() bool { return b.role.Role == kernel.Following && b.role.Established }
func (b *broken) leading() bool   { return b.role.Role == kernel.Leading && b.role.Established }

// durable is what the inputs say is on disk.
func durable(in []kernel.Input) (z kernel.Zxid) {
	for _, i := range in {
		if d, ok := i.(kernel.Durable); ok {
			z = max(z, d.Zxid)
		}
	}
	return z
}

func ackOnReceipt(b *broken, _ []kernel.Input, e *kernel.Effects) {
	if n := len(e.Append); n > 0 && b.following() {
		e.Send = append(e.Send, kernel.Envelope{Link: b.link, Message: kernel.Message{Type: peer.Ack, Zxid: e.Append[n-1].Zxid}})
	}
}

func applyBeforeCommit(b *broken, in []kernel.Input, e *kernel.Effects) {
	if b.following() {
		e.Commit = max(e.Commit, durable(in))
	}
}

func commitWithoutQuorum(b *broken, in []kernel.Input, e *kernel.Effects) {
	if b.leading() {
		e.Commit = max(e.Commit, durable(in))
	}
}

func staleSync(b *broken, in []kernel.Input, e *kernel.Effects) {
	for _, i := range in {
		if ask, ok := i.(kernel.AskBarrier); ok && b.leading() {
			e.Barriers = append(e.Barriers, ask.ID)
		}
	}
}

func voteFromMemory(b *broken, _ []kernel.Input, e *kernel.Effects) {
	switch {
	case e.Look != nil:
		b.look = *e.Look
		if !e.Look.Empty && !e.Look.NoVote {
			e.Look.Zxid = max(e.Look.Zxid, b.highest)
		}
	case e.Role != nil && e.Role.Role == kernel.Looking && b.highest > 0 && b.look.Config.Voters != nil: // its disk is still at work
		early := b.look
		early.Epoch, early.Zxid, early.Empty, early.NoVote, early.Witness = b.highest.Epoch(), b.highest, false, false, false
		e.Look = &early
	}
}

// doubledWrite sends what it has sent in one role again in the next one, behind everything else.
func doubledWrite(b *broken, in []kernel.Input, e *kernel.Effects) {
	for _, i := range in {
		if f, ok := i.(kernel.Forward); ok {
			b.sent = slices.Clone(f.Requests)
		}
	}
	if e.Role != nil && b.following() && len(b.sent) > 0 {
		for _, req := range b.sent {
			f := peer.Forwarded{Session: req.Session, Cxid: req.Cxid, Op: req.Op, Body: req.Body}
			e.Send = append(e.Send, kernel.Envelope{Link: b.link, Message: kernel.Message{Type: peer.Request, Zxid: -1, Payload: f.AppendTo(nil), Identities: req.Identities}})
		}
		b.sent = nil
	}
}

// reorder turns neighbouring requests of a session round.
func reorder(_ *broken, _ []kernel.Input, e *kernel.Effects) {
	for i := 1; i < len(e.Send); i++ {
		a, b := &e.Send[i-1].Message, &e.Send[i].Message
		if a.Type != peer.Request || b.Type != peer.Request {
			continue
		}
		fa, errA := peer.DecodeForwarded(a.Payload)
		fb, errB := peer.DecodeForwarded(b.Payload)
		if errA == nil && errB == nil && fa.Session == fb.Session && fa.Op != int32(wire.OpSync) && fb.Op != int32(wire.OpSync) && cmp.Compare(fa.Cxid, fb.Cxid) < 0 {
			*a, *b = *b, *a
			i++
		}
	}
}

// String is the bug's line in a list.
func (b Bug) String() string { return fmt.Sprintf("%-22s %s", b.Name, b.Doc) }
