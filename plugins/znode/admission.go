package znode

import (
	"context"
	"math"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// Writes are let in more slowly the nearer what is changed and not flushed comes to its bound, so that nobody ever meets the bound itself (DESIGN, The znode tree).
const (
	slowFrom = 0.7
	slowest  = 500 * time.Microsecond // between two writes, near the bound
	// flushFrom is where apply itself waits for a flush: replay and what is in flight already pass no admission.
	flushFrom = 1.5
)

// measure notes the pressure after a slice of apply, and waits when it is far over the bound. No lock is held.
func (m *Machine) measure() {
	p := m.tree.Pressure()
	m.pressure.Store(math.Float64bits(p))
	if p < flushFrom {
		return
	}
	waiting, enough := context.WithCancel(m.background)
	defer enough()
	m.giveUp.Store(&enough)
	if m.full.Load() { // before or after the line above, refuse ends the wait: apply never stands still for a disk without room
		return
	}
	if err := m.tree.Flush(waiting); err == nil {
		m.pressure.Store(math.Float64bits(m.tree.Pressure()))
	}
}

// admit says whether a write may come in now. Above slowFrom they come one by one, the further apart the nearer the bound is, which settles where writes come as
// fast as flushes go; at the bound none does. Nobody sleeps here: the client's goroutine has pings to answer.
func (m *Machine) admit() error {
	if math.Float64frombits(m.pressure.Load()) <= slowFrom || m.full.Load() { // full: the node refuses, with an error that says why
		return nil
	}
	p := m.tree.Pressure()
	m.pressure.Store(math.Float64bits(p))
	return m.letIn(p, m.env.Now().UnixNano())
}

// letIn decides for a pressure and a time in Unix nanoseconds.
func (m *Machine) letIn(p float64, now int64) error {
	switch {
	case p <= slowFrom:
		return nil
	case p >= 1:
		return kernel.ErrBusy
	}
	last := m.admitted.Load()
	since := now - last // below zero: the clock was set back
	if gap := (p - slowFrom) / (1 - slowFrom) * float64(slowest); since >= 0 && float64(since) < gap || !m.admitted.CompareAndSwap(last, now) {
		return kernel.ErrBusy
	}
	return nil
}

// refuse notes that the node store is full, beside telling the node: its writes are refused, so nobody waits here for a flush that cannot come.
func (m *Machine) refuse(tell func(error)) func(error) {
	return func(reason error) {
		m.full.Store(reason != nil)
		if giveUp := m.giveUp.Load(); giveUp != nil && reason != nil {
			(*giveUp)()
		}
		if tell != nil {
			tell(reason)
		}
	}
}
