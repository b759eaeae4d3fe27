package tcp

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// keepAlive finds a peer whose machine is gone although nobody sends anything to it.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4}

// Listen implements kernel.Transport. An address that cannot be bound, as often as Settings say, is an error, and then none is. Where servers get their addresses while they start, a name may not
// lead to this machine yet.
func (t *Transport) Listen() error {
	for tries := 0; ; tries++ {
		err := t.listen()
		if err == nil || errors.Is(err, ErrClosed) || errors.Is(err, ErrNoMember) || t.settings.BindRetries >= 0 && tries >= t.settings.BindRetries {
			return err
		}
		t.log.Warn("cannot listen for peers; trying again", "error", err)
		if !t.sleep(rebindPause) {
			return ErrClosed
		}
	}
}

func (t *Transport) listen() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	wanted := t.missing()
	if len(wanted) == 0 && len(t.listeners) == 0 {
		return fmt.Errorf("server %d cannot listen: %w; add a line server.%d=host:quorumPort:electionPort", t.self, ErrNoMember, t.self)
	}
	var bound []place
	for p := range wanted {
		if err := t.bind(p); err != nil {
			for _, p := range bound {
				t.listeners[p].Close()
				delete(t.listeners, p)
			}
			return err
		}
		bound = append(bound, p)
	}
	t.listening = true
	return nil
}

// bind makes one listener. The caller holds t.mu.
func (t *Transport) bind(p place) error {
	config := net.ListenConfig{KeepAliveConfig: keepAlive}
	l, err := config.Listen(t.life, "tcp", p.address)
	if err != nil {
		return fmt.Errorf("%s port %s of server %d: %w", portName(p.purpose), p.address, t.self, err)
	}
	t.listeners[p] = l
	t.spawn(func() { t.accept(l, p.purpose) })
	return nil
}

func portName(p kernel.Purpose) string {
	return [...]string{kernel.ForElection: "election", kernel.ForBroadcast: "quorum", kernel.ForObservers: "observer master"}[p]
}

// rebindPause is how long a port that cannot be bound is left alone.
const rebindPause = time.Second

// rebind binds what the configuration says, then closes what it no longer says. The caller holds t.mu.
func (t *Transport) rebind() {
	failed := false
	for p := range t.missing() {
		if err := t.bind(p); err != nil {
			failed = true
			t.log.Error("this server does not listen where the configuration says; it tries again every second", "error", err)
		}
	}
	wanted := t.places()
	for p, l := range t.listeners {
		if !wanted[p] {
			l.Close()
			delete(t.listeners, p)
		}
	}
	if failed && !t.rebinding {
		t.rebinding = t.spawn(func() {
			select {
			case <-t.life.Done():
			case <-time.After(rebindPause):
			}
			t.mu.Lock()
			defer t.mu.Unlock()
			t.rebinding = false
			if !t.closed {
				t.rebind()
			}
		})
	}
}

// accept is a listener's goroutine.
func (t *Transport) accept(l net.Listener, purpose kernel.Purpose) {
	for pause := time.Millisecond; ; {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptors, for instance: it passes
			t.log.Warn("cannot accept a peer", "port", l.Addr(), "error", err)
			if !t.sleep(pause) {
				return
			}
			pause = min(2*pause, time.Second)
			continue
		}
		pause = time.Millisecond
		t.welcome(conn, purpose)
	}
}

// sleep waits; false: the transport has been closed.
func (t *Transport) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.life.Done():
		return false
	}
}

// stranger is a connection that has not introduced itself.
type stranger struct {
	conn        net.Conn // as accepted: closing it ends whatever is made of it
	purpose     kernel.Purpose
	incarnation uint64 // in the order of accept
}

// welcome lets a connection introduce itself, within a time and beside a bounded number of others. When there are too many the one that has taken longest goes: introductions that
// are meant take a round trip.
func (t *Transport) welcome(conn net.Conn, purpose kernel.Purpose) {
	s := &stranger{conn: conn, purpose: purpose, incarnation: incarnations.Add(1)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.spawn(func() { t.introduce(s) }) {
		conn.Close()
		return
	}
	if len(t.strangers) >= maxStrangers {
		t.strangers[0].conn.Close()
		t.strangers = slices.Delete(t.strangers, 0, 1)
	}
	t.strangers = append(t.strangers, s)
}

// known takes a connection off the list of strangers: it is somebody's link now, or closed. The caller holds t.mu.
func (t *Transport) known(s *stranger) {
	if i := slices.Index(t.strangers, s); i >= 0 {
		t.strangers = slices.Delete(t.strangers, i, i+1)
	}
}

// introduce is a stranger's goroutine, which becomes the link's reader.
func (t *Transport) introduce(s *stranger) {
	l, err := t.meet(s)
	if err != nil {
		t.log.Warn("a connection to a peer port is closed", "port", portName(s.purpose), "from", s.conn.RemoteAddr(), "error", err)
	}
	if l == nil {
		s.conn.Close()
		t.mu.Lock()
		t.known(s)
		t.mu.Unlock()
		return
	}
	l.read()
}

func readerBytes(p kernel.Purpose) int {
	if p == kernel.ForElection {
		return 4 << 10
	}
	return 64 << 10
}
