package zookeeper

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// openSessions counts the sessions that clients have here by the address that they come from: those with a connection, and those that their client has left, which take memory until their time-out.
// An address over the limit opens no new session; one that it has it may always take up again.
type openSessions struct {
	limit int // of one address; 0: nothing is counted

	mu sync.Mutex
	by map[netip.Prefix]*addressSessions
}

// addressSessions are those of one address. It is forgotten when it has none.
type addressSessions struct {
	connections int // that have a session or are about to
	// left are sessions whose connection here has ended, and the moment from which on they are looked for: before it, the creation may be under way.
	left      map[kernel.SessionID]time.Time
	refusedAt time.Time // when one was last refused
}

// network is what counts as one address. Of IPv6 that is the network of 64 bits that one client can have all addresses of.
func network(a net.Addr) (netip.Prefix, bool) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}, false
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	return p, err == nil
}

// enter counts a connection that opens a session or takes one up again. false: the address has too many to open another; first says that none was refused in the minute before.
func (o *openSessions) enter(from netip.Prefix, opens bool, now time.Time) (ok, first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.by[from]
	if a == nil {
		a = &addressSessions{left: map[kernel.SessionID]time.Time{}}
		o.by[from] = a
	}
	if opens && a.connections+len(a.left) >= o.limit {
		first = now.Sub(a.refusedAt) > time.Minute
		a.refusedAt = now
		return false, first
	}
	a.connections++
	return true, false
}

// leave takes a connection out that was counted. id is the session that lives on without it, 0 for none.
func (o *openSessions) leave(from netip.Prefix, id kernel.SessionID, lookFrom time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.by[from]
	a.connections--
	if id != 0 {
		a.left[id] = lookFrom
	}
	o.tidy(from, a)
}

func (o *openSessions) tidy(from netip.Prefix, a *addressSessions) {
	if a.connections == 0 && len(a.left) == 0 {
		delete(o.by, from)
	}
}

// sweep forgets the sessions that have ended, or have a connection here again.
func (o *openSessions) sweep(sessions kernel.Sessions, now time.Time) {
	type left struct {
		from netip.Prefix
		id   kernel.SessionID
		at   time.Time
	}
	var all, gone []left
	o.mu.Lock()
	for from, a := range o.by {
		for id, lookFrom := range a.left {
			if !now.Before(lookFrom) {
				all = append(all, left{from, id, lookFrom})
			}
		}
	}
	o.mu.Unlock()
	for _, l := range all { // without the lock: there may be many
		if over(sessions, l.id) {
			gone = append(gone, l)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range gone {
		if a := o.by[l.from]; a != nil && a.left[l.id].Equal(l.at) { // or it was taken up and left once more meanwhile
			delete(a.left, l.id)
			o.tidy(l.from, a)
		}
	}
}

// over says whether a session needs no counting of its own: it has ended, or has a connection here, which is counted.
func over(sessions kernel.Sessions, id kernel.SessionID) bool {
	s, known := sessions.Find(id)
	return !known || s.Conn != nil
}

// countSession counts the connection for its address. false: it may not open a session.
func (c *conn) countSession() bool {
	o := &c.g.sessions
	from, ok := network(c.peer.Addr)
	if o.limit <= 0 || !ok {
		return true
	}
	ok, first := o.enter(from, c.opening.request.SessionID == 0, time.Now())
	if ok {
		c.counted = from
		return true
	}
	c.g.stats.rejected.Add(1)
	if first {
		address := from.String()
		if from.IsSingleIP() {
			address = from.Addr().String()
		}
		c.g.log.Warn("Too many sessions from "+address+": no more are opened until some have ended; those that were left without being closed count until their time-out", "max", o.limit,
			"option", "plugin.gateway.zookeeper.maxSessions")
	}
	return false
}

// leaveSession is the end of countSession. The reader calls it when the connection is detached from its session.
func (c *conn) leaveSession() {
	if !c.counted.IsValid() {
		return
	}
	id, lookFrom := c.Session(), time.Now()
	c.mu.Lock()
	creating := id == 0 && c.opening.create != nil
	c.mu.Unlock()
	switch {
	case creating:
		id, lookFrom = c.opening.id, lookFrom.Add(c.g.cfg.sessionless)
	case id != 0 && over(c.g.host.Machine().Sessions(), id):
		id = 0
	}
	c.g.sessions.leave(c.counted, id, lookFrom)
}
