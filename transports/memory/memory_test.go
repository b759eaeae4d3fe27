package memory

import (
	"errors"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	plugintest.Transport(t, func(t *testing.T, sinks map[kernel.ServerID]kernel.TransportSink, queueBytes int) map[kernel.ServerID]kernel.Transport {
		n := NewNetwork()
		transports := make(map[kernel.ServerID]kernel.Transport)
		for id, sink := range sinks {
			transports[id] = n.Join(id, sink, queueBytes)
		}
		return transports
	}, plugintest.TransportTraits{})
}

// join adds a listening server with a sink to a network.
func join(t *testing.T, n *Network, id kernel.ServerID) (*Transport, *plugintest.Sink) {
	t.Helper()
	sink := plugintest.NewSink(t)
	tr := n.Join(id, sink, 1<<20)
	t.Cleanup(func() { tr.Close() })
	if err := tr.Listen(); err != nil {
		t.Fatal(err)
	}
	return tr, sink
}

func TestRegistry(t *testing.T) {
	factory, err := kernel.Lookup(kernel.KindTransport, "memory")
	if err != nil {
		t.Fatal(err)
	}
	options, err := kernel.NewOptions("transport", "memory", factory.Options, map[string]string{"network": t.Name()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sinks := []*plugintest.Sink{plugintest.NewSink(t), plugintest.NewSink(t)}
	var transports []kernel.Transport
	for i, sink := range sinks {
		tr, err := factory.New(kernel.Env{Server: kernel.ServerID(i + 1), Sink: sink}, options)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		if err := tr.Listen(); err != nil {
			t.Fatal(err)
		}
		transports = append(transports, tr)
	}
	transports[0].Dial(2, kernel.ForElection)
	sinks[0].NextUp(false)
	sinks[1].NextUp(true)
	twin := Named(t.Name()).Join(2, sinks[1], 1)
	defer twin.Close()
	if err := twin.Listen(); err == nil || !strings.Contains(err.Error(), "server 2 listens already") {
		t.Errorf("two servers with one id: %v", err)
	}
}

func TestCutAndReset(t *testing.T) {
	n := NewNetwork()
	one, sink1 := join(t, n, 1)
	two, sink2 := join(t, n, 2)
	three, sink3 := join(t, n, 3)
	dial := func(from *Transport, sink *plugintest.Sink, to kernel.ServerID, other *plugintest.Sink) (near, far kernel.LinkID) {
		from.Dial(to, kernel.ForBroadcast)
		return sink.NextUp(false), other.NextUp(true)
	}
	a, b := dial(one, sink1, 2, sink2)
	c, d := dial(one, sink1, 3, sink3)
	n.Cut(2, 1)
	if e := sink1.Next(); e.Link != a || !errors.Is(e.Reason, ErrReset) {
		t.Errorf("%v", e)
	}
	if e := sink2.Next(); e.Link != b || !errors.Is(e.Reason, ErrReset) {
		t.Errorf("%v", e)
	}
	link := two.Dial(1, kernel.ForBroadcast)
	if e := sink2.Next(); e.Link != link || !errors.Is(e.Reason, ErrRefused) {
		t.Errorf("%v", e)
	}
	three.Send(d, kernel.Message{Type: 5})
	if m := sink1.Message(c); m.Type != 5 {
		t.Errorf("%+v", m)
	}
	n.Heal(1, 2)
	a, b = dial(one, sink1, 2, sink2)
	n.Reset(1, 2)
	sink1.Down(a)
	sink2.Down(b)
	dial(two, sink2, 1, sink1)
}

// TestLose: with a transport that loses, what arrives is still a prefix of what was sent on each link, and the end of the link says that there was more.
func TestLose(t *testing.T) {
	for seed := range uint64(20) {
		n := NewNetwork()
		one, sink1 := join(t, n, 1)
		_, sink2 := join(t, n, 2)
		n.Lose(0.05, seed)
		lost := 0
		for range 20 {
			one.Dial(2, kernel.ForBroadcast)
			near, far := sink1.NextUp(false), sink2.NextUp(true)
			const count = 50
			for i := range count {
				if i == 10 {
					one.Stream(near, kernel.Message{Type: int32(i)}, io.NopCloser(strings.NewReader("body")))
					continue
				}
				one.Send(near, kernel.Message{Type: int32(i)})
			}
			one.Hangup(near)
			got := sink2.Down(far)
			for i, m := range got {
				if m.Type != int32(i) {
					t.Fatalf("seed %d: message %d arrived in place %d", seed, m.Type, i)
				}
			}
			lost += count - len(got)
			sink1.Down(near)
		}
		if lost == 0 {
			t.Errorf("seed %d: nothing was lost", seed)
		}
	}
}
