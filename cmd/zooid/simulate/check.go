package simulate

import (
	"slices"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// checkReply checks what a client is told at the moment in which it is told (FIELD, 2.6): each answer against the model at its zxid, against what this session has seen, and against what anybody had seen when it
// was asked.
func (r *run) checkReply(o *op, f frame) {
	c, m := o.client, r.model
	if f.zxid < c.lastZxid {
		r.fail("client %d, session %s: the answer to %v is of %s, an earlier one was of %s (I18)", c.id, o.session, o.request.Code, f.zxid, c.lastZxid)
	}
	if f.zxid > m.last {
		r.fail("client %d is told about %s, and %s was committed last (rule 4)", c.id, f.zxid, m.last)
		return
	}
	if f.code == wire.ErrSystemError { // the server takes no writes at the moment
		r.tally("refused")
		return
	}
	op := o.request.Code
	switch {
	case op.IsWrite():
		r.checkWrite(o, f)
	case op == wire.OpSync:
		if f.zxid < o.floor {
			r.fail("client %d: a sync sent when %s had been seen is answered with %s (I20)", c.id, o.floor, f.zxid)
		}
	case op == wire.OpSetWatches:
		c.rewatched(f.zxid)
	default:
		r.checkRead(o, f)
	}
	c.overdue(f.zxid)
}

func (r *run) checkWrite(o *op, f frame) {
	c, m := o.client, r.model
	z, known := m.byOp[opKey{int64(o.session), o.cxid}]
	if !known || z != f.zxid {
		r.fail("client %d: %v number %d of session %s is answered with %s; committed as %s (rule 1)", c.id, o.request.Code, o.cxid, o.session, f.zxid, z)
		return
	}
	if o.request.Code == wire.OpMulti && f.code == 0 {
		var body wire.Response
		if err := wire.DecodeResponse(wire.OpMulti, f.body, &body); err != nil || len(body.Results) != len(o.request.Ops) {
			r.fail("client %d: a multi of %d operations is answered with %d results, %v (rule 5)", c.id, len(o.request.Ops), len(body.Results), err)
			return
		}
		for i := range body.Results {
			if body.Results[i].Code == wire.OpError && body.Results[i].Err != 0 {
				f.code, o.code = body.Results[i].Err, body.Results[i].Err
			}
		}
	}
	if d := m.txns[z]; d.failed != (f.code != 0) || d.err != 0 && d.err != f.code {
		r.fail("client %d: %v at %s is answered with error %d; the transaction: failed %v, error %d (rule 1)", c.id, o.request.Code, z, f.code, d.failed, d.err)
	}
	if z <= o.floor {
		r.fail("client %d: a write sent when %s had been seen was committed as %s (I19)", c.id, o.floor, z)
	}
	if z <= c.writes {
		r.fail("client %d: a write was committed as %s, one sent before it as %s (I18)", c.id, z, c.writes)
	}
	c.writes = z
}

func (r *run) checkRead(o *op, f frame) {
	c, m := o.client, r.model
	v := m.at(o.request.Path, f.zxid)
	if diff := v.compare(o.request.Code, f.code, f.body); diff != "" {
		r.fail("client %d: %v of %s at %s: %s (rule 4)", c.id, o.request.Code, o.request.Path, f.zxid, diff)
	}
	if o.synced {
		o.note(f.code, f.body)
	}
	if o.synced && f.zxid < o.floor {
		r.fail("client %d: a read behind a sync sent when %s had been seen is of %s (I20)", c.id, o.floor, f.zxid)
	}
	if o.request.Watch && (f.code == 0 || o.request.Code == wire.OpExists) {
		c.watches = append(c.watches, &watching{path: o.request.Path, child: o.request.Code == wire.OpGetChildren2, gone: !v.exists, since: f.zxid})
	}
}

// events are those that end a watch.
func (w *watching) events() []wire.EventType {
	switch {
	case w.child:
		return []wire.EventType{wire.EventNodeChildrenChanged, wire.EventNodeDeleted}
	case w.gone:
		return []wire.EventType{wire.EventNodeCreated}
	}
	return []wire.EventType{wire.EventNodeDataChanged, wire.EventNodeDeleted}
}

// event checks a watch event: somebody waits for it, and it has a cause.
func (c *client) event(f frame) {
	var e wire.WatcherEvent
	if err := decodeEvent(f.body, &e); err != nil {
		c.run.fail("client %d: an event that cannot be read: %v", c.id, err)
		return
	}
	c.run.tally("events")
	i := slices.IndexFunc(c.watches, func(w *watching) bool { return w.path == e.Path && slices.Contains(w.events(), e.Type) })
	if i < 0 {
		// The client's own read may be on its way whose watch this is: the event came before its reply.
		for _, o := range c.flight {
			if o.request.Path == e.Path && o.request.Watch {
				o.request.Watch = false
				return
			}
		}
		c.run.fail("client %d gets %v of %s, which it does not watch (rule 17)", c.id, e.Type, e.Path)
		return
	}
	w := c.watches[i]
	c.watches = slices.Delete(c.watches, i, i+1)
	if f.zxid == -1 { // missed while the client was away
		return
	}
	v, ok := c.run.model.first(w.path, w.since, w.events()...)
	if !ok || v.zxid != f.zxid || v.event != e.Type {
		c.run.fail("client %d: %v of %s at %s; the watch set at %s ends with %v at %s (rule 16)", c.id, e.Type, e.Path, f.zxid, w.since, v.event, v.zxid)
	}
}

// overdue finds watches whose events should have come before a reply that shows a zxid.
func (c *client) overdue(z kernel.Zxid) {
	for _, w := range c.watches {
		if v, ok := c.run.model.first(w.path, w.since, w.events()...); ok && v.zxid <= z {
			c.run.fail("client %d sees %s, and was not told that %s has changed at %s (%v); it watches since %s (rule 15)", c.id, z, w.path, v.zxid, v.event, w.since)
			return
		}
	}
}

// rewatched: the watches that are left are armed again as of z. A node that came and went meanwhile is told to nobody (spec client-protocol, 7.6).
func (c *client) rewatched(z kernel.Zxid) {
	for _, w := range c.watches {
		if v := c.run.model.at(w.path, z); w.gone && !v.exists {
			w.since = z
		}
	}
}
