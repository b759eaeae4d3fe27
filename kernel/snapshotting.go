package kernel

import (
	"sync"
	"sync/atomic"
)

// snapshotting decides when the log may be purged, and writes snapshots of machines whose state does not survive by itself. Its methods are called
// by the disk goroutine; the snapshot itself is written on a goroutine of its own, which wait ends.
type snapshotting struct {
	node    *Node
	purged  Zxid
	last    Zxid // position of the last snapshot
	failed  bool // the disk goroutine does nothing any more
	running atomic.Bool
	done    sync.WaitGroup
	writing sync.Mutex   // one at a time
	oldest  atomic.Int64 // the log up to here is not needed
}

func (s *snapshotting) wait() { s.done.Wait() }

// purge drops the part of the log that neither a restart nor a kept snapshot needs.
func (s *snapshotting) purge() error {
	n := s.node
	upTo := n.parts.Machine.Flushed()
	if n.parts.Nodes != nil && !n.parts.Nodes.Durable() {
		upTo = s.snapshot()
	} else {
		s.flushed(upTo)
	}
	upTo = n.holds.limit(upTo)
	if upTo <= s.purged {
		return nil
	}
	if err := n.parts.Log.Purge(upTo); err != nil {
		return err
	}
	s.purged = upTo
	return nil
}

// flushed keeps Status.Saved of a machine whose state survives by itself.
func (s *snapshotting) flushed(upTo Zxid) {
	if s.node.saved.Load().Zxid != upTo {
		s.node.saved.Store(&SnapshotInfo{Zxid: upTo, Time: s.node.cfg.Wall()})
	}
}

// snapshot starts a snapshot when enough has been applied since the last, and returns what those that exist cover.
func (s *snapshotting) snapshot() Zxid {
	n := s.node
	if n.parts.Snapshots == nil {
		return 0
	}
	at := n.parts.Machine.Position()
	if s.last == 0 {
		if list, err := n.parts.Snapshots.List(); err == nil && len(list) > 0 {
			s.last = list[0].Zxid
		} else {
			s.last = n.parts.Log.First()
		}
	}
	if int64(at-s.last) >= int64(n.cfg.SnapshotEvery) && s.running.CompareAndSwap(false, true) {
		s.last = at
		s.done.Add(1)
		n.spawn(func() {
			defer s.done.Done()
			defer s.running.Store(false)
			if err := s.write(); err != nil {
				n.cfg.Logger.Error("a snapshot could not be written; the log is kept", "err", err)
			}
		})
	}
	return Zxid(s.oldest.Load())
}

// keep makes a state that a peer has sent survive: the log has nothing of it, and this server is about to accept it and to vote with it. It is called by the apply goroutine.
func (s *snapshotting) keep() error {
	n := s.node
	if n.parts.Nodes == nil || n.parts.Nodes.Durable() || n.parts.Snapshots == nil {
		return nil
	}
	return s.write()
}

func (s *snapshotting) write() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	n := s.node
	began := n.monotonic()
	state, err := n.parts.Machine.Snapshot()
	if err != nil {
		return err
	}
	defer state.Close()
	w, err := n.parts.Snapshots.Create()
	if err != nil {
		return err
	}
	if _, err := state.WriteTo(w); err != nil {
		_ = w.Abort() // the error that matters is the machine's
		return err
	}
	if err := w.Commit(state.Zxid()); err != nil {
		return err
	}
	took := n.monotonic() - began
	n.figures.change(func(f *Figures) { f.SnapshotWrites.Add(took) })
	n.saved.Store(&SnapshotInfo{Zxid: state.Zxid(), Time: s.node.cfg.Wall()})
	oldest, err := n.parts.Snapshots.Purge(n.cfg.SnapshotsKept)
	if err != nil {
		return err
	}
	s.oldest.Store(int64(oldest))
	return nil
}
