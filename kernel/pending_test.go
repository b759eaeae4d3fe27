package kernel

import "testing"

func TestPendingRequestsAreMatchedInOrder(t *testing.T) {
	p := pending{}
	ask := func(session SessionID, cxid int32, barrier bool, order uint64) *Request {
		req := &Request{Session: session, Cxid: cxid, Barrier: barrier, order: order}
		p.add(req)
		return req
	}
	a1, b1, a2, a3, a4 := ask(1, 1, false, 1), ask(2, 1, false, 2), ask(1, 2, true, 3), ask(1, 3, false, 4), ask(1, 4, false, 5)
	for name, foreign := range map[string]TxnInfo{"another session": {Session: 3, Cxid: 1}, "not the oldest": {Session: 1, Cxid: 3}, "not asked here": {Session: 2, Cxid: 9}} {
		if w, bs := p.match(foreign); w != nil || bs != nil {
			t.Errorf("%s: matched %v, %v", name, w, bs)
		}
	}
	if w, bs := p.match(TxnInfo{Session: 1, Cxid: 1}); w != a1 || len(bs) != 0 {
		t.Errorf("the first write: %v, %v", w, bs)
	}
	if w, bs := p.match(TxnInfo{Session: 1, Cxid: 3}); w != a3 || len(bs) != 1 || bs[0] != a2 {
		t.Errorf("a write behind a barrier: %v, %v", w, bs)
	}
	p.remove(b1)
	if len(p[2]) != 0 {
		t.Errorf("session 2 keeps %v", p[2])
	}
	b2 := ask(2, 2, false, 3)
	if all := p.take(); len(all) != 2 || all[0] != b2 || all[1] != a4 || len(p) != 0 {
		t.Errorf("left over: %v", all)
	}
}
