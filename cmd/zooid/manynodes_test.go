package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestManyNodes fills a server with more than its cache holds, reads nodes that have long left the cache, and kills it. It always runs, small. Whole, with five million
// nodes or ZOOID_SCALE_NODES, when ZOOID_SCALE is set (.ci/run scale).
func TestManyNodes(t *testing.T) {
	const (
		perParent = 1000
		perMulti  = 100 // creates in one transaction: 500 are a fifth faster, and make the others wait twice as long
	)
	nodes, cache, dirtyAge, reads, idle := 20_000, "2MiB", "1s", 4000, 300*time.Millisecond
	if os.Getenv("ZOOID_SCALE") != "" {
		nodes, cache, dirtyAge, reads, idle = 5_000_000, "256MiB", "10s", 400_000, 10*time.Second
		if text := os.Getenv("ZOOID_SCALE_NODES"); text != "" {
			var err error
			if nodes, err = strconv.Atoi(text); err != nil || nodes%perParent != 0 {
				t.Fatalf("ZOOID_SCALE_NODES=%s: want a multiple of %d", text, perParent)
			}
		}
	}
	path := func(i int) string { return fmt.Sprintf("/app/d%05d/n%03d", i/perParent, i%perParent) }
	value := func(i int) []byte { return fmt.Appendf(nil, "%0100d", i) }
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Minute)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	server := startProcess(t, t.TempDir(), "maxSessionTimeout=60000", "4lw.commands.whitelist=mntr", "plugin.machine.cache="+cache, "plugin.machine.dirtyAge="+dirtyAge)
	c := dialClient(t, server.addr)
	o := startOthers(t, server.addr, 8, 4*time.Millisecond)
	o.during("idle", lasting(idle))
	_, err := c.Create(ctx, "/app", nil, client.CreateOptions{})
	must(err)
	o.during("create", func() {
		inParallel(t, 8, nodes/perParent, func(parent int) error {
			ops := []wire.Op{client.CreateOp(fmt.Sprintf("/app/d%05d", parent), nil, wire.Persistent, nil)}
			for i := parent * perParent; i < (parent+1)*perParent; i++ {
				if ops = append(ops, client.CreateOp(path(i), value(i), wire.Persistent, nil)); len(ops) < perMulti {
					continue
				}
				if _, err := c.Multi(ctx, ops...); err != nil {
					return err
				}
				ops = ops[:0]
			}
			_, err := c.Multi(ctx, ops...)
			return err
		})
	})
	staysSmall(t, server, "create")
	count := nodes + nodes/perParent
	o.during("count", func() {
		got, err := c.CountDescendants(ctx, "/app")
		must(err)
		if got != count {
			t.Errorf("there are %d nodes, want %d", got, count)
		}
	})
	cold := func(what string) {
		before := mntr(t, server, "znode_store_loads")
		o.during(what, func() {
			inParallel(t, 64, reads, func(int) error {
				i := rand.IntN(nodes)
				data, _, err := c.Get(ctx, path(i))
				if err == nil && string(data) != string(value(i)) {
					err = fmt.Errorf("%s holds %q", path(i), data)
				}
				return err
			})
		})
		if loads := mntr(t, server, "znode_store_loads") - before; loads < reads/4 {
			t.Errorf("%d of %d reads went to the node store: these nodes were not cold", loads, reads)
		}
		staysSmall(t, server, what)
	}
	cold("cold reads")

	waitUntil(t, "all is flushed", func() bool { return mntr(t, server, "znode_flushed_behind") == 0 })
	const after = 500
	inParallel(t, 8, after, func(i int) error {
		_, err := c.Set(ctx, path(i), value(i), -1)
		return err
	})
	// What the sessions of this test do besides. The next flush may come sooner: then less is replayed.
	most := after + mntr(t, server, "znode_flushed_behind")
	server.kill()
	start := time.Now()
	server = server.restart(t)
	t.Logf("%-22s %8v  %s", "restart", time.Since(start).Round(time.Millisecond), replayedLine.FindString(server.output()))
	if m := replayedLine.FindStringSubmatch(server.output()); m != nil {
		if replayed, err := strconv.Atoi(m[1]); err != nil || replayed > most {
			t.Errorf("%s transactions were replayed of which at most %d were not flushed (%v)", m[1], most, err)
		}
	}
	c = dialClient(t, server.addr)
	o = startOthers(t, server.addr, 8, 4*time.Millisecond)
	got, err := c.CountDescendants(ctx, "/app")
	must(err)
	if got != count {
		t.Errorf("after kill -9 there are %d nodes, want %d", got, count)
	}
	for i := range after {
		_, stat, err := c.Get(ctx, path(i))
		must(err)
		if stat.Version != 1 {
			t.Errorf("%s has version %d after kill -9", path(i), stat.Version)
		}
	}
	cold("cold reads, restarted")
}
