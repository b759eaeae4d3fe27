package election

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/sdk/peer"
)

// FuzzStep gives a core arbitrary notifications on arbitrary links, between links that come and go and time that passes: it never panics, it keeps no more than its configuration
// and its bounds say, and what it sends can be read. The first byte of each part says what happens, the second who it is, the third how long a message is.
func FuzzStep(f *testing.F) {
	ensemble, err := config.ParseEnsemble("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.9=d:1:2:observer\nversion=100000000")
	if err != nil {
		f.Fatal(err)
	}
	good := func(from byte, n peer.Notification) []byte {
		b := n.AppendTo(nil)
		return append(binary.BigEndian.AppendUint16([]byte{0, from}, uint16(len(b))), b...)
	}
	vote := peer.Notification{State: kernel.Looking, Leader: 3, Zxid: 4<<32 | 17, Round: 1, PeerEpoch: 4, Version: 2, Config: ensemble.Text}
	leading := vote
	leading.State = kernel.Leading
	newer := vote
	newer.Config = "server.1=a:1:2\nserver.4=b:1:2\nversion=100000001"
	hollow := good(2, peer.Notification{State: kernel.Looking, Leader: 3, Version: 2, Config: "?"})
	f.Add(append(append([]byte{1, 2, 1, 3}, good(3, vote)...), good(2, vote)...))
	f.Add(append(append([]byte{1, 3, 4, 1}, good(3, leading)...), good(2, newer)...))
	f.Add(append(hollow, 2, 2, 5, 0, 3, 200))
	f.Add(good(77, vote))
	f.Fuzz(func(t *testing.T, script []byte) {
		c := New()
		now := time.Duration(0)
		step := func(in kernel.Input) {
			e := c.Step(now, in)
			for _, m := range e.Send {
				if _, err := peer.DecodeNotification(m.Message.Payload); err != nil {
					t.Fatalf("sends what cannot be read: %v", err)
				}
			}
			if e.Config != nil {
				if _, err := config.ParseEnsemble(e.Config.Text); err != nil || e.Config.Version <= ensemble.Version {
					t.Fatalf("took a configuration of version %x: %v", e.Config.Version, err)
				}
			}
			if len(c.answered.given) > maxAnswers || len(c.members) > len(c.config.Voters)+len(c.config.Others) {
				t.Fatalf("keeps %d answers and %d members", len(c.answered.given), len(c.members))
			}
			if c.phase == looking && e.Wake <= now {
				t.Fatalf("looks, and wants to be woken at %v when it is %v", e.Wake, now)
			}
		}
		step(kernel.Start{Self: 1, Config: ensemble})
		look := kernel.Look{Config: ensemble, Epoch: 4, Zxid: 4<<32 | 16}
		step(look)
		for len(script) >= 2 {
			what, who := script[0], script[1]
			link := kernel.LinkID{Peer: kernel.ServerID(int8(who)), Incarnation: uint64(who >> 4)}
			script = script[2:]
			switch what % 8 {
			case 0:
				if len(script) < 2 {
					return
				}
				n := min(int(binary.BigEndian.Uint16(script)), len(script)-2)
				step(kernel.Received{Link: link, Message: kernel.Message{Payload: script[2 : 2+n]}})
				script = script[2+n:]
			case 1:
				step(kernel.LinkIsUp{Link: link})
			case 2:
				step(kernel.LinkIsDown{Link: link})
			case 3:
				now += time.Duration(who) * 10 * time.Millisecond
				step(kernel.Tick{})
			case 4:
				look.Empty, look.NoVote = who&1 != 0, who&2 != 0
				look.Suggested = kernel.ServerID(who >> 4)
				look.Config = c.config
				step(look)
			case 5:
				step(kernel.RoleIs{RoleChange: kernel.RoleChange{Role: kernel.Role(who % 4), Leader: kernel.ServerID(who >> 4), Epoch: 5, Established: who&4 != 0}})
			case 7: // a notification that can be read, of small numbers
				if len(script) < 5 {
					return
				}
				small := func(i int) int64 { return int64(int8(script[i])) }
				n := peer.Notification{State: kernel.Role(script[0] % 4), Leader: kernel.ServerID(small(1)), Zxid: kernel.Zxid(small(2)), Round: small(3), PeerEpoch: small(4),
					Version: 2, Config: []string{ensemble.Text, newer.Config, "server.1=a:1:2\nversion=5", ""}[script[0]>>2%4], Capabilities: peer.Capabilities{Version: int32(script[0] >> 7)}}
				step(kernel.Received{Link: link, Message: kernel.Message{Payload: n.AppendTo(nil)}})
				script = script[5:]
			case 6:
				if c.phase != looking { // the broadcast takes configurations from its leader only
					step(kernel.ConfigIs{Config: c.config})
				}
			}
		}
	})
}
