package zookeeper

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// createSession is the request that makes a session known to all servers.
func createSession(id kernel.SessionID, timeout time.Duration) *kernel.Request {
	ms := int32(timeout / time.Millisecond)
	return &kernel.Request{
		Session: id, Op: int32(wire.OpCreateSession), Body: binary.BigEndian.AppendUint32(nil, uint32(ms)),
		Decoded: &wire.Request{Op: wire.Op{Code: wire.OpCreateSession}, TimeoutMs: ms}, Received: time.Now(),
	}
}

// upgrade makes a local session a global one before its first ephemeral node: the creation of the session, with its own id, goes into the write path just ahead of r (spec client-protocol, 2.5).
// Once is enough for an epoch: a new one may have lost it. Where that is not allowed r is refused: a leader of ZooKeeper's, which does not know the session, would say that it has expired. What
// comes first in a multi is for the leader to say. The goroutine that executes the queue calls this, without mu.
func (c *conn) upgrade(r *request) error {
	if !c.g.cfg.localSessions || !makesEphemeral(&r.decoded) {
		return nil
	}
	s, known := c.g.host.Machine().Sessions().Find(c.Session())
	switch {
	case !known || !s.Local:
		return nil
	case !c.g.cfg.upgrading && r.decoded.Code == wire.OpMulti:
		return nil
	case !c.g.cfg.upgrading:
		return &kernel.Refusal{Code: int32(wire.ErrEphemeralOnLocalSession)}
	}
	epoch := c.g.host.Status().Epoch
	if c.upgradedIn == epoch {
		return nil
	}
	if err := c.g.host.Submit(createSession(s.ID, s.Timeout)); err != nil {
		return err
	}
	c.upgradedIn = epoch
	return nil
}

func makesEphemeral(w *wire.Request) bool {
	ephemeral := func(o wire.Op) bool { return o.Code.IsCreate() && o.Mode.IsEphemeral() }
	return ephemeral(w.Op) || w.Code == wire.OpMulti && slices.ContainsFunc(w.Ops, ephemeral)
}
