package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/zooid-project/zooid/bench"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// Every server of an ensemble knows every session that is in the log, and no more: where a client is connected knows its server, when it expires the leader, and of a local session nobody but its
// server knows at all. So all servers are asked that the configuration node names.

// place is where one server takes clients.
type place struct {
	server  int64 // id; 0 of a lone server, which has none
	address string
}

// answer is what one server has said.
type answer struct {
	place
	sessions []wire.SessionRecord
	own      int64 // the session that asked
	err      error
}

// askLimit is how long one server may take. One that is down must not hold up the others' answers.
const askLimit = 5 * time.Second

// places lists the servers of the ensemble that c is connected to.
func (o *sessionsOptions) places(ctx context.Context, c *client.Client) ([]place, error) {
	hosts, _, err := bench.ParseServers(o.servers)
	if err != nil {
		return nil, err
	}
	text, _, err := c.Get(ctx, wire.ConfigPath)
	if err != nil {
		return nil, err
	}
	if len(text) == 0 {
		return []place{{address: hosts[0]}}, nil
	}
	ensemble, err := config.ParseEnsemble(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", wire.ConfigPath, err)
	}
	_, usual, err := net.SplitHostPort(hosts[0])
	if err != nil {
		return nil, err
	}
	var all []place
	for _, m := range ensemble.Members {
		parsed, err := config.ParseMember(int64(m.ID), m.Text)
		if err != nil {
			return nil, fmt.Errorf("%s: server %d: %w", wire.ConfigPath, m.ID, err)
		}
		all = append(all, place{parsed.ID, o.clientAddress(parsed, usual)})
	}
	return all, nil
}

// clientAddress is where a member takes clients, as far as the configuration says; otherwise at the port that was given for the others.
func (o *sessionsOptions) clientAddress(m config.Member, usual string) string {
	host, port := m.ClientHost, m.ClientPort
	if o.usesTLS() {
		host, port = m.SecureClientHost, m.SecureClientPort
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = m.Addresses[0].Host
	}
	if port != 0 {
		usual = strconv.Itoa(port)
	}
	return net.JoinHostPort(host, usual)
}

// askAll lists the sessions of all places at once, and returns the answers in their order.
func (o *sessionsOptions) askAll(ctx context.Context, places []place) []answer {
	answers := make([]answer, len(places))
	var done sync.WaitGroup
	for i, p := range places {
		done.Go(func() {
			a := &answers[i]
			a.place = p
			a.err = o.at(ctx, p, func(ctx context.Context, c *client.Client) (err error) {
				a.own = c.SessionID()
				a.sessions, err = allSessions(ctx, c)
				return err
			})
		})
	}
	done.Wait()
	return answers
}

// at runs do with a session of its own on one server.
func (o *sessionsOptions) at(ctx context.Context, p place, do func(context.Context, *client.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, min(o.timeout, askLimit))
	defer cancel()
	err := o.connected(ctx, p.address, func(ctx context.Context, c *client.Client) error {
		if id := byte(uint64(c.SessionID()) >> 56); p.server != 0 && id != byte(p.server) { // a session's id begins with that of its server
			return fmt.Errorf("server %d answers there, and the configuration does not say where this one takes clients", id)
		}
		return do(ctx, c)
	})
	if errors.Is(err, wire.ErrUnimplemented) {
		return errors.New("it is no server of Zooid")
	}
	return err
}

func allSessions(ctx context.Context, c *client.Client) (all []wire.SessionRecord, err error) {
	for after := int64(0); ; {
		page, err := c.Sessions(ctx, after, 0)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return all, nil
		}
		all = append(all, page...)
		after = page[len(page)-1].ID
	}
}

// found is a session as all who were asked know it together.
type found struct {
	wire.SessionRecord
	server int64 // that its client is connected to, 0 if none is known
}

// merge puts answers together, by id as unsigned numbers, without the sessions that only ask. A learner's idea of when a session expires is at most as late as the leader's.
func merge(answers []answer, own int64) []found {
	byID := map[int64]*found{}
	for _, a := range answers {
		for _, s := range a.sessions {
			f := byID[s.ID]
			if f == nil {
				f = &found{SessionRecord: s}
				byID[s.ID] = f
			}
			f.ExpiresMs = max(f.ExpiresMs, s.ExpiresMs)
			f.Ephemerals = max(f.Ephemerals, s.Ephemerals)
			if s.Client != "" {
				f.Client, f.TimeoutMs, f.server = s.Client, s.TimeoutMs, a.server
			}
		}
	}
	delete(byID, own)
	for _, a := range answers {
		delete(byID, a.own)
	}
	list := make([]found, 0, len(byID))
	for _, f := range byID {
		list = append(list, *f)
	}
	slices.SortFunc(list, func(a, b found) int { return cmp.Compare(uint64(a.ID), uint64(b.ID)) })
	return list
}

// endAnywhere ends a session: on the server that c is connected to, which does for every session in the log, or on the one that alone knows it, if it is a local one.
func (o *sessionsOptions) endAnywhere(ctx context.Context, c *client.Client, id int64) error {
	unknown := endHere(ctx, c, id)
	if !errors.Is(unknown, wire.ErrUnknownSession) {
		return unknown
	}
	places, err := o.places(ctx, c)
	if err != nil {
		return err
	}
	for _, p := range places {
		err := o.at(ctx, p, func(ctx context.Context, c *client.Client) error { return endHere(ctx, c, id) })
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, wire.ErrUnknownSession):
			unknown = errors.Join(unknown, fmt.Errorf("server %d, which might know it, could not be asked at %s: %w", p.server, p.address, err))
		}
	}
	return unknown
}

// endHere ends a session and waits until it has ended: a sync stands behind it.
func endHere(ctx context.Context, c *client.Client, id int64) error {
	if err := c.EndSession(ctx, id); err != nil {
		return err
	}
	if err := c.Sync(ctx, "/"); err != nil {
		return fmt.Errorf("whether session 0x%x has ended is not known, list the sessions: %w", uint64(id), err)
	}
	left, err := c.Sessions(ctx, id-1, 1)
	if err != nil {
		return err
	}
	if len(left) > 0 && left[0].ID == id {
		return fmt.Errorf("session 0x%x has not ended: the leader may have changed meanwhile; run this again", uint64(id))
	}
	return nil
}
