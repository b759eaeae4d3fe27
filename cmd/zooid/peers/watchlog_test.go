package peers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// watchLog is what one session was told, in the order in which it was told: events of a recursive watch, gaps in it, and the answers to its own requests. The goroutine that reads replies writes it.
//
// checkWatch judges it (FIELD, 2.6, rules 3 and 15 to 17):
//
//   - zxids of answers never fall, and neither do those of events;
//   - an event has a cause, and is told once;
//   - between two entries without a gap no change is missing: the event of one comes before any answer of a state that has it;
//   - a read that was sent behind an event shows the change.
//
// A gap says that the connection was lost, or that the queue of the watch was full. What changed until the watch was armed again, or was read, is told to nobody; an answer to a request that was sent behind
// the gap is of a state behind that. One to an earlier request need not be: events of several writes may come before the answer to the first.
type watchLog []told

// told is an entry of a watchLog.
type told struct {
	what  toldKind
	zxid  int64  // of an event its change, of an answer the state that it was given from
	path  string // of an event; of an answer the node that it shows, or changed
	shows int64  // of an answer: the newest change of path that it shows, 0 if there was none since the node was made
	sent  int    // of an answer: how much was in the log when its request was sent
	at    time.Time
}

func (x told) String() string {
	return fmt.Sprintf("%s %s 0x%x %s shows 0x%x, sent at %d", x.at.UTC().Format("15:04:05.000"), [...]string{"event", "gap", "answer"}[x.what], x.zxid, x.path, x.shows, x.sent)
}

// around lists the entries before and behind one.
func (l watchLog) around(i int) string {
	var b strings.Builder
	for j := max(0, i-12); j < min(len(l), i+4); j++ {
		fmt.Fprintf(&b, "\n%d: %v", j, l[j])
	}
	return b.String()
}

type toldKind uint8

const (
	toldEvent toldKind = iota
	toldGap
	toldAnswer
)

// drain takes over the events that have come.
func (l *watchLog) drain(w *client.Watch) error {
	for {
		e, ok, err := w.TryNext()
		switch {
		case err != nil:
			return err
		case !ok:
			return nil
		case e.Gap:
			*l = append(*l, told{what: toldGap, at: time.Now()})
		case e.Type == wire.EventNodeDataChanged:
			*l = append(*l, told{what: toldEvent, zxid: e.Zxid, path: e.Path, at: time.Now()})
		}
	}
}

// change is a write of a node whose zxid is known. They are ordered by zxid, and within a multi by path.
type change struct {
	zxid int64
	path string
}

func (c change) compare(other change) int {
	return cmp.Or(cmp.Compare(c.zxid, other.zxid), cmp.Compare(c.path, other.path))
}

// until is behind all changes of a zxid.
func until(zxid int64) change { return change{zxid: zxid, path: "\xff"} }

// between is the first known change behind one and before another.
func between(changes []change, from, to change) (change, bool) {
	i, found := slices.BinarySearchFunc(changes, from, change.compare)
	if found {
		i++
	}
	if i < len(changes) && changes[i].compare(to) < 0 {
		return changes[i], true
	}
	return change{}, false
}

// checkWatch finds the first thing that is wrong about a log. changes are all that were acknowledged, in order. There may be others, whose outcome nobody knows: an event without a change is one of those.
func checkWatch(log watchLog, changes []change) error {
	var last, answered int64          // zxids of the last event and of the last answer
	var seen change                   // up to here everything was told ...
	known := false                    // ... if this is known: not between a gap and what follows it
	gap := -1                         // the last one
	events := map[string][]watchPos{} // since the last gap, by path
	for i, x := range log {
		here := change{x.zxid, x.path}
		switch x.what {
		case toldGap:
			known, gap = false, i
			clear(events)
		case toldEvent:
			if x.zxid < 0 { // what a one-shot watch had missed, told to all that watch the node
				if i+1 < len(log) && log[i+1].what != toldGap && log[i+1].zxid >= 0 {
					return fmt.Errorf("entry %d: an event of %s without a zxid, and no gap behind it", i, x.path)
				}
				continue
			}
			if x.zxid < last || known && here.compare(seen) <= 0 {
				return fmt.Errorf("entry %d: the event of 0x%x, %s, comes behind 0x%x, %s", i, x.zxid, x.path, max(last, seen.zxid), seen.path)
			}
			if c, missed := between(changes, seen, here); known && missed {
				return fmt.Errorf("entry %d: the event of 0x%x, %s, follows 0x%x, %q; that of 0x%x, %s, is missing%s", i, x.zxid, x.path, seen.zxid, seen.path, c.zxid, c.path, log.around(i))
			}
			if c, other := between(changes, change{zxid: x.zxid}, until(x.zxid)); other && !isChange(changes, here) {
				return fmt.Errorf("entry %d: 0x%x is said to have changed %s; it has changed %s", i, x.zxid, x.path, c.path)
			}
			last, seen, known = x.zxid, here, true
			events[x.path] = append(events[x.path], watchPos{i, x.zxid})
		case toldAnswer:
			if x.zxid < answered || x.shows > x.zxid {
				return fmt.Errorf("entry %d: an answer of 0x%x, which shows 0x%x, comes behind one of 0x%x", i, x.zxid, x.shows, answered)
			}
			answered = x.zxid
			if c, missed := between(changes, seen, until(x.zxid)); known && missed {
				return fmt.Errorf("entry %d: an answer is of 0x%x, and the event of 0x%x, %s, has not come", i, x.zxid, c.zxid, c.path)
			}
			before := events[x.path]
			n, _ := slices.BinarySearchFunc(before, x.sent, func(p watchPos, at int) int { return cmp.Compare(p.at, at) })
			if n > 0 && before[n-1].zxid > x.shows {
				return fmt.Errorf("entry %d: an answer shows 0x%x of %s, and its request was sent behind the event of 0x%x", i, x.shows, x.path, before[n-1].zxid)
			}
			switch {
			case known && until(x.zxid).compare(seen) > 0:
				seen = until(x.zxid)
			case !known && x.sent > gap:
				seen, known = until(x.zxid), true
			}
		}
	}
	return nil
}

// watchPos is where in a log an event stands.
type watchPos struct {
	at   int
	zxid int64
}

func isChange(changes []change, c change) bool {
	_, found := slices.BinarySearchFunc(changes, c, change.compare)
	return found
}

// A checker that finds nothing is worth nothing.
func TestWatchLogsAreChecked(t *testing.T) {
	changes := []change{{5, "/a"}, {7, "/a"}, {7, "/a-twin"}, {9, "/b"}}
	event := func(zxid int64, path string) told { return told{what: toldEvent, zxid: zxid, path: path} }
	answer := func(zxid int64, path string, shows int64, sent int) told {
		return told{what: toldAnswer, zxid: zxid, path: path, shows: shows, sent: sent}
	}
	gap := told{what: toldGap}
	for name, c := range map[string]struct {
		log  watchLog
		want string
	}{
		"all is told":                       {watchLog{answer(4, "/a", 3, 0), event(5, "/a"), answer(5, "/a", 5, 1), event(7, "/a"), event(7, "/a-twin"), event(9, "/b"), answer(9, "/b", 9, 5)}, ""},
		"one of unknown outcome":            {watchLog{answer(4, "/a", 3, 0), event(5, "/a"), event(6, "/b")}, ""},
		"missed in a gap":                   {watchLog{answer(4, "/a", 3, 0), gap, answer(8, "/a", 7, 2), event(9, "/b")}, ""},
		"told and read again behind a gap":  {watchLog{event(5, "/a"), gap, answer(7, "/a", 5, 1)}, ""},
		"a read sent before the event":      {watchLog{answer(4, "/a", 3, 0), event(5, "/a"), answer(5, "/a", 3, 1)}, ""},
		"missed by a full queue":            {watchLog{event(5, "/a"), gap, answer(5, "/a", 5, 0), event(9, "/b")}, ""},
		"missed by a one-shot watch":        {watchLog{event(5, "/a"), event(-1, "/a"), gap, answer(7, "/a", 7, 3)}, ""},
		"without a zxid":                    {watchLog{event(5, "/a"), event(-1, "/a"), event(7, "/a")}, "no gap behind it"},
		"lost between two":                  {watchLog{event(5, "/a"), event(7, "/a"), event(9, "/b")}, "that of 0x7, /a-twin, is missing"},
		"lost behind an answer":             {watchLog{answer(4, "/a", 3, 0), event(7, "/a")}, "that of 0x5, /a, is missing"},
		"lost behind a gap":                 {watchLog{gap, answer(5, "/a", 5, 1), event(9, "/b")}, "that of 0x7, /a, is missing"},
		"later than the answer":             {watchLog{answer(4, "/a", 3, 0), answer(5, "/a", 5, 1), event(5, "/a")}, "the event of 0x5, /a, has not come"},
		"twice":                             {watchLog{event(5, "/a"), event(5, "/a")}, "comes behind"},
		"twice, across a gap":               {watchLog{event(7, "/a"), gap, event(5, "/a")}, "comes behind"},
		"out of order":                      {watchLog{event(7, "/a-twin"), event(7, "/a")}, "comes behind"},
		"of the wrong node":                 {watchLog{event(9, "/a")}, "it has changed /b"},
		"the change cannot be read":         {watchLog{answer(4, "/a", 3, 0), event(5, "/a"), answer(5, "/a", 3, 2)}, "was sent behind the event of 0x5"},
		"answers go back":                   {watchLog{answer(9, "/b", 9, 0), answer(8, "/a", 7, 1)}, "comes behind one of 0x9"},
		"answers go back on another server": {watchLog{answer(9, "/b", 9, 0), gap, answer(8, "/a", 7, 2)}, "comes behind one of 0x9"},
		"more than the state has":           {watchLog{answer(4, "/a", 5, 0)}, "which shows 0x5"},
	} {
		err := checkWatch(c.log, changes)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
