package tcp

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// item is a part of a link's queue: bytes of any number of messages, or a snapshot that goes out as it is, or a mark that says LinkFlushed when it is reached.
type item struct {
	bytes []byte
	body  *source
	mark  bool
}

// largeItem is where messages begin a new item, so that buffers stay worth keeping.
const largeItem = 1 << 20

// send queues a message.
func (l *link) send(m *kernel.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isUp() {
		return
	}
	if l.id.Purpose != kernel.ForElection {
		if b := l.extend(peer.PacketSize(m)); b != nil {
			*b = peer.AppendPacket(*b, m)
		}
		return
	}
	if len(m.Payload) == 0 || len(m.Payload) > peer.MaxNotification {
		l.takeDown(fmt.Errorf("a notification of %d bytes cannot be sent", len(m.Payload)))
		return
	}
	if b := l.extend(4 + len(m.Payload)); b != nil {
		*b = append(binary.BigEndian.AppendUint32(*b, uint32(len(m.Payload))), m.Payload...)
	}
}

// extend returns the end of the queue, to append exactly n bytes to; nil: they are too many, and the link is down. The caller holds mu; the link is up.
func (l *link) extend(n int) *[]byte {
	if l.queued+n > l.t.settings.QueueBytes {
		l.takeDown(ErrOverflow)
		return nil
	}
	l.queued += n
	l.work.Signal()
	if last := len(l.queue) - 1; last >= 0 && l.queue[last].bytes != nil && len(l.queue[last].bytes) < largeItem {
		return &l.queue[last].bytes
	}
	var b []byte
	if last := len(l.spare) - 1; last >= 0 {
		b, l.spare = l.spare[last], l.spare[:last]
	} else {
		b = make([]byte, 0, max(n, 4<<10))
	}
	l.queue = append(l.queue, item{bytes: b})
	return &l.queue[len(l.queue)-1].bytes
}

// flush asks for LinkFlushed when all that is queued now has been written, bodies that are under way included.
func (l *link) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isUp() {
		return
	}
	if len(l.outs) == 0 {
		l.mark()
		return
	}
	m := &waiting{bodies: len(l.outs)}
	for _, o := range l.outs {
		o.marks = append(o.marks, m)
	}
}

// mark is called with mu held.
func (l *link) mark() {
	l.queue = append(l.queue, item{mark: true})
	l.work.Signal()
}

// write is the writer's goroutine: it takes all that has queued since it last looked and writes it.
func (l *link) write() {
	var items []item
	for {
		l.mu.Lock()
		for len(l.queue) == 0 && l.down == nil {
			l.work.Wait()
		}
		if l.down != nil {
			l.mu.Unlock()
			return
		}
		items, l.queue = l.queue, items[:0]
		l.mu.Unlock()
		for n := range items {
			if err := l.writeItem(&items[n]); err != nil {
				l.fail(reason(err))
				l.abandon(items[n:])
				return
			}
		}
		clear(items)
	}
}

// abandon closes the sources of snapshots that will not be sent.
func (l *link) abandon(items []item) {
	for _, i := range items {
		if i.body != nil {
			i.body.Close()
		}
	}
}

func (l *link) writeItem(i *item) error {
	switch {
	case i.mark:
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.down == nil {
			l.flushed++
			l.schedule()
		}
		return nil
	case i.body != nil:
		return l.writeBody(i.body)
	}
	if err := l.put(i.bytes); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queued -= len(i.bytes)
	if cap(i.bytes) <= 2*largeItem && len(l.spare) < 2 && l.down == nil {
		l.spare = append(l.spare, i.bytes[:0])
	}
	l.drained.Broadcast()
	return nil
}

// put writes in portions, each with a time of its own: a peer that takes something, however slowly, is not hung.
func (l *link) put(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), writeBytes)
		if err := l.conn.SetWriteDeadline(time.Now().Add(l.t.settings.WriteTimeout)); err != nil {
			return err
		}
		if _, err := l.conn.Write(b[:n]); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
		b = b[n:]
	}
	return nil
}

// writeBody sends a snapshot as ZooKeeper's servers expect it: as it is, then the signature.
func (l *link) writeBody(s *source) error {
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() { // a Read that waits is ended when the link goes down
		defer close(stopped)
		select {
		case <-l.gone:
			s.Close()
		case <-stop:
		}
	}()
	defer func() {
		close(stop)
		<-stopped
		s.Close()
	}()
	buf := make([]byte, chunkBytes)
	for {
		n, err := s.r.Read(buf)
		if putErr := l.put(buf[:n]); putErr != nil {
			return putErr
		}
		if err == io.EOF {
			return l.put(peer.AppendSnapshotSignature(buf[:0]))
		}
		if err != nil {
			return fmt.Errorf("the source of a snapshot failed: %w", err)
		}
	}
}
