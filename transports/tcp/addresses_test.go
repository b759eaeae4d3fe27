package tcp

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

// A server with several addresses is found on any, by name too.
func TestSeveralAddresses(t *testing.T) {
	p := ports(t, 8)
	several := kernel.Member{ID: 1, Voter: true, Text: fmt.Sprintf("127.0.0.1:%d:%d|localhost:%d:%d", p[0], p[1], p[2], p[3])}
	members := []kernel.Member{several, line(2, p[4], p[5])}
	sink := plugintest.NewSink(t)
	two := New(2, sink, patient(Settings{}), logger(t))
	defer two.Close()
	two.Configure(members)
	for i, port := range []int{p[2], p[0], p[3], p[1]} { // nobody listens on the other one
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		purpose := kernel.ForBroadcast
		if i >= 2 {
			purpose = kernel.ForElection
		}
		link := two.Dial(1, purpose)
		if up := sink.NextUp(false); up != link {
			t.Fatalf("%v, want %v", up, link)
		}
		two.Hangup(link)
		sink.Down(link)
		l.Close()
	}
	link := two.Dial(1, kernel.ForBroadcast)
	e := sink.Next()
	for _, where := range []string{fmt.Sprint(p[0]), fmt.Sprint(p[2])} {
		if !e.Down || e.Link != link || !strings.Contains(e.Reason.Error(), where) {
			t.Errorf("%v: want a reason that names %s", e, where)
		}
	}

	// It listens on all of them, and says so.
	one := New(1, plugintest.NewSink(t), Settings{Several: true}, logger(t))
	defer one.Close()
	one.Configure([]kernel.Member{several, line(0, p[6], p[7])})
	if err := one.Listen(); err != nil {
		t.Fatal(err)
	}
	for _, port := range p[:4] {
		dialRaw(t, fmt.Sprintf("127.0.0.1:%d", port)).Close()
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p[7]))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	one.Dial(0, kernel.ForElection)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	newRaw(t, conn).want("ffffffffffff0001 0000000000000001" + text(fmt.Sprintf("127.0.0.1:%d|localhost:%d", p[1], p[3])))
}

// Addresses are those of the newest configuration; links that are up stay.
func TestConfigureMoves(t *testing.T) {
	servers := listening(t, Settings{}, 1, 2)
	one, two := servers[0], servers[1]
	near, far := meet(one, two)
	p := ports(t, 2)
	moved := []kernel.Member{line(2, p[0], p[1])}
	two.Configure(moved)
	one.Configure(moved) // one is no longer in it, and goes on
	next, nextFar := meet(one, two)
	works(t, one, two, near, far)
	works(t, one, two, next, nextFar)
	for _, old := range []string{two.quorum, two.election} {
		if conn, err := net.Dial("tcp", old); err == nil {
			conn.Close()
			t.Errorf("%s still answers", old)
		}
	}
	dialRaw(t, one.quorum).Close()

	// A port that is taken is tried again.
	taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", ports(t, 1)[0]))
	if err != nil {
		t.Fatal(err)
	}
	port := taken.Addr().(*net.TCPAddr).Port
	two.Configure([]kernel.Member{line(2, p[0], port)})
	taken.Close()
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the port is not bound although it is free again")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// A server that is removed from the configuration knocks at those with larger ids as before: they do not know any more where it is, and it tells them.
func TestRemovedKnocks(t *testing.T) {
	servers := listening(t, Settings{}, 1, 2)
	one, two := servers[0], servers[1]
	left := []kernel.Member{line(2, port(t, two.quorum), port(t, two.election))}
	one.Configure(left)
	two.Configure(left)
	link := one.Dial(2, kernel.ForElection)
	for up, down := false, false; !up || !down; {
		switch e := one.sink.Next(); {
		case e.Down && e.Link == link && errors.Is(e.Reason, ErrKnocked):
			down = true
		case e.Up && e.Accepted && e.Link.Peer == 2:
			up = true
		default:
			t.Fatalf("%+v", e)
		}
	}
}

func port(t *testing.T, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A port that cannot be bound at the start is tried as often as the settings say, and a server that is stopped meanwhile stops.
func TestListenRetries(t *testing.T) {
	p := ports(t, 2)
	taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	retrying := func(retries int) (*Transport, chan error) {
		one := New(1, plugintest.NewSink(t), Settings{BindRetries: retries}, logger(t))
		one.Configure([]kernel.Member{line(1, p[0], p[1])})
		result := make(chan error, 1)
		go func() { result <- one.Listen() }()
		return one, result
	}
	once, result := retrying(1)
	defer once.Close()
	if err := <-result; err == nil || !strings.Contains(err.Error(), "election port") {
		t.Errorf("after one retry: %v", err)
	}
	stopped, result := retrying(-1)
	stopped.Close()
	if err := <-result; err != ErrClosed {
		t.Errorf("stopped while trying: %v", err)
	}
	patient, result := retrying(-1)
	defer patient.Close()
	taken.Close()
	if err := <-result; err != nil {
		t.Errorf("the port is free: %v", err)
	}
}

func TestListenErrors(t *testing.T) {
	p := ports(t, 2)
	taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	one := New(1, plugintest.NewSink(t), Settings{}, logger(t))
	if err := one.Listen(); err == nil || !strings.Contains(err.Error(), "server.1=") {
		t.Errorf("without a configuration: %v", err)
	}
	one.Configure([]kernel.Member{line(1, p[0], p[1]), {ID: 3, Text: "nonsense"}})
	if err := one.Listen(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("election port 127.0.0.1:%d of server 1", p[1])) {
		t.Errorf("with a port that is taken: %v", err)
	}
	if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p[0])); err == nil {
		conn.Close()
		t.Error("half of the ports are bound")
	}
	taken.Close()
	if err := one.Listen(); err != nil {
		t.Error(err)
	}
	one.Close()
	if err := one.Listen(); err != ErrClosed {
		t.Errorf("after Close: %v", err)
	}
	one.Dial(3, kernel.ForBroadcast) // nothing
}

func TestListenOnAllIPs(t *testing.T) {
	p := ports(t, 2)
	one := New(1, plugintest.NewSink(t), Settings{ListenOnAllIPs: true}, logger(t))
	defer one.Close()
	one.Configure([]kernel.Member{{ID: 1, Text: fmt.Sprintf("a-name-of-nobody.invalid:%d:%d", p[0], p[1])}})
	if err := one.Listen(); err != nil {
		t.Fatal(err)
	}
	for place, l := range one.listeners {
		if !l.Addr().(*net.TCPAddr).IP.IsUnspecified() {
			t.Errorf("%v listens on %v", place, l.Addr())
		}
	}
	dialRaw(t, fmt.Sprintf("127.0.0.1:%d", p[0])).Close()
}

func TestRegistry(t *testing.T) {
	factory, err := kernel.Lookup(kernel.KindTransport, "tcp")
	if err != nil {
		t.Fatal(err)
	}
	build := func(given map[string]string, config map[string]string) (*Transport, error) {
		o, err := kernel.NewOptions("transport", "tcp", factory.Options, given, func(key string) (string, bool) {
			value, ok := config[key]
			return value, ok
		})
		if err != nil {
			t.Fatal(err)
		}
		tr, err := factory.New(kernel.Env{Server: 1, Sink: plugintest.NewSink(t), Logger: logger(t)}, o)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { tr.Close() })
		return tr.(*Transport), nil
	}
	tr, err := build(nil, nil)
	if err != nil || tr.settings != (Settings{QueueBytes: 64 << 20, ConnectTimeout: 5 * time.Second, LeaderConnectTimeout: 20 * time.Second, WriteTimeout: 20 * time.Second, BindRetries: 3}) {
		t.Errorf("defaults: %+v, %v", tr.settings, err)
	}
	tr, err = build(map[string]string{"queue": "1MiB", "writeTimeout": "3s"}, map[string]string{"cnxTimeout": "1500", "connectToLearnerMasterLimit": "3", "tickTime": "100",
		"quorumListenOnAllIPs": "true", "multiAddress.enabled": "true", "electionPortBindRetry": "0", "observerMasterPort": "2191"})
	if err != nil || tr.settings != (Settings{QueueBytes: 1 << 20, ConnectTimeout: 1500 * time.Millisecond, LeaderConnectTimeout: 300 * time.Millisecond, WriteTimeout: 3 * time.Second, ListenOnAllIPs: true, Several: true, ObserverMasterPort: 2191, BindRetries: -1}) {
		t.Errorf("as set: %+v, %v", tr.settings, err)
	}
	if _, err := build(map[string]string{"queue": "1KiB"}, nil); err == nil {
		t.Error("a queue of a kibibyte was taken")
	}
}
