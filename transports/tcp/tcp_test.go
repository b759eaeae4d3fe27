package tcp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hello is how a learner introduces itself.
func hello(self kernel.ServerID) kernel.Message {
	info := peer.LearnerInfo{Server: self, Version: peer.ProtocolVersion}
	return kernel.Message{Type: peer.FollowerInfo, Payload: info.AppendTo(nil)}
}

var traits = plugintest.TransportTraits{Hello: hello, Beside: true}

// ports returns n ports of the loopback address that nobody uses. They are below those that outgoing connections get, so that none of these takes one before it is listened on.
func ports(t testing.TB, n int) []int {
	t.Helper()
	var free []int
	for len(free) < n {
		port := 10000 + rand.IntN(20000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer l.Close()
		free = append(free, port)
	}
	return free
}

// line is a member on the loopback address.
func line(id kernel.ServerID, quorum, election int) kernel.Member {
	return kernel.Member{ID: id, Voter: true, Text: fmt.Sprintf("127.0.0.1:%d:%d:participant", quorum, election)}
}

// logger writes into the test's log.
func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// patient gives a busy machine time where a test is not about time.
func patient(s Settings) Settings {
	if s.ConnectTimeout == 0 {
		s.ConnectTimeout, s.LeaderConnectTimeout = time.Minute, time.Minute
	}
	if s.WriteTimeout == 0 {
		s.WriteTimeout = time.Minute
	}
	return s
}

// configured makes transports that know each other and do not listen yet. The caller closes them.
func configured(t *testing.T, sinks map[kernel.ServerID]kernel.TransportSink, s Settings) map[kernel.ServerID]kernel.Transport {
	var members []kernel.Member
	free := ports(t, 2*len(sinks))
	for id := range sinks {
		members = append(members, line(id, free[0], free[1]))
		free = free[2:]
	}
	transports := make(map[kernel.ServerID]kernel.Transport)
	for id, sink := range sinks {
		tr := New(id, sink, s, logger(t))
		tr.Configure(members)
		transports[id] = tr
	}
	return transports
}

func TestConformance(t *testing.T) {
	plugintest.Transport(t, func(t *testing.T, sinks map[kernel.ServerID]kernel.TransportSink, queueBytes int) map[kernel.ServerID]kernel.Transport {
		return configured(t, sinks, patient(Settings{QueueBytes: queueBytes}))
	}, traits)
}

// server is a transport under test.
type server struct {
	*Transport
	sink             *plugintest.Sink
	quorum, election string
}

// listening makes the servers ids, which know and hear each other.
func listening(t *testing.T, s Settings, ids ...kernel.ServerID) []*server {
	t.Helper()
	s = patient(s)
	servers, members := make([]*server, len(ids)), make([]kernel.Member, len(ids))
	free := ports(t, 2*len(ids)) // at once: none comes twice
	for i, id := range ids {
		p := free[2*i:]
		sink := plugintest.NewSink(t)
		members[i] = line(id, p[0], p[1])
		servers[i] = &server{New(id, sink, s, logger(t)), sink, fmt.Sprintf("127.0.0.1:%d", p[0]), fmt.Sprintf("127.0.0.1:%d", p[1])}
		t.Cleanup(func() { servers[i].Close() })
	}
	for _, s := range servers {
		s.Configure(members)
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
	}
	return servers
}

// raw is a connection of a test that speaks for itself.
type raw struct {
	t *testing.T
	net.Conn
}

func dialRaw(t *testing.T, address string) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return newRaw(t, conn)
}

func newRaw(t *testing.T, conn net.Conn) *raw {
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &raw{t, conn}
}

// put writes hex digits, spaces and bars ignored.
func (r *raw) put(text string) {
	r.t.Helper()
	if _, err := r.Write(unhex(r.t, text)); err != nil {
		r.t.Fatal(err)
	}
}

// want reads exactly these bytes.
func (r *raw) want(text string) {
	r.t.Helper()
	want := unhex(r.t, text)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want) {
		r.t.Fatalf("read % x, %v\nwant % x", got[:n], err, want)
	}
}

// wantEnd waits until the other side has closed without another byte.
func (r *raw) wantEnd() {
	r.t.Helper()
	if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Fatalf("read %d bytes, %v, want the end", n, err)
	}
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "|", "").Replace(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// text is a string as hex, with its length before it.
func text(s string) string { return fmt.Sprintf("%08x%x", len(s), s) }
