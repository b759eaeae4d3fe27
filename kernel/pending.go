package kernel

import (
	"cmp"
	"slices"
)

// pending holds what this server's clients have asked for and a leader has not decided yet, by session, in order. A committed transaction is matched to the oldest write of its
// session by the client's number (spec zab, 10, O3). Through an election it is what must not be lost or done twice: what the new leader's history holds is matched like anything else
// that is committed, and what is left then is sent again (DESIGN, Election under way).
type pending map[SessionID][]*Request

func (p pending) add(req *Request) { p[req.Session] = append(p[req.Session], req) }

// match takes the request out that a transaction comes from, with the barriers before it: the commit of a later write confirms them. nil: the transaction comes from somewhere else.
func (p pending) match(t TxnInfo) (write *Request, barriers []*Request) {
	q := p[t.Session]
	i := 0
	for i < len(q) && q[i].Barrier {
		i++
	}
	if i == len(q) || q[i].Cxid != t.Cxid {
		return nil, nil
	}
	write, barriers = q[i], q[:i:i]
	p.keep(t.Session, q[i+1:])
	return write, barriers
}

// oldest is the request that was submitted first; there is one.
func (p pending) oldest() *Request {
	var first *Request
	for _, q := range p {
		if first == nil || q[0].order < first.order {
			first = q[0]
		}
	}
	return first
}

// remove takes one request out.
func (p pending) remove(req *Request) {
	q := p[req.Session]
	if i := slices.Index(q, req); i >= 0 {
		p.keep(req.Session, slices.Delete(q, i, i+1))
	}
}

func (p pending) keep(id SessionID, q []*Request) {
	if len(q) == 0 {
		delete(p, id)
		return
	}
	p[id] = q
}

// sort puts every session's requests into the order in which they were submitted.
func (p pending) sort() {
	for _, q := range p {
		slices.SortFunc(q, func(a, b *Request) int { return cmp.Compare(a.order, b.order) })
	}
}

// take empties it. The requests come in the order in which they were submitted.
func (p pending) take() []*Request {
	var all []*Request
	for id, q := range p {
		all = append(all, q...)
		delete(p, id)
	}
	slices.SortFunc(all, func(a, b *Request) int { return cmp.Compare(a.order, b.order) })
	return all
}
