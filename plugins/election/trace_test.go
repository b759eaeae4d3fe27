package election

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/sdk/peer"
)

// TestTraces drives ensembles of cores through testdata/*.txt. Run with -rewrite to accept new traces: each changed line is a claim.
//
//	ensemble [version=V] and server lines: the configuration in force. A plain "voters=(1 2 3)" writes them.
//	look ID [epoch=E] [zxid=E:C] [round=N] [empty] [novote] [suggested=ID] [decided] [next=NAME] [cluster=N] [max-epoch-wait=MS]: the server's broadcast looks for a leader; it is started if it was down. round: rounds it has behind it.
//	config NAME, and lines: a configuration for later.
//	apache ID..., strangers too: servers that are there and say what the trace makes them say. up FROM->TO connects one.
//	say FROM->TO STATE leader=ID [zxid=E:C] [epoch=E] [round=N] [config=NAME] [zooid] [cluster=N]: what such a server says. bytes FROM->TO HEX says anything.
//	deliver [only=(A->B ...)] [but=(A->B ...)]: what is under way arrives, until nothing is. drop A->B loses what is under way, and the link does not notice.
//	at MS: time passes; who wanted to be woken is. late MS: it passes for what is delivered next; only who wanted to be woken before that is. cut A B..., heal A B...: A and each B cannot or can have a link. kill ID.
//	role ID ROLE [leader=ID] [epoch=E] [established]; config-is ID NAME: what the broadcast says.
func TestTraces(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		tr := &tracer{t: t, configs: map[string]kernel.Ensemble{}}
		datadriven.RunTest(t, path, tr.run)
	})
}

type tracer struct {
	t       *testing.T
	w       *world
	configs map[string]kernel.Ensemble
	out     strings.Builder
}

func (tr *tracer) run(t *testing.T, d *datadriven.TestData) string {
	tr.t = t
	tr.out.Reset()
	switch d.Cmd {
	case "ensemble":
		tr.w = newWorld(tr.ensemble(d))
		tr.w.saw = tr.saw
	case "config":
		tr.configs[d.CmdArgs[0].Key] = tr.ensemble(d)
	case "look":
		tr.look(d)
	case "apache":
		for _, a := range d.CmdArgs {
			tr.w.server(tr.id(a.Key)).wake = -1
		}
	case "up":
		for _, a := range d.CmdArgs {
			dir := tr.direction(a.Key)
			tr.w.dial(dir.from, dir.to)
		}
	case "say":
		tr.say(d)
	case "bytes":
		b, err := hex.DecodeString(d.CmdArgs[1].Key)
		if err != nil {
			t.Fatal(err)
		}
		tr.put(tr.direction(d.CmdArgs[0].Key), b)
	case "deliver":
		tr.deliver(tr.directions(d, "only"), tr.directions(d, "but"))
	case "drop":
		for _, a := range d.CmdArgs {
			q := tr.w.queue(tr.direction(a.Key))
			q.events = slices.DeleteFunc(q.events, func(e event) bool {
				_, message := e.in.(kernel.Received)
				if message {
					fmt.Fprintf(&tr.out, "lost: %s %s\n", a.Key, traceNotification(notificationOf(e.in)))
				}
				return message
			})
		}
	case "at":
		tr.at(d.CmdArgs[0].Key)
	case "late":
		tr.late(d)
	case "cut", "heal":
		a := tr.id(d.CmdArgs[0].Key)
		for _, other := range d.CmdArgs[1:] {
			b := tr.id(other.Key)
			tr.w.cut[direction{a, b}.pair()] = d.Cmd == "cut"
			if d.Cmd == "cut" {
				tr.w.unlink(a, b, 0)
			}
		}
	case "kill":
		tr.w.kill(tr.id(d.CmdArgs[0].Key))
	case "role":
		tr.role(d)
	case "config-is":
		tr.w.step(tr.w.server(tr.id(d.CmdArgs[0].Key)), kernel.ConfigIs{Config: tr.configs[d.CmdArgs[1].Key]})
	default:
		t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	}
	return tr.out.String()
}

func (tr *tracer) id(s string) kernel.ServerID {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		tr.t.Fatal(err)
	}
	return kernel.ServerID(n)
}

func (tr *tracer) direction(s string) direction {
	from, to, ok := strings.Cut(s, "->")
	if !ok {
		tr.t.Fatalf("%q is no direction", s)
	}
	return direction{tr.id(from), tr.id(to)}
}

func (tr *tracer) directions(d *datadriven.TestData, key string) []direction {
	var all []direction
	if arg, ok := d.Arg(key); ok {
		for _, v := range words(arg) {
			all = append(all, tr.direction(v))
		}
	}
	return all
}

// words are the values of an argument in parentheses, with or without commas.
func words(arg datadriven.CmdArg) []string { return strings.Fields(strings.Join(arg.Vals, " ")) }

func (tr *tracer) zxid(s string) kernel.Zxid {
	if s == "none" {
		return noZxid
	}
	var epoch, counter int64
	if _, err := fmt.Sscanf(s, "%d:%d", &epoch, &counter); err != nil {
		tr.t.Fatalf("%s: %v", s, err)
	}
	return kernel.MakeZxid(kernel.Epoch(epoch), uint32(counter))
}

func (tr *tracer) ensemble(d *datadriven.TestData) kernel.Ensemble {
	lines := d.Input
	for _, role := range []string{"voters", "observers"} {
		if arg, ok := d.Arg(role); ok {
			for _, id := range words(arg) {
				lines += fmt.Sprintf("\nserver.%s=host%s:2888:3888:%s", id, id, map[string]string{"voters": "participant", "observers": "observer"}[role])
			}
		}
	}
	if arg, ok := d.Arg("version"); ok {
		lines += "\nversion=" + arg.Vals[0]
	}
	e, err := config.ParseEnsemble(lines)
	if err != nil {
		tr.t.Fatalf("%s: %v", d.Pos, err)
	}
	return e
}

func (tr *tracer) look(d *datadriven.TestData) {
	s := tr.w.server(tr.id(d.CmdArgs[0].Key))
	if s.core == nil {
		s.core = New()
		tr.w.step(s, kernel.Start{Self: s.id, Config: tr.w.config})
	}
	l := kernel.Look{Config: s.core.config, Next: s.core.next}
	for _, a := range d.CmdArgs[1:] {
		switch a.Key {
		case "epoch":
			l.Epoch = kernel.Epoch(tr.id(a.Vals[0]))
		case "zxid":
			l.Zxid = tr.zxid(a.Vals[0])
			l.Epoch = max(l.Epoch, l.Zxid.Epoch())
		case "round":
			s.core.round = int64(tr.id(a.Vals[0]))
		case "max-epoch-wait": // ms
			s.core.maxEpochWait = time.Duration(tr.id(a.Vals[0])) * time.Millisecond
		case "empty":
			l.Empty = true
		case "novote":
			l.NoVote = true
		case "witness":
			l.NoVote, l.Witness = true, true
		case "decided":
			l.Decided = true
		case "cluster":
			l.Cluster = kernel.ClusterID{byte(tr.id(a.Vals[0]))}
		case "suggested":
			l.Suggested = tr.id(a.Vals[0])
		case "next":
			next := tr.configs[a.Vals[0]]
			l.Next = &next
		default:
			tr.t.Fatalf("%s: look %s", d.Pos, a.Key)
		}
	}
	tr.w.step(s, l)
}

func (tr *tracer) say(d *datadriven.TestData) {
	n := peer.Notification{Round: 1, Version: peer.NotificationVersion, Config: tr.w.config.Text}
	for role := kernel.Looking; role <= kernel.Observing; role++ {
		if strings.ToUpper(role.String()) == d.CmdArgs[1].Key {
			n.State = role
		}
	}
	for _, a := range d.CmdArgs[2:] {
		switch a.Key {
		case "leader":
			n.Leader = tr.id(a.Vals[0])
		case "zxid":
			n.Zxid = tr.zxid(a.Vals[0])
			n.PeerEpoch = max(n.PeerEpoch, int64(n.Zxid.Epoch()))
		case "epoch":
			n.PeerEpoch = int64(tr.id(a.Vals[0]))
		case "round":
			n.Round = int64(tr.id(a.Vals[0]))
		case "config":
			n.Config = tr.configs[a.Vals[0]].Text
		case "text":
			n.Config = strings.Join(a.Vals, "\n")
		case "version":
			n.Version = int32(tr.id(a.Vals[0]))
		case "zooid":
			n.Capabilities.Version = 1
		case "cluster":
			n.Capabilities.Version = 1
			n.Capabilities.Cluster = peer.Cluster{ID: kernel.ClusterID{byte(tr.id(a.Vals[0]))}, Agreed: true}
		default:
			tr.t.Fatalf("%s: say %s", d.Pos, a.Key)
		}
	}
	tr.put(tr.direction(d.CmdArgs[0].Key), n.AppendTo(nil))
}

func (tr *tracer) put(d direction, payload []byte) {
	up := tr.w.links[d.pair()]
	if up == 0 {
		tr.t.Fatalf("%s: there is no link", d)
	}
	tr.w.push(d, kernel.Received{Link: kernel.LinkID{Peer: d.from, Incarnation: up}, Message: kernel.Message{Payload: payload}})
}

// deliver takes the oldest event of each direction in turn.
func (tr *tracer) deliver(only, but []direction) {
	for moved := true; moved; {
		moved = false
		for _, from := range tr.w.servers {
			for _, to := range tr.w.servers {
				d := direction{from.id, to.id}
				q := tr.w.queue(d)
				if len(q.events) == 0 || only != nil && !slices.Contains(only, d) || slices.Contains(but, d) {
					continue
				}
				in := q.events[0].in
				q.events = q.events[1:]
				moved = true
				if to.core != nil {
					tr.w.step(to, in)
				} else if _, message := in.(kernel.Received); message {
					fmt.Fprintf(&tr.out, "%s %s\n", d, traceNotification(notificationOf(in)))
				}
			}
		}
	}
}

func (tr *tracer) at(text string) {
	ms, err := strconv.Atoi(text)
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.w.now = time.Duration(ms) * time.Millisecond
	for _, s := range tr.w.servers {
		if s.core != nil && s.wake != 0 && s.wake <= tr.w.now {
			tr.w.step(s, kernel.Tick{})
		}
	}
}

// late lets what is under way arrive at a moment, together with the tick if that is the same one.
func (tr *tracer) late(d *datadriven.TestData) {
	ms := tr.id(d.CmdArgs[0].Key)
	for _, s := range tr.w.servers {
		if s.core != nil && s.wake > 0 && s.wake < time.Duration(ms)*time.Millisecond {
			tr.at(strconv.FormatInt(s.wake.Milliseconds(), 10))
		}
	}
	tr.w.now = time.Duration(ms) * time.Millisecond
}

func (tr *tracer) role(d *datadriven.TestData) {
	s := tr.w.server(tr.id(d.CmdArgs[0].Key))
	var r kernel.RoleChange
	for role := kernel.Looking; role <= kernel.Observing; role++ {
		if role.String() == d.CmdArgs[1].Key {
			r.Role = role
		}
	}
	if r.Role != kernel.Looking {
		r.Leader = s.elected.Leader
	}
	for _, a := range d.CmdArgs[2:] {
		switch a.Key {
		case "epoch":
			r.Epoch = kernel.Epoch(tr.id(a.Vals[0]))
		case "established":
			r.Established = true
		}
	}
	tr.w.step(s, kernel.RoleIs{RoleChange: r})
}

// saw writes down what a server heard and what came of it.
func (tr *tracer) saw(s *server, in kernel.Input, e *kernel.Effects) {
	c := s.core
	what, quiet := "", true
	switch in := in.(type) {
	case kernel.Received:
		quiet = false
		if n, err := peer.DecodeNotification(in.Message.Payload); err != nil {
			what = fmt.Sprintf("%d->%d %v", in.Link.Peer, s.id, err)
		} else {
			what = fmt.Sprintf("%d->%d %s", in.Link.Peer, s.id, traceNotification(n))
		}
	case kernel.LinkIsUp:
		what = fmt.Sprintf("%d has a link to %d", s.id, in.Link.Peer)
	case kernel.LinkIsDown:
		if what = fmt.Sprintf("%d has no link to %d", s.id, in.Link.Peer); in.Err != nil {
			what = fmt.Sprintf("%d has knocked at %d", s.id, in.Link.Peer)
		}
		quiet = false
	default:
		what = fmt.Sprintf("%d", s.id)
	}
	var came []string
	if c.phase == looking {
		came = append(came, fmt.Sprintf("round=%d %s", c.round, c.says().vote))
	}
	if e.Config != nil {
		came = append(came, fmt.Sprintf("takes configuration %x", uint64(e.Config.Version)))
	}
	switch {
	case e.Elected == nil:
	case e.Elected.Role == kernel.Looking:
		came = append(came, "has waited long enough to lead")
	default:
		came = append(came, fmt.Sprintf("%s %d in round %d", strings.ToUpper(e.Elected.Role.String()), e.Elected.Leader, e.Elected.Round))
		quiet = false
	}
	if len(e.Send) > 0 {
		var to []string
		for _, m := range e.Send {
			to = append(to, fmt.Sprint(m.Link.Peer))
		}
		came = append(came, "tells "+strings.Join(to, " "))
		quiet = false
	}
	for _, d := range e.Dial {
		came = append(came, fmt.Sprintf("dials %d", d.Peer))
		quiet = false
	}
	for _, err := range e.Reports {
		var foreign *kernel.ForeignError
		if errors.As(err, &foreign) {
			came = append(came, fmt.Sprintf("refuses %d: cluster %d, not %d", foreign.Peer, foreign.Theirs[0], foreign.Ours[0]))
		}
		var lost *kernel.LostError
		if errors.As(err, &lost) {
			came = append(came, fmt.Sprintf("despairs: %d have no history", lost.Servers))
		}
		quiet = false
	}
	for _, l := range e.Hangup {
		came = append(came, fmt.Sprintf("hangs up on %d", l.Peer))
	}
	if e.Elected == nil && c.finalizeAt != 0 && c.phase == looking {
		came = append(came, fmt.Sprintf("quorum, waits until %d", c.finalizeAt.Milliseconds()))
	}
	if !quiet {
		fmt.Fprintf(&tr.out, "%s: %s\n", what, strings.Join(came, ", "))
	}
}
