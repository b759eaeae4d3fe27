package tcp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// Dial implements kernel.Transport. Names are resolved anew. A dial to a quorum port is up when the connection is; the learner introduces itself by its first message. A dial to the
// election port of a server with a larger id is down as soon as that server has been asked to dial back (ErrKnocked).
func (t *Transport) Dial(id kernel.ServerID, purpose kernel.Purpose) kernel.LinkID {
	l := newLink(t, kernel.LinkID{Peer: id, Purpose: purpose, Incarnation: incarnations.Add(1)}, false)
	ctx, cancel := context.WithCancel(t.life)
	l.cancel = cancel
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.register(l) {
		cancel() // nobody is told anything after Close
		return l.id
	}
	t.spawn(func() {
		defer cancel()
		var err error
		switch {
		case id == t.self:
			err = errors.New("a server has no link to itself")
		case purpose == kernel.ForElection:
			err = t.dialElection(ctx, l)
		default:
			err = t.dialLeader(ctx, l)
		}
		if err != nil {
			l.fail(err)
			return
		}
		l.read()
	})
	return l.id
}

// dialLeader connects to a quorum port, or to one for observers.
func (t *Transport) dialLeader(ctx context.Context, l *link) error {
	conn, err := t.connect(ctx, l.id.Peer, t.addresses(l.id.Peer, l.id.Purpose), t.settings.LeaderConnectTimeout)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !l.establish(conn, bufio.NewReaderSize(conn, readerBytes(l.id.Purpose)), nil) {
		closeConn(conn)
	}
	return nil
}

// dialElection connects to an election port, or knocks there.
func (t *Transport) dialElection(ctx context.Context, l *link) error {
	id := l.id.Peer
	for {
		mine, other := t.takeTurn(id)
		if other == nil {
			return t.callElector(ctx, l, mine, t.addresses(id, kernel.ForElection))
		}
		select { // most often a dial back, asked for by the peer: its link will do
		case <-other:
		case <-ctx.Done():
			return ctx.Err()
		}
		if t.electing(id) {
			return ErrReplaced
		}
	}
}

// callElector opens a connection to an election port and says who is there. mine is the caller's turn, which ends.
func (t *Transport) callElector(ctx context.Context, l *link, mine chan struct{}, addresses []peer.Address) error {
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.endTurn(l.id.Peer, mine)
	}()
	conn, err := t.connect(ctx, l.id.Peer, addresses, t.settings.ConnectTimeout)
	if err != nil {
		return err
	}
	hello := peer.Initial{Server: t.self, Addresses: t.addresses(t.self, kernel.ForElection), Several: t.settings.Several}
	if len(hello.Addresses) == 0 { // not in the configuration (yet): the peer has to look there itself
		hello.Addresses = []peer.Address{{Host: "0.0.0.0", Port: 1}}
	}
	conn.SetWriteDeadline(time.Now().Add(t.settings.ConnectTimeout))
	if _, err := conn.Write(hello.AppendTo(nil)); err != nil {
		closeConn(conn)
		return err
	}
	if l.id.Peer > t.self {
		closeConn(conn)
		return ErrKnocked
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endTurn(l.id.Peer, mine) // before anybody hears that the link is up
	if l.accepted && !t.register(l) {
		closeConn(conn)
		return ErrClosed
	}
	if !t.takeElection(l) {
		if l.accepted {
			delete(t.links, l.id)
		}
		closeConn(conn)
		return ErrReplaced
	}
	if !l.establish(conn, bufio.NewReaderSize(conn, readerBytes(l.id.Purpose)), nil) {
		closeConn(conn)
	}
	return nil
}

// dialBack answers a knock: the connection is this server's to make, the link counts as the peer's wish. Servers of the configuration are looked for where the configuration says, and
// only then where the knock said. A link that has just come up stays for a moment: it is what the last knock asked for, and whoever knocks without end must not
// take it down each time.
func (t *Transport) dialBack(m peer.Initial) {
	addresses := t.addresses(m.Server, kernel.ForElection)
	addresses = append(addresses[:len(addresses):len(addresses)], m.Addresses...)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.dialling) >= maxUnknown || len(addresses) == 0 || t.dialling[m.Server] != nil {
		return // one that is under way will do
	}
	old := t.elections[m.Server]
	l := newLink(t, kernel.LinkID{Peer: m.Server, Purpose: kernel.ForElection, Incarnation: incarnations.Add(1)}, true)
	mine := t.turn(m.Server)
	if !t.spawn(func() {
		old.grow()
		err := t.callElector(t.life, l, mine, addresses)
		if err != nil {
			t.log.Warn("cannot dial back to a server that asked for it", "server", m.Server, "addresses", addresses, "error", err)
			return
		}
		l.read()
	}) {
		t.endTurn(m.Server, mine)
	}
}

// takeTurn makes the caller the only one who dials the election port of a server until endTurn; otherwise other is closed when the one who does has ended.
func (t *Transport) takeTurn(id kernel.ServerID) (mine, other chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if other := t.dialling[id]; other != nil {
		return nil, other
	}
	return t.turn(id), nil
}

// turn is called with t.mu held.
func (t *Transport) turn(id kernel.ServerID) chan struct{} {
	mine := make(chan struct{})
	t.dialling[id] = mine
	return mine
}

// endTurn may be called again. The caller holds t.mu.
func (t *Transport) endTurn(id kernel.ServerID, mine chan struct{}) {
	if t.dialling[id] == mine {
		delete(t.dialling, id)
		close(mine)
	}
}

// electing tells whether there is a connection to a server's election port.
func (t *Transport) electing(id kernel.ServerID) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	l := t.elections[id]
	return l != nil && l.alive()
}

// headStart is how long an address has for itself before the next one is tried too.
const headStart = 250 * time.Millisecond

// connect tries a server's addresses, each with a head start on the next, and returns the first connection.
func (t *Transport) connect(ctx context.Context, id kernel.ServerID, addresses []peer.Address, timeout time.Duration) (net.Conn, error) {
	if len(addresses) == 0 {
		return nil, fmt.Errorf("server %d: %w", id, ErrNoMember)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	type result struct {
		conn net.Conn
		err  error
	}
	dial := func(a peer.Address) (net.Conn, error) {
		dialer := net.Dialer{KeepAliveConfig: keepAlive}
		plain, err := dialer.DialContext(ctx, "tcp", a.String())
		if err != nil {
			return nil, err
		}
		conn, err := t.secureDialled(ctx, plain, id, a.Host)
		if err != nil {
			plain.Close()
			return nil, err
		}
		return conn, nil
	}
	results := make(chan result)
	started, running := 0, 0
	try := func() {
		address := addresses[started]
		started++
		running++
		go func() {
			conn, err := dial(address)
			results <- result{conn, err}
		}()
	}
	try()
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	var first net.Conn
	var failures []error
	for running > 0 {
		next := timer.C
		if first != nil || started == len(addresses) {
			next = nil
		}
		select {
		case <-next:
			try()
			timer.Reset(headStart)
		case r := <-results:
			running--
			switch {
			case r.err != nil:
				if first == nil {
					failures = append(failures, r.err)
					if started < len(addresses) && ctx.Err() == nil {
						try()
						timer.Reset(headStart)
					}
				}
			case first != nil:
				closeConn(r.conn)
			default:
				first = r.conn
				cancel() // of those that are still trying
			}
		}
	}
	cancel()
	if first == nil {
		return nil, fmt.Errorf("server %d: %w", id, errors.Join(failures...))
	}
	return first, nil
}
