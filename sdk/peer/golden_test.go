package peer

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "", "|", "").Replace(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goldenPackets are the samples of spec peer-wire-and-disk, section 11, and one of each other form.
var goldenPackets = []struct {
	name string
	hex  string
	msg  kernel.Message
}{
	{"OBSERVERINFO", "00000010 | 0000000700000000 | 00000014 0000000000000065 00010000 0000000100000000 | ffffffff",
		kernel.Message{Type: ObserverInfo, Zxid: 7 << 32, Payload: (&LearnerInfo{Server: 101, Version: ProtocolVersion, ConfigVersion: 1 << 32}).AppendTo(nil)}},
	{"FOLLOWERINFO of Zooid", "0000000b | 0000000700000000 | 00000024 0000000000000002 00010000 0000000000000000 5a4f4f49 00000001 000000000000000f | ffffffff",
		kernel.Message{Type: FollowerInfo, Zxid: 7 << 32, Payload: (&LearnerInfo{Server: 2, Version: ProtocolVersion,
			Capabilities: Capabilities{Version: 1, Bits: Batches | CumulativeAcks | ChunkedSnapshots | BarrierOnSync}}).AppendTo(nil)}},
	{"LEADERINFO", "00000011 | 0000000800000000 | 00000004 00010000 | ffffffff",
		kernel.Message{Type: LeaderInfo, Zxid: 8 << 32, Payload: AppendLeaderInfo(nil, Capabilities{})}},
	{"LEADERINFO of Zooid", "00000011 | 0000000800000000 | 00000014 00010000 5a4f4f49 00000001 0000000000000003 | ffffffff",
		kernel.Message{Type: LeaderInfo, Zxid: 8 << 32, Payload: AppendLeaderInfo(nil, Capabilities{Version: 1, Bits: Batches | CumulativeAcks})}},
	{"ACKEPOCH", "00000012 | 0000000700000009 | 00000004 00000007 | ffffffff",
		kernel.Message{Type: AckEpoch, Zxid: 7<<32 | 9, Payload: AppendAckEpoch(nil, 7)}},
	{"ACKEPOCH promised before", "00000012 | 0000000700000009 | 00000004 ffffffff | ffffffff",
		kernel.Message{Type: AckEpoch, Zxid: 7<<32 | 9, Payload: AppendAckEpoch(nil, AlreadyPromised)}},
	{"ACK", "00000003 | 0000000800000001 | ffffffff | ffffffff", kernel.Message{Type: Ack, Zxid: 8<<32 | 1}},
	{"PING reply", "00000005 | 0000000800000001 | 00000000 | ffffffff", kernel.Message{Type: Ping, Zxid: 8<<32 | 1, Payload: NoTouches}},
	{"PING reply with a session", "00000005 | 0000000800000001 | 0000000c 0100000000000001 00007530 | ffffffff",
		kernel.Message{Type: Ping, Zxid: 8<<32 | 1, Payload: Touch{Session: 1<<56 | 1, Timeout: 30 * time.Second}.AppendTo(nil)}},
	{"REVALIDATE answer", "00000006 | ffffffffffffffff | 00000009 0100000000000001 01 | ffffffff",
		kernel.Message{Type: Revalidate, Zxid: -1, Payload: Revalidated{Session: 1<<56 | 1, Valid: true}.AppendTo(nil)}},
	{"REQUEST", "00000001 | ffffffffffffffff | 00000013 0100000000000001 00000005 00000009 aabbcc | 00000001 00000006 646967657374 00000003 6a6f65",
		kernel.Message{Type: Request, Zxid: -1, Payload: (&Forwarded{Session: 1<<56 | 1, Cxid: 5, Op: 9, Body: []byte{0xaa, 0xbb, 0xcc}}).AppendTo(nil),
			Identities: []kernel.Identity{{Scheme: "digest", ID: "joe"}}}},
	{"no identities but not null", "00000001 | ffffffffffffffff | ffffffff | 00000000", kernel.Message{Type: Request, Zxid: -1, Identities: []kernel.Identity{}}},
	{"INFORMANDACTIVATE", "00000013 | 0000000800000002 | 0000000a 0000000000000003 0102 | ffffffff",
		kernel.Message{Type: InformAndActivate, Zxid: 8<<32 | 2, Payload: append(AppendDesignated(nil, 3), 1, 2)}},
	{"PROPOSALS", "00000040 | 0000000800000002 | 0000001b 0000000800000001 00000002 0102 0000000800000002 00000001 03 | ffffffff",
		kernel.Message{Type: Proposals, Zxid: 8<<32 | 2, Payload: AppendItem(AppendItem(nil, 8<<32|1, []byte{1, 2}), 8<<32|2, []byte{3})}},
}

func TestGoldenPackets(t *testing.T) {
	var all []byte
	for _, g := range goldenPackets {
		want := unhex(t, g.hex)
		if got := AppendPacket(nil, &g.msg); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got % x\nwant % x", g.name, got, want)
		}
		if n := PacketSize(&g.msg); n != len(want) {
			t.Errorf("%s: PacketSize says %d, it has %d", g.name, n, len(want))
		}
		all = append(all, want...)
	}
	r := NewReader(bufio.NewReader(bytes.NewReader(all)), 1<<20)
	for _, g := range goldenPackets {
		m, err := r.Packet()
		if err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		if !reflect.DeepEqual(m, g.msg) {
			t.Errorf("%s:\n got %#v\nwant %#v", g.name, m, g.msg)
		}
	}
}

func TestGoldenInitial(t *testing.T) {
	for _, g := range []struct {
		hex string
		m   Initial
	}{
		{"ffffffffffff0000 0000000000000003 0000000e" + hex.EncodeToString([]byte("127.0.0.1:3888")), Initial{Server: 3, Addresses: []Address{{"127.0.0.1", 3888}}}},
		{"ffffffffffff0000 0000000000000003 0000000a" + hex.EncodeToString([]byte("[::1]:3888")), Initial{Server: 3, Addresses: []Address{{"::1", 3888}}}},
		{"ffffffffffff0001 0000000000000003 0000000b" + hex.EncodeToString([]byte("a:3888|b:39")), Initial{Server: 3, Several: true, Addresses: []Address{{"a", 3888}, {"b", 39}}}},
	} {
		want := unhex(t, g.hex)
		if got := g.m.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("%+v:\n got % x\nwant % x", g.m, got, want)
		}
		in := bytes.NewReader(append(want, 0xff))
		if got, err := ReadInitial(in); err != nil || !reflect.DeepEqual(got, g.m) || in.Len() != 1 {
			t.Errorf("%+v, %v, %d bytes left, want %+v and 1", got, err, in.Len(), g.m)
		}
	}
	old, err := ReadInitial(bytes.NewReader(unhex(t, "0000000000000007")))
	if err != nil || old.Server != 7 || old.Addresses != nil {
		t.Errorf("old form: %+v, %v", old, err)
	}
	wild, err := ReadInitial(bytes.NewReader((&Initial{Server: 1, Several: true, Addresses: []Address{{"0.0.0.0", 1}, {"::", 2}, {"h", 3}}}).AppendTo(nil)))
	if err != nil || len(wild.Addresses) != 1 || wild.Addresses[0].Host != "h" {
		t.Errorf("wildcards: %+v, %v", wild, err)
	}
}

const goldenConfig = "server.1=a:1:2:participant\nversion=0"

var goldenNotifications = []struct {
	name string
	hex  string
	n    Notification
	out  string // encoded again; empty: as hex
}{
	{"before epochs", "00000000 0000000000000002 0000000300000004 0000000000000005", Notification{Leader: 2, Zxid: 3<<32 | 4, Round: 5, PeerEpoch: 3},
		"00000000 0000000000000002 0000000300000004 0000000000000005 0000000000000003 00000000"},
	{"before versions", "00000001 0000000000000002 0000000300000004 0000000000000005 0000000000000006 deadbeef",
		Notification{State: kernel.Following, Leader: 2, Zxid: 3<<32 | 4, Round: 5, PeerEpoch: 6},
		"00000001 0000000000000002 0000000300000004 0000000000000005 0000000000000006 00000000"},
	{"version 1", "00000003 8000000000000000 8000000000000000 0000000000000001 8000000000000000 00000001 00000000",
		Notification{State: kernel.Observing, Leader: math.MinInt64, Zxid: math.MinInt64, Round: 1, PeerEpoch: math.MinInt64, Version: 1}, ""},
	{"version 2", "00000002 0000000000000002 0000000300000004 0000000000000005 0000000000000006 00000002 00000024" + hex.EncodeToString([]byte(goldenConfig)),
		Notification{State: kernel.Leading, Leader: 2, Zxid: 3<<32 | 4, Round: 5, PeerEpoch: 6, Version: 2, Config: goldenConfig}, ""},
	{"version 2 of Zooid", "00000002 0000000000000002 0000000300000004 0000000000000005 0000000000000006 00000002 00000024" + hex.EncodeToString([]byte(goldenConfig)) + "5a4f4f49 00000001 0000000000000001",
		Notification{State: kernel.Leading, Leader: 2, Zxid: 3<<32 | 4, Round: 5, PeerEpoch: 6, Version: 2, Config: goldenConfig, Capabilities: Capabilities{Version: 1, Bits: Batches}}, ""},
}

func TestGoldenNotifications(t *testing.T) {
	for _, g := range goldenNotifications {
		in := unhex(t, g.hex)
		n, err := DecodeNotification(in)
		if err != nil || !reflect.DeepEqual(n, g.n) {
			t.Errorf("%s: %+v, %v, want %+v", g.name, n, err, g.n)
		}
		want := in
		if g.out != "" {
			want = unhex(t, g.out)
		}
		if got := n.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got % x\nwant % x", g.name, got, want)
		}
	}
	bare := Notification{Version: 2}
	if b := bare.AppendTo(nil); len(b) != 44 || b[39] != 1 {
		t.Errorf("without a configuration: % x", b)
	}
}
