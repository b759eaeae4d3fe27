package kernel

import (
	"errors"
	"fmt"
	"time"
)

// diskJob is one thing for the disk goroutine, which is the only one that changes the log store. Jobs are done in order; appends that stand
// together share one sync.
type diskJob struct {
	appendID EffectID
	records  []Record
	words    *SaveWords
	truncate *TruncateLog
	restore  *RestoreState
	purge    bool
}

// noSpaceRetry is how long the disk goroutine waits before it tries again to append to a full disk.
const noSpaceRetry = 200 * time.Millisecond

// diskState belongs to the disk goroutine.
type diskState struct {
	node      *Node
	jobs      []diskJob // taken from the mailbox and not done
	snapshots snapshotting
}

// runDisk is the disk goroutine: append, sync, tell the loop. Whatever queues while a sync is under way is the next group: no timer.
func (n *Node) runDisk() {
	defer n.done.Done()
	defer n.diskState.snapshots.wait()
	for {
		select {
		case <-n.stop:
			return
		case <-n.disk.wake:
		}
		for n.diskState.next() {
		}
	}
}

// next does one job, or one group of appends; false: there is nothing to do, or the node has failed.
func (d *diskState) next() bool {
	n := d.node
	if len(d.jobs) == 0 {
		d.jobs = n.disk.take()
	}
	if len(d.jobs) == 0 || d.snapshots.failed {
		return false
	}
	end := 0
	for end < len(d.jobs) && len(d.jobs[end].records) > 0 {
		end++
	}
	var err error
	if end > 0 {
		end, err = n.appendAndSync(d.jobs[:end], &d.snapshots)
	} else {
		end = 1
		err = n.doDisk(d.jobs[0], &d.snapshots)
	}
	clear(d.jobs[:end])
	d.jobs = d.jobs[end:]
	if err != nil {
		d.snapshots.failed = true
		if !errors.Is(err, ErrClosed) {
			n.Fail(fmt.Errorf("log: %w", err))
		}
	}
	return err == nil
}

// appendAndSync is the append and sync stages for a group of batches. It returns how many of them are done: all, unless an error ends the node or a simulated disk is full.
func (n *Node) appendAndSync(jobs []diskJob, snapshots *snapshotting) (done int, err error) {
	start := n.cfg.Stages.begin()
	count, bytes := 0, 0
	for i, j := range jobs {
		err := n.appendGroup(j.records, snapshots)
		if errors.Is(err, errLater) {
			if jobs = jobs[:i]; i == 0 {
				return 0, nil
			}
			break
		}
		if err != nil {
			return i, err
		}
		count += len(j.records)
		if n.cfg.Stages.Traces() {
			for i := range j.records {
				bytes += len(j.records[i].Data)
			}
		}
	}
	first, last := jobs[0].records[0].Zxid, jobs[len(jobs)-1].records[len(jobs[len(jobs)-1].records)-1].Zxid
	appended := n.cfg.Now()
	durable, err := n.parts.Log.Sync()
	if err != nil {
		return len(jobs), err
	}
	took := n.cfg.Now().Sub(appended)
	n.countSync(took)
	n.durable.Store(int64(durable))
	n.confirmed.Add(int64(count))
	if o := n.cfg.Stages; o != nil {
		o.Observe(StageEvent{Stage: StageAppend, Start: start, Duration: appended.Sub(start), First: first, Last: last, Count: count, Bytes: bytes})
		o.Observe(StageEvent{Stage: StageSync, Start: appended, Duration: took, First: first, Last: durable, Count: count})
	}
	n.inputs.put(Durable{ID: jobs[len(jobs)-1].appendID, Zxid: durable})
	for i := range jobs {
		n.flow.carry(-recordsSize(jobs[i].records))
		n.recordBuffers.put(jobs[i].records)
	}
	return len(jobs), nil
}

// errLater: the disk is full, and nobody may wait here for room: whoever steps the node comes again.
var errLater = errors.New("the disk is full: to be tried again")

// countSync keeps Status.Syncs. The disk goroutine alone writes it.
func (n *Node) countSync(took time.Duration) {
	s := *n.syncs.Load()
	s.Add(took)
	if took > n.cfg.SlowSync {
		s.Slow++
		n.cfg.Logger.Warn("a sync of the log was slow, and every write waits for one: give dataLogDir a disk of its own", "took", took.Round(time.Millisecond).String())
	}
	n.syncs.Store(&s)
}

// appendGroup appends, waiting for room on a full disk: what is proposed keeps its place, new writes are refused meanwhile, reads go on.
// The log may be what fills the disk, so what a flush makes superfluous goes meanwhile: the jobs that purge wait behind this one.
func (n *Node) appendGroup(records []Record, snapshots *snapshotting) error {
	err := n.parts.Log.Append(records)
	if !errors.Is(err, ErrNoSpace) {
		n.roomAgain(err)
		return err
	}
	if n.refusing.Load() == nil {
		reason := fmt.Errorf("%w: writes are refused until the disk has room", ErrNoSpace)
		n.refusing.Store(&reason)
		n.cfg.Logger.Error("the disk is full: writes are refused, reads go on; free some space in the log directory", "err", err)
	}
	if n.stepper != nil {
		if err := snapshots.purge(); err != nil {
			return err
		}
		return errLater
	}
	ticker := time.NewTicker(noSpaceRetry)
	defer ticker.Stop()
	for errors.Is(err, ErrNoSpace) {
		select {
		case <-n.stop:
			return ErrClosed
		case <-ticker.C:
			if err := snapshots.purge(); err != nil {
				return err
			}
			err = n.parts.Log.Append(records)
		}
	}
	n.roomAgain(err)
	return err
}

// roomAgain takes writes again after an append that found room.
func (n *Node) roomAgain(err error) {
	if err == nil && n.refusing.Load() != nil {
		n.refusing.Store(nil)
		n.cfg.Logger.Info("the disk has room again: writes are taken")
	}
}

func (n *Node) doDisk(j diskJob, snapshots *snapshotting) error {
	log := n.parts.Log
	switch {
	case j.words != nil:
		if err := log.SaveWords(j.words.Words); err != nil {
			return err
		}
		if save := n.cfg.Repair.SaveWords; save != nil {
			if err := save(j.words.Words); err != nil {
				return err
			}
		}
		n.inputs.put(WordsSaved{ID: j.words.ID})
	case j.truncate != nil:
		if err := log.Truncate(j.truncate.To); err != nil {
			return err
		}
		n.inputs.put(Truncated{ID: j.truncate.ID})
	case j.restore != nil:
		if err := log.Reset(j.restore.Zxid); err != nil {
			return err
		}
		n.durable.Store(int64(j.restore.Zxid))
		n.apply.put(applyJob{restore: j.restore})
	case j.purge:
		return snapshots.purge()
	}
	return nil
}
