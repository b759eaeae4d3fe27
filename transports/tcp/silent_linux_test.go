package tcp

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

// fullListener is a port of the loopback address whose queue is full: a connection to it is neither accepted nor refused. The port behind it is free at the time.
func fullListener(t *testing.T) (port int, end func()) {
	t.Helper()
	port = ports(t, 1)[0]
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	var held []net.Conn
	for {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), 300*time.Millisecond)
		if err != nil {
			break
		}
		held = append(held, conn)
		if len(held) > 100 {
			t.Fatal("the queue does not fill")
		}
	}
	return port, func() {
		for _, conn := range held {
			conn.Close()
		}
		syscall.Close(fd)
	}
}

// One address that swallows connections does not keep the others from being tried.
func TestSilentAddress(t *testing.T) {
	p := ports(t, 2)
	silent, full := fullListener(t)
	defer full()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sink := plugintest.NewSink(t)
	two := New(2, sink, Settings{ConnectTimeout: time.Minute, LeaderConnectTimeout: time.Minute}, logger(t))
	defer two.Close()
	two.Configure([]kernel.Member{{ID: 1, Text: fmt.Sprintf("127.0.0.1:%d:%d|127.0.0.1:%d:%d", silent, p[1], p[0], p[1])}})
	began := time.Now()
	link := two.Dial(1, kernel.ForBroadcast)
	if up := sink.NextUp(false); up != link || time.Since(began) > 20*time.Second {
		t.Fatalf("%v after %v", up, time.Since(began))
	}
}

// A dial to an address that swallows connections ends in time, or when it is hung up.
func TestDialTimeout(t *testing.T) {
	silent, full := fullListener(t)
	defer full()
	sink := plugintest.NewSink(t)
	two := New(2, sink, Settings{ConnectTimeout: 50 * time.Millisecond, LeaderConnectTimeout: time.Hour}, logger(t))
	defer two.Close()
	two.Configure([]kernel.Member{{ID: 1, Text: fmt.Sprintf("127.0.0.1:%d:%d", silent+1, silent)}})
	link := two.Dial(1, kernel.ForElection)
	sink.Down(link)
	two.Configure([]kernel.Member{{ID: 1, Text: fmt.Sprintf("127.0.0.1:%d:%d", silent, silent+1)}})
	link = two.Dial(1, kernel.ForBroadcast)
	two.Hangup(link)
	if e := sink.Next(); !e.Down || e.Link != link || e.Reason != ErrHungUp {
		t.Fatalf("%v", e)
	}
}
