package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeServer knows creates, deletes, sets, gets and sessions, without checking more than whether a node is there.
type fakeServer struct {
	listener net.Listener
	mu       sync.Mutex
	nodes    map[string][]byte
	ops      map[wire.OpCode]int
	sessions int
	breakAt  int // close the connection at this set; 0: never
	wg       sync.WaitGroup
}

func startFake(t *testing.T) *fakeServer {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fakeServer{listener: listener, nodes: map[string][]byte{"": nil, "/app": nil}, ops: map[wire.OpCode]int{}}
	s.wg.Go(func() {
		for {
			socket, err := listener.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { defer socket.Close(); s.serve(socket) })
		}
	})
	t.Cleanup(func() { listener.Close(); s.wg.Wait() })
	return s
}

func (s *fakeServer) address() string { return s.listener.Addr().String() }

func (s *fakeServer) serve(socket net.Conn) {
	for first := true; ; first = false {
		var length [4]byte
		if _, err := io.ReadFull(socket, length[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(length[:]))
		if _, err := io.ReadFull(socket, body); err != nil {
			return
		}
		d := jute.NewDecoder(body)
		out, start := wire.StartFrame(nil)
		var op wire.OpCode
		if first {
			s.mu.Lock()
			s.sessions++
			s.mu.Unlock()
			var request wire.ConnectRequest
			request.Decode(&d)
			response := wire.ConnectResponse{TimeoutMs: request.TimeoutMs, SessionID: 1, HasReadOnly: request.HasReadOnly}
			out = response.AppendTo(out)
		} else {
			var header wire.RequestHeader
			header.Decode(&d)
			op = header.Op
			var request wire.Request
			if err := wire.DecodeRequest(op, d.Rest(), &request); err != nil {
				return
			}
			code, data := s.apply(op, &request)
			if code == wire.ErrConnectionLoss {
				return
			}
			reply := wire.ReplyHeader{Xid: header.Xid, Zxid: 1, Err: code}
			out = reply.AppendTo(out)
			if code == wire.ErrOK && op == wire.OpGetData {
				out = append(jute.AppendBuffer(out, data), make([]byte, wire.StatSize)...)
			} else if code == wire.ErrOK && op == wire.OpSetData {
				out = append(out, make([]byte, wire.StatSize)...)
			} else if code == wire.ErrOK && op == wire.OpCreate {
				out = jute.AppendString(out, request.Path)
			}
		}
		wire.FinishFrame(out, start)
		if _, err := socket.Write(out); err != nil || op == wire.OpCloseSession {
			return
		}
	}
}

func (s *fakeServer) apply(op wire.OpCode, r *wire.Request) (wire.ErrorCode, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ops[op]++
	data, found := s.nodes[r.Path]
	switch op {
	case wire.OpCreate:
		parent := r.Path[:strings.LastIndexByte(r.Path, '/')]
		if _, ok := s.nodes[parent]; !ok {
			return wire.ErrNoNode, nil
		}
		if found {
			return wire.ErrNodeExists, nil
		}
		s.nodes[r.Path] = bytes.Clone(r.Data)
	case wire.OpDelete:
		if !found {
			return wire.ErrNoNode, nil
		}
		delete(s.nodes, r.Path)
	case wire.OpSetData:
		if s.breakAt == s.ops[op] {
			return wire.ErrConnectionLoss, nil
		}
		if !found {
			return wire.ErrNoNode, nil
		}
		s.nodes[r.Path] = bytes.Clone(r.Data)
	case wire.OpGetData:
		if !found {
			return wire.ErrNoNode, nil
		}
	case wire.OpCloseSession:
		s.sessions--
	default:
		return wire.ErrUnimplemented, nil
	}
	return wire.ErrOK, data
}

func small(s *fakeServer, op string) Options {
	o := Defaults()
	o.Servers, o.Op, o.Connections, o.InFlight, o.Keys, o.Ops, o.Timeout = []string{s.address()}, op, 3, 5, 20, 600, 10*time.Second
	return o
}

func TestWorkloads(t *testing.T) {
	for _, op := range Operations {
		t.Run(op, func(t *testing.T) {
			s := startFake(t)
			o := small(s, op)
			o.Root = "/app"
			got, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if got.Ops != o.Ops || got.Errors != 0 || got.OpsPerS <= 0 || got.P50 <= 0 || got.P50 > got.P99 || got.P99 > got.P999 || got.P999 > got.Max {
				t.Errorf("%+v", got)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if left := slices.Sorted(maps.Keys(s.nodes)); !slices.Equal(left, []string{"", "/app"}) {
				t.Errorf("left behind: %d nodes, as %s", len(left), left[len(left)-1])
			}
			if s.sessions != 0 {
				t.Errorf("%d sessions left open", s.sessions)
			}
			want := map[string][2]int{"set": {600, 0}, "get": {0, 600}, "create": {0, 0}, "connect": {0, 0}}
			if w, ok := want[op]; ok && (s.ops[wire.OpSetData] != w[0] || s.ops[wire.OpGetData] != w[1]) {
				t.Errorf("server saw %v", s.ops)
			}
			if op == "create" && s.ops[wire.OpCreate] != 600+1+o.Connections {
				t.Errorf("server saw %d creates", s.ops[wire.OpCreate])
			}
			if reads := s.ops[wire.OpGetData]; op == "mixed" && (reads < 400 || reads > 540 || reads+s.ops[wire.OpSetData] != 600) {
				t.Errorf("%d reads of 600, want about 480", reads)
			}
		})
	}
}

func TestKeepAndSize(t *testing.T) {
	s := startFake(t)
	o := small(s, "set")
	o.Keep, o.Size = true, 300
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if len(s.nodes) != 2+1+o.Keys {
		t.Errorf("%d nodes, want the %d keys kept", len(s.nodes), o.Keys)
	}
	for path, data := range s.nodes {
		if strings.Contains(path, "/n0") && len(data) != 300 {
			t.Errorf("%s has %d bytes", path, len(data))
		}
	}
}

// A broken connection costs its window, and the run goes on with another.
func TestReconnect(t *testing.T) {
	s := startFake(t)
	s.breakAt = 100
	o := small(s, "set")
	got, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got.Errors == 0 || got.Errors > int64(o.InFlight) || got.Ops+got.Errors != o.Ops {
		t.Errorf("%d ops, %d errors", got.Ops, got.Errors)
	}
}

func TestDurationAndCancel(t *testing.T) {
	s := startFake(t)
	o := small(s, "get")
	o.Ops, o.Warmup = 0, 20*time.Millisecond
	for o.Duration = 100 * time.Millisecond; ; o.Duration *= 10 { // a busy machine may not come to a single request in so short a time
		got, err := Run(t.Context(), o)
		if err != nil || got.Elapsed != o.Duration {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.Ops > 0 {
			break
		}
		if o.Duration >= 10*time.Second {
			t.Fatalf("no request in %v", o.Duration)
		}
	}
	gets := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.ops[wire.OpGetData]
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := gets()
	go func() { // while the load is on
		for gets() == before && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	o.Duration = time.Hour
	if got, err := Run(ctx, o); err != nil || got.Elapsed > time.Minute {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestErrors(t *testing.T) {
	s := startFake(t)
	o := small(s, "set")
	o.Root = "/absent"
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "/absent") {
		t.Errorf("got %v", err)
	}
	o = small(s, "sett")
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "mixed") {
		t.Errorf("got %v", err)
	}
	o = small(s, "set")
	s.listener.Close()
	var refused *net.OpError
	if _, err := Run(t.Context(), o); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
}

func TestJSONKeys(t *testing.T) {
	var b bytes.Buffer
	r := Result{Op: "set", Ops: 1}
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	want := []string{"conns", "errors", "inflight", "max_ms", "op", "ops_per_s", "p50_ms", "p999_ms", "p99_ms", "size"}
	if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
}

// A numbered frame is what the wire package would have made of the numbered path.
func TestFrames(t *testing.T) {
	for _, number := range []int{0, 7, 1234, maxSequence} {
		f := setFrame("/b", 10)
		got := f.appendTo([]byte("before"), 0x01020304, number)
		want := newFrame(wire.Op{Code: wire.OpSetData, Path: fmt.Sprintf("/b/n%08d", number), Data: payload(10), Version: -1}, false)
		if expected := want.appendTo([]byte("before"), 0x01020304, 0); !bytes.Equal(got, expected) {
			t.Errorf("%d: %q, want %q", number, got, expected)
		}
	}
}

func TestParseServers(t *testing.T) {
	for text, want := range map[string]string{
		"h": "[h:2181] /", "h:1,i/app/": "[h:1 i:2181] /app", "[::1]:5/": "[[::1]:5] /", "[::1]": "[[::1]:2181] /", "": "error", "a,,b": "error",
	} {
		servers, root, err := ParseServers(text)
		got := fmt.Sprint(servers, " ", root)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// A reply that comes in pieces, or is larger than the buffer, is put together.
func TestFill(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	big := make([]byte, 200<<10)
	go func() {
		defer server.Close()
		frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(big))), big...)
		frame = append(frame, 0, 0, 0, 2, 'x', 'y')
		for len(frame) > 0 {
			n := min(len(frame), 30011)
			if _, err := server.Write(frame[:n]); err != nil {
				return
			}
			frame = frame[n:]
		}
	}()
	c := &connection{net: client, in: make([]byte, 1024)}
	for _, want := range []int{len(big), 2} {
		if body, err := c.readFrame(); err != nil || len(body) != want {
			t.Fatalf("%d bytes, %v, want %d", len(body), err, want)
		}
	}
	if _, err := c.readFrame(); err == nil {
		t.Fatal("a frame after the end")
	}
}

func BenchmarkAppendNext(b *testing.B) {
	o := Defaults()
	o.Op = "mixed"
	w := newWorkload(&o, "/zooid-bench", 0)
	out := make([]byte, 0, 1<<10)
	b.ReportAllocs()
	for b.Loop() {
		out, _ = w.appendNext(out[:0], 1)
	}
}
