package tcp

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// source is what a body is read from. It is closed once.
type source struct {
	r    io.ReadCloser
	once sync.Once
}

// Close ends the source.
func (s *source) Close() { s.once.Do(func() { s.r.Close() }) }

// outgoing is a body that is sent in pieces. Guarded by the link's mutex.
//
// The receiver gives credit: at most windowBytes travel that it has not read, so that a reader who takes his time holds up neither the link's other messages nor anybody's memory.
type outgoing struct {
	number int64
	source *source
	credit int
	marks  []*waiting
}

// waiting is a Flush that waits for bodies.
type waiting struct{ bodies int }

var errBodyInElection = errors.New("an election link carries no bodies")

// stream queues a message with a body; false: the source is the caller's to close.
func (l *link) stream(m *kernel.Message, s *source) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isUp() {
		return false
	}
	if l.id.Purpose == kernel.ForElection {
		l.takeDown(errBodyInElection)
		return false
	}
	if m.Type == peer.Snap {
		b := l.extend(peer.PacketSize(m))
		if b == nil {
			return false
		}
		*b = peer.AppendPacket(*b, m)
		l.queue = append(l.queue, item{body: s})
		return true
	}
	if len(l.outs) == maxBodies {
		l.takeDown(fmt.Errorf("more than %d bodies at once: %w", maxBodies, ErrOverflow))
		return false
	}
	b := l.extend(openSize(m))
	if b == nil {
		return false
	}
	l.number++
	o := &outgoing{number: l.number, source: s, credit: windowBytes}
	*b = appendOpen(*b, o.number, m)
	l.outs[o.number] = o
	l.t.goroutines.Add(1) // the link is up: its goroutines run, so Close waits for this one too
	go func() {
		defer l.t.goroutines.Done()
		l.feed(o)
	}()
	return true
}

// feed is the goroutine of a body that is sent in pieces.
func (l *link) feed(o *outgoing) {
	defer o.source.Close()
	buf := make([]byte, min(chunkBytes, l.t.settings.QueueBytes/4))
	for {
		n := l.allowance(o, len(buf))
		if n == 0 {
			return
		}
		n, err := o.source.r.Read(buf[:n])
		if n > 0 && !l.sendPiece(o, buf[:n]) {
			return
		}
		if err == io.EOF {
			l.sendEnd(o)
			return
		}
		if err != nil {
			l.fail(fmt.Errorf("the source of a body failed: %w", err))
			return
		}
	}
}

// allowance waits until the receiver and the queue have room and says for how many bytes; 0: the link is down.
func (l *link) allowance(o *outgoing, most int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.down == nil && (o.credit == 0 || l.queued > l.t.settings.QueueBytes/4) {
		l.drained.Wait()
	}
	if l.down != nil {
		return 0
	}
	return min(o.credit, most)
}

func (l *link) sendPiece(o *outgoing, data []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return false
	}
	b := l.extend(pieceSize(len(data)))
	if b == nil {
		return false
	}
	o.credit -= len(data)
	*b = appendPiece(*b, o.number, data)
	return true
}

func (l *link) sendEnd(o *outgoing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return
	}
	b := l.extend(endSize)
	if b == nil {
		return
	}
	*b = appendEnd(*b, o.number)
	delete(l.outs, o.number)
	for _, m := range o.marks {
		if m.bodies--; m.bodies == 0 {
			l.mark()
		}
	}
}

// giveCredit: the receiver has read n bytes more.
func (l *link) giveCredit(number int64, n int32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.outs[number]
	if o == nil {
		return nil // it has ended meanwhile
	}
	if n <= 0 || int(n) > windowBytes-o.credit {
		return fmt.Errorf("%w room for a body: %d bytes", peer.ErrMalformed, n)
	}
	o.credit += int(n)
	l.drained.Broadcast()
	return nil
}
