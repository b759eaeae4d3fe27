package main

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// residentLimitMB is what a server may occupy while it is fed garbage and holds idle connections. It has room for the 10,000 connections of the gate's full run, and
// none for a buffer of every length that somebody claims.
const residentLimitMB = 400

// TestGarbage feeds a server in its own process everything that is not the protocol, and asks of it that it lives, stays small, and serves others.
func TestGarbage(t *testing.T) {
	server := startProcess(t, t.TempDir(), "maxCnxns=0")
	good, err := dialRaw(server.addr, 0, nil, 60*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer good.close()
	if _, h, err := good.do(createRequest("/good", []byte("x"), 0)); err != nil || h.Err != wire.ErrOK {
		t.Fatalf("create: %v %v", h.Err, err)
	}
	attacks := []struct {
		name string
		run  func(t *testing.T, addr string)
	}{
		{"random bytes", randomBytes},
		{"mutated frames", mutatedFrames},
		{"half frames", halfFrames},
		{"byte by byte", slowLoris},
		{"connections that say nothing", idleConnections},
		{"connections opened and closed", connectionFlood},
		{"huge lengths", hugeLengths},
	}
	for _, attack := range attacks {
		t.Run(attack.name, func(t *testing.T) {
			done := make(chan struct{})
			go func() { defer close(done); attack.run(t, server.addr) }()
			worst := time.Duration(0)
			for running := true; running; {
				select {
				case <-done:
					running = false
				default:
				}
				start := time.Now()
				if _, h, err := good.do(setRequest("/good", []byte("y"), -1)); err != nil || h.Err != wire.ErrOK {
					t.Fatalf("a well-behaved client: %v %v\n%s", h.Err, err, server.output())
				}
				worst = max(worst, time.Since(start))
			}
			resident := memoryMB(t, server, "VmRSS")
			t.Logf("slowest write of the others %v, resident %d MB", worst.Round(time.Millisecond), resident)
			if resident > residentLimitMB {
				t.Errorf("resident memory %d MB, want at most %d", resident, residentLimitMB)
			}
		})
	}
}

// send opens a connection, writes, and reads until the server closes or the time is over.
func send(addr string, handshake bool, patience time.Duration, bytes ...[]byte) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return
	}
	defer conn.Close()
	if handshake {
		c := &rawClient{conn: conn}
		if c2, err := dialRaw(addr, 0, nil, 4*time.Second); err == nil {
			conn.Close()
			c = c2
		}
		conn = c.conn
		defer conn.Close()
	}
	for _, b := range bytes {
		if _, err := conn.Write(b); err != nil {
			return
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.Copy(io.Discard, conn)
}

func randomBytes(_ *testing.T, addr string) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		b := make([]byte, r.IntN(4096))
		for j := range b {
			b[j] = byte(r.Uint32())
		}
		send(addr, i%2 == 0, 5*time.Millisecond, b)
	}
}

func mutatedFrames(_ *testing.T, addr string) {
	r := rand.New(rand.NewPCG(3, 4))
	requests := []*wire.Request{
		createRequest("/garbage", []byte("data"), 0), setRequest("/good", []byte("z"), 7), getRequest("/good"), deleteRequest("/nothing"),
		{Op: wire.Op{Code: wire.OpMulti}, Ops: []wire.Op{createRequest("/garbage/a", nil, 0).Op, deleteRequest("/garbage/a").Op}},
		{Op: wire.Op{Code: wire.OpSetWatches2}, DataWatches: []string{"/good"}, PersistentWatches: []string{"/"}},
		{Op: wire.Op{Code: wire.OpAuth}, Scheme: "digest", Auth: []byte("a:b")},
		{Op: wire.Op{Code: wire.OpSASL}, Auth: []byte("username=")},
	}
	for i := range 300 {
		var all []byte
		for range 1 + r.IntN(5) {
			req := requests[r.IntN(len(requests))]
			frame, start := wire.StartFrame(nil)
			h := wire.RequestHeader{Xid: int32(i), Op: req.Code}
			frame = req.AppendTo(h.AppendTo(frame))
			wire.FinishFrame(frame, start)
			for range r.IntN(4) {
				frame[4+r.IntN(len(frame)-4)] ^= byte(1 << r.IntN(8))
			}
			all = append(all, frame...)
		}
		send(addr, true, 5*time.Millisecond, all)
	}
}

func halfFrames(_ *testing.T, addr string) {
	for i := range 200 {
		frame := binary.BigEndian.AppendUint32(nil, 100_000)
		send(addr, i%2 == 0, 2*time.Millisecond, append(frame, make([]byte, i*7)...))
	}
}

func slowLoris(_ *testing.T, addr string) {
	var wg sync.WaitGroup
	for range 200 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return
			}
			defer conn.Close()
			frame := append(binary.BigEndian.AppendUint32(nil, 45), make([]byte, 44)...)
			for i := range 40 {
				if _, err := conn.Write(frame[i : i+1]); err != nil {
					return
				}
				time.Sleep(25 * time.Millisecond)
			}
		}()
	}
	wg.Wait()
}

// idleConnections holds sessions that say nothing. 10,000 in the gate's full run; fewer where file descriptors are scarce.
func idleConnections(t *testing.T, addr string) {
	count := 2000
	if text := os.Getenv("ZOOID_IDLE"); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil || count < 1 {
			t.Errorf("ZOOID_IDLE=%s: not a number of connections", text)
			return
		}
	}
	conns := make([]*rawClient, 0, count)
	defer func() {
		for _, c := range conns {
			c.close()
		}
	}()
	for range count {
		c, err := dialRaw(addr, 0, nil, 60*time.Second)
		if err != nil {
			t.Errorf("connection %d: %v", len(conns), err)
			return
		}
		conns = append(conns, c)
	}
}

func connectionFlood(_ *testing.T, addr string) {
	for range 3000 {
		conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
		if err == nil {
			_ = conn.Close()
		}
	}
}

func hugeLengths(_ *testing.T, addr string) {
	for _, n := range []uint32{0xffffffff, 0x80000000, 0x7fffffff, 1 << 30, 100 << 20, 2 << 20} {
		send(addr, true, 50*time.Millisecond, binary.BigEndian.AppendUint32(nil, n), make([]byte, 64<<10))
		send(addr, false, 50*time.Millisecond, binary.BigEndian.AppendUint32(nil, n))
	}
}
