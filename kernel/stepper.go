package kernel

import (
	"errors"
	"time"
)

// Stepper is a node without goroutines of its own: whoever holds it decides what happens when, one step at a time (DESIGN, Simulator). Each method is one turn of the goroutine
// that doc.go names; all are for one goroutine. Gateways are not started.
type Stepper struct {
	n     *Node
	tasks []func()
}

// NewStepper puts a node together as NewNode does.
func NewStepper(cfg NodeConfig, parts Parts) (*Stepper, error) {
	n, err := NewNode(cfg, parts)
	if err != nil {
		return nil, err
	}
	n.stepper = &Stepper{n: n}
	return n.stepper, nil
}

// Node is the node.
func (s *Stepper) Node() *Node { return s.n }

// Start is Node.Start without goroutines.
func (s *Stepper) Start() error {
	s.n.started = s.n.cfg.Now()
	start, err := s.n.begin()
	if err != nil {
		return err
	}
	s.n.inputs.put(start)
	return nil
}

// Wake is when the loop wants its next turn by the clock, besides the half ticks; zero: it waits for nothing.
func (s *Stepper) Wake() time.Time {
	at := s.n.loop.wake()
	if at == 0 {
		return time.Time{}
	}
	return s.n.started.Add(at)
}

// Role is the role that the loop has taken up last.
func (s *Stepper) Role() RoleChange { return *s.n.role.Load() }

// LoopWaits tells whether inputs or requests wait for the loop.
func (s *Stepper) LoopWaits() bool {
	return !s.n.inputs.empty() || !s.n.requests.empty() || (len(s.n.loop.waiting) > 0 && s.n.serving.Load() && !s.n.loop.rejoining)
}

// Loop is one turn of the loop. half: half a tick time has passed.
func (s *Stepper) Loop(half bool) { s.n.loop.round(half) }

// DiskWaits and ApplyWaits tell whether there is something to do.
func (s *Stepper) DiskWaits() bool {
	return !s.n.diskState.snapshots.failed && (len(s.n.diskState.jobs) > 0 || !s.n.disk.empty())
}

// Disk does one job, or one group of appends with its sync.
func (s *Stepper) Disk() { s.n.diskState.next() }

// ApplyWaits tells whether there is something to apply.
func (s *Stepper) ApplyWaits() bool {
	return !s.n.applyState.failed && (len(s.n.applyState.jobs) > 0 || !s.n.apply.empty())
}

// Apply does one job.
func (s *Stepper) Apply() { s.n.applyState.next() }

// BesideWaits tells whether there is work beside the main goroutines: forwarded requests to resolve, log to read, snapshots to send.
func (s *Stepper) BesideWaits() bool {
	return !s.n.remote.empty() || !s.n.reads.empty() || len(s.tasks) > 0
}

// Beside does all of it. What the machine is too busy for is tried again at the next call.
func (s *Stepper) Beside() {
	n := s.n
	requests := n.remote.take()
	for i, req := range requests {
		if errors.Is(n.resolve(req), ErrBusy) {
			for _, later := range requests[i:] {
				n.remote.put(later)
			}
			break
		}
		n.requests.put(req)
	}
	for _, r := range n.reads.take() {
		n.inputs.put(n.readLog(r))
	}
	tasks := s.tasks
	s.tasks = nil
	for _, work := range tasks {
		work()
	}
}

// Crash forgets the node as a power cut does: nothing is flushed or closed. Whoever owns the parts closes what needs it.
func (s *Stepper) Crash() {
	s.n.stopping.Store(true)
	s.n.serving.Store(false)
	s.n.holding.Store(false)
}
