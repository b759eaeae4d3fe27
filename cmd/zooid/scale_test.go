package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

// The tests in this file do what is large, or greedy, to a server in a process of its own, while other clients read and write. They always run, small, and judge what is
// answered, the server's memory, and that nobody hangs. How many milliseconds the others wait is for people to judge, from a run at full size: .ci/run scale.
type scaleSizes struct {
	children, ephemerals, quota int
	others                      int           // clients beside the greedy one
	inFlight                    int           // requests of the greedy one
	period                      time.Duration // of each other client's requests
	lasting                     time.Duration // of each part that has no end of its own
}

func sizesOfScale(t *testing.T) scaleSizes {
	if os.Getenv("ZOOID_SCALE") != "" {
		return scaleSizes{2_000_000, 100_000, 1_000_000, 1000, 10_000, 100 * time.Millisecond, 5 * time.Second}
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

// TestHugeOperations does what concerns very many nodes at once: it is whole and right, takes little memory, and nobody stands still for it.
func TestHugeOperations(t *testing.T) {
	z := sizesOfScale(t)
	server := startProcess(t, t.TempDir(), "maxSessionTimeout=60000")
	memory := func(after string) { t.Helper(); staysSmall(t, server, after) }
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

// window is how many writes of one connection are in the server's write path; thousands more wait in a queue of its own.
const window = 256

// TestGreedyClient: a client with thousands of requests under way has a share of the server, not all of it before the others.
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
		writes  bool // the window holds them
		request func(i int) *wire.Request
	}{
		{"greedy sets", true, func(int) *wire.Request { return setRequest("/greedy", make([]byte, 100), -1) }},
		{"greedy gets", false, func(int) *wire.Request { return getRequest("/greedy") }},
		{"greedy creates", true, func(i int) *wire.Request { return createRequest(fmt.Sprintf("/greedy/c-%d", i), make([]byte, 100), 0) }},
		{"greedy mix", true, func(i int) *wire.Request {
			if i%2 == 0 {
				return getRequest("/greedy")
			}
			return setRequest("/greedy", make([]byte, 100), -1)
		}},
		{"greedy syncs", false, func(int) *wire.Request { return &wire.Request{Op: wire.Op{Code: wire.OpSync, Path: "/greedy"}} }},
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
		overtook := o.during(kind.name, lasting(z.lasting)).overtook
		close(stop)
		usual := quantile(overtook, .5)
		t.Logf("%-22s %.0f per second, during one write of the others p50 %d p99 %d", kind.name, <-rates, usual, quantile(overtook, .99))
		if kind.writes && usual > 3*window { // says less of how busy the machine is besides than time does
			t.Errorf("%s: the others' writes wait for %d of the greedy client's", kind.name, usual)
		}
	}
}
