package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// The tests in this file do what is large, or greedy, to a server in a process of its own, while other clients read and write. They always run, small, and judge what is
// answered. How long the others wait is for people to judge, from a run at full size:
//
//	ZOOID_SCALE=1 go test -run 'TestHugeOperations|TestGreedyClient' -v -timeout 30m ./cmd/zooid
type scaleSizes struct {
	children, ephemerals, quota int
	others                      int           // clients beside the greedy one
	inFlight                    int           // requests of the greedy one
	period                      time.Duration // of each other client's requests
	lasting                     time.Duration // of each part that has no end of its own
}

func sizesOfScale(t *testing.T) scaleSizes {
	if os.Getenv("ZOOID_SCALE") != "" {
		return scaleSizes{2_000_000, 100_000, 1_000_000, 1000, 10_000, 100 * time.Millisecond, 10 * time.Second}
	}
	t.Log("small: ZOOID_SCALE=1 runs it at full size")
	return scaleSizes{6000, 3000, 4000, 30, 2000, 20 * time.Millisecond, 300 * time.Millisecond}
}

// pipeline sends requests until request returns nil, with window of them under way, and gives what is answered to check, in order. It returns how many were answered.
func (c *rawClient) pipeline(window int, request func(i int) *wire.Request, check func(i int, code wire.ErrorCode) error) (int, error) {
	slots := make(chan struct{}, window)
	first := c.xid + 1
	var last atomic.Int32 // the xid of the request that ends it
	write := func() error {
		out := bufio.NewWriterSize(c.conn, 64<<10)
		for i := 0; ; i++ {
			select {
			case slots <- struct{}{}:
			default:
				if err := out.Flush(); err != nil {
					return err
				}
				slots <- struct{}{}
			}
			r := request(i)
			h := wire.RequestHeader{Xid: first + int32(i)}
			ends := r == nil
			if ends { // an answer to wait for
				r = &wire.Request{Op: wire.Op{Code: wire.OpExists, Path: "/"}}
				last.Store(h.Xid)
			}
			h.Op = r.Code
			frame, start := wire.StartFrame(out.AvailableBuffer())
			frame = r.AppendTo(h.AppendTo(frame))
			wire.FinishFrame(frame, start)
			if _, err := out.Write(frame); err != nil {
				return err
			}
			if ends {
				return out.Flush()
			}
		}
	}
	written := make(chan error, 1)
	go func() {
		err := write()
		if err != nil {
			_ = c.conn.Close() // nothing will be answered
		}
		written <- err
	}()
	answered := 0
	for {
		body, err := c.frame()
		if err == nil {
			d := jute.NewDecoder(body)
			var reply wire.ReplyHeader
			reply.Decode(&d)
			switch {
			case d.Err() != nil:
				err = d.Err()
			case reply.Xid == wire.XidWatchEvent:
				continue
			case reply.Xid != first+int32(answered):
				err = fmt.Errorf("reply %d to request %d", reply.Xid, first+int32(answered))
			case reply.Xid == last.Load():
				c.xid = reply.Xid
				return answered, <-written
			default:
				err = check(answered, reply.Err)
			}
		}
		if err != nil {
			_ = c.conn.Close()
			for {
				select {
				case <-slots: // the writer may wait for one
				case <-written:
					return answered, err
				}
			}
		}
		answered++
		<-slots
	}
}

// countChildren lists a node's children and throws the names away: what they would cost this process is not the server's doing.
func (c *rawClient) countChildren(path string) (int, error) {
	c.xid++
	frame, start := wire.StartFrame(nil)
	h := wire.RequestHeader{Xid: c.xid, Op: wire.OpGetChildren}
	r := wire.Request{Op: wire.Op{Code: h.Op, Path: path}}
	frame = r.AppendTo(h.AppendTo(frame))
	wire.FinishFrame(frame, start)
	if _, err := c.conn.Write(frame); err != nil {
		return 0, err
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Minute))
	var head [4 + wire.ReplyHeaderSize]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return 0, err
	}
	d := jute.NewDecoder(head[:])
	length := d.Int32()
	var reply wire.ReplyHeader
	reply.Decode(&d)
	if reply.Xid != c.xid || reply.Err != wire.ErrOK {
		return 0, fmt.Errorf("reply %d to request %d: %v", reply.Xid, c.xid, reply.Err)
	}
	var count [4]byte
	if _, err := io.ReadFull(c.in, count[:]); err != nil {
		return 0, err
	}
	_, err := io.CopyN(io.Discard, c.in, int64(length)-wire.ReplyHeaderSize-int64(len(count)))
	return int(binary.BigEndian.Uint32(count[:])), err
}

// others are clients that read and write, each at its own pace, one request at a time, and note how long they wait.
type others struct {
	t       *testing.T
	period  time.Duration
	clients []*rawClient
	greedy  atomic.Int64 // answers to the client beside them, if it counts them
}

func startOthers(t *testing.T, addr string, n int, period time.Duration) *others {
	t.Helper()
	o := &others{t: t, period: period}
	for i := range n {
		c := dialScale(t, addr)
		o.clients = append(o.clients, c)
		if _, h, err := c.do(createRequest(otherPath(i), []byte("0"), 0)); err != nil || h.Err != wire.ErrOK {
			t.Fatalf("create: %v %v", h.Err, err)
		}
	}
	return o
}

func dialScale(t *testing.T, addr string) *rawClient {
	t.Helper()
	c, err := dialRaw(addr, 0, nil, 40*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func otherPath(i int) string { return fmt.Sprintf("/other-%d", i) }

// during runs f and reports what the others waited meanwhile. Every client alternates between a write and a read of what it wrote.
func (o *others) during(what string, f func()) {
	o.t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	var reads, writes []time.Duration
	var overtaken []int64 // the greedy client's answers during each wait
	for i, c := range o.clients {
		wg.Go(func() {
			var own [2][]time.Duration
			var past []int64
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			next := time.NewTimer(rand.N(o.period))
			defer next.Stop()
			for n := 0; ; n++ {
				select {
				case <-stop:
					mu.Lock()
					reads, writes = append(reads, own[0]...), append(writes, own[1]...)
					overtaken = append(overtaken, past...)
					mu.Unlock()
					return
				case <-next.C:
				}
				value := fmt.Sprint(what, n/2)
				request := getRequest(otherPath(i))
				if n%2 == 0 {
					request = setRequest(otherPath(i), []byte(value), -1)
				}
				start, before := time.Now(), o.greedy.Load()
				r, h, err := c.do(request)
				past = append(past, o.greedy.Load()-before)
				if err != nil || h.Err != wire.ErrOK {
					o.t.Errorf("%s: another client: %v %v", what, h.Err, err)
					return
				}
				if n%2 == 0 {
					own[1] = append(own[1], time.Since(start))
				} else if own[0] = append(own[0], time.Since(start)); string(r.Data) != value {
					o.t.Errorf("%s: another client wrote %q and read %q", what, value, r.Data)
				}
				next.Reset(o.period/2 + time.Duration(rng.Int64N(int64(o.period))))
			}
		})
	}
	start := time.Now()
	f()
	took := time.Since(start)
	close(stop)
	wg.Wait()
	o.t.Logf("%-22s %8v  reads %s   writes %s", what, took.Round(time.Millisecond), waits(reads), waits(writes))
	if slices.Sort(overtaken); len(overtaken) > 0 && o.greedy.Load() > 0 { // says less of how busy the machine is besides
		at := func(q float64) int64 { return overtaken[int(q*float64(len(overtaken)-1))] }
		o.t.Logf("%-22s requests of the greedy client answered during one wait: p50 %d p99 %d p99.9 %d", what, at(.5), at(.99), at(.999))
	}
}

// waits is a summary of latencies.
func waits(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[int(q*float64(len(all)-1))].Round(10 * time.Microsecond) }
	return fmt.Sprintf("p50 %v p99 %v p99.9 %v max %v (%d)", at(.5), at(.99), at(.999), at(1), len(all))
}

func lasting(d time.Duration) func() { return func() { time.Sleep(d) } }

// numbered makes n requests.
func numbered(n int, request func(i int) *wire.Request) func(i int) *wire.Request {
	return func(i int) *wire.Request {
		if i == n {
			return nil
		}
		return request(i)
	}
}

func succeeds(i int, code wire.ErrorCode) error {
	if code != wire.ErrOK {
		return fmt.Errorf("request %d: %v", i, code)
	}
	return nil
}

func TestHugeOperations(t *testing.T) {
	z := sizesOfScale(t)
	server := startProcess(t, t.TempDir(), "maxSessionTimeout=60000")
	memory := func(after string) {
		t.Logf("%-22s resident %d MB", "after "+after, residentMB(t, server.cmd.Process.Pid))
	}
	o := startOthers(t, server.addr, 8, 4*time.Millisecond)
	c := dialScale(t, server.addr)
	all := func(n int, request func(i int) *wire.Request) {
		t.Helper()
		if got, err := c.pipeline(1000, numbered(n, request), func(i int, code wire.ErrorCode) error { o.greedy.Add(1); return succeeds(i, code) }); err != nil || got != n {
			t.Fatalf("%d of %d answered: %v", got, n, err)
		}
	}
	do := func(r *wire.Request) wire.Response {
		t.Helper()
		response, h, err := c.do(r)
		if err != nil || h.Err != wire.ErrOK {
			t.Fatalf("%v %s: %v %v\n%s", r.Code, r.Path, h.Err, err, server.output())
		}
		return response
	}
	children := func(path string) int {
		t.Helper()
		n, err := c.countChildren(path)
		if err != nil {
			t.Fatalf("list %s: %v\n%s", path, err, server.output())
		}
		return n
	}
	o.during("idle", lasting(z.lasting))

	do(createRequest("/big", nil, 0))
	child := func(i int) string { return fmt.Sprintf("/big/child-%08d", i) }
	o.during("create children", func() { all(z.children, func(i int) *wire.Request { return createRequest(child(i), nil, 0) }) })
	memory("create children")
	o.during("list children", func() {
		if got := children("/big"); got != z.children {
			t.Errorf("listed %d children, want %d", got, z.children)
		}
	})
	memory("list children")
	o.during("delete children", func() { all(z.children, func(i int) *wire.Request { return deleteRequest(child(i)) }) })
	memory("delete children")
	if got := children("/big"); got != 0 {
		t.Errorf("%d children are left", got)
	}

	owner := dialScale(t, server.addr)
	do(createRequest("/owned", nil, 0))
	if _, err := owner.pipeline(1000, numbered(z.ephemerals, func(i int) *wire.Request {
		return createRequest(fmt.Sprintf("/owned/e-%08d", i), nil, wire.Ephemeral)
	}), succeeds); err != nil {
		t.Fatal(err)
	}
	o.during("close the session", func() {
		if _, h, err := owner.do(&wire.Request{Op: wire.Op{Code: wire.OpCloseSession}}); err != nil || h.Err != wire.ErrOK {
			t.Errorf("close: %v %v", h.Err, err)
		}
		if got := children("/owned"); got != 0 {
			t.Errorf("%d ephemerals are left", got)
		}
	})
	o.during("after the close", lasting(z.lasting/5)) // nodes are still being taken out

	do(createRequest("/counted", nil, 0))
	for i := range z.quota / 1000 {
		do(createRequest(fmt.Sprintf("/counted/d%04d", i), nil, 0))
	}
	all(z.quota, func(i int) *wire.Request {
		return createRequest(fmt.Sprintf("/counted/d%04d/n%03d", i/1000, i%1000), []byte("0123456789"), 0)
	})
	o.during("set a quota", func() {
		do(createRequest("/zookeeper/quota/counted", nil, 0))
		limits := wire.Quota{Count: int64(2 * z.quota), Bytes: -1, HardCount: -1, HardBytes: -1}
		do(createRequest("/zookeeper/quota/counted/zookeeper_limits", limits.AppendTo(nil), 0))
		do(createRequest("/zookeeper/quota/counted/zookeeper_stats", limits.AppendTo(nil), 0))
		want := int64(z.quota + z.quota/1000 + 1)
		for end := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
			stats, _ := wire.ParseQuota(do(getRequest("/zookeeper/quota/counted/zookeeper_stats")).Data)
			if stats.Count == want && stats.Bytes == int64(10*z.quota) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the quota counts %d nodes and %d bytes, want %d and %d", stats.Count, stats.Bytes, want, 10*z.quota)
			}
		}
	})
	memory("set a quota")
}

func TestGreedyClient(t *testing.T) {
	z := sizesOfScale(t)
	server := startProcess(t, t.TempDir(), "maxSessionTimeout=60000")
	o := startOthers(t, server.addr, z.others, z.period)
	c := dialScale(t, server.addr)
	if _, h, err := c.do(createRequest("/greedy", make([]byte, 100), 0)); err != nil || h.Err != wire.ErrOK {
		t.Fatalf("create: %v %v", h.Err, err)
	}
	o.during("idle", lasting(z.lasting))
	for _, kind := range []struct {
		name    string
		request func(i int) *wire.Request
	}{
		{"greedy sets", func(int) *wire.Request { return setRequest("/greedy", make([]byte, 100), -1) }},
		{"greedy gets", func(int) *wire.Request { return getRequest("/greedy") }},
		{"greedy creates", func(i int) *wire.Request { return createRequest(fmt.Sprintf("/greedy/c-%d", i), make([]byte, 100), 0) }},
		{"greedy mix", func(i int) *wire.Request {
			if i%2 == 0 {
				return getRequest("/greedy")
			}
			return setRequest("/greedy", make([]byte, 100), -1)
		}},
		{"greedy syncs", func(int) *wire.Request { return &wire.Request{Op: wire.Op{Code: wire.OpSync, Path: "/greedy"}} }},
	} {
		stop := make(chan struct{})
		rates := make(chan float64, 1)
		go func() {
			start := time.Now()
			n, err := c.pipeline(z.inFlight, func(i int) *wire.Request {
				select {
				case <-stop:
					return nil
				default:
					return kind.request(i)
				}
			}, func(i int, code wire.ErrorCode) error { o.greedy.Add(1); return succeeds(i, code) })
			if err != nil {
				t.Errorf("%s: %v", kind.name, err)
			}
			rates <- float64(n) / time.Since(start).Seconds()
		}()
		o.during(kind.name, lasting(z.lasting))
		close(stop)
		t.Logf("%-22s %.0f per second", kind.name, <-rates)
	}
}
