package zookeeper

import (
	"cmp"
	"slices"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// maxSessionPage bounds one answer to listSessions.
const maxSessionPage = 1000

// administer answers the operations that only a connection with the identity super may use: listing sessions, and ending one. An ended session goes like an
// expired one: one transaction with its ephemerals, and its client is told at its next handshake.
func (c *conn) administer(b *burst, xid int32, op wire.OpCode, r *wire.Request) {
	if !slices.ContainsFunc(c.Identities(), func(i kernel.Identity) bool { return i.Scheme == "super" }) {
		c.local(b, xid, op, zxidApplied, wire.ErrNoAuth, nil, false)
		return
	}
	if op == wire.OpListSessions {
		page := wire.Response{Result: wire.Result{Code: op}, Sessions: c.sessionPage(uint64(r.SessionID), int(r.Limit))}
		c.local(b, xid, op, zxidApplied, wire.ErrOK, page.AppendTo(nil), false)
		return
	}
	if s, known := c.g.host.Machine().Sessions().Find(kernel.SessionID(r.SessionID)); !known || s.Closing {
		c.local(b, xid, op, zxidApplied, wire.ErrUnknownSession, nil, false)
		return
	}
	code := wire.ErrOK
	if err := c.g.host.Submit(&kernel.Request{Session: kernel.SessionID(r.SessionID), Op: int32(wire.OpCloseSession), Received: b.now}); err != nil {
		c.g.log.Warn("a session could not be ended", "session", kernel.SessionID(r.SessionID).String(), "err", err)
		code = wire.ErrSystemError
	}
	c.local(b, xid, op, zxidApplied, code, nil, false)
}

// sessionPage lists the sessions with the lowest ids above after.
func (c *conn) sessionPage(after uint64, limit int) []wire.SessionRecord {
	if limit <= 0 || limit > maxSessionPage {
		limit = maxSessionPage
	}
	var page []wire.SessionRecord
	c.g.host.Machine().Sessions().List(func(s kernel.SessionInfo) bool {
		if uint64(s.ID) <= after {
			return true
		}
		record := wire.SessionRecord{ID: int64(s.ID), TimeoutMs: int32(s.Timeout.Milliseconds()), ExpiresMs: s.Expires.Milliseconds(),
			Ephemerals: int32(s.Ephemerals), Local: s.Local}
		if other, ok := s.Conn.(*conn); ok {
			record.Client = other.socket.RemoteAddr().String()
		}
		at, _ := slices.BinarySearchFunc(page, record, func(a, b wire.SessionRecord) int {
			return cmp.Compare(uint64(a.ID), uint64(b.ID))
		})
		if at == limit {
			return true
		}
		page = slices.Insert(page, at, record)
		if len(page) > limit {
			page = page[:limit]
		}
		return true
	})
	return page
}
