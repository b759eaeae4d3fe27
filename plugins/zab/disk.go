package zab

import (
	"fmt"

	"github.com/zooid-project/zooid/kernel"
)

// disk is what the core knows of its log and its words, and what is under way there. The protocol waits for states of it, not for single completions: whatever has to be durable is
// compared with stable and durable (spec zab, 7.2).
type disk struct {
	words   words // as they are to be
	stable  words // as they are
	writing words // as the SaveWords under way makes them
	saving  kernel.EffectID
	urgent  bool // what the words say next must be durable before what is appended in this Step

	last     kernel.Zxid // end of the log, appends under way included
	durable  kernel.Zxid
	appended uint64          // the effect of the last append
	floor    uint64          // completions of appends up to this effect speak of a log that was cut since
	changing kernel.EffectID // a truncation or restoration under way
	cutTo    kernel.Zxid
}

// idle tells whether nothing is under way.
func (c *Core) idle() bool {
	return c.saving == (kernel.EffectID{}) && c.words == c.stable && c.durable == c.last && c.changing == (kernel.EffectID{})
}

// wordsAre tells whether the words are on disk as they are to be.
func (c *Core) wordsAre() bool {
	return c.words == c.stable && c.saving == (kernel.EffectID{})
}

// save asks for the words on disk if they differ: one record at a time, the newest when the one under way is done. Urgent ones do not wait for that: the disk keeps the order.
func (c *Core) save() {
	urgent := c.urgent
	c.urgent = false
	switch {
	case c.saving == (kernel.EffectID{}) && c.words == c.stable:
		return
	case c.saving != (kernel.EffectID{}) && (!urgent || c.words == c.writing):
		return
	}
	c.saving, c.writing = c.effect(), c.words
	c.effects.SaveWords = &kernel.SaveWords{ID: c.saving, Words: c.words.encode()}
}

func (c *Core) wordsSaved(w kernel.WordsSaved) {
	if w.ID == c.saving && w.ID != (kernel.EffectID{}) {
		c.stable, c.saving = c.writing, kernel.EffectID{}
	}
}

// follows tells whether a record may stand behind another: contiguous within an epoch, from 1 on in a later one (spec zab, 2).
func follows(before, z kernel.Zxid) bool {
	if z.Epoch() == before.Epoch() {
		return z == before+1
	}
	return z.Epoch() > before.Epoch() && z.Counter() == 1
}

// append adds a record to the log. Its place was checked; a place that was not is a bug, and nothing may go on behind it (G10).
func (c *Core) append(r kernel.Record) {
	if !follows(c.last, r.Zxid) {
		c.effects.Fatal = fmt.Errorf("zab: %s was to be appended behind %s: this is a bug; the log was not changed", r.Zxid, c.last)
		c.broken = c.effects.Fatal
		return
	}
	c.effects.Append = append(c.effects.Append, r)
	c.last = r.Zxid
	c.tail.add(r)
}

// order numbers what this Step appends.
func (c *Core) order() {
	if len(c.effects.Append) > 0 {
		c.effects.Ordered = c.effect()
		c.appended = c.effects.Ordered.Seq
		c.effects.History = c.role != kernel.Leading && (c.learn.state == receiving || c.learn.state == accepting)
	}
}

func (c *Core) durableUpTo(d kernel.Durable) {
	if d.ID.Seq > c.floor && d.ID.Seq <= c.appended {
		c.durable = max(c.durable, min(d.Zxid, c.last))
	}
}

// truncate cuts the log. Nothing is under way but what was asked for before.
func (c *Core) truncate(to kernel.Zxid) {
	c.changing, c.cutTo = c.effect(), to
	c.effects.Truncate = &kernel.TruncateLog{ID: c.changing, To: to}
}

func (c *Core) truncated(t kernel.Truncated) {
	if t.ID != c.changing || t.ID == (kernel.EffectID{}) {
		return
	}
	c.changing = kernel.EffectID{}
	c.last, c.durable, c.floor = c.cutTo, c.cutTo, c.seq
	c.tail.cut(c.cutTo)
	c.forgetCut(c.last)
}

// restored: the log is empty at z, and the state is that of a snapshot.
func (c *Core) restoredTo(z kernel.Zxid) {
	c.last, c.durable, c.floor = z, z, c.seq
	c.applied = z
	c.tail.reset(z)
	c.forget()
}
