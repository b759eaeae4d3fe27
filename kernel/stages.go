package kernel

import (
	"sync/atomic"
	"time"
)

// StageFigures sums up what one stage has handled since the start.
type StageFigures struct {
	Batches int64         // hand-overs; a stage that takes requests one by one has as many as it has handled
	Handled int64         // requests or transactions
	Time    time.Duration // spent in the stage. Route, ack and commit are moments and spend none
}

// StageObserver is told of everything that the stages of one server handle: it counts, and passes each event on to the hook if there is one.
// Its methods may be called from any goroutine. Where nobody observes it is nil: Traces may be asked all the same, and a stage does not even read the clock.
type StageObserver struct {
	hook   StageHook
	stages [NumStages]stageCounters
}

// stageCounters fill a cache line: the stages run on goroutines of their own. What was handled is batches plus more: a request by itself touches one counter.
type stageCounters struct {
	batches, more, nanos atomic.Int64
	_                    [40]byte
}

// NewStageObserver makes an observer that counts; hook may be nil.
func NewStageObserver(hook StageHook) *StageObserver { return &StageObserver{hook: hook} }

// Traces tells whether there is a hook: only then events name their requests, and moments their time.
func (o *StageObserver) Traces() bool { return o != nil && o.hook != nil }

// Observe counts one event and passes it on. It allocates nothing.
func (o *StageObserver) Observe(e StageEvent) {
	o.Count(e.Stage, e.Count, e.Duration)
	o.Trace(e)
}

// Count counts one batch. It is for a stage that counts otherwise than it is traced, as Trace is.
func (o *StageObserver) Count(s Stage, handled int, took time.Duration) {
	c := &o.stages[s]
	c.batches.Add(1)
	if handled != 1 {
		c.more.Add(int64(handled - 1))
	}
	if took != 0 {
		c.nanos.Add(int64(took))
	}
}

// Trace passes an event on without counting it.
func (o *StageObserver) Trace(e StageEvent) {
	if o.hook != nil {
		o.hook(e)
	}
}

// Figures are those of one stage so far.
func (o *StageObserver) Figures(s Stage) StageFigures {
	c := &o.stages[s]
	batches := c.batches.Load()
	return StageFigures{Batches: batches, Handled: batches + c.more.Load(), Time: time.Duration(c.nanos.Load())}
}

// begin is when a stage begins; the clock is read only if somebody observes.
func (o *StageObserver) begin() time.Time {
	if o == nil {
		return time.Time{}
	}
	return time.Now()
}

// moment is begin for a stage that spends no time: counting does not need it.
func (o *StageObserver) moment() time.Time {
	if !o.Traces() {
		return time.Time{}
	}
	return time.Now()
}
