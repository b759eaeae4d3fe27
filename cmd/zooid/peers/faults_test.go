package peers

import (
	"context"
	"errors"
	"math/rand/v2"
	"os/exec"
	"strings"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// faults are made one after the other; each ends before the next.
type faults struct {
	e         *ensemble
	w         *workload
	r         *rand.Rand
	deck      []int // kinds that have not had their turn
	count     map[string]int
	elections int
	epoch     int64
}

var faultKinds = []struct {
	name string
	make func(f *faults, leader, follower *member)
}{
	{"leader killed", func(f *faults, leader, _ *member) { leader.kill(); f.last(50, 2500); leader.start(f.e.t) }},
	{"follower killed", func(f *faults, _, follower *member) { follower.kill(); f.last(50, 2500); follower.start(f.e.t) }},
	{"all killed", func(f *faults, _, _ *member) {
		killAll(f.e.members...)
		f.last(0, 500)
		for _, i := range f.r.Perm(len(f.e.members)) {
			f.e.members[i].launch(f.e.t)
		}
	}},
	{"leader paused", func(f *faults, leader, _ *member) { leader.pause(f.e.t); f.last(100, 5000); leader.resume(f.e.t) }},
	{"follower paused", func(f *faults, _, follower *member) { follower.pause(f.e.t); f.last(100, 5000); follower.resume(f.e.t) }},
	{"leader isolated", func(f *faults, leader, _ *member) { f.isolate(leader, true, true) }},
	{"follower isolated", func(f *faults, _, follower *member) { f.isolate(follower, true, true) }},
	{"leader deaf", func(f *faults, leader, _ *member) { f.isolate(leader, false, true) }},
	{"leader dumb", func(f *faults, leader, _ *member) { f.isolate(leader, true, false) }},
	{"leader and follower apart", func(f *faults, leader, follower *member) {
		cut(f.e.t, leader, follower)
		cut(f.e.t, follower, leader)
		f.last(500, 5000)
		mend(f.e.t, leader, follower)
		mend(f.e.t, follower, leader)
	}},
	{"leader behind a slow link", func(f *faults, leader, _ *member) { f.slow(leader) }},
	{"follower behind a slow link", func(f *faults, _, follower *member) { f.slow(follower) }},
	{"leader logs alone", func(f *faults, leader, _ *member) { f.logsAlone(leader) }},
	{"follower loses its data", func(f *faults, _, follower *member) {
		follower.kill()
		follower.wipe(f.e.t)
		f.last(50, 1000)
		follower.start(f.e.t)
	}},
	{"leader's disk full", func(f *faults, leader, _ *member) { f.full(leader) }},
	{"follower's disk full", func(f *faults, _, follower *member) { f.full(follower) }},
	{"leader handed over", func(f *faults, leader, _ *member) { leader.stop(f.e.t); leader.start(f.e.t) }},
}

// last lets a fault last between some milliseconds and others.
func (f *faults) last(least, most int) {
	time.Sleep(time.Duration(least+f.r.IntN(most-least)) * time.Millisecond)
}

func (f *faults) isolate(m *member, out, in bool) {
	for _, other := range f.e.members {
		if other != m && out {
			cut(f.e.t, m, other)
		}
		if other != m && in {
			cut(f.e.t, other, m)
		}
	}
	f.last(500, 5000)
	for _, other := range f.e.members {
		if other != m && out {
			mend(f.e.t, m, other)
		}
		if other != m && in {
			mend(f.e.t, other, m)
		}
	}
}

// slow lets through little of what a member sends.
func (f *faults) slow(m *member) {
	space := m.inside[3]
	tc := func(args ...string) {
		f.e.t.Helper()
		if out, err := exec.Command("tc", append([]string{"-n", space, "qdisc"}, args...)...).CombinedOutput(); err != nil {
			f.e.t.Fatalf("tc %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	tc("add", "dev", "eth0", "root", "tbf", "rate", "300kbit", "burst", "8kb", "latency", "400ms")
	f.last(500, 4000)
	tc("delete", "dev", "eth0", "root")
}

// logsAlone cuts the leader off while its clients write, until it has on disk what nobody else has and another leads: then that has to be cut from its log.
func (f *faults) logsAlone(leader *member) {
	t := f.e.t
	var others []*member
	for _, m := range f.e.members {
		if m != leader {
			others = append(others, m)
			cut(t, leader, m)
			cut(t, m, leader)
		}
	}
	eventually(t, "somebody else leads", func() bool { return others[0].mode() == "leader" || others[1].mode() == "leader" })
	for _, m := range others {
		mend(t, leader, m)
		mend(t, m, leader)
	}
}

// full fills the disk of a server while clients write, and gives the room back. Meanwhile the server answers reads and refuses writes, and does neither half: what is refused never happens.
func (f *faults) full(m *member) {
	t := f.e.t
	c, err := client.New(m.addr(), client.Options{SessionTimeout: 12 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	read := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, _, err := c.Children(ctx, "/")
		return err
	}
	if err := read(); err != nil {
		t.Fatalf("%s: read: %v", m, err)
	}
	f.w.full.Store(true)
	m.fill(t)
	eventually(t, m.String()+" notices that its disk is full", func() bool { return m.refuses("1") })
	eventually(t, m.String()+", with a full disk, refuses a write", func() bool {
		_, err := c.Set(within(t), registerRoot, nil, client.AnyVersion)
		if err == nil {
			t.Fatalf("%s, with a full disk, takes a write", m)
		}
		return errors.Is(err, wire.ErrSystemError) // a leader that cannot write hands over, and what is under way then may get no answer
	})
	for end := time.Now().Add(time.Duration(500+f.r.IntN(2000)) * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err := read(); err != nil {
			t.Errorf("%s, with a full disk, does not answer a read: %v (%s)", m, err, f.e.status())
			break
		}
	}
	m.empty(t)
	eventually(t, m.String()+" notices that there is room again", func() bool { return m.refuses("0") })
	if err := c.Close(within(t)); err != nil {
		t.Errorf("%s: close: %v", m, err)
	}
}

// refuses tells whether the server says of itself that it refuses writes ("1") or does not ("0"); while it has no leader it says neither.
func (m *member) refuses(what string) bool {
	text, err := m.word("mntr")
	return err == nil && strings.Contains(text, "zk_refusing_writes\t"+what+"\n")
}

// missing is a kind of fault that there was not yet, empty if there is none.
func (f *faults) missing() string {
	for i := range faultKinds {
		if f.count[faultKinds[i].name] == 0 {
			return faultKinds[i].name
		}
	}
	return ""
}

func (f *faults) one() {
	leader := f.e.waitLeader()
	f.w.full.Store(false)
	var followers []*member
	for _, m := range f.e.members {
		if m != leader {
			followers = append(followers, m)
		}
	}
	if len(f.deck) == 0 {
		f.deck = f.r.Perm(len(faultKinds))
	}
	kind := faultKinds[f.deck[0]]
	f.deck = f.deck[1:]
	f.count[kind.name]++
	f.e.t.Logf("%s: %s (leader: %s)", time.Since(f.w.began).Round(time.Millisecond), kind.name, leader)
	kind.make(f, leader, followers[f.r.IntN(len(followers))])
	f.e.waitServing()
	if epoch := f.e.waitLeader().zxid() >> 32; epoch != f.epoch {
		f.elections++
		f.epoch = epoch
	}
}
