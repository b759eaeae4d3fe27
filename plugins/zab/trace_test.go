package zab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/sdk/peer"
)

// TestTraces drives one core through testdata/*.txt: a command is an input, what follows the dashes are the effects. Run with -rewrite to accept new traces.
// A peer's link is named by the peer.
func TestTraces(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if strings.HasPrefix(path, "testdata/fuzz") {
			return
		}
		d := &driver{core: newTraced(Settings{InitLimit: 2, SyncLimit: 1, TailBytes: 32 << 20}), links: map[kernel.ServerID]kernel.LinkID{}}
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string { return d.run(t, td) })
	})
}

// driver turns the commands of a trace into inputs.
type driver struct {
	core     *Core
	now      time.Duration
	ordered  kernel.EffectID // of the last append
	changing kernel.EffectID // of the last truncation or restoration
	reading  kernel.EffectID
	snapshot kernel.EffectID
	requests []*kernel.Request
	links    map[kernel.ServerID]kernel.LinkID
	seq      uint64
}

func (d *driver) run(t *testing.T, td *datadriven.TestData) string {
	var in []kernel.Input
	times := 1
	switch td.Cmd {
	case "start":
		in = append(in, d.start(t, td))
	case "elected":
		e := kernel.Elected{Leader: kernel.ServerID(number(t, td, "leader", 1)), Role: kernel.Leading, Round: 1}
		if td.HasArg("following") {
			e.Role = kernel.Following
		}
		if td.HasArg("observing") {
			e.Role = kernel.Observing
		}
		if td.HasArg("nobody") {
			e = kernel.Elected{Role: kernel.Looking}
		}
		in = append(in, e)
	case "words-saved":
		in = append(in, kernel.WordsSaved{ID: d.core.saving})
	case "stale-words-saved":
		in = append(in, kernel.WordsSaved{ID: kernel.EffectID{Incarnation: 99, Seq: 99}})
	case "propose":
		from := d.core.next
		if td.HasArg("from") {
			from = scanZxid(t, td, "from")
		}
		var batch []kernel.Record
		for i := range number(t, td, "count", 1) {
			batch = append(batch, kernel.Record{Zxid: from + kernel.Zxid(i), Data: []byte("data")})
		}
		if td.HasArg("voters") { // the first of them changes the configuration
			batch[0].Data = []byte(changeTo(t, td, from).Text)
		}
		in = append(in, kernel.Propose{Batch: batch})
	case "may-change":
		err := d.core.MayChange(changeTo(t, td, d.core.next))
		if _, _, ok := d.core.Position(); !ok {
			return fmt.Sprintf("takes no proposals, %v\n", err)
		}
		return fmt.Sprintf("%v\n", err)
	case "config-is":
		in = append(in, kernel.ConfigIs{Config: changeTo(t, td, scanZxid(t, td, "version"))})
	case "durable":
		in = append(in, kernel.Durable{ID: d.ordered, Zxid: scanZxid(t, td, "zxid")})
	case "stale-durable":
		in = append(in, kernel.Durable{ID: kernel.EffectID{Incarnation: 99}, Zxid: scanZxid(t, td, "zxid")})
	case "truncated":
		in = append(in, kernel.Truncated{ID: d.changing})
	case "restored":
		r := kernel.Restored{ID: d.changing}
		if td.HasArg("failed") {
			r.Err = errors.New("the stream broke off")
		}
		in = append(in, r)
	case "log-read":
		in = append(in, d.logRead(t, td))
	case "snapshot-begun":
		in = append(in, kernel.SnapshotBegun{ID: d.snapshot, Zxid: scanZxid(t, td, "zxid")})
	case "flushed":
		in = append(in, kernel.LinkFlushed{Link: d.link(t, td)})
	case "barrier":
		in = append(in, kernel.AskBarrier{ID: uint64(number(t, td, "id", 1)), Request: &kernel.Request{Session: 7, Cxid: 3}})
	case "ask-barrier": // the node brings a learner's request back
		in = append(in, kernel.AskBarrier{ID: uint64(number(t, td, "id", 1)), Request: d.requests[0]})
		d.requests = d.requests[1:]
	case "forward":
		in = append(in, kernel.Forward{Requests: []*kernel.Request{{Session: 7, Cxid: 4, Op: 1, Body: []byte("body")}}})
	case "ask-leader":
		a := kernel.AskLeader{Payload: []byte("question")}
		if td.HasArg("peer") { // an observer's
			a.From = d.link(t, td)
		}
		in = append(in, a)
	case "answer":
		kind := map[string]kernel.DeliveryKind{"heartbeat": kernel.HeartbeatDue, "question": kernel.SessionAsked}[td.CmdArgs[0].Key]
		in = append(in, kernel.Answer{To: kernel.Delivery{Kind: kind, Link: d.link(t, td), Zxid: 1}, Payload: []byte{}})
	case "state-is":
		in = append(in, kernel.StateIs{Zxid: scanZxid(t, td, "zxid"), Digest: uint64(number(t, td, "digest", 0))})
	case "compared":
		in = append(in, kernel.StateCompared{Link: d.link(t, td), Zxid: scanZxid(t, td, "zxid"), Own: uint64(number(t, td, "own", 0)), Theirs: uint64(number(t, td, "theirs", 0))})
	case "retire":
		in = append(in, kernel.Retire{})
	case "tick":
		in = append(in, kernel.Tick{Half: td.HasArg("half")})
		times = number(t, td, "times", 1)
		d.now += time.Duration(number(t, td, "ms", 0)) * time.Millisecond
	case "up":
		d.seq++
		link := kernel.LinkID{Peer: kernel.ServerID(number(t, td, "peer", 0)), Purpose: purpose(td), Incarnation: d.seq}
		d.links[link.Peer] = link
		in = append(in, kernel.LinkIsUp{Link: link, Accepted: td.HasArg("accepted")})
	case "down":
		link, ok := d.links[kernel.ServerID(number(t, td, "peer", 0))]
		if !ok {
			link = kernel.LinkID{Peer: kernel.ServerID(number(t, td, "peer", 0)), Purpose: purpose(td)}
		}
		in = append(in, kernel.LinkIsDown{Link: link, Err: errors.New("reset")})
	case "receive": // one packet a line
		for _, line := range strings.Split(strings.TrimSpace(td.Input), "\n") {
			in = append(in, kernel.Received{Link: d.link(t, td), Message: packet(t, line)})
		}
	default:
		t.Fatalf("unknown command %s", td.Cmd)
	}
	var out string
	for range times {
		e := d.core.Step(d.now, in...)
		d.remember(e)
		out = describe(d.core, e)
		if out != d.core.phase.String()+"\n" && times > 1 {
			break
		}
	}
	return out
}

// purpose is that of a link between an observer and its master, or of any other.
func purpose(td *datadriven.TestData) kernel.Purpose {
	if td.HasArg("for-observers") {
		return kernel.ForObservers
	}
	return kernel.ForBroadcast
}

func (d *driver) link(t *testing.T, td *datadriven.TestData) kernel.LinkID {
	link, ok := d.links[kernel.ServerID(number(t, td, "peer", 0))]
	if !ok {
		t.Fatalf("no link: %s", td.Pos)
	}
	return link
}

// start reads: [voters=N] [observers=N] [self=N] [last=E:C] [accepted=N current=N] [unsynced] [claimed=E:C] [cut=E:C] [cluster=N@E[!]] [draw=N] [empty] [novote] [torn] [roll=N] [plain] [observer-masters] [reconfig [version=E:C]] [next=N,... next-version=E:C].
func (d *driver) start(t *testing.T, td *datadriven.TestData) kernel.Start {
	s := kernel.Start{Self: kernel.ServerID(number(t, td, "self", 1)), Empty: td.HasArg("empty"), NoVote: td.HasArg("novote"), Torn: td.HasArg("torn")}
	for i := range number(t, td, "voters", 1) {
		s.Config.Voters = append(s.Config.Voters, kernel.ServerID(i+1))
	}
	for i := range number(t, td, "observers", 0) {
		s.Config.Others = append(s.Config.Others, kernel.ServerID(len(s.Config.Voters)+i+1))
	}
	d.core.settings.SyncLimit = number(t, td, "sync", 1)
	d.core.settings.ObserverMasters = td.HasArg("observer-masters")
	if td.HasArg("reconfig") {
		d.core.settings.ReconfigEnabled = true
		version := kernel.Zxid(0)
		if td.HasArg("version") {
			version = scanZxid(t, td, "version")
		}
		s.Config = parsed(t, configText(s.Config.Voters, s.Config.Others, version))
	}
	if td.HasArg("last") {
		s.Last = scanZxid(t, td, "last")
	}
	if td.HasArg("accepted") {
		w := words{accepted: kernel.Epoch(number(t, td, "accepted", 0)), current: kernel.Epoch(number(t, td, "current", 0)), unsynced: td.HasArg("unsynced")}
		if td.HasArg("claimed") {
			w.unsynced, w.claimed, w.mark = true, true, scanZxid(t, td, "claimed")
		}
		if td.HasArg("cut") {
			w.cutting, w.mark = true, scanZxid(t, td, "cut")
		}
		w.cluster = scanCluster(t, td)
		if td.HasArg("next") {
			var ids string
			td.ScanArgs(t, "next", &ids)
			w.next = configText(serverIDs(t, ids), nil, scanZxid(t, td, "next-version"))
		}
		s.Words = w.encode()
	}
	s.Cluster = kernel.ClusterID{byte(number(t, td, "draw", 0))}
	d.core.roll = uint32(number(t, td, "roll", int(counterRoll)))
	if td.HasArg("plain") {
		d.core.caps = peer.Capabilities{}
	}
	if td.HasArg("tail") {
		d.core.tail.limit = number(t, td, "tail", 0)
	}
	return s
}

// scanCluster reads cluster=N@E[!]: the id N, taken up in epoch E, ! if that was established.
func scanCluster(t *testing.T, td *datadriven.TestData) peer.Cluster {
	if !td.HasArg("cluster") {
		return peer.Cluster{}
	}
	var text string
	td.ScanArgs(t, "cluster", &text)
	return parseCluster(t, text)
}

func parseCluster(t *testing.T, text string) peer.Cluster {
	var id, epoch int
	if _, err := fmt.Sscanf(text, "%d@%d", &id, &epoch); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return peer.Cluster{ID: kernel.ClusterID{byte(id)}, Epoch: kernel.Epoch(epoch), Agreed: strings.HasSuffix(text, "!")}
}

// newTraced is a core whose transactions are configurations or just data.
func newTraced(s Settings) *Core {
	c := NewCore(s)
	c.inspect = func(data []byte) (kernel.TxnInfo, error) {
		if strings.HasPrefix(string(data), "server.") {
			return kernel.TxnInfo{Config: data}, nil
		}
		return kernel.TxnInfo{}, nil
	}
	return c
}

// changeTo reads: voters=N,... [observers=N,...].
func changeTo(t *testing.T, td *datadriven.TestData, version kernel.Zxid) kernel.Ensemble {
	var voters, observers string
	td.ScanArgs(t, "voters", &voters)
	if td.HasArg("observers") {
		td.ScanArgs(t, "observers", &observers)
	}
	return parsed(t, configText(serverIDs(t, voters), serverIDs(t, observers), version))
}

func serverIDs(t *testing.T, text string) (ids []kernel.ServerID) {
	for _, one := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(one)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, kernel.ServerID(n))
	}
	return ids
}

func parsed(t *testing.T, text string) kernel.Ensemble {
	e, err := config.ParseEnsemble(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (d *driver) logRead(t *testing.T, td *datadriven.TestData) kernel.LogRead {
	r := kernel.LogRead{ID: d.reading, Done: !td.HasArg("more")}
	if td.HasArg("purged") {
		r.Err = kernel.ErrPurged
	}
	for _, z := range strings.Fields(td.Input) {
		r.Records = append(r.Records, kernel.Record{Zxid: parseZxid(t, z), Data: []byte("data")})
	}
	return r
}

func (d *driver) remember(e *kernel.Effects) {
	if e.Ordered != (kernel.EffectID{}) {
		d.ordered = e.Ordered
	}
	if e.Truncate != nil {
		d.changing = e.Truncate.ID
	}
	if e.Restore != nil {
		d.changing = e.Restore.ID
	}
	for _, r := range e.ReadLog {
		d.reading = r.ID
	}
	for _, s := range e.Snapshots {
		d.snapshot = s.ID
	}
	for _, r := range e.Requests {
		if r.Barrier {
			d.requests = append(d.requests, r)
		}
	}
}

func number(t *testing.T, td *datadriven.TestData, key string, otherwise int) int {
	if td.HasArg(key) {
		td.ScanArgs(t, key, &otherwise)
	}
	return otherwise
}

func scanZxid(t *testing.T, td *datadriven.TestData, key string) kernel.Zxid {
	var text string
	td.ScanArgs(t, key, &text)
	return parseZxid(t, text)
}

func parseZxid(t *testing.T, text string) kernel.Zxid {
	if text == "-1" {
		return -1
	}
	var epoch, counter int64
	if _, err := fmt.Sscanf(text, "%d:%d", &epoch, &counter); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return kernel.MakeZxid(kernel.Epoch(epoch), uint32(counter))
}

func trace(z kernel.Zxid) string {
	if z < 0 {
		return fmt.Sprint(int64(z))
	}
	return fmt.Sprintf("%d:%d", z.Epoch(), z.Counter())
}

// packet reads: TYPE ZXID [key=value ...]. What a packet carries is made of: sid, plain, older, config (LearnerInfo); zooid, fresh (LEADERINFO); cluster (both, and NEWLEADER); current, claim (ACKEPOCH); to (batches: ZXID is the
// first then); session, cxid, op (REQUEST); digest (STATE); own, quorum (DIVERGED);
// text; null.
func packet(t *testing.T, line string) kernel.Message {
	fields := strings.Fields(line)
	m := kernel.Message{Zxid: parseZxid(t, fields[1])}
	for i := int32(0); i < 100; i++ {
		if peer.TypeName(i) == fields[0] {
			m.Type = i
		}
	}
	arg := map[string]string{}
	for _, f := range fields[2:] {
		key, value, _ := strings.Cut(f, "=")
		arg[key] = value
	}
	num := func(key string) int64 {
		var n int64
		fmt.Sscan(arg[key], &n)
		return n
	}
	caps := capabilities
	if text, ok := arg["cluster"]; ok {
		caps.Cluster = parseCluster(t, text)
	}
	if _, older := arg["older"]; older {
		caps.Bits &^= peer.StateDigests
	}
	if _, plain := arg["plain"]; plain {
		caps = peer.Capabilities{}
	}
	switch m.Type {
	case peer.FollowerInfo, peer.ObserverInfo:
		info := peer.LearnerInfo{Server: kernel.ServerID(num("sid")), Version: peer.ProtocolVersion, ConfigVersion: kernel.Zxid(num("config")), Capabilities: caps}
		m.Payload = info.AppendTo(nil)
	case peer.LeaderInfo:
		if _, fresh := arg["fresh"]; fresh {
			caps.Bits |= bitWithoutHistory
		}
		m.Payload = peer.AppendLeaderInfo(nil, caps)
	case peer.AckEpoch:
		m.Payload = peer.AppendAckEpoch(nil, kernel.Epoch(num("current")))
		if claim, ok := arg["claim"]; ok {
			m.Payload = binary.BigEndian.AppendUint64(m.Payload, uint64(parseZxid(t, claim)))
		}
	case peer.Proposal, peer.Inform, peer.InformAndActivate:
		m.Payload = []byte("data")
		if ids, ok := arg["voters"]; ok {
			m.Payload = []byte(configText(serverIDs(t, ids), serverIDs(t, arg["observers"]), m.Zxid))
		}
		if m.Type == peer.InformAndActivate {
			m.Payload = append(peer.AppendDesignated(nil, kernel.ServerID(num("leader"))), m.Payload...)
		}
	case peer.CommitAndActivate:
		m.Payload = peer.AppendDesignated(nil, kernel.ServerID(num("leader")))
	case peer.Proposals, peer.Informs:
		z, to := m.Zxid, parseZxid(t, arg["to"])
		for ; z <= to; z++ {
			m.Payload = peer.AppendItem(m.Payload, z, []byte("data"))
		}
		m.Zxid = to
	case peer.Request:
		f := peer.Forwarded{Session: kernel.SessionID(num("session")), Cxid: int32(num("cxid")), Op: int32(num("op")), Body: []byte("body")}
		m.Payload = f.AppendTo(nil)
	case peer.NewLeader:
		m.Payload = []byte(strings.ReplaceAll(arg["text"], "|", "\n"))
		if ids, ok := arg["voters"]; ok {
			m.Payload = []byte(configText(serverIDs(t, ids), serverIDs(t, arg["observers"]), parseZxid(t, arg["version"])))
		}
		m.Payload = peer.AppendNewLeader(nil, string(m.Payload), caps)
	case peer.State:
		m.Payload = peer.AppendState(nil, uint64(num("digest")))
	case peer.Diverged:
		m.Payload = peer.AppendDiverged(nil, uint64(num("own")), uint64(num("quorum")))
	case peer.Ping, peer.Revalidate:
		m.Payload = []byte{}
	case peer.Snap, peer.ChunkedSnap:
		m.Body = strings.NewReader("state")
	}
	if _, null := arg["null"]; null {
		m.Payload = nil
	}
	return m
}
