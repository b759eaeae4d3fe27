package sim

import (
	"strings"
	"testing"

	"github.com/zooid-project/zooid/kernel"
)

// What an audit finds in logs that no step has looked at.
func TestAuditOfLogs(t *testing.T) {
	one := func(epoch kernel.Epoch, counter uint32, data string) kernel.Record {
		return kernel.Record{Zxid: kernel.MakeZxid(epoch, counter), Data: []byte(data)}
	}
	for name, c := range map[string]struct {
		first, second []kernel.Record
		want          string // in the violation; empty: there is none
	}{
		"one is shorter":      {[]kernel.Record{one(1, 1, "a"), one(1, 2, "b"), one(2, 1, "c")}, []kernel.Record{one(1, 1, "a")}, ""},
		"orphans":             {[]kernel.Record{one(1, 1, "a"), one(1, 2, "b")}, []kernel.Record{one(1, 1, "a"), one(2, 1, "c")}, ""},
		"one begins later":    {[]kernel.Record{one(1, 1, "a"), one(1, 2, "b")}, []kernel.Record{one(1, 2, "b")}, ""},
		"different content":   {[]kernel.Record{one(1, 1, "a"), one(1, 2, "b")}, []kernel.Record{one(1, 1, "a"), one(1, 2, "x")}, "different transactions 0x100000002 in their logs (I7)"},
		"different before it": {[]kernel.Record{one(1, 1, "a"), one(1, 2, "b"), one(2, 1, "c")}, []kernel.Record{one(1, 1, "a"), one(2, 1, "c")}, "(I4)"},
		"an epoch without 1":  {[]kernel.Record{one(1, 1, "a"), one(2, 2, "b")}, nil, "(I12)"},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStage(t, 1, 2)
			for i, records := range [][]kernel.Record{c.first, c.second} {
				if id := kernel.ServerID(i + 1); len(records) > 0 {
					st.ask(id, kernel.Effects{Append: records})
					st.until("they are on disk", func() bool { return st.confirmed(id) == records[len(records)-1].Zxid })
				}
			}
			st.audit()
			switch err := st.Failure(); {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v; want %s", err, c.want)
			}
		})
	}
}

// A reader of a running server's log gets what was written there.
func TestAuditReadsBack(t *testing.T) {
	st := newStage(t, 1, 1)
	st.appendTo(1, kernel.MakeZxid(1, 1), kernel.MakeZxid(1, 9))
	st.audit()
	st.whole()
	st.Server(1).synced[4].hash++ // as if something else had been written
	st.audit()
	if err := st.Failure(); err == nil || !strings.Contains(err.Error(), "finds 0x100000005 in its log, which was never written there") {
		t.Error(err)
	}
}
