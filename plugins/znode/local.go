package znode

import (
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// localSession answers the creation and the end of a local session: the gateway brings both as reads, because no transaction is needed (spec client-semantics, 2.8).
func (m *Machine) localSession(r *reading, req *kernel.Request, w *wire.Request) {
	switch {
	case !m.set.local:
		r.fail(req, wire.ErrUnimplemented)
	case w.Code == wire.OpCreateSession:
		m.sessions.startLocal(req.Session, time.Duration(w.TimeoutMs)*time.Millisecond)
		r.later = append(r.later, func() { req.Conn.Reply(req, kernel.Reply{Zxid: kernel.Zxid(r.zxid)}) })
	case !m.sessions.isLocal(req.Session):
		r.fail(req, wire.ErrUnimplemented)
	default:
		m.sessions.remove(req.Session)
		conn := req.Conn // the gateway may use the request again once it is answered
		r.reply(req)
		conn.Close(kernel.CloseSessionEnded)
	}
}
