package peer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/zooid-project/zooid/kernel"
)

// What is decoded and encoded again is the same bytes, apart from null and empty strings, and memory stays within the input's.
func FuzzPacket(f *testing.F) {
	for _, g := range goldenPackets {
		f.Add(unhex(f, g.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.NewReader(b)
		buffered := bufio.NewReaderSize(in, 16)
		m, err := NewReader(buffered, 1<<20).Packet()
		if err != nil {
			if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if len(m.Payload)+len(m.Identities)*identityOverhead > len(b) {
			t.Fatal("more than there was")
		}
		used := len(b) - in.Len() - buffered.Buffered()
		again := AppendPacket(nil, &m)
		if len(again) != used || PacketSize(&m) != used {
			t.Fatalf("%d bytes read, %d written, PacketSize %d", used, len(again), PacketSize(&m))
		}
		second, err := NewReader(bufio.NewReader(bytes.NewReader(again)), 1<<20).Packet()
		if err != nil || !reflect.DeepEqual(m, second) {
			t.Fatalf("%+v became %+v, %v", m, second, err)
		}
	})
}

func FuzzNotification(f *testing.F) {
	for _, g := range goldenNotifications {
		f.Add(unhex(f, g.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := DecodeNotification(b)
		if err != nil {
			return
		}
		again, err := DecodeNotification(n.AppendTo(nil))
		if n.Version < 0 {
			n.Version = 0
		}
		if n.Version > 1 && n.Config == "" {
			n.Version, n.Capabilities = 1, Capabilities{}
		}
		if err != nil || again != n {
			t.Fatalf("%+v became %+v, %v", n, again, err)
		}
	})
}

func FuzzNotificationFrame(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, 1, 2, 3})
	f.Add([]byte{0, 8, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := NewReader(bufio.NewReader(bytes.NewReader(b)), 0).Notification()
		if err == nil && !bytes.Equal(p, b[4:4+len(p)]) {
			t.Fatal("other bytes")
		}
	})
}

func FuzzInitial(f *testing.F) {
	f.Add((&Initial{Server: 3, Addresses: []Address{{"127.0.0.1", 3888}}}).AppendTo(nil))
	f.Add((&Initial{Server: 3, Several: true, Addresses: []Address{{"::1", 3888}, {"zoo1", 1}}}).AppendTo(nil))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ReadInitial(bytes.NewReader(b))
		if err != nil || len(m.Addresses) == 0 {
			return
		}
		again, err := ReadInitial(bytes.NewReader(m.AppendTo(nil)))
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

func FuzzPayloads(f *testing.F) {
	for _, g := range goldenPackets {
		f.Add(g.msg.Payload)
	}
	known := Capabilities{Version: 1, Cluster: Cluster{ID: kernel.ClusterID{1}, Epoch: 2, Agreed: true}}
	f.Add(AppendLeaderInfo(nil, known))
	f.Add(AppendNewLeader(nil, goldenConfig, known))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := DecodeLearnerInfo(b); err == nil {
			if again, err := DecodeLearnerInfo(l.AppendTo(nil)); err != nil || again != l {
				t.Fatalf("%+v became %+v, %v", l, again, err)
			}
		}
		if _, c, err := DecodeLeaderInfo(b); err == nil {
			if _, again, err := DecodeLeaderInfo(AppendLeaderInfo(nil, c)); err != nil || again != c {
				t.Fatalf("%+v became %+v, %v", c, again, err)
			}
		}
		if text, c := DecodeNewLeader(b); c.Cluster != (Cluster{}) {
			if again, known := DecodeNewLeader(AppendNewLeader(nil, string(text), c)); string(again) != string(text) || known != c {
				t.Fatalf("%q, %+v became %q, %+v", text, c, again, known)
			}
		}
		if e, err := DecodeAckEpoch(b); err == nil && !bytes.Equal(AppendAckEpoch(nil, e), b[:4]) {
			t.Fatal("ACKEPOCH")
		}
		if leader, rest, err := DecodeDesignated(b); err == nil && !bytes.Equal(append(AppendDesignated(nil, leader), rest...), b) {
			t.Fatal("designated")
		}
		if r, err := DecodeForwarded(b); err == nil && !bytes.Equal(r.AppendTo(nil), b) {
			t.Fatal("REQUEST")
		}
		if r, err := DecodeRevalidated(b); err == nil {
			if again, err := DecodeRevalidated(r.AppendTo(nil)); err != nil || again != r {
				t.Fatal("REVALIDATE")
			}
		}
		if digest, err := DecodeState(b); err == nil && !bytes.Equal(AppendState(nil, digest), b) {
			t.Fatal("STATE")
		}
		if own, theirs, err := DecodeDiverged(b); err == nil && !bytes.Equal(AppendDiverged(nil, own, theirs), b) {
			t.Fatal("DIVERGED")
		}
		n := 0
		if err := Touches(b, func(Touch) { n++ }); err == nil && n*TouchSize != len(b) {
			t.Fatal("PING")
		}
		batch, again := NewBatch(b), []byte(nil)
		last := kernel.Zxid(-1 << 63)
		for first := true; batch.Next(); first = false {
			if !first && batch.Zxid <= last {
				t.Fatal("zxids do not rise")
			}
			last = batch.Zxid
			again = AppendItem(again, batch.Zxid, batch.Data)
		}
		if batch.Err() == nil && !bytes.Equal(again, b) {
			t.Fatal("batch")
		}
	})
}

// Whatever comes, what is passed on is what came, and the end is where a plain reading of the format finds it.
func FuzzSnapshotReader(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(AppendSnapshotSignature(stream(rand.New(rand.NewPCG(seed, 3)))))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.NewReader(b)
		buffered := bufio.NewReaderSize(in, 16)
		got, err := io.ReadAll(NewSnapshotReader(buffered))
		if !bytes.HasPrefix(b, got) {
			t.Fatal("other bytes")
		}
		if err == nil {
			used := len(b) - in.Len() - buffered.Buffered()
			if !bytes.Equal(AppendSnapshotSignature(got), b[:used]) || !bytes.HasSuffix(got, []byte{0, 0, 0, 1, '/'}) {
				t.Fatal("it does not end with the signature")
			}
		}
	})
}
