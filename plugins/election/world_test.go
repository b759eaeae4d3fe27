package election

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// world is an ensemble of cores without network, disk and clock. What a core sends stands in the queue of its direction until somebody takes it out.
type world struct {
	config  kernel.Ensemble
	servers []*server // by id
	links   map[pair]uint64
	cut     map[pair]bool // no link can be had
	queues  map[direction]*queue
	last    uint64 // incarnation of a link
	now     time.Duration
	delay   func(direction) time.Duration                     // nil: none
	rewrite func(from kernel.ServerID, payload []byte) []byte // nil: what is sent arrives as it is
	saw     func(s *server, in kernel.Input, e *kernel.Effects)
}

type pair [2]kernel.ServerID // smaller id first

type direction struct{ from, to kernel.ServerID }

func (d direction) String() string { return fmt.Sprintf("%d->%d", d.from, d.to) }

func (d direction) pair() pair { return pair{min(d.from, d.to), max(d.from, d.to)} }

// queue is what has not arrived yet, in order.
type queue struct{ events []event }

type event struct {
	in kernel.Input
	at time.Duration
}

// server is a core and what the node around it knows. A nil core is a server that is down, or one that a test speaks for.
type server struct {
	id      kernel.ServerID
	core    *Core
	wake    time.Duration
	elected *kernel.Elected
}

func newWorld(config kernel.Ensemble) *world {
	w := &world{config: config, links: map[pair]uint64{}, cut: map[pair]bool{}, queues: map[direction]*queue{}}
	for _, id := range append(slices.Clone(config.Voters), config.Others...) {
		w.server(id)
	}
	return w
}

func (w *world) server(id kernel.ServerID) *server {
	i, ok := slices.BinarySearchFunc(w.servers, id, func(s *server, id kernel.ServerID) int { return int(s.id - id) })
	if !ok {
		w.servers = slices.Insert(w.servers, i, &server{id: id})
	}
	return w.servers[i]
}

func (w *world) queue(d direction) *queue {
	if w.queues[d] == nil {
		w.queues[d] = &queue{}
	}
	return w.queues[d]
}

func (w *world) push(d direction, in kernel.Input) {
	q, at := w.queue(d), w.now
	if w.delay != nil {
		at += w.delay(d)
	}
	if n := len(q.events); n > 0 {
		at = max(at, q.events[n-1].at)
	}
	q.events = append(q.events, event{in: in, at: at})
}

// step gives an input to a server and does what it wants.
func (w *world) step(s *server, in kernel.Input) {
	e := s.core.Step(w.now, in)
	s.wake = e.Wake
	if e.Elected != nil {
		elected := *e.Elected
		s.elected = &elected
	}
	if w.saw != nil {
		w.saw(s, in, e)
	}
	for _, d := range e.Dial {
		w.dial(s.id, d.Peer)
	}
	for _, m := range e.Send {
		d := direction{s.id, m.Link.Peer}
		if w.rewrite != nil {
			m.Message.Payload = w.rewrite(s.id, m.Message.Payload)
		}
		if w.links[d.pair()] == m.Link.Incarnation {
			w.push(d, kernel.Received{Link: kernel.LinkID{Peer: s.id, Incarnation: m.Link.Incarnation}, Message: m.Message})
		}
	}
	for _, l := range e.Hangup {
		w.unlink(s.id, l.Peer, l.Incarnation)
	}
}

// dial connects two servers. Both hear of it.
func (w *world) dial(a, b kernel.ServerID) {
	d := direction{a, b}
	if w.links[d.pair()] != 0 {
		return // it has just come up
	}
	w.last++
	if s := w.server(b); s.core == nil && !s.spoken() || w.cut[d.pair()] {
		w.push(direction{b, a}, kernel.LinkIsDown{Link: kernel.LinkID{Peer: b, Incarnation: w.last}})
		return
	}
	if a < b { // it knocks, and is dialled back
		w.push(direction{b, a}, kernel.LinkIsDown{Link: kernel.LinkID{Peer: b, Incarnation: w.last}, Err: kernel.ErrOtherLink})
		w.last++
	}
	w.links[d.pair()] = w.last
	w.push(direction{b, a}, kernel.LinkIsUp{Link: kernel.LinkID{Peer: b, Incarnation: w.last}})
	w.push(d, kernel.LinkIsUp{Link: kernel.LinkID{Peer: a, Incarnation: w.last}, Accepted: true})
}

// unlink ends a link: what is under way is lost, and both ends hear of it.
func (w *world) unlink(a, b kernel.ServerID, incarnation uint64) {
	p := direction{a, b}.pair()
	if w.links[p] == 0 || incarnation != 0 && w.links[p] != incarnation {
		return
	}
	was := w.links[p]
	delete(w.links, p)
	for _, d := range []direction{{a, b}, {b, a}} {
		q := w.queue(d)
		q.events = slices.DeleteFunc(q.events, func(e event) bool { _, ok := e.in.(kernel.Received); return ok })
		w.push(d, kernel.LinkIsDown{Link: kernel.LinkID{Peer: d.from, Incarnation: was}})
	}
}

// kill ends a server at once.
func (w *world) kill(id kernel.ServerID) {
	s := w.server(id)
	s.core, s.elected, s.wake = nil, nil, 0
	for _, other := range w.servers {
		if other != s {
			w.unlink(id, other.id, 0)
			w.queue(direction{other.id, id}).events = nil
		}
	}
}

// spoken tells whether a test speaks for a server: it is there, but has no core.
func (s *server) spoken() bool { return s.wake < 0 }

func notificationOf(in kernel.Input) peer.Notification {
	n, err := peer.DecodeNotification(in.(kernel.Received).Message.Payload)
	if err != nil {
		panic(err)
	}
	return n
}

// The words of traces.

func traceZxid(z kernel.Zxid) string {
	switch z {
	case nobody:
		return "-"
	case noZxid:
		return "none"
	}
	return fmt.Sprintf("%d:%d", z.Epoch(), z.Counter())
}

func (v vote) String() string {
	leader, epoch := fmt.Sprint(v.leader), fmt.Sprintf(" e%d", v.epoch)
	if v.leader == nobody {
		leader = "-"
	}
	if v.epoch == int64(v.zxid.Epoch()) || v.epoch == nobody {
		epoch = ""
	}
	return fmt.Sprintf("(%s %s%s)", leader, traceZxid(v.zxid), epoch)
}

func traceNotification(n peer.Notification) string {
	by := ""
	if !n.Capabilities.Announced() {
		by = " apache"
	}
	return fmt.Sprintf("%s round=%d %s%s", strings.ToUpper(n.State.String()), n.Round, vote{leader: n.Leader, zxid: n.Zxid, epoch: n.PeerEpoch}, by)
}
