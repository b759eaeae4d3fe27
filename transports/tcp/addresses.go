package tcp

import (
	"maps"
	"net"
	"strconv"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/sdk/peer"
)

// member is where a server of the configuration is.
type member struct {
	voter            bool
	quorum, election []peer.Address
	observers        []peer.Address // where it serves observers, if it does; none: nobody was told a port
}

// place is what a listener listens on.
type place struct {
	purpose kernel.Purpose
	address string
}

// Configure implements kernel.Transport. When this server's own addresses have changed and it listens, it listens on the new ones from now on; if one cannot be bound it tries again and
// says so in the log.
func (t *Transport) Configure(members []kernel.Member) {
	known := make(map[kernel.ServerID]member, len(members))
	for _, m := range members {
		parsed, err := config.ParseMember(int64(m.ID), m.Text)
		if err != nil {
			t.log.Error("a server of the configuration cannot be reached", "server", m.ID, "text", m.Text, "error", err)
			continue
		}
		where := member{voter: m.Voter}
		for _, a := range parsed.Addresses {
			where.quorum = append(where.quorum, peer.Address{Host: a.Host, Port: a.QuorumPort})
			where.election = append(where.election, peer.Address{Host: a.Host, Port: a.ElectionPort})
			if t.settings.ObserverMasterPort != 0 {
				where.observers = append(where.observers, peer.Address{Host: a.Host, Port: t.settings.ObserverMasterPort})
			}
		}
		known[m.ID] = where
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if me, ok := t.members[t.self]; ok { // removed: it goes on where it is, and has to be found there when it knocks
		if _, ok := known[t.self]; !ok {
			known[t.self] = me
		}
	}
	t.members = known
	if t.listening {
		t.rebind()
	}
}

// addresses of a server's port.
func (t *Transport) addresses(id kernel.ServerID, purpose kernel.Purpose) []peer.Address {
	t.mu.RLock()
	defer t.mu.RUnlock()
	m := t.members[id]
	switch purpose {
	case kernel.ForElection:
		return m.election
	case kernel.ForObservers:
		return m.observers
	}
	return m.quorum
}

// places are those this server should listen on: none when it is not in the configuration. The caller holds t.mu.
func (t *Transport) places() map[place]bool {
	wanted := make(map[place]bool)
	add := func(purpose kernel.Purpose, addresses []peer.Address) {
		for _, a := range addresses {
			host := a.Host
			if t.settings.ListenOnAllIPs {
				host = ""
			}
			wanted[place{purpose, net.JoinHostPort(host, strconv.Itoa(a.Port))}] = true
		}
	}
	me := t.members[t.self]
	add(kernel.ForBroadcast, me.quorum)
	add(kernel.ForElection, me.election)
	if me.voter {
		add(kernel.ForObservers, me.observers)
	}
	return wanted
}

// missing are the places without a listener. The caller holds t.mu.
func (t *Transport) missing() map[place]bool {
	wanted := t.places()
	maps.DeleteFunc(wanted, func(p place, _ bool) bool { return t.listeners[p] != nil })
	return wanted
}
