package znode

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"sort"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// model is the tree as simple as it gets: a map. It knows operations by their effect, not by how they are prepared.
type model map[string]*modelNode

type modelNode struct {
	stat    wire.Stat
	data    []byte
	creates int32
}

func (m model) clone() model {
	c := model{}
	for p, n := range m {
		copied := *n
		c[p] = &copied
	}
	return c
}

func (m model) children(path string) (names []string) {
	prefix := strings.TrimSuffix(path, "/") + "/"
	for p := range m {
		if p != "/" && strings.HasPrefix(p, prefix) && !strings.Contains(p[len(prefix):], "/") {
			names = append(names, p[len(prefix):])
		}
	}
	sort.Strings(names)
	return names
}

// do carries out one operation and returns its result and error.
func (m model) do(o *wire.Op, session, zxid, now int64) (wire.Result, wire.ErrorCode) {
	r := wire.Result{Code: o.Code, Path: o.Path}
	switch o.Code {
	case wire.OpCreate, wire.OpCreate2:
		p := m[parentOf(o.Path)]
		if p == nil {
			return r, wire.ErrNoNode
		}
		if o.Mode.IsSequential() {
			r.Path += fmt.Sprintf("%010d", p.creates)
		}
		if m[r.Path] != nil {
			return r, wire.ErrNodeExists
		}
		if p.stat.EphemeralOwner != 0 {
			return r, wire.ErrNoChildrenForEphemerals
		}
		n := &modelNode{data: o.Data, stat: wire.Stat{Czxid: zxid, Mzxid: zxid, Pzxid: zxid, Ctime: now, Mtime: now, DataLength: int32(len(o.Data))}}
		if o.Mode.IsEphemeral() {
			n.stat.EphemeralOwner = session
		}
		m[r.Path] = n
		p.creates++
		p.stat.Cversion++
		p.stat.NumChildren++
		p.stat.Pzxid = zxid
		r.Stat = n.stat
	case wire.OpDelete:
		p, n := m[parentOf(o.Path)], m[o.Path]
		switch {
		case p == nil || n == nil:
			return r, wire.ErrNoNode
		case o.Version != -1 && o.Version != n.stat.Version:
			return r, wire.ErrBadVersion
		case n.stat.NumChildren > 0:
			return r, wire.ErrNotEmpty
		}
		m.remove(o.Path, zxid)
	case wire.OpSetData:
		n := m[o.Path]
		switch {
		case n == nil:
			return r, wire.ErrNoNode
		case o.Version != -1 && o.Version != n.stat.Version:
			return r, wire.ErrBadVersion
		}
		n.data = o.Data
		n.stat.Version++
		n.stat.Mzxid, n.stat.Mtime, n.stat.DataLength = zxid, now, int32(len(o.Data))
		r.Stat = n.stat
	case wire.OpSetACL:
		n := m[o.Path]
		switch {
		case n == nil:
			return r, wire.ErrNoNode
		case o.Version != -1 && o.Version != n.stat.Aversion:
			return r, wire.ErrBadVersion
		}
		n.stat.Aversion++
		r.Stat = n.stat
	case wire.OpCheck:
		n := m[o.Path]
		switch {
		case n == nil:
			return r, wire.ErrNoNode
		case o.Version != -1 && o.Version != n.stat.Version:
			return r, wire.ErrBadVersion
		}
	}
	return r, wire.ErrOK
}

func (m model) remove(path string, zxid int64) {
	delete(m, path)
	p := m[parentOf(path)]
	p.stat.Cversion++
	p.stat.NumChildren--
	p.stat.Pzxid = zxid
}

// TestRandomOperations compares long random histories with the model: errors, results, Stats, listings; in batches with speculation, with restarts, crashes and snapshots in between.
func TestRandomOperations(t *testing.T) {
	for _, cache := range []string{"256MiB", "1"} { // with one byte every node is cold as soon as it was flushed
		for _, store := range []string{"memory", "pebble"} {
			for seed := int64(1); seed <= 6; seed++ {
				t.Run(fmt.Sprintf("cache=%s/store=%s/seed=%d", cache, store, seed), func(t *testing.T) { runRandom(t, cache, store, seed) })
			}
		}
	}
}

func runRandom(t *testing.T, cache, store string, seed int64) {
	rng := rand.New(rand.NewSource(seed))
	d := newDriverOn(t, map[string]string{"cache": cache}, store)
	want := model{"/": {stat: wire.Stat{Cversion: -1, NumChildren: 1}}, "/zookeeper": {stat: wire.Stat{Cversion: -2, NumChildren: 2}}, "/zookeeper/quota": {}, "/zookeeper/config": {stat: wire.Stat{Aversion: -1}}}
	clients := []*conn{d.client(), d.client(), d.client()}
	path := func() string {
		p := ""
		for range 1 + rng.Intn(3) {
			p += "/" + string(rune('a'+rng.Intn(3)))
		}
		return p
	}
	version := func() int32 { return int32(rng.Intn(5)) - 2 }
	op := func() wire.Op {
		o := wire.Op{Path: path(), Version: max(version(), -1), Data: []byte(strings.Repeat("x", rng.Intn(5)))}
		switch rng.Intn(12) {
		case 0, 1, 2, 3:
			o.Code, o.ACL = wire.OpCreate, [][]wire.ACL{wire.OpenACL, wire.OpenACL, {{Perms: 31, ID: wire.WorldAnyone}, {Perms: 1, ID: wire.ID{Scheme: "ip", ID: "1"}}}}[rng.Intn(3)]
			o.Mode = wire.CreateMode(rng.Intn(4))
		case 4:
			o.Code, o.ACL = wire.OpCreate2, wire.OpenACL
		case 5, 6, 7:
			o.Code = wire.OpDelete
		case 8, 9, 10:
			o.Code = wire.OpSetData
		default:
			o.Code = wire.OpCheck
		}
		return o
	}
	for round := range 150 {
		var reqs []*kernel.Request
		type expected struct {
			code    wire.ErrorCode
			result  wire.Result
			results []wire.Result
		}
		var answers []expected
		d.now = d.now.Add(1e6)
		now := d.now.UnixMilli()
		for i := range 1 + rng.Intn(8) {
			c := clients[rng.Intn(len(clients))]
			z := int64(d.next) + int64(i)
			var e expected
			r := wire.Request{Op: op()}
			switch {
			case rng.Intn(4) == 0:
				r = wire.Request{Op: wire.Op{Code: wire.OpMulti}}
				after := want.clone()
				failed := false
				for range 1 + rng.Intn(4) {
					o := op()
					r.Ops = append(r.Ops, o)
					res, code := wire.Result{}, wire.ErrRuntimeInconsistency
					if !failed {
						res, code = after.do(&o, int64(c.session), z, now)
					}
					if code != wire.ErrOK {
						if !failed {
							for j := range e.results {
								e.results[j] = wire.Result{Code: wire.OpError}
							}
						}
						failed = true
						res = wire.Result{Code: wire.OpError, Err: code}
					}
					e.results = append(e.results, res)
				}
				if !failed {
					want = after
				}
			case r.Code == wire.OpCheck:
				r.Op = wire.Op{Code: wire.OpSetACL, Path: r.Path, Version: r.Version, ACL: wire.OpenACL}
				fallthrough
			default:
				e.result, e.code = want.do(&r.Op, int64(c.session), z, now)
			}
			reqs = append(reqs, c.request(r))
			answers = append(answers, e)
		}
		txns := d.prepare(reqs...)
		for len(txns) > 0 { // applied in several goes, while more may be prepared
			n := 1 + rng.Intn(len(txns))
			d.apply(txns[:n])
			txns = txns[n:]
		}
		for i, req := range reqs {
			c := req.Conn.(*conn)
			s := c.sent[0]
			c.sent = c.sent[1:]
			e := answers[i]
			var r wire.Response
			if s.err == 0 {
				if err := wire.DecodeResponse(wire.OpCode(req.Op), s.body, &r); err != nil {
					t.Fatal(err)
				}
			}
			w := req.Decoded.(*wire.Request)
			got := fmt.Sprintf("%v %+v", s.err, brief(r.Result, r.Results))
			if exp := fmt.Sprintf("%v %+v", e.code, brief(e.result, e.results)); s.err != e.code || s.err == 0 && got != exp {
				t.Fatalf("round %d: %v %s %v v%d\ngot  %s\nwant %s", round, w.Code, w.Path, w.Mode, w.Version, got, exp)
			}
		}
		if rng.Intn(15) == 0 { // a session ends
			i := rng.Intn(len(clients))
			z := int64(d.next)
			id := int64(clients[i].session)
			clients[i].want(0, wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})
			for p, n := range want.clone() {
				if n.stat.EphemeralOwner == id {
					want.remove(p, z)
				}
			}
			clients[i] = d.client()
		}
		if rng.Intn(4) == 0 {
			if err := d.m.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if k := rng.Intn(20); k < 3 {
			switch k {
			case 0, 1:
				d.restart(k == 0)
			case 2:
				d.viaSnapshot()
			}
			for _, c := range clients {
				d.m.Sessions().Established(c.session, 1e10, c)
			}
		}
		if round%10 == 0 {
			d.compare(want)
		}
	}
	d.compare(want)
}

// brief is what of a result a client can tell apart.
func brief(r wire.Result, rs []wire.Result) string {
	one := func(r wire.Result) string {
		switch r.Code {
		case wire.OpDelete, wire.OpCheck, wire.OpMulti, 0:
			return ""
		case wire.OpCreate:
			return r.Path
		case wire.OpCreate2:
			return fmt.Sprint(r.Path, r.Stat)
		case wire.OpError:
			return r.Err.Name()
		}
		return fmt.Sprint(r.Stat)
	}
	s := one(r)
	for _, r := range rs {
		s += "; " + one(r)
	}
	return s
}

// compare reads everything and checks it against the model.
func (d *driver) compare(want model) {
	d.t.Helper()
	d.verify()
	c := d.client()
	for path, n := range want {
		r := c.want(0, get(wire.OpGetData, path, false))
		if r.Stat != n.stat || !bytes.Equal(r.Data, n.data) {
			d.t.Fatalf("%s:\ngot  %+v %q\nwant %+v %q", path, r.Stat, r.Data, n.stat, n.data)
		}
		names := c.want(0, get(wire.OpGetChildren, path, false)).Children
		if fmt.Sprint(names) != fmt.Sprint(want.children(path)) {
			d.t.Fatalf("%s: children %v, want %v", path, names, want.children(path))
		}
	}
	if n := c.want(0, get(wire.OpGetAllChildrenNumber, "/", false)).Count; int(n) != len(want)-1 {
		d.t.Fatalf("%d nodes below the root, want %d", n, len(want)-1)
	}
	c.want(0, wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})
}

// viaSnapshot goes on with a machine that was filled from a snapshot of this one.
func (d *driver) viaSnapshot() {
	d.t.Helper()
	var b bytes.Buffer
	zxid, err := snapshotTo(d.m, &b)
	if err != nil || zxid != d.m.Position() {
		d.t.Fatalf("snapshot at %s of %s: %v", zxid, d.m.Position(), err)
	}
	digest, state := d.m.counts.digest, d.m.counts.state
	d.close()
	d.env.Nodes = d.newStore()
	d.open()
	if err := d.m.Restore(bytes.NewReader(b.Bytes()), zxid); err != nil {
		d.t.Fatal(err)
	}
	d.m.running.Wait()
	if d.m.counts.digest != digest || d.m.counts.state != state || d.m.Position() != zxid || d.m.Flushed() != zxid {
		d.t.Fatalf("restored to digest %x at %s, want %x at %s", d.m.counts.digest, d.m.Position(), digest, zxid)
	}
}
