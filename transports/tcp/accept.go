package tcp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// meet reads an introduction. It returns the link that the connection has become, or nil when it is to be closed, for a reason or because it was a knock.
func (t *Transport) meet(s *stranger) (*link, error) {
	if err := s.conn.SetDeadline(time.Now().Add(t.settings.ConnectTimeout)); err != nil {
		return nil, err
	}
	conn, err := t.secureAccepted(s.conn)
	if errors.Is(err, io.EOF) {
		return nil, nil // somebody looked whether the port is open
	}
	if err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(conn, readerBytes(s.purpose))
	if s.purpose == kernel.ForElection {
		return t.meetElector(s, conn, in)
	}
	return t.meetLearner(s, conn, in)
}

// meetElector: the larger id dials. A smaller one only knocks (spec zab, 4.11).
func (t *Transport) meetElector(s *stranger, conn net.Conn, in *bufio.Reader) (*link, error) {
	m, err := peer.ReadInitial(in)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := t.plausible(m.Server, conn); err != nil {
		return nil, err
	}
	if m.Old && len(t.addresses(m.Server, kernel.ForElection)) == 0 {
		return nil, fmt.Errorf("what would be the id of a server before ZooKeeper 3.5 (%d): %w", m.Server, ErrNoMember)
	}
	if m.Server < t.self {
		t.dialBack(m)
		return nil, nil
	}
	return t.adopt(s, m.Server, conn, in, nil)
}

// meetLearner: a learner's first packet says who it is.
func (t *Transport) meetLearner(s *stranger, conn net.Conn, in *bufio.Reader) (*link, error) {
	first, err := peer.NewReader(in, maxIntroducing).Packet()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if first.Type != peer.FollowerInfo && first.Type != peer.ObserverInfo {
		return nil, fmt.Errorf("a learner introduces itself first, not with %s", peer.TypeName(first.Type))
	}
	info, err := peer.DecodeLearnerInfo(first.Payload)
	if err != nil {
		return nil, err
	}
	if err := t.plausible(info.Server, conn); err != nil {
		return nil, err
	}
	return t.adopt(s, info.Server, conn, in, &first)
}

// plausible refuses this server's own id, those of nobody, and those of others than the certificate is for.
func (t *Transport) plausible(id kernel.ServerID, conn net.Conn) error {
	switch {
	case id == t.self:
		return fmt.Errorf("the peer says that it is server %d, which is this one: two servers have the same myid", id)
	case id < 0 || id == math.MaxInt64:
		return fmt.Errorf("the peer does not say which server it is (%d)", id)
	}
	return t.verifyClient(id, conn)
}

// adopt makes a stranger's connection a link. first is delivered right behind LinkUp.
func (t *Transport) adopt(s *stranger, id kernel.ServerID, conn net.Conn, in *bufio.Reader, first *kernel.Message) (*link, error) {
	l := newLink(t, kernel.LinkID{Peer: id, Purpose: s.purpose, Incarnation: s.incarnation}, true)
	if err := s.conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.register(l) {
		return nil, fmt.Errorf("server %d has no place: %d links of servers outside the configuration are up", id, maxUnknown)
	}
	if s.purpose == kernel.ForElection && !t.takeElection(l) {
		delete(t.links, l.id)
		return nil, nil // a connection that came later was quicker
	}
	t.known(s)
	l.establish(conn, in, first)
	return l, nil
}
