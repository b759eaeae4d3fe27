package kernel

import (
	"io"
	"time"
)

// paced writes a snapshot for a learner at a pace while this server has something else to propose: what it takes to make it, to send it and to take it over is taken from those who write. While nobody writes
// it goes as fast as it can.
type paced struct {
	w      io.Writer
	rate   int          // bytes a second
	writes func() int64 // changes when this server proposes something
	stop   <-chan struct{}

	next time.Time // nothing leaves before
	last int64     // what writes said ...
	seen time.Time // ... since then
}

const (
	// paceOfThread is the rate for each thread that may run Go (GOMAXPROCS; serve has two more than processors). Where the servers of an ensemble share two processors, the slowest hundredth of the writes takes
	// less than twice as long with it (TestFarBehind).
	paceOfThread = 5 << 19
	pacedBytes   = 64 << 10    // written at once
	pacedLoad    = time.Second // how long after a proposal others count as writing
)

// Write implements io.Writer.
func (p *paced) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		if !p.turn() {
			return n, io.ErrClosedPipe
		}
		var m int
		m, err = p.w.Write(b[:min(len(b), pacedBytes)])
		n, b = n+m, b[m:]
		p.next = p.next.Add(time.Duration(m) * time.Second / time.Duration(p.rate))
	}
	return n, err
}

// turn waits until more may leave; false: it never will.
func (p *paced) turn() bool {
	now := time.Now()
	if at := p.writes(); at != p.last {
		p.last, p.seen = at, now
	}
	if p.next.Before(now) || now.Sub(p.seen) > pacedLoad {
		p.next = now
		return true
	}
	wait := time.NewTimer(p.next.Sub(now))
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-p.stop:
		return false
	}
}
