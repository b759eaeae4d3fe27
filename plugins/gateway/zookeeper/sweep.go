package zookeeper

import (
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// sweepEvery is how often the sweeper looks. It reads the clock once for all connections, so that no write or read needs a deadline of its own.
const sweepEvery = 250 * time.Millisecond

// sweep closes connections that do not come to a session, that are silent for longer than their session may be, that do not take what they are sent, and those that it does
// not serve any more: all of them when it stops without holding them for the next leader or begins to lead and does nothing else, and those that came in read-only mode when that ends.
func (g *Gateway) sweep() {
	defer g.done.Done()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	rounds := 0
	wasReadOnly := false
	for {
		select {
		case <-g.stop:
			return
		case <-tick.C:
		}
		status := g.host.Status()
		g.shareOutstanding(status)
		// Every time and not only when it stops: it may have served so shortly that no round has seen it, and a handshake may have begun before.
		stopped, readOnlyEnded := !status.Serving && !status.Holding || g.leadsOnly(status), wasReadOnly && !status.ReadOnly
		if status.ReadOnly && !wasReadOnly {
			g.sendReaders()
		}
		rounds++
		wasReadOnly = status.ReadOnly
		if rounds%4 != 0 && !stopped && !readOnlyEnded {
			continue
		}
		now := time.Now()
		g.sessions.sweep(g.host.Machine().Sessions(), now)
		for _, c := range g.snapshot() {
			c.sweep(now, stopped, status.ReadOnly)
		}
	}
}

// leadsOnly says whether this server leaves clients to the others, because it leads them (spec server-surface, 1: leaderServes).
func (g *Gateway) leadsOnly(s kernel.Status) bool {
	return !g.cfg.leaderServes && s.Role == kernel.Leading && len(s.Members) > 1
}

// idleBucket is what the idle time is rounded up to (spec client-protocol, 3.5).
const idleBucket = 10 * time.Second

func (c *conn) sweep(now time.Time, stopped, readOnly bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return
	}
	stuck := c.output.writing && now.Sub(c.output.since) > max(c.timeout, c.g.cfg.sessionless)
	switch {
	case c.phase < phaseServing && now.Sub(c.accepted) > c.g.cfg.sessionless:
		c.g.stats.sessionlessExpired.Add(1)
	case c.phase != phaseNew && c.phase != phaseFinished && (c.readOnly && !readOnly || stopped && !c.readOnly):
		c.g.stats.stoppedServing.Add(1)
	case (c.phase == phaseServing || c.phase == phaseClosing) && now.Sub(c.lastFrame) > c.timeout+idleBucket-c.timeout%idleBucket:
		c.g.stats.staleExpired.Add(1)
	case stuck:
		c.g.stats.slowReaders.Add(1)
	default:
		return
	}
	c.killLocked()
}

// sendReaders lets clients that are held go which can do with a read-only server, when this has become one: they come back for reads. A global session could not; those that have one stay held.
func (g *Gateway) sendReaders() {
	sessions := g.host.Machine().Sessions()
	for _, c := range g.snapshot() {
		c.mu.Lock()
		asked := c.phase == phaseServing && c.opening.request.ReadOnly && !c.readOnly
		c.mu.Unlock()
		if s, known := sessions.Find(c.Session()); asked && known && s.Local {
			c.kill()
		}
	}
}
