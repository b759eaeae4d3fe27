package zab

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

func describe(c *Core, e *kernel.Effects) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	fmt.Fprintf(&b, "%s", c.phase)
	if c.broken != nil {
		fmt.Fprintf(&b, " broken: %v", c.broken)
	}
	b.WriteByte('\n')
	together := len(c.active) > 0 && (len(c.active[0].Voters) > 1 || len(c.active[0].Others) > 0)
	if together {
		for _, r := range e.Reports {
			line("report: %v", r)
		}
	}
	if e.Role != nil {
		line("role %s epoch %d established=%v", e.Role.Role, e.Role.Epoch, e.Role.Established)
	}
	if e.GiveUp {
		line("give the state up")
	}
	if e.Config != nil {
		line("configuration of version %s in force", trace(e.Config.Version))
	}
	if e.Next != nil {
		line("configuration of version %s proposed: %d", trace(e.Next.Version), e.Next.Voters)
	}
	if e.SaveWords != nil {
		w, err := decodeWords(e.SaveWords.Words)
		fmt.Fprintf(&b, "save words accepted=%d current=%d", w.accepted, w.current)
		switch {
		case w.claimed:
			fmt.Fprintf(&b, " unsynced claims %s", trace(w.mark))
		case w.unsynced:
			fmt.Fprintf(&b, " unsynced")
		case w.cutting:
			fmt.Fprintf(&b, " cut=%s", trace(w.mark))
		}
		b.WriteString(describeCluster(w.cluster))
		if w.config != "" || w.next != "" {
			fmt.Fprintf(&b, " config=%t next=%t", w.config != "", w.next != "")
		}
		if err != nil {
			fmt.Fprintf(&b, " %v", err)
		}
		b.WriteByte('\n')
	}
	if e.Truncate != nil {
		line("truncate to %s", trace(e.Truncate.To))
	}
	if e.Restore != nil {
		state, err := io.ReadAll(e.Restore.Body)
		line("restore %s at %s from %d %v", state, trace(e.Restore.Zxid), e.Restore.Link.Peer, err)
	}
	if len(e.Append) > 0 {
		line("append %s to %s", trace(e.Append[0].Zxid), trace(e.Append[len(e.Append)-1].Zxid))
	}
	for _, r := range e.ReadLog {
		line("read the log from %s to %s, %d bytes", trace(r.From), trace(r.To), r.MaxBytes)
	}
	for _, d := range e.Dial {
		if d.Purpose == kernel.ForObservers {
			line("dial %d for observers", d.Peer)
		} else {
			line("dial %d", d.Peer)
		}
	}
	for i := range e.Send {
		line("-> %d %s", e.Send[i].Link.Peer, describePacket(&e.Send[i].Message))
	}
	for _, s := range e.Snapshots {
		line("-> %d %s of the state", s.Link.Peer, peer.TypeName(s.Type))
	}
	for _, l := range e.Flush {
		line("flush %d", l.Peer)
	}
	for _, l := range e.Release {
		line("release the log for %d", l.Peer)
	}
	for _, l := range e.Hangup {
		line("hang up %d", l.Peer)
	}
	if e.Commit != 0 {
		line("commit %s", trace(e.Commit))
	}
	for _, id := range e.Barriers {
		line("barrier %d passed", id)
	}
	for _, s := range e.Compare {
		line("compare the state of %d at %s: %d", s.Link.Peer, trace(s.Zxid), s.Digest)
	}
	for _, d := range e.Deliver {
		line("deliver %s from %d", [...]string{"heartbeat", "touches", "question", "answer"}[d.Kind], d.Link.Peer)
	}
	for _, r := range e.Requests {
		line("request of server %d: session %d cxid %d op %d %q barrier=%v", r.From, int64(r.Session), r.Cxid, r.Op, r.Body, r.Barrier)
	}
	if e.Wake != 0 {
		line("wake at %v", e.Wake)
	}
	if e.Look != nil && together {
		fmt.Fprintf(&b, "look epoch %d zxid %s", e.Look.Epoch, trace(e.Look.Zxid))
		switch {
		case e.Look.Empty:
			b.WriteString(" empty")
		case e.Look.Witness:
			b.WriteString(" witness")
		case e.Look.NoVote:
			b.WriteString(" no vote")
		}
		if e.Look.Suggested != 0 {
			fmt.Fprintf(&b, " suggested %d", e.Look.Suggested)
		}
		if e.Look.Decided {
			b.WriteString(", which is decided")
		}
		if e.Look.Config.Version != 0 {
			fmt.Fprintf(&b, " configuration %s", trace(e.Look.Config.Version))
		}
		if e.Look.Next != nil {
			fmt.Fprintf(&b, " next %s", trace(e.Look.Next.Version))
		}
		b.WriteByte('\n')
	}
	if e.Refused {
		line("refused")
	}
	return b.String()
}

func describePacket(m *kernel.Message) string {
	s := peer.TypeName(m.Type) + " " + trace(m.Zxid)
	switch m.Type {
	case peer.FollowerInfo, peer.ObserverInfo:
		info, err := peer.DecodeLearnerInfo(m.Payload)
		s += fmt.Sprintf(" sid=%d zooid=%v %v", info.Server, info.Capabilities.Announced(), errText(err)) + describeCluster(info.Capabilities.Cluster)
	case peer.LeaderInfo:
		_, caps, err := peer.DecodeLeaderInfo(m.Payload)
		s += fmt.Sprintf(" zooid=%v without-history=%v %v", caps.Announced(), caps.Has(bitWithoutHistory), errText(err)) + describeCluster(caps.Cluster)
	case peer.AckEpoch:
		current, err := peer.DecodeAckEpoch(m.Payload)
		s += fmt.Sprintf(" current=%d %v", current, errText(err))
		if len(m.Payload) == claimSize {
			s += " claims " + trace(kernel.Zxid(binary.BigEndian.Uint64(m.Payload[4:])))
		}
	case peer.Proposals, peer.Informs:
		var all []string
		b := peer.NewBatch(m.Payload)
		for b.Next() {
			all = append(all, trace(b.Zxid))
		}
		s += " [" + strings.Join(all, " ") + "]" + errText(b.Err())
	case peer.Request:
		f, err := peer.DecodeForwarded(m.Payload)
		s += fmt.Sprintf(" session=%d cxid=%d op=%d %q%s", int64(f.Session), f.Cxid, f.Op, f.Body, errText(err))
	case peer.CommitAndActivate, peer.InformAndActivate:
		leader, _, err := peer.DecodeDesignated(m.Payload)
		s += fmt.Sprintf(" leader=%d%s", leader, errText(err))
	case peer.NewLeader:
		text, caps := peer.DecodeNewLeader(m.Payload)
		if i := strings.LastIndex(string(text), "version="); i >= 0 {
			s += " " + string(text[i:])
		}
		s += describeCluster(caps.Cluster)
	case peer.State:
		digest, err := peer.DecodeState(m.Payload)
		s += fmt.Sprintf(" digest=%d %v", digest, errText(err))
	case peer.Diverged:
		learners, quorums, err := peer.DecodeDiverged(m.Payload)
		s += fmt.Sprintf(" own=%d quorum=%d %v", learners, quorums, errText(err))
	case peer.Ping:
		if m.Payload != nil {
			s += " answer"
		}
	}
	return strings.TrimRight(s, " ")
}

func describeCluster(c peer.Cluster) string {
	if c.ID == (kernel.ClusterID{}) {
		return ""
	}
	s := fmt.Sprintf(" cluster=%d@%d", c.ID[0], c.Epoch)
	if c.Agreed {
		s += "!"
	}
	return s
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
