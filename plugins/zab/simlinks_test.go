package zab

import (
	"slices"

	"github.com/zooid-project/zooid/kernel"
)

// linkOf finds the link that a server knows by this id.
func (w *world) linkOf(s *server, id kernel.LinkID) *link {
	for _, l := range w.links {
		for i := range l.ends {
			if l.ends[i] == s && l.ids[i] == id && l.born[i] == s.born {
				return l
			}
		}
	}
	return nil
}

func (l *link) side(s *server) int {
	if l.ends[0] == s {
		return 0
	}
	return 1
}

// moveLink completes a dial, takes a snapshot, or delivers the next thing on a link.
func (w *world) moveLink() {
	switch {
	case len(w.dials) > 0 && w.rng.IntN(3) == 0:
		i := w.rng.IntN(len(w.dials))
		d := w.dials[i]
		w.dials = slices.Delete(w.dials, i, i+1)
		w.connect(d)
	case len(w.snaps) > 0 && w.rng.IntN(3) == 0:
		i := w.rng.IntN(len(w.snaps))
		s := w.snaps[i]
		w.snaps = slices.Delete(w.snaps, i, i+1)
		w.takeSnapshot(s)
	case len(w.links) > 0:
		i := w.rng.IntN(len(w.links))
		l := w.links[i]
		for side, n := w.rng.IntN(2), 1+w.rng.IntN(6); n > 0; n-- {
			w.deliver(l, side)
		}
		if l.broken && len(l.queue[0]) == 0 && len(l.queue[1]) == 0 {
			w.links = slices.Delete(w.links, i, i+1)
		}
	}
}

func (w *world) connect(d dial) {
	if d.from.core == nil || d.from.born != d.born {
		return
	}
	w.seq++
	to := w.byID(d.what.Peer)
	id := kernel.LinkID{Peer: to.id, Purpose: d.what.Purpose, Incarnation: w.seq}
	if to.core == nil || w.cut[pair(d.from.id, to.id)] {
		d.from.inbox = append(d.from.inbox, kernel.LinkIsDown{Link: id})
		return
	}
	l := &link{ends: [2]*server{d.from, to}, born: [2]uint64{d.from.born, to.born}}
	l.ids[0] = id
	l.ids[1] = kernel.LinkID{Peer: d.from.id, Purpose: d.what.Purpose, Incarnation: w.seq}
	l.queue[0] = []item{{up: true}}
	l.queue[1] = []item{{up: true}}
	w.links = append(w.links, l)
}

// deliver moves the next thing on a link into the inbox of one end.
func (w *world) deliver(l *link, side int) {
	q := l.queue[side]
	if len(q) == 0 {
		return
	}
	it := q[0]
	l.queue[side] = q[1:]
	s := l.ends[side]
	if s.core == nil || s.born != l.born[side] {
		return
	}
	switch {
	case it.up:
		s.inbox = append(s.inbox, kernel.LinkIsUp{Link: l.ids[side], Accepted: side == 1})
	case it.down:
		delete(w.holds, l.ids[side])
		s.inbox = append(s.inbox, kernel.LinkIsDown{Link: l.ids[side]})
	case it.flushed:
		s.inbox = append(s.inbox, kernel.LinkFlushed{Link: l.ids[side]})
	default:
		s.inbox = append(s.inbox, kernel.Received{Link: l.ids[side], Message: it.msg})
	}
}
