package client

import (
	"context"
	"slices"

	"github.com/zooid-project/zooid/sdk/wire"
)

// Sessions lists the sessions of a Zooid server, in pages: those with ids above after (0: from the start), as unsigned numbers, at most limit (0: as many as the server gives at once).
// It needs the identity super, else wire.ErrNoAuth. Other servers do not know the operation: wire.ErrUnimplemented.
func (c *Client) Sessions(ctx context.Context, after int64, limit int) ([]wire.SessionRecord, error) {
	cl, err := c.doRaw(ctx, &wire.Request{Op: wire.Op{Code: wire.OpListSessions}, SessionID: after, Limit: int32(limit)})
	if err != nil {
		return nil, err
	}
	sessions := slices.Clone(cl.resp.Sessions)
	cl.free()
	return sessions, nil
}

// EndSession ends a session of somebody else: its ephemeral nodes go in one transaction, its client finds it expired. It returns when the server has taken the request, which may be before
// the session has ended. It needs the identity super; wire.ErrUnknownSession: there is no such session. It is never repeated: a second try might find no session because the first was done.
func (c *Client) EndSession(ctx context.Context, id int64) error {
	cl, sent, err := c.try(ctx, &wire.Request{Op: wire.Op{Code: wire.OpEndSession}, SessionID: id}, nil)
	if err != nil {
		return &Error{Op: wire.OpEndSession, Err: err, Sent: sent}
	}
	cl.free()
	return nil
}
