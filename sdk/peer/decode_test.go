package peer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

func TestMalformed(t *testing.T) {
	for name, decode := range map[string]func() error{
		"learner info, 7 bytes": func() error { _, err := DecodeLearnerInfo(make([]byte, 7)); return err },
		"learner info, null":    func() error { _, err := DecodeLearnerInfo(nil); return err },
		"leader info":           func() error { _, _, err := DecodeLeaderInfo(make([]byte, 3)); return err },
		"ack epoch":             func() error { _, err := DecodeAckEpoch(nil); return err },
		"designated":            func() error { _, _, err := DecodeDesignated(make([]byte, 7)); return err },
		"forwarded":             func() error { _, err := DecodeForwarded(make([]byte, 15)); return err },
		"touches, null":         func() error { return Touches(nil, func(Touch) { t.Error("called") }) },
		"touches, 13 bytes":     func() error { return Touches(make([]byte, 13), func(Touch) { t.Error("called") }) },
		"revalidate":            func() error { _, err := DecodeRevalidate(make([]byte, 13)); return err },
		"revalidated":           func() error { _, err := DecodeRevalidated(make([]byte, 10)); return err },
		"state":                 func() error { _, err := DecodeState(make([]byte, 7)); return err },
		"diverged":              func() error { _, _, err := DecodeDiverged(make([]byte, 8)); return err },
		"notification, 27":      func() error { _, err := DecodeNotification(make([]byte, 27)); return err },
		"notification, 36":      func() error { _, err := DecodeNotification(make([]byte, 36)); return err },
		"notification, state": func() error {
			_, err := DecodeNotification(append(make([]byte, 3), append([]byte{4}, make([]byte, 40)...)...))
			return err
		},
		"notification, version 2 without length": func() error {
			b := make([]byte, 42)
			b[39] = 2
			_, err := DecodeNotification(b)
			return err
		},
		"notification, configuration too long": func() error {
			b := make([]byte, 50)
			b[39], b[43] = 2, 7
			_, err := DecodeNotification(b)
			return err
		},
		"notification, configuration of negative length": func() error {
			b := make([]byte, 50)
			b[39], b[40] = 2, 0xff
			_, err := DecodeNotification(b)
			return err
		},
		"initial, version":         func() error { _, err := ReadInitial(bytes.NewReader(unhex(t, "fffffffffffffff0"))); return err },
		"initial, no address":      func() error { return initialWith(t, "00000000") },
		"initial, negative":        func() error { return initialWith(t, "ffffffff") },
		"initial, 2049 bytes":      func() error { return initialWith(t, "00000801") },
		"initial, no port":         func() error { return initialWith(t, "00000001 61") },
		"initial, port 0":          func() error { return initialWith(t, "00000003 613a30") },
		"initial, port 65536":      func() error { return initialWith(t, "00000007 613a3635353336") },
		"initial, two in version1": func() error { return initialWith(t, "00000007 613a317c623a32") },
		"batch, empty":             func() error { return walk(nil) },
		"batch, short":             func() error { return walk(make([]byte, 11)) },
		"batch, too long":          func() error { return walk(unhex(t, "0000000000000001 00000002 01")) },
		"batch, negative":          func() error { return walk(unhex(t, "0000000000000001 ffffffff 01")) },
		"batch, not rising":        func() error { return walk(AppendItem(AppendItem(nil, 5, []byte{}), 5, []byte{1})) },
		"packet, negative":         func() error { return packet(t, "00000001 0000000000000000 fffffffe", 100) },
		"packet, over the limit":   func() error { return packet(t, "00000001 0000000000000000 00000065", 100) },
		"packet, identities":       func() error { return packet(t, "00000001 0000000000000000 ffffffff 00001001", 100) },
		"packet, -2 identities":    func() error { return packet(t, "00000001 0000000000000000 ffffffff fffffffe", 100) },
		"packet, long identity":    func() error { return packet(t, "00000001 0000000000000000 ffffffff 00000001 00000065", 100) },
		"notification, length 0":   func() error { return notification(t, "00000000") },
		"notification, length -1":  func() error { return notification(t, "ffffffff") },
		"notification, too long":   func() error { return notification(t, "00080001") },
	} {
		if err := decode(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func initialWith(t *testing.T, rest string) error {
	_, err := ReadInitial(bytes.NewReader(unhex(t, "ffffffffffff0000 0000000000000003"+rest)))
	return err
}

func packet(t *testing.T, text string, limit int) error {
	_, err := NewReader(bufio.NewReader(bytes.NewReader(unhex(t, text))), limit).Packet()
	return err
}

func notification(t *testing.T, text string) error {
	_, err := NewReader(bufio.NewReader(bytes.NewReader(unhex(t, text))), 100).Notification()
	return err
}

func walk(payload []byte) error {
	b := NewBatch(payload)
	for b.Next() {
	}
	return b.Err()
}

// A packet that ends early is an unexpected end, one that has not begun an end.
func TestCutPackets(t *testing.T) {
	for _, g := range goldenPackets {
		whole := unhex(t, g.hex)
		for n := range whole {
			want := io.ErrUnexpectedEOF
			if n == 0 {
				want = io.EOF
			}
			if _, err := NewReader(bufio.NewReader(bytes.NewReader(whole[:n])), 1<<20).Packet(); err != want {
				t.Fatalf("%s, cut at %d: %v, want %v", g.name, n, err, want)
			}
		}
	}
}

// What older and newer peers write is read as far as it goes.
func TestLearnerInfoForms(t *testing.T) {
	whole := (&LearnerInfo{Server: 5, Version: ProtocolVersion, ConfigVersion: 9, Capabilities: Capabilities{Version: 1, Bits: Batches}}).AppendTo(nil)
	for n := 8; n <= len(whole); n++ {
		want := LearnerInfo{Server: 5}
		if n >= 12 {
			want.Version = ProtocolVersion
		}
		if n >= 20 {
			want.ConfigVersion = 9
		}
		if n >= 36 {
			want.Capabilities = Capabilities{Version: 1, Bits: Batches}
		}
		if got, err := DecodeLearnerInfo(whole[:n]); err != nil || got != want {
			t.Errorf("%d bytes: %+v, %v, want %+v", n, got, err, want)
		}
	}
	if got, err := DecodeLearnerInfo(append(whole[:20:20], "sixteen bytes :-)"...)); err != nil || got.Capabilities.Announced() {
		t.Errorf("something else behind it: %+v, %v", got, err)
	}
	if got, err := DecodeLearnerInfo(append(whole, 1, 2, 3)); err != nil || !got.Capabilities.Has(Batches) {
		t.Errorf("more behind it: %+v, %v", got, err)
	}
}

func TestCapabilities(t *testing.T) {
	all, some, none := Capabilities{Version: 1, Bits: Batches | CumulativeAcks}, Capabilities{Version: 2, Bits: Batches | BarrierOnSync}, Capabilities{}
	if got := all.Shared(some); got != (Capabilities{Version: 1, Bits: Batches}) || !got.Has(Batches) || got.Has(Batches|CumulativeAcks) {
		t.Errorf("%+v", got)
	}
	if all.Shared(none).Announced() || none.Has(0) || !(Capabilities{Version: 1}).Has(0) {
		t.Error("a server that announces nothing has something")
	}
	if b := none.AppendTo(nil); b != nil {
		t.Errorf("% x", b)
	}
}

// The cluster stands behind the bits, where older versions do not look. One that is cut off, or of no id, is none.
func TestCluster(t *testing.T) {
	want := Capabilities{Version: 1, Bits: Batches, Cluster: Cluster{ID: kernel.ClusterID{1, 2, 3}, Epoch: 7, Agreed: true}}
	whole := (&LearnerInfo{Server: 5, Version: ProtocolVersion, ConfigVersion: 9, Capabilities: want}).AppendTo(nil)
	for n := 36; n <= len(whole); n++ {
		got, err := DecodeLearnerInfo(whole[:n])
		if err != nil || !got.Capabilities.Has(Batches) || (got.Capabilities == want) != (n == len(whole)) || n < len(whole) && got.Capabilities.Cluster != (Cluster{}) {
			t.Errorf("%d bytes: %+v, %v", n, got, err)
		}
	}
	for _, c := range []Capabilities{want, {Version: 1, Bits: Batches}, {}} {
		text, got := DecodeNewLeader(AppendNewLeader(nil, "server.1=a:1:2\nversion=1", c))
		if c.Cluster == (Cluster{}) {
			c = Capabilities{} // nothing to take up
		}
		if string(text) != "server.1=a:1:2\nversion=1" || got != c {
			t.Errorf("%q, %+v; want %+v", text, got, c)
		}
	}
	if c := want.Shared(want); c.Cluster != (Cluster{}) {
		t.Errorf("%+v is nothing that two servers can do", c)
	}
	other := Cluster{ID: kernel.ClusterID{9}, Agreed: true}
	for _, c := range []struct {
		a, b    Cluster
		foreign bool
	}{{want.Cluster, other, true}, {want.Cluster, want.Cluster, false}, {want.Cluster, Cluster{ID: other.ID}, false}, {Cluster{}, other, false}} {
		if c.a.Foreign(c.b) != c.foreign || c.b.Foreign(c.a) != c.foreign {
			t.Errorf("%+v and %+v", c.a, c.b)
		}
	}
}

func TestForwardedBodyIsNeverNil(t *testing.T) {
	f, err := DecodeForwarded((&Forwarded{Session: 1, Op: -11}).AppendTo(nil))
	if err != nil || f.Body == nil || len(f.Body) != 0 {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestTouches(t *testing.T) {
	want := []Touch{{1, time.Second}, {-1 << 63, 0}, {3, time.Duration(1<<31-1) * time.Millisecond}}
	var payload []byte
	for _, w := range want {
		payload = w.AppendTo(payload)
	}
	var got []Touch
	if err := Touches(payload, func(t Touch) { got = append(got, t) }); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if err := Touches(NoTouches, func(Touch) { t.Error("called") }); err != nil {
		t.Error(err)
	}
	if r, err := DecodeRevalidate(payload[:12]); err != nil || r != want[0] {
		t.Errorf("%v, %v", r, err)
	}
	if r, err := DecodeRevalidated(Revalidated{Session: 4}.AppendTo(nil)); err != nil || r != (Revalidated{4, false}) {
		t.Errorf("%v, %v", r, err)
	}
	if tooLong := (Touch{Session: 1, Timeout: 1000 * time.Hour}).AppendTo(nil); tooLong[8] != 0x7f {
		t.Errorf("% x", tooLong)
	}
}

func TestBatch(t *testing.T) {
	items := []struct {
		zxid kernel.Zxid
		data string
	}{{1<<32 | 1, "one"}, {1<<32 | 2, ""}, {2<<32 | 1, strings.Repeat("x", 1000)}}
	var payload []byte
	for _, i := range items {
		payload = AppendItem(payload, i.zxid, []byte(i.data))
	}
	b := NewBatch(payload)
	for _, i := range items {
		if !b.Next() || b.Zxid != i.zxid || string(b.Data) != i.data || cap(b.Data) != len(b.Data) {
			t.Fatalf("%v %q, %v", b.Zxid, b.Data, b.Err())
		}
	}
	if b.Next() || b.Err() != nil {
		t.Error("no end: ", b.Err())
	}
}

// Encoders given room and decoders of slices do not allocate.
func TestNoAllocation(t *testing.T) {
	dst := make([]byte, 0, 4096)
	msg := goldenPackets[10].msg
	n := goldenNotifications[4].n
	l := LearnerInfo{Server: 1, Capabilities: Capabilities{Version: 1, Bits: 1}}
	i := Initial{Server: 1, Addresses: []Address{{"127.0.0.1", 3888}}}
	batch := AppendItem(AppendItem(nil, 1, []byte{1}), 2, []byte{2})
	touch := Touch{1, time.Second}.AppendTo(nil)
	for name, f := range map[string]func(){
		"packet":       func() { AppendPacket(dst, &msg) },
		"notification": func() { n.AppendTo(dst) },
		"info":         func() { l.AppendTo(dst) },
		"initial":      func() { i.AppendTo(dst) },
		"leader info":  func() { AppendLeaderInfo(dst, l.Capabilities) },
		"item":         func() { AppendItem(dst, 1, touch) },
		"touch":        func() { Touch{1, 1}.AppendTo(dst) },
		"touches":      func() { Touches(touch, func(Touch) {}) },
		"forwarded":    func() { DecodeForwarded(msg.Payload) },
		"batch": func() {
			for b := NewBatch(batch); b.Next(); {
			}
		},
	} {
		if got := testing.AllocsPerRun(100, f); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

// A length is believed only as far as bytes come.
func TestLyingLength(t *testing.T) {
	head := unhex(t, "00000001 0000000000000000 3fffffff")
	short := append(head, make([]byte, 100)...)
	if got := testing.AllocsPerRun(10, func() {
		r := NewReader(bufio.NewReaderSize(bytes.NewReader(short), 64), 1<<30)
		if _, err := r.Packet(); err != io.ErrUnexpectedEOF {
			t.Fatal(err)
		}
	}); got > 10 {
		t.Errorf("%v allocations", got)
	}
	if n := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			NewReader(bufio.NewReaderSize(bytes.NewReader(short), 64), 1<<30).Packet()
		}
	}).AllocedBytesPerOp(); n > 2*trusted {
		t.Errorf("%d bytes allocated for 100", n)
	}
	big := kernel.Message{Type: Proposal, Payload: bytes.Repeat([]byte("0123456789"), 100_000)}
	m, err := NewReader(bufio.NewReader(bytes.NewReader(AppendPacket(nil, &big))), 1<<20).Packet()
	if err != nil || !reflect.DeepEqual(m, big) {
		t.Errorf("a large packet: %d bytes, %v", len(m.Payload), err)
	}
}
