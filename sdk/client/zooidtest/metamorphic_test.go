package zooidtest_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/inspect"
	"github.com/zooid-project/zooid/sdk/wire"
)

var seed = flag.Uint64("seed", 0, "seed of the random operations; 0: a new one")

// TestMetamorphic plays one random list of operations to servers that differ in their stores, their memory, and in how often they are restarted: all
// answer alike, and end with the same tree.
func TestMetamorphic(t *testing.T) {
	n := *seed
	if n == 0 {
		n = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", n)
	steps := randomSteps(rand.New(rand.NewPCG(n, 0)), 1500)
	small := []zooidtest.Option{zooidtest.Set("plugin.machine.cache", "64KiB"), zooidtest.Set("plugin.machine.dirty", "64KiB"), zooidtest.Set("plugin.machine.dirtyAge", "5ms")}
	var first, firstName string
	for _, c := range []struct {
		name    string
		opts    []zooidtest.Option
		durable bool
	}{
		{"nodes=memory log=memory", []zooidtest.Option{zooidtest.InMemory()}, false},
		{"nodes=pebble log=memory", []zooidtest.Option{zooidtest.Set("plugin.log", "memory")}, false},
		{"nodes=memory log=file", []zooidtest.Option{zooidtest.Set("plugin.nodes", "memory"), zooidtest.Set("snapCount", "100"), zooidtest.Set("tickTime", "1000")}, true},
		{"nodes=pebble log=file", nil, true},
		{"nodes=pebble log=file cache=small", append(small, zooidtest.Set("plugin.log.segmentSize", "64KiB")), true},
		{"nodes=memory log=memory cache=small", append(small, zooidtest.InMemory()), false},
	} {
		s := zooidtest.Start(t, append(c.opts, zooidtest.Set("maxSessionTimeout", "100000"))...)
		var ends []func()
		if c.durable {
			ends = []func(){s.Stop, s.Kill, s.PowerCut}
		}
		history := play(t, s, steps, ends)
		if first == "" {
			first, firstName = history, c.name
			continue
		}
		if history != first {
			t.Errorf("%s and %s differ (-seed %d): %s", firstName, c.name, n, difference(first, history))
		}
		s.Stop()
	}
}

// difference shows the first lines that differ.
func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d:\n%s\n%s", i, x[i], y[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(x), len(y))
}

// step is one request of one of the clients.
type step struct {
	client  int
	op      wire.OpCode
	path    string
	data    []byte
	mode    wire.CreateMode
	version int32
	ops     []wire.Op
}

const clients = 3

func randomSteps(r *rand.Rand, n int) []step {
	steps := make([]step, n)
	ops := []wire.OpCode{wire.OpCreate2, wire.OpCreate2, wire.OpCreate2, wire.OpCreate2, wire.OpSetData, wire.OpSetData, wire.OpDelete, wire.OpDelete, wire.OpGetData, wire.OpExists,
		wire.OpGetChildren2, wire.OpGetACL, wire.OpSetACL, wire.OpMulti, wire.OpGetEphemerals, wire.OpGetAllChildrenNumber, wire.OpSync}
	modes := []wire.CreateMode{wire.Persistent, wire.Persistent, wire.Persistent, wire.Ephemeral, wire.PersistentSequential, wire.EphemeralSequential, wire.Container}
	path := func() string {
		var b strings.Builder
		for range 1 + r.IntN(3) {
			fmt.Fprintf(&b, "/%c", 'a'+r.IntN(4))
		}
		return b.String()
	}
	data := func() []byte {
		b := make([]byte, r.IntN(3)*r.IntN(500))
		for i := range b {
			b[i] = byte('a' + r.IntN(26))
		}
		return b
	}
	version := func() int32 { return []int32{-1, -1, 0, 1, 2}[r.IntN(5)] }
	for i := range steps {
		s := &steps[i]
		*s = step{client: r.IntN(clients), op: ops[r.IntN(len(ops))], path: path(), data: data(), mode: modes[r.IntN(len(modes))], version: version()}
		for range r.IntN(4) {
			s.ops = append(s.ops, []wire.Op{
				client.CreateOp(path(), data(), modes[r.IntN(len(modes))], wire.OpenACL), client.SetOp(path(), data(), version()), client.DeleteOp(path(), version()), client.CheckOp(path(), version()),
			}[r.IntN(4)])
		}
	}
	return steps
}

// play runs the steps and returns all answers and the final tree as text. The server is ended by each of ends in turn, at even distances.
func play(t *testing.T, s *zooidtest.Server, steps []step, ends []func()) string {
	t.Helper()
	var history strings.Builder
	cs := make([]*client.Client, clients)
	owners := map[int64]string{0: "-"}
	for i := range cs {
		cs[i] = dial(t, s, client.Options{SessionTimeout: 100 * time.Second})
		owners[cs[i].SessionID()] = fmt.Sprint("client ", i)
	}
	every := len(steps) + 1
	if len(ends) > 0 {
		every = len(steps) / (len(ends) + 1)
	}
	for i, st := range steps {
		if i > 0 && i%every == 0 && i/every <= len(ends) {
			before := digests(s)
			ends[i/every-1]()
			s.Restart()
			for zxid, digest := range digests(s) { // of what was replayed
				if was, ok := before[zxid]; ok && was != digest {
					t.Errorf("the digest at %v is %x after a restart and was %x", zxid, digest, was)
				}
			}
			for _, c := range cs { // all are back before anybody goes on: one request, one transaction
				if err := c.Sync(within(t), "/"); err != nil {
					t.Fatal(err)
				}
			}
		}
		fmt.Fprintf(&history, "%d %v %s: %s\n", i, st.op, st.path, answer(t, cs[st.client], st, owners))
	}
	walk(t, cs[0], "/", owners, &history)
	for i, c := range cs {
		if err := c.Close(within(t)); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
	return history.String()
}

// digests are the recorded ones. They cover times, so two servers never have the same.
func digests(s *zooidtest.Server) map[kernel.Zxid]uint64 {
	all := map[kernel.Zxid]uint64{}
	s.Host().Machine().(inspect.Machine).Digests(func(zxid kernel.Zxid, _ int32, digest uint64) bool {
		all[zxid] = digest
		return true
	})
	return all
}

// answer performs one step. Zxids are left out: a restart begins a new epoch.
func answer(t *testing.T, c *client.Client, st step, owners map[int64]string) string {
	ctx := within(t)
	stat := func(stat wire.Stat, err error) string { return outcome(err) + " " + statText(stat, owners) }
	switch st.op {
	case wire.OpCreate2:
		p, s, err := c.CreateStat(ctx, st.path, st.data, client.CreateOptions{Mode: st.mode})
		return p + " " + stat(s, err)
	case wire.OpSetData:
		return stat(c.Set(ctx, st.path, st.data, st.version))
	case wire.OpDelete:
		return outcome(c.Delete(ctx, st.path, st.version))
	case wire.OpGetData:
		data, s, err := c.Get(ctx, st.path)
		return fmt.Sprintf("%q %s", data, stat(s, err))
	case wire.OpExists:
		found, s, err := c.Exists(ctx, st.path)
		return fmt.Sprint(found, " ", stat(s, err))
	case wire.OpGetChildren2:
		names, s, err := c.Children(ctx, st.path)
		slices.Sort(names)
		return fmt.Sprint(names, " ", stat(s, err))
	case wire.OpGetACL:
		list, s, err := c.GetACL(ctx, st.path)
		return fmt.Sprint(list, " ", stat(s, err))
	case wire.OpSetACL:
		return stat(c.SetACL(ctx, st.path, wire.OpenACL, st.version))
	case wire.OpMulti:
		results, err := c.Multi(ctx, st.ops...)
		text := outcome(err)
		for _, r := range results {
			text += fmt.Sprintf(" [%s %s %v]", r.Path, statText(r.Stat, owners), r.Err)
		}
		return text
	case wire.OpGetEphemerals:
		paths, err := c.Ephemerals(ctx, "/")
		slices.Sort(paths)
		return fmt.Sprint(paths, outcome(err))
	case wire.OpGetAllChildrenNumber:
		n, err := c.CountDescendants(ctx, st.path)
		return fmt.Sprint(n, outcome(err))
	default:
		return outcome(c.Sync(ctx, st.path))
	}
}

func outcome(err error) string {
	var failed *client.MultiError
	var code wire.ErrorCode
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &failed):
		return fmt.Sprintf("operation %d: %v", failed.Index, failed.Code)
	case errors.As(err, &code):
		return code.Error()
	}
	return err.Error()
}

// statText is a stat without times and zxids.
func statText(s wire.Stat, owners map[int64]string) string {
	owner, ok := owners[s.EphemeralOwner]
	if !ok {
		owner = fmt.Sprintf("0x%x", uint64(s.EphemeralOwner))
	}
	return fmt.Sprintf("v%d c%d a%d len %d children %d owner %s", s.Version, s.Cversion, s.Aversion, s.DataLength, s.NumChildren, owner)
}

// walk writes down a tree, parents first.
func walk(t *testing.T, c *client.Client, path string, owners map[int64]string, out *strings.Builder) {
	t.Helper()
	data, stat, err := c.Get(within(t), path)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(out, "node %s %q %s\n", path, data, statText(stat, owners))
	names, _, err := c.Children(within(t), path)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		walk(t, c, strings.TrimSuffix(path, "/")+"/"+name, owners, out)
	}
}
