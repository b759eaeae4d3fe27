package sim

import "github.com/zooid-project/zooid/kernel"

// auditEvery is after how many steps everything is compared that is too dear for each step: a quarter of a world's time goes into that.
const auditEvery = 500

// audit compares whole logs and states of servers in the middle of what they do (spec zab, 16).
func (w *World) audit() {
	w.Tally["audits"]++
	w.watch.logs()
	for _, s := range w.servers {
		if s.stepper == nil || w.failure != nil {
			continue
		}
		found, words := s.readBack()
		s.kept(found, words)
		if w.opt.Audit != nil {
			w.opt.Audit(s)
		}
	}
}

// logs compares what all servers have on disk, those that are down too. A log has no gap and no turn back (I12). Wherever one transaction stands it is the same (I7), and so is the one before it: of two logs that both
// hold a transaction everything before it is alike, as far as both go back (I4). What is committed stands there as it was committed (I7).
func (c *watch) logs() {
	type place struct {
		record
		before kernel.Zxid // 0: not known, a log begins here
		server kernel.ServerID
	}
	seen := map[kernel.Zxid]place{}
	for _, s := range c.w.servers {
		before := kernel.Zxid(0)
		for _, r := range s.synced {
			next := kernel.MakeZxid(r.zxid.Epoch(), 1)
			if before.Epoch() == r.zxid.Epoch() {
				next = before + 1
			}
			if before != 0 && (r.zxid < before || r.zxid != next) {
				c.w.Fail("server %d has %s behind %s in its log (I12)", s.id, r.zxid, before)
			}
			here := place{r, before, s.id}
			there, known := seen[r.zxid]
			switch {
			case !known:
				seen[r.zxid] = here
				if at, known := c.index[r.zxid]; known && c.decided[at] != r {
					c.w.Fail("server %d has another transaction %s in its log than was committed (I7)", s.id, r.zxid)
				}
			case there.record != r:
				c.w.Fail("servers %d and %d have different transactions %s in their logs (I7)", there.server, s.id, r.zxid)
			case there.before == 0:
				seen[r.zxid] = here
			case before != 0 && there.before != before:
				c.w.Fail("servers %d and %d have %s in their logs, one behind %s and one behind %s (I4)", there.server, s.id, r.zxid, there.before, before)
			}
			before = r.zxid
		}
	}
}
