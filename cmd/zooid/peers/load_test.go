package peers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// load writes everything that a fuzzy snapshot has to get right, through some members, until it is stopped.
type load struct {
	t      testing.TB
	stop   context.CancelFunc
	done   sync.WaitGroup
	writes atomic.Int64
}

func (e *ensemble) load(through ...*member) *load {
	e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{t: e.t, stop: cancel}
	e.t.Cleanup(cancel)
	for i := range 4 {
		c, m := e.connect(through[i%len(through)]), through[i%len(through)]
		root := fmt.Sprintf("/load-%d", i)
		if _, err := c.Create(within(e.t), root, nil, client.CreateOptions{}); err != nil && !errors.Is(err, wire.ErrNodeExists) {
			e.t.Fatal(err)
		}
		l.done.Go(func() { l.run(ctx, e, c, m, root, rand.New(rand.NewPCG(7, uint64(i)))) })
	}
	return l
}

func (l *load) run(ctx context.Context, e *ensemble, c *client.Client, m *member, root string, r *rand.Rand) {
	node := func() string { return fmt.Sprintf("%s/%d", root, r.IntN(20)) }
	for n := 0; ctx.Err() == nil; n++ {
		var err error
		switch r.IntN(10) {
		case 0, 1, 2:
			_, err = c.Create(ctx, node(), make([]byte, r.IntN(500)), client.CreateOptions{Mode: []wire.CreateMode{wire.Persistent, wire.Ephemeral, wire.Container}[r.IntN(3)]})
		case 3:
			err = c.Delete(ctx, node(), client.AnyVersion)
		case 4:
			_, err = c.SetACL(ctx, node(), aclOf(r.IntN(users)), client.AnyVersion)
		case 5:
			path := node()
			_, err = c.Multi(ctx, client.SetOp(path, []byte("multi"), client.AnyVersion), client.DeleteOp(path, client.AnyVersion), client.CreateOp(path, []byte("again"), wire.Persistent, nil))
		case 6:
			_, err = c.Multi(ctx, client.CreateOp(root+"/s-", nil, wire.PersistentSequential, nil), client.DeleteOp(root+"/none", client.AnyVersion))
		case 7:
			if n%7 == 0 { // a session that comes and goes with its ephemerals
				err = l.session(ctx, m, root, r)
			}
		default:
			_, err = c.Set(ctx, node(), make([]byte, r.IntN(500)), client.AnyVersion)
		}
		var refused *client.Error
		switch {
		case ctx.Err() != nil:
		case err != nil && !(errors.As(err, &refused) && expected(err)):
			l.t.Errorf("%s through %s: %v (%s)", root, m, err, e.status())
			return
		default:
			l.writes.Add(1)
		}
	}
}

// users are those whose lists the load sets.
const users = 50

func aclOf(user int) []wire.ACL {
	return []wire.ACL{{Perms: wire.PermAll, ID: wire.ID{Scheme: "digest", ID: wire.DigestID(fmt.Appendf(nil, "user-%d:x", user))}}}
}

// keepLists has a node with each list of the load that stays.
func (e *ensemble) keepLists() {
	e.t.Helper()
	c := e.connect(e.member(3))
	for user := range users {
		if _, err := c.Create(within(e.t), fmt.Sprintf("/list-%d", user), nil, client.CreateOptions{ACL: aclOf(user)}); err != nil {
			e.t.Fatal(err)
		}
	}
}

func expected(err error) bool {
	for _, code := range []wire.ErrorCode{wire.ErrNoNode, wire.ErrNodeExists, wire.ErrNotEmpty, wire.ErrNoChildrenForEphemerals, wire.ErrBadVersion} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

func (l *load) session(ctx context.Context, m *member, root string, r *rand.Rand) error {
	c, err := client.New(m.addr(), client.Options{SessionTimeout: 30 * time.Second, Auth: []client.Auth{superAuth}})
	if err != nil {
		return err
	}
	for i := range r.IntN(3) {
		if _, err = c.Create(ctx, fmt.Sprintf("%s/e%d-", root, i), nil, client.CreateOptions{Mode: wire.EphemeralSequential}); err != nil {
			break
		}
	}
	return errors.Join(err, c.Close(ctx))
}

// reach waits until so many more writes were answered.
func (l *load) reach(more int64) {
	l.t.Helper()
	target := l.writes.Load() + more
	eventually(l.t, "the load goes on", func() bool { return l.writes.Load() >= target || l.t.Failed() })
}

func (l *load) end() {
	l.t.Helper()
	l.stop()
	l.done.Wait()
}

// TestCatchUpUnderLoad: while everybody writes, a server comes back with nothing, with little missing, and after a kill -9. What it is sent changes meanwhile.
func TestCatchUpUnderLoad(t *testing.T) {
	for _, p := range pairs {
		t.Run(pairName(p), func(t *testing.T) {
			e := newEnsemble(t, []kind{p[1], p[0], p[0]}, "snapCount=500", "-Dzookeeper.snapshotSizeFactor=1")
			e.startAll()
			learner := e.member(1)
			if learner.kind.apache() { // the test is about what it is sent, not about what it makes of its own directory
				e.keepLists()
			}
			l := e.load(e.member(2), e.member(3))
			for round := range 6 {
				l.reach(100)
				if round%2 == 0 {
					learner.kill()
				} else {
					learner.stop(t)
				}
				l.reach(100)
				if round%3 != 1 {
					learner.wipe(t)
				}
				m := mark(learner, e.member(3))
				learner.start(t)
				e.waitServing()
				if round%3 != 1 {
					m.expect(t, saysSnap)
				} else if !p[0].apache() { // ZooKeeper's leaders choose by sizes
					m.expect(t, saysDiff)
				}
			}
			l.reach(100)
			l.end()
			e.expectLeader(3)
			e.compareTrees()
			t.Logf("%d writes", l.writes.Load())
		})
	}
}
