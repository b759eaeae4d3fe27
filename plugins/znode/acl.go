package znode

import (
	"strings"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// aclList is one list of permissions, never changed. open are the permissions of world:anyone, so that the usual check looks at nothing else.
type aclList struct {
	entries []wire.ACL
	open    wire.Perms
	hash    uint64 // for the state digest, of a list that nodes hold
}

func newACLList(entries []wire.ACL) *aclList {
	l := &aclList{entries: entries}
	for _, e := range entries {
		if e.ID == wire.WorldAnyone {
			l.open |= e.Perms
		}
	}
	if len(entries) == 0 { // an empty list protects nothing (spec client-protocol, 9.4)
		l.open = -1
	}
	return l
}

// heldACLList is a list that nodes are to hold.
func heldACLList(entries []wire.ACL) *aclList {
	l := newACLList(entries)
	l.hash = hashOfACL(entries)
	return l
}

// openACL is index 0 of every table.
var openACL = heldACLList(wire.OpenACL)

const openIndex uint32 = 0

// aclTable gives each list in use a number that nodes hold. A list whose last node went is forgotten and its number given out again. Guarded by the visibility lock.
type aclTable struct {
	lists  []*aclList // nil where free
	refs   []int64    // nodes that hold the list; not counted for the open one
	byText map[string]uint32
	free   []uint32
	dirty  map[uint32]struct{} // changed since they were last written beside the nodes
	text   []byte
}

func (t *aclTable) init() {
	*t = aclTable{lists: []*aclList{openACL}, refs: []int64{1}, byText: map[string]uint32{}, dirty: map[uint32]struct{}{}}
	t.byText[string(wire.AppendACLs(nil, wire.OpenACL))] = openIndex
}

// load puts back a list that was stored with its number.
func (t *aclTable) load(index uint32, refs int64, entries []wire.ACL) {
	for uint32(len(t.lists)) <= index {
		t.lists = append(t.lists, nil)
		t.refs = append(t.refs, 0)
	}
	t.lists[index] = heldACLList(entries)
	t.refs[index] = refs
	t.byText[string(wire.AppendACLs(nil, entries))] = index
}

// loaded ends loading: what is left between are free numbers.
func (t *aclTable) loaded() {
	for i, l := range t.lists {
		if l == nil {
			t.free = append(t.free, uint32(i))
		}
	}
}

// get returns a list by number. An unknown number protects everything: nobody but super gets in.
func (t *aclTable) get(index uint32) *aclList {
	if int(index) < len(t.lists) && t.lists[index] != nil {
		return t.lists[index]
	}
	return &aclList{}
}

// hold returns the number of a list for one more node.
func (t *aclTable) hold(entries []wire.ACL) uint32 {
	if isOpen(entries) {
		return openIndex
	}
	t.text = wire.AppendACLs(t.text[:0], entries)
	index, ok := t.byText[string(t.text)]
	if !ok {
		if n := len(t.free); n > 0 {
			index, t.free = t.free[n-1], t.free[:n-1]
		} else {
			index = uint32(len(t.lists))
			t.lists = append(t.lists, nil)
			t.refs = append(t.refs, 0)
		}
		t.lists[index] = heldACLList(append([]wire.ACL(nil), entries...))
		t.byText[string(t.text)] = index
	}
	if index != openIndex {
		t.refs[index]++
		t.dirty[index] = struct{}{}
	}
	return index
}

// release takes one node's reference away.
func (t *aclTable) release(index uint32) {
	if index == openIndex || int(index) >= len(t.lists) || t.lists[index] == nil {
		return
	}
	t.dirty[index] = struct{}{}
	if t.refs[index]--; t.refs[index] > 0 {
		return
	}
	delete(t.byText, string(wire.AppendACLs(nil, t.lists[index].entries)))
	t.lists[index] = nil
	t.free = append(t.free, index)
}

// write stores what changed beside the nodes.
func (t *aclTable) write(set func(key string, value []byte), remove func(key string)) {
	for index := range t.dirty {
		key := aclKey(index)
		if l := t.lists[index]; l != nil {
			set(key, wire.AppendACLs(jute.AppendInt64(nil, t.refs[index]), l.entries))
		} else {
			remove(key)
		}
		delete(t.dirty, index)
	}
}

func isOpen(entries []wire.ACL) bool {
	return len(entries) == 1 && entries[0].Perms == wire.PermAll && entries[0].ID == wire.WorldAnyone
}

// permits says whether identities may do any of want (spec client-protocol, 9.4).
func (m *Machine) permits(l *aclList, want wire.Perms, identities []kernel.Identity) bool {
	if l.open&want != 0 || m.set.skipACL {
		return true
	}
	for i := range identities {
		if identities[i].Scheme == "super" {
			return true
		}
	}
	for i := range l.entries {
		e := &l.entries[i]
		if e.Perms&want == 0 {
			continue
		}
		auth := m.env.Auth[e.ID.Scheme]
		if auth == nil {
			continue
		}
		for j := range identities {
			if identities[j].Scheme == e.ID.Scheme && auth.Matches(identities[j].ID, e.ID.ID) {
				return true
			}
		}
	}
	return false
}

// grantable turns the list of a create or setACL into what is stored (spec client-protocol, 9.3). The result shares nothing with list.
func (m *Machine) grantable(list []wire.ACL, identities []kernel.Identity) (*aclList, wire.ErrorCode) {
	if isOpen(list) {
		return openACL, wire.ErrOK
	}
	if len(list) == 0 {
		return nil, wire.ErrInvalidACL
	}
	entries := make([]wire.ACL, 0, len(list))
	seen := make(map[wire.ACL]struct{}, len(list))
	for _, a := range list {
		if _, twice := seen[a]; twice {
			continue
		}
		seen[a] = struct{}{}
		switch {
		case a.ID == wire.WorldAnyone:
			entries = append(entries, a)
		case a.ID.Scheme == "world" || a.ID.Scheme == "":
			return nil, wire.ErrInvalidACL
		case a.ID.Scheme == "auth":
			before := len(entries)
			for _, id := range identities {
				if auth := m.env.Auth[id.Scheme]; auth != nil && auth.Authenticated() {
					entries = append(entries, wire.ACL{Perms: a.Perms, ID: wire.ID{Scheme: id.Scheme, ID: id.ID}})
				}
			}
			if len(entries) == before {
				return nil, wire.ErrInvalidACL
			}
		default:
			auth := m.env.Auth[a.ID.Scheme]
			if a.ID.Scheme == "super" || auth == nil || !auth.ValidID(a.ID.ID) {
				return nil, wire.ErrInvalidACL
			}
			entries = append(entries, a)
		}
	}
	return newACLList(entries), wire.ErrOK
}

// masked is a list as someone without ADMIN sees it: the hashes of digest ids are hidden (spec client-protocol, 4.3).
func masked(list []wire.ACL) []wire.ACL {
	out := make([]wire.ACL, len(list))
	for i, a := range list {
		if a.ID.Scheme == "digest" {
			if user, _, ok := strings.Cut(a.ID.ID, ":"); ok {
				a.ID.ID = user + ":x"
			}
		}
		out[i] = a
	}
	return out
}
